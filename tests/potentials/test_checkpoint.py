import json
import os
import pickle

import pytest
import torch
from small_models import REPRESENTATIONS, energy_model, molecule

from atomplete.errors import InputError
from atomplete.nn import LinearSpec
from atomplete.potentials import load, save
from atomplete.potentials.checkpoint import read_tensors, write_tensors


@pytest.fixture
def model():
    return energy_model(REPRESENTATIONS["contracted"])


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_a_loaded_model_predicts_the_same_bits(name, tmp_path):
    model = energy_model(REPRESENTATIONS[name])
    save(tmp_path / "model.pt", model)
    loaded = load(tmp_path / "model.pt")
    assert loaded.spec == model.spec
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key
        assert loaded.state_dict()[key].dtype == value.dtype, key
    structures = [molecule(seed) for seed in range(3)]
    assert torch.equal(loaded.predict(structures), model.predict(structures))


def test_a_linear_model_round_trips(tmp_path):
    model = energy_model(REPRESENTATIONS["density_correlations"], LinearSpec())
    model.model.weights = torch.linspace(0, 1, len(model.model.weights), dtype=torch.float64)
    save(tmp_path / "model.pt", model)
    assert torch.equal(
        load(tmp_path / "model.pt").predict([molecule(0)]), model.predict([molecule(0)])
    )


def test_saving_leaves_one_file(tmp_path, model):
    save(tmp_path / "model.pt", model)
    save(tmp_path / "model.pt", model)
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


def test_the_dtype_of_positions_is_that_of_the_computation(model):
    structures = [molecule(seed) for seed in range(3)]
    double, single = model.predict(structures), model.predict(structures, dtype=torch.float32)
    assert double.dtype == single.dtype == torch.float64
    assert 0 < (double - single).abs().max() < 1e-4


class Exploit:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("write", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))])
def test_code_in_a_file_is_not_executed(write, tmp_path):
    executed, path = tmp_path / "executed", tmp_path / "model.pt"
    write({"format": "atomplete model 1", "spec": Exploit(executed)}, path)
    with pytest.raises(InputError, match=r"model\.pt"):
        load(path)
    assert not executed.exists()
    torch.load(path, weights_only=False) if write is torch.save else pickle.loads(path.read_bytes())
    assert executed.exists()  # the file would have done it


def spec_with(of, **changes):
    return json.dumps(json.loads(of.spec.model_dump_json()) | changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "atomplete model 0"}, "not an atomplete model"),
        ({"format": None}, "not an atomplete model"),
        ({"spec": "{"}, "cannot read"),
        ({"spec": 3}, "cannot read"),
        ({"state": {}}, "cannot read"),
        ({"state": [1.0]}, "cannot read"),
        ({"spec": lambda m: spec_with(m, colour="red")}, "cannot read"),
        ({"spec": lambda m: spec_with(m, model={"type": "forest"})}, "cannot read"),
        ({"spec": lambda m: spec_with(m, species=[])}, "cannot read"),
    ],
)
def test_content_that_is_not_a_model(change, message, model, tmp_path):
    content = {
        "format": "atomplete model 1",
        "spec": model.spec.model_dump_json(),
        "state": model.state_dict(),
    }
    content |= {key: value(model) if callable(value) else value for key, value in change.items()}
    write_tensors(tmp_path / "model.pt", content)
    with pytest.raises(InputError, match=rf"model\.pt: .*{message}") as caught:
        load(tmp_path / "model.pt")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["spec", "state"])
def test_content_that_lacks_a_part(key, model, tmp_path):
    content = {"format": "atomplete model 1", "spec": model.spec.model_dump_json(), "state": {}}
    del content[key]
    write_tensors(tmp_path / "model.pt", content)
    with pytest.raises(InputError, match="cannot read"):
        load(tmp_path / "model.pt")


def test_weights_of_another_shape(model, tmp_path):
    state = dict(model.state_dict())
    state["model.even.weight"] = torch.zeros(3, 3)
    content = {"format": "atomplete model 1", "spec": model.spec.model_dump_json(), "state": state}
    write_tensors(tmp_path / "model.pt", content)
    with pytest.raises(InputError, match="cannot read"):
        load(tmp_path / "model.pt")


NO_CHECKPOINT = {
    "empty": b"",
    "text": b"3\n\nB 0 0 0\n",
    # these run torch's reader of old formats into errors of many types
    "letters": b"It is late",
    "integer": b"I1\n.",
    "pickle": pickle.dumps([1, 2]),
    "half a pickle": b"\x80\x02]",
    "archive": b"PK\x03\x04",
    "noise": bytes(range(256)) * 4,
}


@pytest.mark.parametrize("content", NO_CHECKPOINT.values(), ids=NO_CHECKPOINT)
def test_what_is_no_checkpoint(content, tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.pt: not a checkpoint"):
        load(path)


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "absent.pt", tmp_path):
        with pytest.raises(InputError, match="no such file"):
            load(path)


def test_a_list_of_tensors(tmp_path):
    torch.save([torch.zeros(3)], tmp_path / "model.pt")
    with pytest.raises(InputError, match="not an atomplete"):
        load(tmp_path / "model.pt")


def test_truncated_anywhere(model, tmp_path):
    save(tmp_path / "good.pt", model)
    content = (tmp_path / "good.pt").read_bytes()
    for size in range(0, len(content), len(content) // 40):
        (tmp_path / "cut.pt").write_bytes(content[:size])
        with pytest.raises(InputError, match=r"cut\.pt"):
            load(tmp_path / "cut.pt")


def test_one_wrong_bit_among_the_weights(model, tmp_path):
    save(tmp_path / "good.pt", model)
    content = bytearray((tmp_path / "good.pt").read_bytes())
    weights = model.state_dict()["model.even.weight"].numpy().tobytes()
    content[content.index(weights) + 100] ^= 1
    (tmp_path / "bad.pt").write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        load(tmp_path / "bad.pt")


def test_plain_data_round_trips(tmp_path):
    content = {"a": 1, "b": [1.5, "x"], "t": torch.arange(3)}
    write_tensors(tmp_path / "x.pt", content)
    found = read_tensors(tmp_path / "x.pt")
    assert torch.equal(found.pop("t"), content.pop("t"))
    assert found == content
