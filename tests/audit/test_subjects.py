"""Subjects by name: what they describe, and how they refuse."""

import gc
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from ase import Atoms
from ase.calculators.lj import LennardJones

from atomplete.audit import Scope, Subject, audit, diagnose, subject_of
from atomplete.audit.feature_map import FeatureMap
from atomplete.audit.resolution.local_table import resolution_rows
from atomplete.audit.search.search import Budget, search
from atomplete.audit.search.starts import Limits
from atomplete.audit.subjects.of_function import loaded
from atomplete.audit.subjects.subject import CannotDescribe
from atomplete.audit.verdicts.pairs import family_pairs
from atomplete.checkpoint import save
from atomplete.data import write_structures
from atomplete.descriptors import NAMED
from atomplete.errors import InputError
from atomplete.nn import LinearSpec
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
from atomplete.registry import spec_of

MINE = Path(__file__).parent / "my_descriptors.py"


def mine(name):
    return subject_of(f"{MINE}:{name}")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("frame_dependent", "frame-dependent"),
        ("order_dependent", "order-dependent"),
        ("position_dependent", "position-dependent"),
        ("float16_rounded", "precision-limited"),
        ("constant", "constant"),
        ("nan_now_and_then", "not finite"),
        ("random", "not reproducible"),
    ],
)
def test_broken_subjects_are_named_for_what_they_are(name, fault):
    assert list(diagnose(mine(name)).faults) == [fault]


@pytest.mark.parametrize("name", ["distances_and_angles", "float32_rounded", "coordination"])
def test_sound_subjects_have_no_fault(name):
    assert diagnose(mine(name)).faults == {}


def test_precision_is_found():
    bits = {
        name: diagnose(mine(name)).significant_bits
        for name in ("float16_rounded", "float32_rounded")
    }
    assert bits == {"float16_rounded": 11, "float32_rounded": 24}
    assert diagnose(mine("distances_and_angles")).significant_bits == 53


def test_handedness_is_found():
    assert diagnose(mine("handed")).group == "SO3"
    assert diagnose(subject_of("N2nu1?group=SO3")).group == "SO3"
    assert diagnose(subject_of("N2nu1")).group == "O3"
    # densities up to ν = 2 have no pseudoscalars, whatever is claimed
    claimed = diagnose(subject_of("power_spectrum?group=SO3"))
    assert (claimed.group, claimed.claimed_group) == ("O3", "SO3")


def test_broken_subjects_get_no_other_verdict():
    result = audit(
        [mine("frame_dependent"), mine("constant")], ["b8", "controls"], n=2, progress=False
    )
    assert {row.verdict for row in result.rows} == {"broken"}
    assert {row.reason.split(":")[0] for row in result.rows} == {"frame-dependent", "constant"}


def test_coarse_numbers_are_not_taken_for_blindness():
    rows = audit([mine("float16_rounded")], ["b8", "distances"], n=2, progress=False).rows
    assert {(row.family, row.verdict) for row in rows} == {
        ("b8", "undecided"),
        ("distances", "separates"),
    }


def test_levels_of_functions():
    levels = {name: mine(name).levels for name in ("constant", "coulomb_energy", "coordination")}
    assert levels == {
        "constant": ("environment",),
        "coulomb_energy": ("structure",),
        "coordination": ("environment", "structure"),
    }
    chosen = subject_of(f"{MINE}:coordination?level=structure")
    assert chosen.levels == ("structure",)


def test_a_subject_is_audited_at_its_levels_only():
    rows = audit([mine("coulomb_energy")], ["b8", "polyhedra"], n=2, progress=False).rows
    assert [(row.family, row.verdict) for row in rows] == [("polyhedra", "blind")] * 2


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("raises", ["raises", "KeyError", "no such orbital"]),
        ("text", ["returns str", "not an array of real numbers"]),
        ("digits", ["returns list of <U1"]),
        ("complex_numbers", ["returns ndarray of complex128"]),
        ("nothing", ["returns NoneType"]),
        ("ragged", ["raises", "ValueError"]),
        ("stops", ["raises", "SystemExit"]),
        ("one_row_too_many", ["returns shape (7, 3) for 6 atoms"]),
        ("wrong_shape", ["returns shape (2, 2, 2)"]),
        ("other_lengths", ["numbers for one structure and"]),
        ("absent", ["no function absent"]),
    ],
)
def test_functions_that_fail_get_one_sentence(name, says):
    with pytest.raises(InputError) as refusal:
        audit([mine(name)], ["b8"], n=2, progress=False)
    for part in says:
        assert part in str(refusal.value)


def test_functions_that_change_their_atoms_or_fill_one_array_do_no_harm():
    names = ("distances_and_angles", "careless", "one_array_for_all")
    found = audit([mine(name) for name in names], ["b8", "distances"], n=2, progress=False)
    assert {diagnosis.summary for diagnosis in found.diagnoses.values()} == {"invariant under O(3)"}
    for name in names:
        rows = [row for row in found.rows if row.subject.endswith(name)]
        assert [row.verdict for row in rows] == ["blind"] * 2 + ["separates"] * 2
        assert [row.separation for row in rows] == [row.separation for row in found.rows[:4]]


def test_a_function_may_import_what_lies_beside_it(tmp_path):
    (tmp_path / "beside_it.py").write_text("def power(r):\n    return (r**2).sum()\n")
    (tmp_path / "mine.py").write_text(
        "from beside_it import power\ndef f(atoms):\n    return power(atoms.get_all_distances())\n"
    )
    before = list(sys.path)
    assert subject_of(f"{tmp_path}/mine.py:f").levels == ("structure",)
    assert sys.path == before


@pytest.mark.parametrize("source", ["def f(:\n", "1 / 0\n", "raise SystemExit(1)\n"])
def test_files_and_modules_that_cannot_be_run(tmp_path, monkeypatch, source):
    (tmp_path / "cannot_run.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    for name in (f"{tmp_path}/cannot_run.py:f", "cannot_run:f"):
        with pytest.raises(InputError, match="cannot be run"):
            subject_of(name)


def test_nothing_is_called_constant_that_is_never_finite():
    found = diagnose(mine("mostly_nan"))
    assert list(found.faults) == ["not finite"]
    assert list(diagnose(mine("always_nan")).faults) == ["not finite"]


def test_a_spec_of_some_species_is_audited_where_it_knows_them(tmp_path):
    spec = {"type": "density_correlations", "nu": [2], "expansion": {"species": [5]}}
    (tmp_path / "boron.yaml").write_text(yaml.safe_dump(spec))
    subject = subject_of(str(tmp_path / "boron.yaml"))
    rows = audit([subject], ["b8", "antipodal"], n=1, progress=False).rows
    assert [row.verdict for row in rows] == ["blind", "undecided"]
    assert "atomic number 6" in rows[1].reason


@pytest.mark.parametrize("name", ["dscribe:SOAP?n_maxx=3", "featomic:SoapPowerSpectrum?widths=1"])
def test_arguments_that_a_package_refuses(name):
    pytest.importorskip(name.split(":")[0])
    with pytest.raises(InputError, match=r"cannot be made \(.*(n_maxx|hyper parameters)"):
        diagnose(subject_of(name))


@pytest.mark.parametrize("name", ["dscribe:SOAP", "dscribe:ACSF", "featomic:SoapPowerSpectrum"])
def test_cells_do_not_break_descriptors_of_other_packages(name):
    """They want atoms inside the cell, or periodicity in all directions."""
    pytest.importorskip(name.split(":")[0])
    rows = audit([subject_of(name)], ["antipodal_1d", "antipodal_3d"], n=2, progress=False).rows
    assert {row.verdict for row in rows} == {"blind"}


@pytest.mark.parametrize("name", ["dscribe:MBTR", "dscribe:CoulombMatrix", "dscribe:SineMatrix"])
def test_descriptors_of_structures(name):
    pytest.importorskip("dscribe")
    rows = audit([subject_of(name)], ["b8", "polyhedra", "crystal_3d"], n=1, progress=False).rows
    found = {row.family: row.verdict for row in rows}
    periodic = "undecided" if name.endswith("CoulombMatrix") else "separates"
    finite = "undecided" if name.endswith("SineMatrix") else "separates"
    assert found == {"polyhedra": finite, "crystal_3d": periodic}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("soap", "none of"),
        ("three_center?max_radial=0", "max_radial"),
        ("three_center?radial=3", "unknown option radial"),
        ("three_center?4", "key=value"),
        ("absent.yaml", "cannot be read"),
        ("absent.py:f", "cannot be read"),
        ("absent.py:", "no name of a function"),
        ("atomplete:f", "no function f"),
        ("dscribe:SOUP", "none of SOAP"),
        ("featomic:Soap", "none of SoapPowerSpectrum"),
        ("ase:absent", "not found"),
        ("N0nu0", "cannot both be 0"),
    ],
)
def test_names_that_are_not_understood(name, says):
    for package in ("dscribe", "featomic"):
        if name.startswith(package):
            pytest.importorskip(package)
    with pytest.raises(InputError, match=says):
        subject_of(name)


def test_a_spec_in_a_file_is_taken_as_it_is(tmp_path):
    spec = {
        "type": "density_correlations",
        "nu": [2],
        "expansion": {"max_radial": 2, "cutoff": 2.5},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(spec))
    pair = family_pairs("b8", 1)[0]
    (rows,) = subject_of(str(tmp_path / "mine.yaml")).describe([pair.plus], pair.scope)
    assert rows.shape == (1, 3 * 4)  # channels of n ≤ n', and l ≤ 3


def test_tagged_rows_enter_by_a_non_linear_function():
    """The plain sum of three-centre rows is the bispectrum, which is blind to B8."""
    rows = audit(
        [subject_of("three_center"), subject_of("bispectrum")], ["b8"], n=2, progress=False
    )
    assert [row.verdict for row in rows.rows] == ["separates"] * 2 + ["blind"] * 2


def test_energy_of_a_calculator_is_a_structure_level_subject():
    subject = subject_of("ase:lj?rc=20.0")
    assert subject.levels == ("structure",)
    pair = family_pairs("polyhedra", 1)[0]
    (rows,) = subject.describe([pair.plus], pair.scope)
    reference = pair.plus.copy()
    reference.calc = LennardJones(rc=20.0)
    assert rows == [[reference.get_potential_energy()]]


def test_what_a_calculator_cannot_treat_is_undecided(tmp_path):
    pair = [Atoms("Xe3", [(0, 0, 0), (0, 0, 3), (0, y, 0)]) for y in (3, 4)]
    for atoms, sign in zip(pair, "+-", strict=True):
        atoms.info = {"pair_id": 0, "sign": sign}
    write_structures(tmp_path / "xenon.xyz", pair)
    (row,) = audit([subject_of("ase:emt")], pairs=tmp_path / "xenon.xyz", progress=False).rows
    assert row.verdict == "undecided"
    assert "Xe" in row.reason


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("atoms.positions += 0.1", "changed the structure"),
        ("self.atoms.positions += 0.1", "computed another structure"),
        ("self.results['energy'] = np.ones(2)", r"energy have shape \(2,\)"),
        ("self.results['energy'] = 1j", "no real numbers, but 1j"),
        ("self.results['energy'] = np.nan", "not finite"),
    ],
)
def test_results_of_a_calculator_are_checked(tmp_path, body, says):
    (tmp_path / "own.py").write_text(f"""
import numpy as np
from ase.calculators.calculator import Calculator, all_changes

class Broken(Calculator):
    implemented_properties = ["energy"]

    def calculate(self, atoms, properties, changes=all_changes):
        super().calculate(atoms, properties, changes)
        self.results = {{"energy": 1.0}}
        {body}
""")
    subject = subject_of(f"ase:{tmp_path / 'own.py'}:Broken")
    dimer = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]])
    before = dimer.copy()
    with pytest.raises(CannotDescribe, match=f"Broken on H2: ValueError: .*{says}"):
        subject.describe([dimer], Scope("structure", 3.0, (1,)))
    assert dimer == before


@pytest.mark.parametrize("options", ["cutoff=3,cutoff=4", "x=[1", "nu={a: 1, a: 2}"])
def test_options_in_a_name_are_read_as_all_yaml_is(options):
    with pytest.raises(InputError, match=r"options are written key=value,key=value: not YAML"):
        subject_of(f"three_center?{options}")


def test_a_fitted_model_is_audited_at_the_level_of_its_centers(tmp_path):
    spec = DescriptorPotentialSpec(
        descriptor=NAMED["power_spectrum"], readout=LinearSpec(), species=(5,), centers="info"
    )
    model = DescriptorPotential(spec)
    generator = torch.Generator().manual_seed(0)
    model.readout.weights = torch.randn(model.readout.weights.shape, generator=generator).double()
    save(tmp_path / "model.pt", model)
    subject = subject_of(str(tmp_path / "model.pt"))
    assert subject.levels == ("environment",)
    (pair,) = family_pairs("b8", 1)
    plus, minus = subject.describe([pair.plus, pair.minus], pair.scope)
    assert plus.shape == (1, 1)
    assert abs(plus - minus) < 1e-12 * abs(plus)
    carbon = audit([subject], ["antipodal"], n=1, progress=False).rows
    assert carbon[0].verdict == "undecided"
    assert "atomic number 6" in carbon[0].reason


def test_scopes_of_periodic_and_of_chemical_pairs():
    crystal = family_pairs("crystal_3d", 2)[1]
    assert crystal.scope == Scope("structure", crystal.plus.info["cutoff"], (1, 6, 8))


TOY = """
from typing import Literal
import torch
from atomplete.descriptors import Descriptor, DescriptorSpec, Features

class {name}Spec(DescriptorSpec):
    type: Literal["{type}"] = "{type}"
    cutoff: float = 3.0
    powers: int = 3

class {name}(Descriptor, spec={name}Spec):
    def __init__(self, spec):
        super().__init__()
        self.spec, self.parity = spec, torch.ones(spec.powers, dtype=torch.long)

    def forward(self, system):
        r = torch.linalg.vector_norm(system.r_ij, dim=1)
        x = (1 - r / self.cutoff).clamp(0) ** 3
        terms = torch.stack([x * r**k for k in range(self.spec.powers)], 1)
        zero = terms.new_zeros(len(system.centers), self.spec.powers)
        values = zero.index_add(0, system.i, terms)
        return Features.of_centers(system, values, self.parity)
"""


@pytest.fixture(params=["code", "type", "yaml", "file"])
def toy(request, tmp_path):
    """A descriptor that is nowhere but in a file of the user's, by each of its names."""
    name = f"Toy{request.param.capitalize()}"
    (tmp_path / "toys.py").write_text(TOY.format(name=name, type=name.lower()))
    code = f"{tmp_path}/toys.py:{name}"
    cls = loaded(code)  # registers it
    if request.param == "type":
        return name.lower()
    if request.param == "yaml":
        (tmp_path / "toy.yaml").write_text(f"type: {name.lower()}\n")
        return f"{tmp_path}/toy.yaml"
    if request.param == "file":
        save(tmp_path / "descriptor.pt", cls(spec_of(cls)(cutoff=8.0)))
        return f"{tmp_path}/descriptor.pt"
    return code


def test_a_registered_descriptor_is_a_subject(toy):
    """Radial moments are blind to angles; nothing but their class knows of them."""
    subject = subject_of(toy)
    assert diagnose(subject).faults == {}
    rows = audit([subject], ["distances", "polyhedra", "controls"], n=1, progress=False).rows
    assert [row.verdict for row in rows] == ["blind"] * 3
    bent = Atoms("B3", [(0, 0, 0), (0, 1.3, 0.9), (0.2, -1.5, 0.6)])
    (found,) = resolution_rows(subject, [bent], level="environment")
    assert (found.rank, found.directions, found.verdict) == (2, 3, "spurious")
    features = FeatureMap(subject, bent, "environment", 2.0)
    (pair,) = search(features, Limits(0.9, 1.8), budget=Budget(16, 1e3)).finds
    assert pair.correlation_order == 1


def test_options_of_a_registered_descriptor_are_those_of_its_spec(tmp_path):
    (tmp_path / "toys.py").write_text(TOY.format(name="ToyOptions", type="toyoptions"))
    name = f"{tmp_path}/toys.py:ToyOptions"
    pair = family_pairs("distances", 1)[0]
    (rows,) = subject_of(f"{name}?powers=7").describe([pair.plus], pair.scope)
    assert rows.shape == (1, 7)
    assert subject_of(f"{name}?cutoff=4.5").cutoff == 4.5
    assert subject_of(name).cutoff is None
    for options, says in (("max_radial=3", "max_radial"), ("power=3", "unknown option power")):
        with pytest.raises(InputError, match=says):
            subject_of(f"{name}?{options}")


@pytest.mark.parametrize("level", ["environment", "structure"])
@pytest.mark.parametrize("name", ["power_spectrum", "three_center?group=SO3", "N0nu3"])
def test_exact_jacobians_are_those_of_differences(name, level):
    """Of crystals as well, and of structures of different sizes at once."""
    subject = subject_of(f"{name}{',' if '?' in name else '?'}max_radial=2,max_angular=2")
    molecule = Atoms("OCH", [(0, 0, 0), (0, 1.3, 0.9), (0.2, -1.5, 0.6)], info={"center": 0})
    crystal = Atoms("OH", [(0, 0, 0), (0.3, 0.2, 1.1)], cell=[2, 2.1, 2.3], pbc=True)
    crystal.info["center"] = 1
    scope = Scope(level, 2.5, (1, 6, 8))
    exact = subject.jacobian([molecule, crystal], scope)
    numeric = Subject.jacobian(subject, [molecule, crystal], scope)
    for (rows, slopes), (same, differences), atoms in zip(
        exact, numeric, (molecule, crystal), strict=True
    ):
        assert slopes.shape == (*rows.shape, len(atoms), 3)
        np.testing.assert_allclose(rows, same, rtol=1e-12, atol=1e-12)
        assert np.abs(slopes - differences).max() < 1e-7 * np.abs(slopes).max()


def test_rows_that_could_not_be_compared_are_refused():
    """Two million features of exact ν = 4: sixty rows and their copies would take 9 GB."""
    scope = Scope("environment", 5.0, (1, 6, 8))
    subject = subject_of("nu4?max_radial=3,max_angular=3")
    pair = Atoms("CHO", [(0, 0, 0), (0, 0, 1.1), (0, 1.4, 0)], info={"center": 0})
    with pytest.raises(CannotDescribe, match=r"60 rows of \d+ features take .* GB while"):
        subject.describe([pair] * 60, scope)
    assert subject.describe([pair], scope)[0].shape[0] == 1


def test_descriptors_of_a_subject_are_freed_with_it():
    """Not at the next garbage collection, which does not know how large tensors are."""
    subject = subject_of("power_spectrum")
    pair = Atoms("B2", [(0, 0, 0), (0, 0, 1.6)], info={"center": 0})
    for cutoff in (2.0, 3.0, 4.0):
        subject.describe([pair], Scope("environment", cutoff, (5,)))
    held = [weakref.ref(one.descriptor) for one in subject._recent.values()]
    assert len(held) == 2
    gc.disable()
    try:
        del subject
        assert [one() for one in held] == [None, None]
    finally:
        gc.enable()
