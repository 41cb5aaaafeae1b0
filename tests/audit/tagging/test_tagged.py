"""Tagged subjects: sums written out, smoothness, invariance, verdicts, and how they refuse."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation

from atomplete.audit import Scope, Subject, audit, subject_of, tagged
from atomplete.audit.subjects.of_dscribe import DscribeSubject
from atomplete.audit.tagging.choices import Environment
from atomplete.audit.tagging.sums import TaggedSums
from atomplete.errors import InputError

MINE = Path(__file__).parent / "of_species.py"
PRODUCTS = f"{MINE}:distances_and_products"
CUTOFF = 3.0
# one of each package, smooth at the cutoff, with how many tags are tried
WEIGHTED = "dscribe:SOAP?r_cut=3,n_max=4,l_max=3,weighting={function: poly, r0: 3, c: 1, m: 2}"
SMOOTH = [
    (WEIGHTED, 2),
    ("dscribe:ACSF?r_cut=3", 2),
    ("featomic:SoapPowerSpectrum?cutoff=3,max_radial=4,max_angular=3", 2),
    ("bispectrum?cutoff=3,max_radial=1,max_angular=2", 2),
    (f"{PRODUCTS}?level=environment", 1),
]


def environment(n=4, seed=0, numbers=(6, 1, 8)):
    rng = np.random.default_rng(seed)
    positions = np.vstack([np.zeros(3), rng.uniform(-1.6, 1.6, (n, 3))])
    return Atoms((numbers * (n + 1))[: n + 1], positions, info={"center": 0})


def scope(level="environment", species=(1, 6, 8)):
    return Scope(level, CUTOFF, species)


def values(subject, *structures, **options):
    return [rows[0] for rows in subject.describe(structures, scope(**options))]


@pytest.mark.parametrize("tags", [1, 2])
def test_sums_are_those_that_are_written_out(tags):
    """Weights, species of their own, all orders, and phases by element."""
    subject = subject_of(PRODUCTS)
    atoms, species = environment(), (1, 6, 8)
    reference = [Environment.of(environment(seed=seed), 0, CUTOFF) for seed in range(3)]
    sums = TaggedSums(subject, tags, scope(), reference)
    (found,) = sums.values(atoms, [0])
    x = 1 - np.linalg.norm(atoms.positions, axis=1) / CUTOFF
    weight = x**3 * (10 - 15 * x + 6 * x**2)
    numbers = [117, 118][2 - tags :]
    expected = 0.0
    for choice in permutations(range(1, 5), tags):
        copy = atoms.copy()
        copy.numbers[list(choice)] = numbers
        row = subject.describe([copy], sums.scope)[0][0]
        kind = sum(species.index(atoms.numbers[k]) * 3**place for place, k in enumerate(choice))
        readout = sums._readouts[tags]
        phase = readout.phase[kind].numpy()
        expected += np.prod(weight[list(choice)]) * np.cos(row @ readout.even.numpy() + phase)
    assert np.allclose(found[-128:], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "tags"), SMOOTH)
def test_a_neighbor_leaves_the_cutoff_smoothly(name, tags):
    subject = tagged(subject_of(name), tags)
    direction = np.array([0.3, 0.5, -0.8]) / np.linalg.norm([0.3, 0.5, -0.8])

    def at(r):
        atoms = environment(seed=3)
        atoms.positions[2] = r * direction
        return atoms

    steps = [CUTOFF - 0.01, CUTOFF - 1e-5, CUTOFF + 1e-5, CUTOFF + 0.5]
    near, inside, outside, far = values(subject, *map(at, steps))
    without = at(CUTOFF)
    del without[2]
    size = np.abs(far).max()
    assert np.array_equal(outside, far)
    assert np.allclose(values(subject, without)[0], far, atol=1e-12)
    # value and slope vanish: a cosine cutoff leaves 2e-10 of the square of the step
    assert np.abs(inside - outside).max() < 1e-7 * size
    assert np.abs(near - outside).max() > np.abs(inside - outside).max()


@pytest.mark.parametrize(("name", "tags"), SMOOTH)
def test_only_congruence_is_not_seen(name, tags):
    subject = tagged(subject_of(name), tags)
    atoms = environment(seed=4)
    turned = atoms.copy()
    turned.positions = Rotation.random(random_state=0).apply(atoms.positions) + 5.0
    permuted = atoms[[3, 0, 4, 1, 2]]
    permuted.info["center"] = 1
    mirrored = atoms.copy()
    mirrored.positions[:, 0] *= -1
    other = atoms.copy()
    other.positions[2] += 0.01
    plain, *copies, moved = values(subject, atoms, turned, permuted, mirrored, other)
    assert all(np.allclose(copy, plain, atol=1e-9) for copy in copies)
    assert not np.allclose(moved, plain, atol=1e-4)


def test_a_tagged_neighbor_keeps_its_element():
    subject = tagged(subject_of("dscribe:SOAP?n_max=3,l_max=2"), 1)
    one, two = (Atoms(["C", x], [(0, 0, 0), (0, 0, 1.2)], info={"center": 0}) for x in "HO")
    found = values(subject, one, two)
    assert np.abs(found[0] - found[1])[128:].max() > 0.1


@pytest.mark.parametrize("name", ["dscribe:ACSF", "featomic:SoapPowerSpectrum", "power_spectrum"])
def test_images_in_a_cell_are_neighbors_of_their_own(name):
    """Features are those of a large enough cluster, and of a repeated cell."""
    cell = Atoms("CO", [(0, 0, 0), (1.1, 0.2, 0.1)], cell=np.diag([2.3, 2.6, 2.8]), pbc=True)
    cell.cell[1, 0] = 0.4
    cell.info["center"] = 0
    repeated = cell.repeat((2, 1, 1))
    cluster = cell.repeat((7, 7, 7))
    cluster.pbc = False
    middle = cell.positions[0] + 3 * cell.cell.array.sum(axis=0)
    cluster.info["center"] = int(np.argmin(np.linalg.norm(cluster.positions - middle, axis=1)))
    subject = tagged(subject_of(name), 1)
    one, two, three = values(subject, cell, repeated, cluster, species=(6, 8))
    assert np.allclose(one, two, atol=1e-9)
    assert np.allclose(one, three, atol=1e-9)


@pytest.mark.parametrize(
    "name",
    [
        "dscribe:SOAP?n_max=3,l_max=2",
        "featomic:SoapPowerSpectrum?max_radial=3,max_angular=2",
        "power_spectrum",
        f"{PRODUCTS}?level=environment",
    ],
)
@pytest.mark.parametrize("tags", [1, 2])
def test_derivatives_are_those_of_the_values(name, tags):
    subject = tagged(subject_of(name), tags)
    atoms = environment(3, seed=5)
    ((rows, slopes),) = subject.jacobian([atoms], scope())
    ((expected_rows, expected),) = Subject.jacobian(subject, [atoms], scope())
    assert np.array_equal(rows, expected_rows)
    assert np.allclose(slopes, expected, atol=1e-6)
    assert np.allclose(slopes.sum(axis=2), 0.0, atol=1e-7)  # no atom is left out


def test_derivatives_in_a_cell_belong_to_the_atoms_of_the_cell():
    subject = tagged(subject_of("power_spectrum"), 1)
    cell = Atoms("CO", [(0, 0, 0), (1.1, 0.2, 0.1)], cell=np.diag([2.3, 2.6, 2.8]), pbc=True)
    options = Scope("structure", 2.7, (6, 8))
    ((_, slopes),) = subject.jacobian([cell], options)
    ((_, expected),) = Subject.jacobian(subject, [cell], options)
    assert np.abs(expected).max() > 0.1
    assert np.allclose(slopes, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["dscribe:SOAP", "dscribe:ACSF", "featomic:SoapPowerSpectrum"])
def test_few_neighbors_and_neighbors_on_a_line(name):
    alone = Atoms("C", info={"center": 0})
    near, far = (Atoms("CH", [(0, 0, 0), (0, 0, r)], info={"center": 0}) for r in (1.0, 1.1))
    line = Atoms("CH2", [(0, 0, 0), (0, 0, 1), (0, 0, 2)], info={"center": 0})
    straddling = Atoms("CH2", [(0, 0, 0), (0, 0, 1), (0, 0, -2)], info={"center": 0})
    subject = tagged(subject_of(name), 2)
    found = values(subject, alone, near, far, line, straddling)
    assert np.isfinite(found).all()
    assert (found[0][128:] == 0).all()
    assert (found[1][256:] == 0).all()
    differences = [np.abs(a - b).max() for a, b in permutations(found, 2)]
    assert min(differences) > 1e-2
    assert all(np.isfinite(slope).all() for _, slope in subject.jacobian([alone, line], scope()))


@pytest.mark.parametrize(
    ("name", "families"),
    [
        # one tag on a power spectrum: N = 1, ν = 1
        ("dscribe:SOAP?tags=1", {"b8": "separates", "prl_nu2": "separates", "antipodal": "blind"}),
        # two tags on products of two factors: not N = 2, ν = 1
        ("dscribe:SOAP?tags=2", {"b8": "separates", "antipodal": "blind", "chiral": "blind"}),
        ("featomic:SoapPowerSpectrum?tags=1", {"b8": "separates", "antipodal": "blind"}),
        # two tags on products of three factors: N = 2, ν = 1
        ("bispectrum?max_radial=1,tags=2", {"antipodal": "separates"}),
        ("bispectrum?max_radial=1,group=SO3,tags=2", {"chiral": "separates"}),
    ],
)
def test_verdicts_are_those_of_theory(name, families):
    rows = audit([subject_of(name)], list(families), n=1, progress=False).rows
    assert {(row.family, row.verdict) for row in rows} == set(families.items())


def test_tags_do_not_help_sums_over_single_neighbors():
    g2 = tagged(DscribeSubject("dscribe:ACSF", {"g4_params": None}), 2)
    rows = audit([g2], ["distances"], n=2, progress=False).rows
    assert [row.verdict for row in rows] == ["blind", "blind"]


def test_rows_of_a_structure_are_those_of_its_atoms():
    """At the structure level, rows are those of each atom as a centre."""
    atoms = molecule("CH3OH")
    subject = tagged(subject_of("featomic:SoapPowerSpectrum?max_radial=3,max_angular=2"), 1)
    (whole,) = subject.describe([atoms], scope("structure"))
    for center in range(len(atoms)):
        atoms.info["center"] = center
        assert np.array_equal(values(subject, atoms)[0], whole[center])


def test_names_are_those_that_subjects_are_made_by():
    for name in ("power_spectrum", "power_spectrum?max_radial=2"):
        made = tagged(subject_of(name), 2)
        assert subject_of(made.name).options["tags"] == 2


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("dscribe:SOAP?tags=3", "dscribe:SOAP: tags = 3 is neither 1 nor 2"),
        ("dscribe:SOAP?tags=two", "dscribe:SOAP: tags = 'two' is neither 1 nor 2"),
        ("power_spectrum?tags=true", "power_spectrum: tags = True is neither 1 nor 2"),
        ("dscribe:CoulombMatrix?tags=1", "describes no environments"),
        ("ase:lj?tags=1", "describes no environments"),
        (f"{MINE}:without_species?tags=1", "knows no species"),
        ("dscribe:SOAP?compression={mode: mu2},tags=2", "knows no species"),
        ("featomic:SortedDistances?separate_neighbor_types=false,tags=1", "knows no species"),
        ("dscribe:SOAP?species=[B],tags=1", "not defined for this descriptor"),
    ],
)
def test_refusals_are_one_sentence(name, says):
    with pytest.raises(InputError) as refusal:
        subject_of(name).describe([environment(numbers=(5,))], scope(species=(5,)))
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)
