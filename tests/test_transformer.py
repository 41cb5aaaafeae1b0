"""The scikit-learn transformer: arrays, labels, and what scikit-learn asks of it."""

import pickle

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.emt import EMT
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from atomplete import transformer as module
from atomplete.degenerate.families.registry import generate
from atomplete.descriptors import (
    NAMED,
    DensityCorrelationsSpec,
    ExpansionSpec,
    ThreeCenter,
    ThreeCenterSpec,
    build,
    evaluate,
)
from atomplete.errors import InputError
from atomplete.system import System
from atomplete.transformer import DescriptorTransformer

BASIS = ExpansionSpec(max_radial=2, max_angular=2, cutoff=1.9)
POWER = DensityCorrelationsSpec(nu=(2,), expansion=BASIS)
TAGGED = ThreeCenterSpec(expansion=BASIS)
CONTRACTED = ThreeCenterSpec(expansion=BASIS, radial_components=2, components=(6, 3))


def molecule(seed):
    rng = np.random.default_rng(seed)
    tetrahedron = np.array([(0, 0, 0), (1, 1, 1), (1, -1, -1), (-1, 1, -1)]) * 0.62
    return Atoms("CHHO", tetrahedron + rng.uniform(-0.1, 0.1, (4, 3)))


@pytest.fixture(scope="module")
def structures():
    return [*(molecule(seed) for seed in range(5)), Atoms("O"), Atoms("CO", [(0, 0, 0), (0, 0, 1)])]


def direct(spec, structures, **options):
    """Features without the transformer, for a spec that names the species."""
    system = System.from_atoms(structures, spec.cutoff, **options)
    return build(spec).fit([system])(system), system


def with_species(spec, *species):
    expansion = spec.expansion.model_copy(update={"species": species})
    return spec.model_copy(update={"expansion": expansion})


def test_rows_are_those_of_the_representation(structures):
    expected, _ = direct(with_species(TAGGED, 1, 6, 8), structures)
    values, labels = (
        DescriptorTransformer(TAGGED, per="row").fit(structures)
    ).transform_with_labels(structures)
    np.testing.assert_allclose(values, expected.values, rtol=0, atol=1e-14)
    assert list(labels) == ["structure", "center", "neighbor_1", "neighbor_2", "center_species"]
    for name, column in labels.items():
        assert column.dtype.kind == "i"
        np.testing.assert_array_equal(column, expected.labels[name])


def test_centers_are_sums_over_their_neighbours(structures):
    expected, system = direct(with_species(TAGGED, 1, 6, 8), structures)
    transformer = DescriptorTransformer(TAGGED, per="center").fit(structures)
    values, labels = transformer.transform_with_labels(structures)
    assert len(values) == sum(map(len, structures))
    for row, (structure, center, species) in enumerate(zip(*labels.values(), strict=True)):
        assert species == structures[structure].numbers[center]
        of_center = (expected.rows["structure"] == structure) & (expected.rows["center"] == center)
        total = expected.values[of_center].sum(0)
        np.testing.assert_allclose(values[row], total, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(labels["structure"], system.structure)


@pytest.mark.parametrize("spec", [POWER, TAGGED], ids=lambda spec: spec.type)
def test_structures_are_means_over_their_centres(structures, spec, monkeypatch):
    of_centers = DescriptorTransformer(spec, per="center").fit(structures)
    values, labels = of_centers.transform_with_labels(structures)
    means = [
        np.concatenate(
            [
                values[(labels["structure"] == k) & (labels["center_species"] == z)].sum(0)
                / len(atoms)
                for z in (1, 6, 8)
            ]
        )
        for k, atoms in enumerate(structures)
    ]
    transformer = DescriptorTransformer(spec).fit(structures)
    monkeypatch.setattr(evaluate, "CHUNK_BYTES", 1)
    np.testing.assert_allclose(transformer.transform(structures), means, rtol=0, atol=1e-13)
    assert transformer.labels(structures)["structure"].tolist() == list(range(len(structures)))


def test_species_are_found_given_or_the_specs(structures):
    def species(*arguments, **options):
        transformer = DescriptorTransformer(*arguments, **options).fit(structures)
        return transformer.spec_.expansion.species

    assert species("power_spectrum") == (1, 6, 8)
    assert species(POWER) == (1, 6, 8)
    assert species(with_species(POWER, 1, 6, 7, 8)) == (1, 6, 7, 8)
    assert species(with_species(POWER, 1, 6, 7, 8), species=[8, 6, 1]) == (8, 6, 1)
    assert species(POWER, species=np.array([8, 6, 1])) == (8, 6, 1)
    assert species({"type": "three_center", "expansion": {"max_radial": 1}}) == (1, 6, 8)


@pytest.mark.parametrize("name", NAMED)
def test_every_named_representation(name):
    structures = generate("b8", 1)
    transformer = DescriptorTransformer(name, centers="info", per="center").fit(structures)
    values = transformer.transform(structures)
    assert values.shape == (2, len(set(transformer.get_feature_names_out())))
    expected = direct(transformer.spec_, structures, centers="info")[0].sum_over_neighbors()
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)


def test_cutoff_is_the_specs_or_another(structures):
    transformer = DescriptorTransformer(POWER, cutoff=1.3, per="center").fit(structures)
    assert transformer.spec_.expansion.cutoff == 1.3
    expansion = transformer.spec_.expansion
    assert expansion == BASIS.model_copy(update={"cutoff": 1.3, "species": (1, 6, 8)})
    expected, _ = direct(transformer.spec_, structures)
    np.testing.assert_allclose(transformer.transform(structures), expected.values, atol=1e-14)


def test_centers_are_decided_in_fit():
    pair = generate("b8", 1)
    transformer = DescriptorTransformer(POWER, per="center").fit(pair)
    assert len(transformer.transform(pair)) == 2
    everyone = DescriptorTransformer(POWER, per="center", centers="all").fit(pair)
    assert len(everyone.transform(pair)) == sum(map(len, pair))
    pair[1].info.clear()
    with pytest.raises(InputError, match="structure 1: no 'center'"):
        transformer.transform(pair)
    mixed = DescriptorTransformer(POWER, per="center").fit(pair)
    assert len(mixed.transform(pair)) == sum(map(len, pair))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("per", ["structure", "center", "row"])
def test_dtype(structures, dtype, per):
    transformer = DescriptorTransformer(CONTRACTED, per=per, dtype=dtype)
    values = transformer.fit_transform(structures)
    assert values.dtype == np.dtype(dtype)
    exact = DescriptorTransformer(CONTRACTED, per=per).fit(structures)
    exact.descriptor_ = transformer.descriptor_
    expected = exact.transform(structures)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-5 * abs(expected).max())


def test_contractions_are_fitted_in_fit_only(structures):
    transformer = DescriptorTransformer(CONTRACTED, per="row").fit(structures[:3])
    fitted = {k: v.clone() for k, v in transformer.descriptor_.state_dict().items()}
    assert all(v.any() for v in fitted.values())
    values = transformer.transform(structures[3:5])
    for name, buffer in transformer.descriptor_.state_dict().items():
        assert torch.equal(buffer, fitted[name])
    # the components of the first three structures, and not those of the unseen ones
    spec = transformer.spec_
    descriptor = build(spec)
    descriptor.fit([System.from_atoms(structures[:3], spec.expansion.cutoff)])
    expected = descriptor(System.from_atoms(structures[3:5], spec.expansion.cutoff)).values
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)
    refitted = clone(transformer).set_params(species=(1, 6, 8)).fit(structures[3:5])
    assert abs(refitted.transform(structures[3:5]) - values).max() > 1e-3


@pytest.mark.parametrize("per", ["structure", "center", "row"])
def test_jobs_and_chunks_join_in_order(structures, per, monkeypatch):
    transformer = DescriptorTransformer(CONTRACTED, per=per).fit(structures)
    expected, expected_labels = transformer.transform_with_labels(structures)
    monkeypatch.setattr(module, "ATOMS_PER_JOB", 5)
    monkeypatch.setattr(evaluate, "CHUNK_BYTES", 1)
    values, labels = transformer.transform_with_labels(structures)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-13)
    assert list(labels) == list(expected_labels)
    for name, column in labels.items():
        np.testing.assert_array_equal(column, expected_labels[name])


@pytest.fixture(scope="module")
def several_jobs():
    structures = [molecule(seed) for seed in range(300)]
    transformer = DescriptorTransformer(CONTRACTED, per="center").fit(structures[:20])
    assert sum(map(len, structures)) > 2 * module.ATOMS_PER_JOB
    return transformer, structures


@pytest.mark.slow
def test_processes_do_not_change_a_bit(several_jobs):
    transformer, structures = several_jobs
    structures[0].calc = EMT()
    structures[0].calc.hook = lambda: None  # could not be sent to another process
    one = transformer.transform_with_labels(structures)
    two = clone(transformer).set_params(n_jobs=2)
    two.__dict__.update({k: v for k, v in vars(transformer).items() if k.endswith("_")})
    values, labels = two.transform_with_labels(structures)
    assert values.tobytes() == one[0].tobytes()
    for name, column in labels.items():
        np.testing.assert_array_equal(column, one[1][name])
    structures[0].calc = None
    bad = [*structures, Atoms("CC", [(0, 0, 0), (0, 0, 1e-5)])]
    with pytest.raises(InputError, match="structure 300: atoms 0 and 1 coincide"):
        two.transform(bad)


@pytest.mark.slow
def test_a_dask_cluster_does_not_change_a_bit(several_jobs):
    distributed = pytest.importorskip("distributed")
    from joblib import parallel_config

    transformer, structures = several_jobs
    expected = transformer.transform(structures)
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster),
        parallel_config(backend="dask"),
    ):
        values = transformer.transform(structures)
    assert values.tobytes() == expected.tobytes()


def test_the_number_of_threads_is_put_back(structures):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        transformer = DescriptorTransformer(CONTRACTED).fit(structures)
        transformer.transform(structures)
        with pytest.raises(InputError):
            transformer.transform([Atoms("Au2", [(0, 0, 0), (0, 0, 1)])])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_names_of_features(structures):
    transformer = DescriptorTransformer(TAGGED, per="center").fit(structures)
    names = transformer.get_feature_names_out()
    labels = transformer.descriptor_.labels.tolist()
    assert len(set(names)) == len(names) == len(labels)
    assert names[7] == "q{}_l{}_q{}_l{}_q{}_l{}".format(*labels[7])
    contracted = DescriptorTransformer(CONTRACTED, per="row").fit(structures)
    assert contracted.get_feature_names_out().tolist() == [
        *(f"even{k}" for k in range(6)),
        *(f"odd{k}" for k in range(6, 9)),
    ]


def closed_form(atoms):
    """A sum over pairs that a spectrum of distances holds."""
    r = atoms.get_all_distances()[np.triu_indices(len(atoms), 1)]
    return np.exp(-r).sum() / len(atoms)


def test_pipeline_and_grid_search():
    structures = [molecule(seed) for seed in range(40)]
    energies = np.array([closed_form(atoms) for atoms in structures])
    pipeline = Pipeline(
        [
            ("features", DescriptorTransformer("radial_spectrum")),
            ("scale", StandardScaler()),
            ("ridge", Ridge(1e-6)),
        ]
    )
    grid = {"features__cutoff": [0.6, 3.5], "features__descriptor": [POWER, "radial_spectrum"]}
    search = GridSearchCV(pipeline, grid, cv=3, scoring="neg_root_mean_squared_error")
    search.fit(structures, energies)
    assert search.best_params_["features__cutoff"] == 3.5  # at 0.6 Å there are no neighbours
    worst, best = (f(-search.cv_results_["mean_test_score"]) for f in (np.max, np.min))
    assert best < 0.2 * worst
    assert search.predict(structures[:3]).shape == (3,)


def test_pickled_when_fitted(structures):
    transformer = DescriptorTransformer(CONTRACTED).fit(structures)
    again = pickle.loads(pickle.dumps(transformer))
    expected = transformer.transform(structures)
    assert again.transform(structures).tobytes() == expected.tobytes()


# Only those that feed no data: the others feed matrices of numbers, and this takes structures.
@pytest.mark.parametrize(
    "check",
    [
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_estimator_tags_renamed",
        "check_get_params_invariance",
        "check_mixin_order",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_set_params",
        "check_valid_tag_types",
    ],
)
def test_estimator_checks_of_scikit_learn(check):
    getattr(estimator_checks, check)("DescriptorTransformer", DescriptorTransformer())


def test_not_fitted(structures):
    for method in ("transform", "labels", "transform_with_labels", "get_feature_names_out"):
        with pytest.raises(NotFittedError):
            getattr(DescriptorTransformer(), method)(structures)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"descriptor": "soap"}, "descriptor 'soap' is none of radial_spectrum, "),
        ({"descriptor": {"type": "three_center", "cutof": 1}}, "unknown option .*cutof"),
        ({"descriptor": {"nu": [2]}}, "descriptor: option type is missing"),
        ({"descriptor": 3}, "descriptor 3 is neither a name nor a spec"),
        ({"cutoff": -1.0}, r"cutoff = -1\.0"),
        ({"per": "atom"}, "per = 'atom' is none of"),
        ({"centers": "some"}, "centers = 'some' is none of"),
        ({"dtype": "float16"}, "dtype = 'float16' is none of"),
    ],
)
def test_bad_parameters_are_refused_in_fit(structures, parameters, sentence):
    transformer = DescriptorTransformer(**parameters)
    with pytest.raises(InputError, match=sentence) as refused:
        transformer.fit(structures)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (Atoms("C"), "a list of ASE structures is needed, not Atoms"),
        (3, "a list of ASE structures is needed, not int"),
        ([], "no structures"),
        ([Atoms("C"), "H2O"], "structure 1: str instead of ASE Atoms"),
        ([Atoms("C"), Atoms()], "structure 1: no atoms"),
        (np.eye(3), "structure 0: ndarray instead of ASE Atoms"),
    ],
)
def test_bad_structures_are_refused(structures, given, sentence):
    fitted = DescriptorTransformer(POWER).fit(structures)
    for method in (DescriptorTransformer(POWER).fit, fitted.transform):
        with pytest.raises(InputError, match=sentence):
            method(given)


def test_unseen_species_are_refused_by_the_number_of_their_structure(structures, monkeypatch):
    monkeypatch.setattr(module, "ATOMS_PER_JOB", 4)
    transformer = DescriptorTransformer(POWER).fit(structures)
    unseen = [*structures, Atoms("CAu", [(0, 0, 0), (0, 0, 1.5)])]
    with pytest.raises(InputError, match=r"^structure 7: atom of atomic number 79.* 1, 6, 8"):
        transformer.transform(unseen)


def tetrahedron(center, corner, shift=0.0):
    positions = [(0, 0, 0), (1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]
    return Atoms([center] + [corner] * 4, np.array(positions) * 0.8 + shift)


@pytest.mark.parametrize("name", ["power_spectrum", "three_center"])
def test_features_of_structures_tell_the_species_of_centres(name):
    """CH4 + SiF4 and SiH4 + CF4 have the same sums over all centres, whatever the species."""
    one = tetrahedron("C", "H") + tetrahedron("Si", "F", 50.0)
    two = tetrahedron("Si", "H") + tetrahedron("C", "F", 50.0)
    spec = {"type": NAMED[name].type, "expansion": {"max_radial": 2, "max_angular": 1}}
    transformer = DescriptorTransformer(spec, cutoff=2.0).fit([one, two])
    assert transformer.center_species_ == [1, 6, 9, 14]
    values = transformer.transform([one, two])
    names = transformer.get_feature_names_out()
    assert values.shape == (2, len(names))
    n_features = len(transformer.descriptor_.parity)
    assert len(names) == 4 * n_features
    assert names[0].startswith("H_")
    assert names[-1].startswith("Si_")
    assert np.abs(values[0] - values[1]).max() > 0.1 * np.abs(values).max()
    # without blocks, nothing tells the two
    blocks = values.reshape(2, 4, n_features)
    np.testing.assert_allclose(blocks[0].sum(0), blocks[1].sum(0), rtol=0, atol=1e-12)
    # by hand: sums over centres of one species over the number of all
    transformer.set_params(per="center")
    centers, labels = transformer.transform_with_labels([one, two])
    np.testing.assert_array_equal(
        labels["center_species"], np.concatenate([one.numbers, two.numbers])
    )
    for k, z in enumerate((1, 6, 9, 14)):
        for structure in (0, 1):
            of_species = (labels["structure"] == structure) & (labels["center_species"] == z)
            expected = centers[of_species].sum(0) / 10
            np.testing.assert_allclose(blocks[structure, k], expected, rtol=0, atol=1e-12)


def test_one_species_of_centres_has_one_block():
    structures = [tetrahedron("C", "H"), tetrahedron("C", "H")]
    for atoms in structures:
        atoms.info["center"] = 0
    transformer = DescriptorTransformer("power_spectrum").fit(structures)
    assert transformer.transform(structures).shape[1] == len(transformer.descriptor_.parity)
    assert transformer.get_feature_names_out()[0] == "even0"


def test_a_centre_that_the_fit_did_not_see_is_refused():
    transformer = DescriptorTransformer("power_spectrum", species=(1, 6, 14))
    transformer.fit([tetrahedron("C", "H")])
    with pytest.raises(InputError, match="structure 1: a center of atomic number 14, but the tra"):
        transformer.transform([tetrahedron("C", "H"), tetrahedron("Si", "H")])


def test_an_environment_larger_than_the_memory_is_refused_before_it_is_computed(monkeypatch):
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3), -1).reshape(-1, 3) * 0.9
    large = Atoms(f"B{len(grid)}", grid + rng.uniform(-0.05, 0.05, grid.shape))
    small = Atoms("B2", [(0, 0, 0), (0, 0, 1.5)])
    large.info["center"], small.info["center"] = 62, 0
    transformer = DescriptorTransformer("three_center", cutoff=5.0).fit([small])
    # a bound that a smaller environment keeps to
    assert transformer.transform([small]).shape == (1, 7344)
    seen, forward = [], ThreeCenter.forward

    def recorded(self, system):
        seen.append(int((system.neighbor_counts**2).sum()))
        return forward(self, system)

    monkeypatch.setattr(ThreeCenter, "forward", recorded)
    with pytest.raises(InputError, match="structure 1: the rows of atom 62 with 124 neighbours"):
        transformer.transform([small, large])
    assert max(seen) < 2000  # measured was a part of it, of 15376 rows
