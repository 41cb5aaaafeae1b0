"""Structures that are added to a fit: against a fit to all of them with the same features."""

from functools import partial
from itertools import starmap
from pathlib import Path

import pytest
import torch
from alloys import alloy
from ase import Atoms

from atomplete.checkpoint import load, read_tensors, save, write_tensors
from atomplete.data import write_structures
from atomplete.data.dataset import Dataset, Split
from atomplete.data.references import find_references
from atomplete.errors import InputError
from atomplete.potentials import DescriptorPotential
from atomplete.training.closed_form import derivative_rows
from atomplete.training.closed_form.kept import KeptFit
from atomplete.training.closed_form.ridge import RidgeSpec
from atomplete.training.fit import fit
from atomplete.training.loss import Loss
from atomplete.training.options import TrainOptions
from atomplete.training.train import train

LEVEL = {"channels": 6, "features": 12}
FOURIER = {
    "type": "random_fourier", "max_radial": 3, "max_angular": 2,
    "center": LEVEL, "neighbor": LEVEL, "pair": LEVEL,
}  # fmt: skip
SOLVER = RidgeSpec(penalty="diagonal", strengths=(1e-9, 1e-8, 1e-7, 1e-6))
OPTIONS = {"descriptor": FOURIER, "cutoff": 3.4, "solver": SOLVER.model_dump(), "keep_sums": True}
LOSS = Loss(energy_per_atom=1.0, forces=1.0, stress=0.1)
WITH = ("forces", "stress", "energy_uncertainty", "forces_uncertainty", "extrapolation")


def trained(structures, folder, update=None, **options):
    said = []
    chosen = {"update": Path(update) / "model.pt"} if update else OPTIONS
    model = train(
        structures, folder, TrainOptions(**chosen, **options), progress=False, say=said.append
    )
    return model, "\n".join(said)


def together(folder, first, parts, given, isolated=(), loss=LOSS):
    """One fit to all parts, with the features of the first; a tenth of each part is validation."""
    structures, train_on, validate_with = [], [], []
    for part in parts:
        split = Split.at_random(len(part), round(0.1 * len(part)), 0)
        train_on.append(split.train + len(structures))
        validate_with.append(split.validation + len(structures))
        structures += part
    data, split = (
        Dataset.from_structures(structures),
        Split(torch.cat(train_on), torch.cat(validate_with)),
    )
    energies = [atoms.info["energy"] for atoms in isolated]
    references = find_references(data, split.train.flatten(), isolated, energies, given)
    model = DescriptorPotential(first.spec, descriptor=first.descriptor)
    fit(model, data, split, loss, SOLVER, folder, references=references, progress=False)
    return model


def compare(one, other, structures):
    """Predictions of all kinds, to 1e-8 of their size."""
    found, expected = (model.predict(structures, WITH) for model in (one, other))
    for name, values in vars(expected).items():
        if name != "structure" and values is not None:
            tolerance = 1e-8 * values.abs().max().item()
            torch.testing.assert_close(
                getattr(found, name), values, rtol=0, atol=tolerance, msg=f"{name} {{}}".format
            )


@pytest.mark.parametrize(
    ("given", "alone"),
    [
        ({}, []),
        ({"Cu": 0.3}, []),
        ({}, [Atoms("Cu", info={"energy": 0.25}), Atoms("Au", info={"energy": -0.5})]),
    ],
)
def test_an_update_is_a_fit_to_all_structures(tmp_path, given, alone):
    parts = [alloy(40), alloy(20, seed=1, spread=0.15), alloy(10, seed=2)]
    first, said = trained(parts[0], tmp_path / "1", references=given)
    assert "sums.pt, with which it can be updated, will take" in said
    second, said = trained(parts[1] + alone, tmp_path / "2", update=tmp_path / "1")
    assert f"added to the 40 structures of {tmp_path / '1' / 'model.pt'}" in said
    test = alloy(10, seed=7)
    compare(second, together(tmp_path / "12", first, parts[:2], given, alone), test)
    # and once more
    third, _ = trained(parts[2], tmp_path / "3", update=tmp_path / "2")
    compare(third, together(tmp_path / "123", first, parts, given, alone), test)
    # it is another potential, of the same features, on validation data of all parts
    assert (third.predict(test).energy - first.predict(test).energy).abs().max() > 1e-4
    for name, value in first.descriptor.state_dict().items():
        assert torch.equal(third.descriptor.state_dict()[name], value)
    assert [len(part) for part in KeptFit.read(tmp_path / "3" / "model.pt").data.split] == [63, 7]


def test_a_single_structure_can_be_added_and_one_that_is_there_is_named(tmp_path):
    structures = alloy(30)
    first, _ = trained(structures, tmp_path / "1")
    second, said = trained([structures[3]], tmp_path / "2", update=tmp_path / "1")
    assert "DUPLICATES: structure 0 is structure 3 again" in said
    assert not torch.equal(second.readout.weights, first.readout.weights)


def test_energies_alone_have_no_sums_but_are_kept(tmp_path):
    parts = [alloy(30), alloy(10, seed=1)]
    first, said = trained(parts[0], tmp_path / "1", forces_weight=0, stress_weight=0)
    assert "will take 0.018 MB" in said
    second, _ = trained(parts[1], tmp_path / "2", update=tmp_path / "1")
    only = Loss(energy_per_atom=1.0)
    compare(second, together(tmp_path / "12", first, parts, {}, loss=only), alloy(5, seed=7))


def test_half_of_the_matrices_is_written_and_nothing_is_run_to_read_it(tmp_path):
    _, said = trained(alloy(12), tmp_path)
    size = (tmp_path / "sums.pt").stat().st_size
    n = load(tmp_path / "model.pt").readout.weights.numel()
    assert size < 8 * n * (n + 1) + 100_000
    stated = float(said.split("will take ")[1].split(" MB")[0])
    assert stated == pytest.approx(size / 1e6, rel=0.3)
    assert set(read_tensors(tmp_path / "sums.pt")["sums"]) == {"forces", "stress"}


def test_an_update_that_is_interrupted_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(derivative_rows, "COPIES", 10**6)  # a part for each structure
    monkeypatch.setattr("atomplete.training.run.CHECKPOINT_INTERVAL", -1.0)
    trained(alloy(20), tmp_path / "1")
    more, original = alloy(8, seed=1), derivative_rows.derivative_rows
    summed = []

    def until(number, *arguments):
        summed.append(arguments)
        if len(summed) > number:
            raise KeyboardInterrupt
        return original(*arguments)

    def run(folder, number):
        summed.clear()
        with monkeypatch.context() as patch:
            patch.setattr(derivative_rows, "derivative_rows", partial(until, number))
            return trained(more, tmp_path / folder, update=tmp_path / "1")[0].readout.weights

    whole = run("2", 1000)
    number = len(summed)
    with pytest.raises(KeyboardInterrupt):
        run("cut", 3)
    assert torch.equal(run("cut", 1000), whole)
    assert len(summed) == number - 3
    options = TrainOptions(update=tmp_path / "1" / "model.pt")
    elsewhere = {"progress": False, "say": lambda _: None, "remote": lambda f, x: starmap(f, x)}
    assert torch.equal(train(more, tmp_path / "3", options, **elsewhere).readout.weights, whole)


def test_sums_that_were_not_kept_are_found_when_they_are_asked_for(tmp_path):
    structures = alloy(12)
    options = OPTIONS | {"keep_sums": False}
    train(structures, tmp_path, TrainOptions(**options), progress=False, say=lambda _: None)
    assert not (tmp_path / "sums.pt").exists()
    trained(structures, tmp_path)
    assert KeptFit.read(tmp_path / "model.pt").sums
    (tmp_path / "sums.pt").unlink()
    with pytest.raises(InputError, match=r"sums.pt is gone; remove training.pt beside it to fit"):
        trained(structures, tmp_path)


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    """Folders with a fit, one of other data, and some with models or sums that do not fit."""
    folder = tmp_path_factory.mktemp("fits")
    trained(alloy(12), folder / "one")
    trained(alloy(12, seed=5), folder / "other")
    trained(alloy(12), folder / "bare")
    (folder / "bare" / "sums.pt").unlink()
    model = load(folder / "one" / "model.pt")
    model.committee.calibration.fill_(torch.nan)
    (folder / "adam").mkdir()
    save(folder / "adam" / "model.pt", model)
    for name, content in {
        "damaged": (folder / "one" / "sums.pt").read_bytes()[:-1000],
        "foreign": b"structures",
    }.items():
        (folder / name).mkdir()
        (folder / name / "model.pt").write_bytes((folder / "one" / "model.pt").read_bytes())
        (folder / name / "sums.pt").write_bytes(content)
    content = read_tensors(folder / "one" / "sums.pt")
    for name, change in {
        "strange": {"format": "other"},
        "mixed": {"features": read_tensors(folder / "other" / "sums.pt")["features"]},
        "short": {"sums": {"forces": {"upper": torch.zeros(3)}}},
    }.items():
        (folder / name).mkdir()
        (folder / name / "model.pt").write_bytes((folder / "one" / "model.pt").read_bytes())
        write_tensors(folder / name / "sums.pt", content | change)
    return folder


@pytest.mark.parametrize(
    ("base", "says"),
    [
        ("absent", "model.pt: no such file"),
        ("bare", "model.pt: there is no sums.pt beside it, which `atomplete train --keep-sums`"),
        ("adam", "model.pt: not fitted in closed form, so that it cannot be updated"),
        ("damaged", "sums.pt: not a checkpoint, or a damaged one"),
        ("foreign", "sums.pt: not a checkpoint, or a damaged one"),
        ("strange", "sums.pt: not sums of a fit"),
        ("mixed", "sums.pt: sums of another model than"),
        ("short", "sums.pt: damaged sums (ValueError)"),
    ],
)
def test_what_cannot_be_updated_is_refused(atomplete, tmp_path, fits, base, says):
    write_structures(tmp_path / "more.xyz", alloy(4))
    model = fits / base / "model.pt"
    outcome = atomplete("train", "more.xyz", "-o", "out", "--update", model, "--quiet")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert says in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "arguments", "says"),
    [
        ("element", (), "more.xyz, structure 2: Ag is new to the model; fit to all structures"),
        ("forces", (), "more.xyz: no structure has forces, which the model was fitted to"),
        ("energy", (), "more.xyz: no structure has energies, which the model was fitted to"),
        ("", ("--cutoff", 4), "option cutoff: an update takes that of the model"),
        ("", ("--forces-weight", 2), "option forces_weight: an update takes that of the model"),
        ("", ("--keep-sums", "--readout", "deep_set"), "sums are kept of a fit in closed form"),
    ],
)
def test_structures_and_options_of_another_fit_are_refused(
    atomplete, tmp_path, fits, change, arguments, says
):
    structures = alloy(4)
    for k, atoms in enumerate(structures):
        if change == "element" and k == 2:
            atoms.symbols[0] = "Ag"
        atoms.calc.results.pop(change, None)
    write_structures(tmp_path / "more.xyz", structures)
    if "--keep-sums" not in arguments:
        arguments = (*arguments, "--update", fits / "one" / "model.pt")
    outcome = atomplete("train", "more.xyz", "-o", "out", "--quiet", *arguments)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert says in outcome.err
    assert not (tmp_path / "out").exists()


def test_stresses_that_the_first_fit_had_not(tmp_path, fits):
    without = alloy(10)
    for atoms in without:
        del atoms.calc.results["stress"]
    trained(without, tmp_path / "1")
    with pytest.raises(InputError, match="it has stresses, which the structures of the model have"):
        trained(alloy(4), tmp_path / "2", update=tmp_path / "1")


def test_an_update_has_a_folder_of_its_own(tmp_path):
    trained(alloy(10), tmp_path)
    before = (tmp_path / "sums.pt").read_bytes()
    with pytest.raises(InputError, match="it holds the model to update; write into another folder"):
        trained(alloy(4), tmp_path, update=tmp_path)
    assert (tmp_path / "sums.pt").read_bytes() == before
