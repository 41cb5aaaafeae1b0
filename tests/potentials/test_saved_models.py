import pytest
import torch
from small_models import DESCRIPTORS, energy_model, molecule

from atomplete.checkpoint import load, read_tensors, save, write_tensors
from atomplete.errors import InputError
from atomplete.nn import LinearSpec


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_a_loaded_model_predicts_the_same_bits(name, tmp_path):
    model = energy_model(DESCRIPTORS[name])
    save(tmp_path / "model.pt", model)
    loaded = load(tmp_path / "model.pt")
    assert loaded.spec == model.spec
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key
        assert loaded.state_dict()[key].dtype == value.dtype, key
    structures = [molecule(seed) for seed in range(3)]
    assert torch.equal(loaded.predict(structures).energy, model.predict(structures).energy)


def test_a_linear_model_round_trips(tmp_path):
    model = energy_model(DESCRIPTORS["density_correlations"], LinearSpec())
    weights = model.readout.coefficients
    weights.copy_(torch.linspace(0, 1, weights.numel(), dtype=torch.float64).view_as(weights))
    save(tmp_path / "model.pt", model)
    again = load(tmp_path / "model.pt").predict([molecule(0)])
    assert torch.equal(again.energy, model.predict([molecule(0)]).energy)


def test_the_dtype_of_positions_is_that_of_the_computation():
    model = energy_model(DESCRIPTORS["contracted"])
    structures = [molecule(seed) for seed in range(3)]
    double, single = (
        model.predict(structures).energy,
        model.predict(structures, dtype=torch.float32).energy,
    )
    assert double.dtype == single.dtype == torch.float64
    assert 0 < (double - single).abs().max() < 1e-4


@pytest.mark.parametrize(
    "change", [{"readout": {"type": "forest"}}, {"species": []}, {"descriptor": {"type": "soap"}}]
)
def test_a_spec_that_is_not_understood_is_refused_in_one_sentence(change, tmp_path):
    model = energy_model(DESCRIPTORS["contracted"])
    save(tmp_path / "model.pt", model)
    content = read_tensors(tmp_path / "model.pt")
    content["spec"] = type(model.spec).model_construct(**dict(model.spec) | change)
    content["spec"] = content["spec"].model_dump_json(warnings=False)
    write_tensors(tmp_path / "model.pt", content)
    with pytest.raises(InputError, match=r"model\.pt: a potential that .* cannot read") as caught:
        load(tmp_path / "model.pt")
    assert "\n" not in str(caught.value)
