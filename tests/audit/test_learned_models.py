"""MACE and metatomic models against their theory, and against what their packages say."""

import warnings

import numpy as np
import pytest
import torch
from ase import Atoms

from atomplete.audit import Scope, audit, diagnose, separation, subject_of
from atomplete.audit.verdicts.pairs import family_pairs
from atomplete.audit.verdicts.verdict import verdict_on
from atomplete.degenerate.families.registry import generate
from atomplete.errors import InputError

WATER = Atoms("OH2", [(0, 0, 0), (0.96, 0, 0), (-0.24, 0.93, 0)], info={"center": 0})
SPECIES = (1, 5, 6, 8)


def verdicts(name, families, n=2):
    """Verdicts by family; controls that are seen as equal are blind."""
    rows = audit([subject_of(name)], families, n=n, progress=False).rows
    assert "broken" not in {row.verdict for row in rows}
    return {family: {row.verdict for row in rows if row.family == family} for family in families}


@pytest.fixture(scope="module")
def mace_file(tmp_path_factory):
    """Two layers, random weights, and energies of atoms far from zero, as MACE saves a model."""
    pytest.importorskip("mace")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TorchScript and torch.load
        from mace import modules

        torch.manual_seed(3)
        model = modules.ScaleShiftMACE(
            r_max=6.0, num_bessel=5, num_polynomial_cutoff=4, max_ell=2,
            interaction_cls=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
            interaction_cls_first=modules.interaction_classes["RealAgnosticInteractionBlock"],
            num_interactions=2, correlation=2, num_elements=4, atomic_numbers=list(SPECIES),
            hidden_irreps=modules.models.o3.Irreps("6x0e + 6x1o + 6x2e"),
            MLP_irreps=modules.models.o3.Irreps("4x0e"), gate=torch.tanh,
            atomic_energies=np.array([-13.0, -670.0, -1029.0, -2041.0]), avg_num_neighbors=5.0,
            atomic_inter_scale=0.8, atomic_inter_shift=0.1,
        )  # fmt: skip
        path = tmp_path_factory.mktemp("mace") / "random.model"
        torch.save(model, path)
    return path


@pytest.fixture(scope="module")
def mace_calculator(mace_file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mace.calculators import MACECalculator

        return MACECalculator(str(mace_file), device="cpu", default_dtype="float64")


def test_descriptors_and_energies_are_those_of_maces_calculator(mace_file, mace_calculator):
    name = f"mace:{mace_file}"
    whole, of_center = (Scope(level, 6.0, SPECIES) for level in ("structure", "environment"))
    (rows,) = subject_of(name).describe([WATER], whole)
    assert rows.shape == (3, 12)
    reference = mace_calculator.get_descriptors(WATER, invariants_only=True)
    np.testing.assert_allclose(rows, reference, rtol=0, atol=1e-14)
    (row,) = subject_of(name).describe([WATER], of_center)
    np.testing.assert_array_equal(row, rows[:1])

    (energy,) = subject_of(f"{name}?output=energy").describe([WATER], whole)
    molecule = WATER.copy()
    molecule.calc = mace_calculator
    assert energy.shape == (1, 1)
    assert energy.item() == pytest.approx(molecule.get_potential_energy(), rel=1e-14)
    (own,) = subject_of(f"{name}?output=energy").describe([WATER], of_center)
    assert own.item() == pytest.approx(molecule.get_potential_energies()[0], rel=1e-14)


@pytest.mark.parametrize("output", ["descriptors", "energy"])
def test_a_mace_file_is_invariant_at_both_levels_and_sees_past_its_correlation(mace_file, output):
    """Correlation 2, but the second layer multiplies what neighbours have seen."""
    subject = subject_of(f"mace:{mace_file}?output={output}")
    assert subject.levels == ("environment", "structure")
    assert diagnose(subject).faults == {}
    assert diagnose(subject).group == "O3"
    found = verdicts(subject.name, ["b8", "controls", "chiral", "polyhedra", "structure_controls"])
    assert found == {
        "b8": {"separates"},
        "controls": {"blind"},
        "chiral": {"blind"},
        "polyhedra": {"separates"},
        "structure_controls": {"blind"},
    }


def test_one_level_of_a_mace_file(mace_file):
    assert subject_of(f"mace:{mace_file}?level=structure").levels == ("structure",)


def test_single_precision_is_found(mace_file):
    found = diagnose(subject_of(f"mace:{mace_file}?dtype=float32"))
    assert (found.significant_bits, found.faults) == (24, {})


def test_an_element_that_mace_has_not_seen_is_undecided(mace_file):
    pair = family_pairs("kite_trapezoid", 1)[0]
    subject = subject_of(f"mace:{mace_file}?level=structure")
    (row,) = audit([subject], ["kite_trapezoid"], n=1, progress=False).rows
    assert row.verdict == "separates"
    other = pair.plus.copy()
    other.numbers[:] = 79
    with pytest.raises(Exception, match="no atoms of atomic number 79"):
        subject.describe([other], pair.scope)


@pytest.mark.parametrize(
    ("correlation", "output", "blind_to"),
    [
        (1, "energy", {"distances", "prl_nu2", "antipodal", "b8"}),
        (2, "descriptors", {"prl_nu2", "antipodal", "b8"}),
        (3, "descriptors", {"b8"}),
        (3, "energy", {"b8"}),
    ],
)
def test_one_layer_sees_what_products_of_as_many_densities_see(correlation, output, blind_to):
    pytest.importorskip("mace")
    families = ["distances", "prl_nu2", "antipodal", "b8"]
    options = f"layers=1,correlation={correlation},output={output}"
    found = verdicts(f"mace:untrained?{options},channels=8", families, n=1)
    assert {family for family, seen in found.items() if seen == {"blind"}} == blind_to
    assert {family for family, seen in found.items() if seen == {"separates"}} == (
        set(families) - blind_to
    )


@pytest.mark.parametrize("pair", family_pairs("chains", 4)[::3], ids=["k = 4", "k = 2"])
def test_chains_take_half_as_many_layers_as_they_are_long(pair):
    """The neighbours are the same up to 1.7 spacings, and weigh more than at 1.1 spacings."""
    pytest.importorskip("mace")
    length, spacing = int(pair.plus.info["k"]), pair.plus.info["spacing"]
    assert length in (2, 4)
    found = {}
    for layers in (1, 2, 3):
        options = f"layers={layers},cutoff={1.7 * spacing},max_angular=2,channels=4"
        subject = subject_of(f"mace:untrained?{options},correlation=2")
        found[layers], _ = verdict_on(separation(subject, pair))
    assert found == {n: "separates" if n >= length // 2 + 1 else "blind" for n in found}


def test_untrained_weights_are_seeded_and_leave_torch_as_it_was():
    pytest.importorskip("mace")
    pair = family_pairs("b8", 1)[0]
    torch.manual_seed(1)
    state = torch.get_rng_state()

    def rows(options):
        subject = subject_of(f"mace:untrained?channels=2,correlation=2{options}")
        return subject.describe([pair.plus], pair.scope)[0]

    first = rows("")
    assert first.dtype == np.float64
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_default_dtype() == torch.float32
    np.testing.assert_array_equal(first, rows(",seed=0"))
    assert np.abs(first - rows(",seed=1")).max() > 1e-3


def save_pair_sums(path, **kinds):
    pytest.importorskip("metatomic")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TorchScript
        import pair_sums

        pair_sums.save(path, **kinds)
    return path


@pytest.fixture(scope="module")
def metatomic_file(tmp_path_factory):
    return save_pair_sums(tmp_path_factory.mktemp("metatomic") / "pair_sums.pt")


def pair_sums_of(atoms):
    """The same two sums over neighbours for each atom, without a model."""
    r = atoms.get_all_distances() + np.diag(np.full(len(atoms), np.inf))
    end = np.where(r < 12, 0.5 * (1 + np.cos(np.pi * np.minimum(r, 12) / 12)), 0)
    return np.stack([(end * np.exp(-a * r)).sum(1) for a in (0.3, 0.7)], axis=1)


def test_features_and_energies_are_those_of_the_metatomic_model(metatomic_file):
    name = f"metatomic:{metatomic_file}"
    atoms = generate("b8", 1)[0]
    atoms.info["center"] = 2
    whole, of_center = (Scope(level, 6.0, (5,)) for level in ("structure", "environment"))
    reference = pair_sums_of(atoms)
    (rows,) = subject_of(f"{name}?output=feature").describe([atoms], whole)
    np.testing.assert_allclose(rows, reference, rtol=1e-13)
    (row,) = subject_of(f"{name}?output=feature").describe([atoms], of_center)
    np.testing.assert_allclose(row, reference[[2]], rtol=1e-13)
    (energy,) = subject_of(name).describe([atoms], whole)
    np.testing.assert_allclose(energy, [[(reference @ [1, 2]).sum()]], rtol=1e-13)
    (own,) = subject_of(name).describe([atoms], of_center)
    np.testing.assert_allclose(own, [[reference[2] @ [1, 2]]], rtol=1e-13)


@pytest.mark.parametrize("output", ["feature", "energy"])
def test_a_metatomic_model_of_distances_is_blind_to_angles(metatomic_file, output):
    subject = subject_of(f"metatomic:{metatomic_file}?output={output}")
    assert subject.levels == ("environment", "structure")
    assert diagnose(subject).faults == {}
    families = ["distances", "b8", "controls", "kite_trapezoid", "structure_controls"]
    # all distances of kite and trapezoid agree, but not those from each of the atoms
    seen = "separates" if output == "feature" else "blind"
    blind = {family: {"blind"} for family in families}
    assert verdicts(subject.name, families) == {**blind, "kite_trapezoid": {seen}}


def test_features_by_the_name_that_older_metatomic_models_have(tmp_path):
    path = save_pair_sums(tmp_path / "older.pt", feature="features")
    subject = subject_of(f"metatomic:{path}?output=feature,level=structure")
    (rows,) = subject.describe([WATER], Scope("structure", 6.0, SPECIES))
    np.testing.assert_allclose(rows, pair_sums_of(WATER), rtol=1e-13)


def test_an_energy_of_the_whole_has_no_environments(tmp_path):
    path = save_pair_sums(tmp_path / "whole.pt", energy_kind="system")
    assert subject_of(f"metatomic:{path}").levels == ("structure",)
    with pytest.raises(InputError, match="one of the whole structure"):
        subject_of(f"metatomic:{path}?level=environment")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mace:absent.model", "cannot be read"),
        ("mace:untrained?layers=0", "layers"),
        ("mace:FILE?layers=2", "unknown option layers"),
        ("metatomic:absent.pt", "cannot be read"),
        ("metatomic:FILE", "cannot be read"),
        ("metatomic:absent.pt?output=forces", "output"),
    ],
)
def test_names_that_are_not_understood(name, says, tmp_path):
    pytest.importorskip(name.partition(":")[0])
    (tmp_path / "no.model").write_text("no model")
    with pytest.raises(InputError, match=says):
        subject_of(name.replace("FILE", str(tmp_path / "no.model")))
