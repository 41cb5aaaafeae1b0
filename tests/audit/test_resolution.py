"""Local resolution: ranks against closed forms, zeros of symmetry, degeneracy and truncation."""

import json

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import molecule
from features import of_function, of_spec

from atomplete.audit import LocalResolution
from atomplete.audit.feature_map import FeatureMap
from atomplete.audit.resolution.local_table import format_table, resolution_rows
from atomplete.audit.resolution.null_direction import follow_softest
from atomplete.audit.resolution.resolved_directions import larger_bases, local_resolution
from atomplete.audit.resolution.smoothness import smoothness
from atomplete.audit.search.starts import Limits
from atomplete.audit.subjects.named import subject_of
from atomplete.data import read_structures, write_structures
from atomplete.degenerate.congruence.congruence import congruence_distance
from atomplete.degenerate.congruence.point_group import point_group
from atomplete.degenerate.families.registry import generate, get
from atomplete.descriptors import (
    NAMED,
    DensityCorrelationsSpec,
    ExpansionSpec,
    ThreeCenterSpec,
)
from atomplete.errors import InputError

POWER_SPECTRUM = subject_of("power_spectrum")
SMALL = ExpansionSpec(max_radial=3, max_angular=2)


def random_environment(n, seed=0):
    rng = np.random.default_rng(seed)
    r = rng.normal(size=(n, 3))
    r *= (rng.uniform(1.0, 1.7, n) / np.linalg.norm(r, axis=1))[:, None]
    return Atoms(f"B{n + 1}", np.vstack([np.zeros(3), r]))


def boron(name):
    """A molecule in the geometry of another one, all atoms boron."""
    atoms = molecule(name)
    return Atoms(f"B{len(atoms)}", atoms.positions - atoms.positions[0])


def resolution_of(spec, atoms, level="environment"):
    return local_resolution(of_spec(spec, atoms, level))


@pytest.mark.parametrize("n", [2, 3, 5])
def test_distances_resolve_n_directions(n):
    found = resolution_of(NAMED["radial_spectrum"], random_environment(n))
    assert (found.rank, found.directions, found.required_zeros) == (n, 3 * n - 3, 0)
    assert found.verdict == "spurious"


@pytest.mark.parametrize("level", ["environment", "structure"])
@pytest.mark.parametrize(
    "spec",
    [NAMED["power_spectrum"], ThreeCenterSpec(expansion=SMALL)],
    ids=["power_spectrum", "three_center"],
)
def test_generic_environments_are_resolved(spec, level):
    found = resolution_of(spec, random_environment(4), level)
    # 3n − 3 for four neighbours, 3n − 6 for five atoms
    assert (found.rank, found.directions, found.verdict) == (9, 9, "resolved")
    assert found.condition < 1e4
    assert found.noise < 1e-12


def rank_of_pairs(r):
    """Directions in which any function Σ φ(r_j, r_k, r_j·r_k) of pairs of neighbours changes.

    Pairs with equal arguments enter by the sum of their derivatives, all others one by one.
    """
    n, radii = len(r), np.linalg.norm(r, axis=1)
    slopes = {}
    for j in range(n):
        for k in range(n):
            arguments = tuple(np.round([radii[j], radii[k], r[j] @ r[k]], 8))
            rows = slopes.setdefault(arguments, np.zeros((3, n, 3)))
            rows[0, j] += r[j] / radii[j]
            rows[1, k] += r[k] / radii[k]
            rows[2, j] += r[k]
            rows[2, k] += r[j]
    return np.linalg.matrix_rank(np.concatenate(list(slopes.values())).reshape(-1, 3 * n), tol=1e-8)


def test_b8_has_a_zero_that_no_basis_removes():
    plus = get("b8").pairs(1)[0][0]
    spec = NAMED["power_spectrum"]
    features = of_spec(spec, plus)
    found = local_resolution(features, larger_bases(features))
    assert (found.verdict, found.resolved_by) == ("degenerate", None)
    assert (found.directions, found.rank, found.spurious_zeros) == (18, 11, 7)
    assert found.best_rank == rank_of_pairs(plus.positions[1:]) < 18
    assert resolution_of(NAMED["bispectrum"], plus).rank == 18


def test_pairs_of_generic_neighbours_resolve_all_directions():
    assert rank_of_pairs(random_environment(5).positions[1:]) == 12


@pytest.mark.parametrize(
    ("name", "order", "symmetric"),
    [("CH4", 24, 1), ("NH3", 6, 2), ("H2O", 4, 2), ("C2H4", 8, 3), ("CO2", None, 1)],
)
def test_zeros_that_symmetry_requires(name, order, symmetric):
    """Totally symmetric vibrations of molecules, as in any table of normal modes."""
    atoms = boron(name)
    cutoff = 1.3 * atoms.get_all_distances().max()
    spec = DensityCorrelationsSpec(nu=(2,), expansion=ExpansionSpec(cutoff=cutoff))
    found = resolution_of(spec, atoms, "structure")
    linear = order is None
    assert found.directions == 3 * len(atoms) - (5 if linear else 6)
    assert found.rank == symmetric
    assert found.required_zeros == found.directions - symmetric
    assert (found.verdict, found.spurious_zeros) == ("resolved", 0)
    if not linear:
        centered = atoms.positions - atoms.positions.mean(axis=0)
        group = point_group(centered, atoms.numbers.astype(np.int64))
        assert len(group.matrices) == order


def test_truncation_is_told_from_degeneracy():
    atoms = random_environment(4)
    # no angular functions: distances only, and the angles come back with them
    spec = DensityCorrelationsSpec(nu=(2,), expansion=ExpansionSpec(max_angular=0))
    features = of_spec(spec, atoms)
    found = local_resolution(features, larger_bases(features))
    assert (found.verdict, found.resolved_by, found.rank) == ("truncated", "n=8, l≤2", 4)
    distances = NAMED["radial_spectrum"]
    features = of_spec(distances, atoms)
    found = local_resolution(features, larger_bases(features, 2))
    assert (found.verdict, found.resolved_by, found.spurious_zeros) == ("degenerate", None, 5)


def flat_environment():
    r = np.array([(1.3, 0.2, 0.0), (-0.5, 1.2, 0.0), (-0.8, -1.4, 0.0)])
    return Atoms("B4", np.vstack([np.zeros(3), r]))


def distances_and_volume(structures):
    rows = []
    for atoms in structures:
        upper = np.triu_indices(len(atoms), 1)
        rows.append([*atoms.get_all_distances()[upper], np.linalg.det(atoms.positions[1:4])])
    return np.array(rows)


def test_the_group_is_found():
    flat = flat_environment()
    mirrored = of_function(lambda s: distances_and_volume(s)[:, :-1], flat)
    chiral = of_function(distances_and_volume, flat)
    under_o3, under_so3 = local_resolution(mirrored), local_resolution(chiral)
    # out of its plane, a distance has no slope and a volume has one
    assert (under_o3.group, under_o3.required_zeros, under_o3.rank) == ("O3", 1, 5)
    assert (under_so3.group, under_so3.required_zeros, under_so3.rank) == ("SO3", 0, 6)
    assert {under_o3.verdict, under_so3.verdict} == {"resolved"}


@pytest.mark.parametrize(
    "function",
    [
        lambda structures: np.array([atoms.positions.ravel() for atoms in structures]),
        lambda structures: np.array([[atoms.get_distance(0, 1)] for atoms in structures]),
    ],
    ids=["frame", "order"],
)
def test_broken_invariance_is_named(function):
    found = local_resolution(of_function(function, boron("CH4")))
    assert (found.verdict, found.group) == ("broken", "none")


def test_rank_by_differences_is_that_by_autograd():
    atoms = random_environment(5)
    exact = of_spec(NAMED["power_spectrum"], atoms)
    template = exact.template

    def describe(structures):
        return exact(np.stack([x.positions[1:] for x in structures]))

    one, two = (
        local_resolution(exact),
        local_resolution(of_function(describe, template)),
    )
    assert one.rank == two.rank == 12
    assert two.singular_values == pytest.approx(one.singular_values, rel=1e-5)
    assert two.noise > one.noise


def sorted_distances(structures):
    return np.array([np.sort(atoms.get_all_distances()[0]) for atoms in structures])


def counted(structures):
    radii = [np.linalg.norm(atoms.positions[1:], axis=1) for atoms in structures]
    return np.array([[r[r < 2.0].sum(), (1 / r).sum()] for r in radii])


def angles(structures):
    rows = []
    for atoms in structures:
        unit = atoms.positions[1:] / np.linalg.norm(atoms.positions[1:], axis=1)[:, None]
        rows.append([np.arccos(np.clip(unit[0] @ unit[1], -1, 1))])
    return np.array(rows)


def test_kinks_and_jumps_are_named():
    atoms = random_environment(3)
    ordered = of_function(sorted_distances, atoms)
    assert smoothness(ordered, "swap").verdict == "kink"
    # of the three slopes, two are exchanged: a difference of √2 over the size of the features
    size = np.linalg.norm(sorted_distances([atoms]))
    assert smoothness(ordered, "swap").kink == pytest.approx(2**0.5 / size, rel=0.2)
    assert smoothness(of_function(counted, atoms), "cutoff", 2.0).verdict == "jump"
    assert smoothness(of_function(angles, atoms), "collinear").verdict == "kink"


@pytest.mark.parametrize("event", ["cutoff", "collinear", "swap"])
def test_single_precision_is_not_taken_for_a_kink(event):
    atoms = random_environment(3)
    features = FeatureMap(subject_of("power_spectrum?dtype=float32"), atoms, "environment", 2.5)
    assert smoothness(features, event, 2.5).verdict == "smooth"
    kinked = of_function(lambda s: sorted_distances(s).astype("f4"), atoms)
    assert smoothness(kinked, event, 2.5).verdict == ("kink" if event == "swap" else "smooth")


def test_single_precision_is_not_taken_for_broken_invariance():
    atoms = random_environment(4)
    single = local_resolution(
        FeatureMap(subject_of("power_spectrum?dtype=float32"), atoms, "environment", 2.5)
    )
    double = local_resolution(
        FeatureMap(subject_of("power_spectrum?max_radial=4"), atoms, "environment", 2.5)
    )
    assert (single.verdict, single.rank, single.group) == ("resolved", 9, "O3")
    assert single.singular_values == pytest.approx(double.singular_values, rel=0.02)


@pytest.mark.parametrize("event", ["cutoff", "collinear", "swap"])
@pytest.mark.parametrize("name", ["power_spectrum", "pair"])
def test_our_representations_are_smooth(name, event):
    features = of_spec(NAMED[name], random_environment(3))
    assert smoothness(features, event, 2.0).verdict == "smooth"


def test_smoothness_needs_an_environment():
    features = of_spec(NAMED["radial_spectrum"], boron("H2O"), "structure")
    with pytest.raises(InputError, match="environment of two neighbours"):
        smoothness(features, "swap")
    features = of_spec(NAMED["radial_spectrum"], boron("H2O"))
    with pytest.raises(InputError, match="cutoff must be given"):
        smoothness(features, "cutoff")


def test_null_direction_leads_far_where_it_is_blind():
    atoms, limits = random_environment(3), Limits(0.7, 1.9)
    blind = of_spec(NAMED["radial_spectrum"], atoms)
    seeing = of_spec(NAMED["power_spectrum"], atoms)
    far, near = (follow_softest(f, limits, n_steps=15) for f in (blind, seeing))
    assert far.structural_distances[-1] > 0.1
    assert far.feature_distances.max() < 1e-12
    end = far.structures[-1]
    assert far.structural_distances[-1] == pytest.approx(congruence_distance(atoms, end), abs=1e-9)
    radii = [np.sort(np.linalg.norm(a.positions[1:], axis=1)) for a in (atoms, end)]
    assert radii[1] == pytest.approx(radii[0], abs=1e-9)
    assert near.feature_distances[-1] > 1e-4


def test_null_direction_keeps_the_limits():
    atoms = random_environment(3)
    features = of_spec(NAMED["radial_spectrum"], atoms)
    shortest = 0.995 * atoms.get_all_distances()[np.triu_indices(4, 1)].min()
    path = follow_softest(features, Limits(shortest, 1.9), step=0.1, n_steps=60)
    assert len(path.structures) < 61
    for structure in path.structures:
        assert structure.get_all_distances()[np.triu_indices(4, 1)].min() >= shortest


def test_null_direction_starts_within_the_limits():
    """A path that cannot begin is not one on which nothing moves."""
    features = of_spec(NAMED["radial_spectrum"], boron("H2O"))
    with pytest.raises(InputError, match=r"breaks the limits 1 to 1.9 Å on distances by 0.03"):
        follow_softest(features, Limits(1.0, 1.9))


def test_the_cutoff_of_a_spec_is_kept(tmp_path):
    spec = {"type": "density_correlations", "nu": [1], "expansion": {"cutoff": 1.5}}
    (tmp_path / "near.yaml").write_text(yaml.safe_dump(spec))
    atoms = Atoms("B4", [(0, 0, 0), (0, 0, 1.2), (0, 1.3, 0.2), (3.0, 0, 0)])
    (near,) = resolution_rows(subject_of(f"{tmp_path}/near.yaml"), [atoms], level="environment")
    assert (near.cutoff, near.formula, near.rank) == (1.5, "B3", 2)
    far = subject_of(f"{tmp_path}/near.yaml?cutoff=4")
    (far,) = resolution_rows(far, [atoms], level="environment")
    assert (far.cutoff, far.formula, far.rank) == (4.0, "B4", 3)


def test_rows_are_plain_and_readable():
    rows = resolution_rows(
        subject_of("power_spectrum"), generate("b8", 1), level="environment", follow=3
    )
    assert [row.structure for row in rows] == [0, 1]
    plain = json.loads(json.dumps([row.model_dump(mode="json") for row in rows]))
    assert [LocalResolution.model_validate(row) for row in plain] == rows
    assert {row.verdict for row in rows} == {"degenerate"}
    assert rows[0].cutoff_passed == "smooth"
    lines = format_table(rows).splitlines()
    assert len(lines) == 3
    assert lines[1].split()[:3] == ["0", "B8", "degenerate"]


def test_structures_that_cannot_be_looked_at_are_named():
    crystal = Atoms("B", cell=[2, 2, 2], pbc=True)
    with pytest.raises(InputError, match="structure 1: B is periodic"):
        resolution_rows(POWER_SPECTRUM, [boron("H2O"), crystal], level="environment")
    (row,) = resolution_rows(
        subject_of("power_spectrum"), [crystal], level="environment", cutoff=2.5
    )
    assert row.directions == 3 * 6 - 3
    assert row.rank == 1  # of the octahedral group, all but the breathing is forbidden
    with pytest.raises(InputError, match="structure 0: B: too few atoms"):
        resolution_rows(POWER_SPECTRUM, [Atoms("B")], level="environment")
    for center in (-1, 3, 1.5):
        with pytest.raises(InputError, match=rf"^structure 0: center {center} is no atom of 3$"):
            resolution_rows(
                subject_of("power_spectrum"), [boron("H2O")], level="environment", center=center
            )
    emt = {"level": "structure", "cutoff": 3.0}
    with pytest.raises(InputError, match=r"structure 0: ase:emt on B3: .*No EMT-potential for B"):
        resolution_rows(subject_of("ase:emt"), [boron("H2O")], **emt)
    with pytest.raises(InputError, match="nothing"):
        resolution_rows(subject_of("nothing"), [boron("H2O")], level="environment")


def test_verb_resolve(atomplete, tmp_path):
    write_structures(tmp_path / "b8.xyz", generate("b8", 1))
    code, out, _ = atomplete("resolve", "radial_spectrum", "b8.xyz", "-o", "out/rows.json")
    assert code == 0
    assert "degenerate" in out
    rows = json.loads((tmp_path / "out" / "rows.json").read_text())
    assert (rows[0]["directions"], rows[0]["file"]) == (18, "b8.xyz")
    code, _, err = atomplete("resolve", "radial_spectrum", "b8.xyz", "-o", ".")
    assert (code, err) == (2, "atomplete: .: it is a folder, not a file\n")


def test_verb_search(atomplete, tmp_path):
    write_structures(tmp_path / "b5.xyz", [random_environment(4)])
    options = ("--move-both", "--shortest", "0.7", "--quiet", "-o", "found.xyz")
    code, out, _ = atomplete("search", "radial_spectrum", "b5.xyz", *options)
    assert code == 0
    assert "found from" in out
    plus, minus = read_structures(tmp_path / "found.xyz")[:2]
    assert (plus.info["pair_id"], plus.info["sign"], minus.info["sign"]) == (0, "+", "-")
    assert congruence_distance(plus, minus) == pytest.approx(plus.info["structural_distance"])
    assert 0 <= plus.info["noise_floor"] < 1e-12
    code, _, err = atomplete("search", "radial_spectrum", "b5.xyz", "--index", "7", "-o", "x.xyz")
    assert (code, "no structure 7" in err) == (2, True)
    code, _, err = atomplete("search", "radial_spectrum", "b5.xyz", "-o", "x.cif")
    assert code == 2
    code, _, err = atomplete("search", "radial_spectrum", "b5.xyz", "-o", "b5.xyz")
    assert (code, "it is an input" in err) == (2, True)


def test_verb_subsets(atomplete, tmp_path):
    code, out, _ = atomplete("subsets", "ring:12", "4", "-o", "ring.xyz")
    assert (code, out.splitlines()[0]) == (0, "1 pairs that agree up to nu = 2")
    plus, minus = read_structures(tmp_path / "ring.xyz")
    assert plus.info["vertices"] == "ring:12"
    assert congruence_distance(plus, minus) > 0.1
    code, out, _ = atomplete("subsets", "tetrahedron", "3", "-o", "none.xyz")
    assert (code, out) == (0, "no pairs\n")
    code, _, err = atomplete("subsets", "heptagon", "3", "-o", "none.xyz")
    assert (code, "heptagon" in err) == (2, True)
