"""Tagged descriptors of other packages in scikit-learn: features, derivatives, forces."""

import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from atomplete.audit import Scope, TaggedTransformer, subject_of, tagged
from atomplete.degenerate.families.registry import generate
from atomplete.errors import InputError

SMALL = "dscribe:SOAP?n_max=3,l_max=2"
SMALL_FEATOMIC = "featomic:SoapPowerSpectrum?max_radial=3,max_angular=2"


def methanes(n, seed=0):
    rng = np.random.default_rng(seed)
    found = [molecule("CH4") for _ in range(n)]
    for atoms in found:
        atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
    return found


def transformer(name=SMALL, **options):
    return TaggedTransformer(name, **{"cutoff": 3.0, "n_functions": 20, **options})


def test_features_are_those_of_each_center():
    structures = methanes(3)
    centers = transformer(per="center").fit(structures)
    whole = transformer().fit(structures)
    of_centers = centers.transform(structures).reshape(3, 5, -1)
    expected = np.concatenate([of_centers[:, 1:].sum(1), of_centers[:, 0]], axis=1) / 5
    assert np.allclose(whole.transform(structures), expected, atol=1e-14)
    names = whole.get_feature_names_out()
    assert len(names) == expected.shape[1]
    assert names[0] == "H_tags0_cos0"


def test_features_tell_b8_apart_and_plain_soap_does_not():
    pair = generate("b8", 1)
    tagged_soap = transformer(tags=1, cutoff=2.5).fit(pair)
    plus, minus = tagged_soap.transform(pair)
    assert tagged_soap.centers_ == "info"
    assert np.allclose(plus[:20], minus[:20], atol=1e-11)
    assert np.abs(plus - minus)[20:].max() > 1e-6


@pytest.mark.parametrize("name", [SMALL, SMALL_FEATOMIC, "dscribe:ACSF"])
def test_forces_of_a_ridge_are_derivatives_of_its_energy(name):
    structures = methanes(12)
    energies = [np.square(atoms.get_all_distances()).sum() for atoms in structures]
    features = transformer(name, tags=1)
    model = make_pipeline(features, Ridge(1e-6)).fit(structures, energies)
    atoms = methanes(1, seed=9)[0]
    (slopes,) = features.derivatives([atoms])
    gradient = np.einsum("f,fax->ax", model[-1].coef_, slopes[0])
    step, expected = 1e-4, np.zeros((5, 3))
    for place in np.ndindex(5, 3):
        ends = [atoms.copy(), atoms.copy()]
        for end, sign in zip(ends, (1, -1), strict=True):
            end.positions[place] += sign * step
        up, down = model.predict(ends)
        expected[place] = (up - down) / (2 * step)
    assert np.abs(expected).max() > 1.0
    assert np.allclose(gradient, expected, rtol=1e-4, atol=1e-4)


def test_crystals_of_any_cell_have_the_same_features():
    cell = bulk("NaCl", "rocksalt", a=5.6)
    features = transformer(SMALL_FEATOMIC, tags=1, cutoff=3.5).fit([cell])
    one, two = features.transform([cell, cell.repeat((2, 1, 1))])
    assert np.allclose(one, two, atol=1e-10)


@pytest.mark.parametrize("name", [SMALL, SMALL_FEATOMIC, "power_spectrum"])
def test_copies_and_processes_give_the_same(name):
    structures = methanes(4)
    fitted = transformer(name).fit(structures)
    values = fitted.transform(structures)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.transform(structures), values)
    assert np.array_equal(clone(fitted).fit(structures).transform(structures), values)


@pytest.mark.slow
def test_several_processes_give_the_same():
    structures = methanes(4)
    values = transformer().fit_transform(structures)
    assert np.array_equal(transformer(n_jobs=2).fit_transform(structures), values)


def test_a_subject_may_be_given_and_lone_atoms_have_features():
    structures = [*methanes(1), Atoms("C"), Atoms("CH", [(0, 0, 0), (0, 0, 1.1)])]
    given = TaggedTransformer(subject_of(SMALL), tags=2, cutoff=3.0, n_functions=20)
    values = given.fit(structures).transform(structures)
    assert np.array_equal(values, transformer(tags=2).fit_transform(structures))
    assert np.isfinite(values).all()
    only = transformer(tags=2).fit([Atoms("C")], None)
    assert only.transform([Atoms("C")]).shape == (1, 60)


def test_the_cutoff_of_the_options_is_taken():
    own = TaggedTransformer(f"{SMALL},r_cut=2.5").fit(methanes(2))
    assert own.sums_.scope.cutoff == 2.5
    assert tagged(subject_of(f"{SMALL},r_cut=2.5"), 1).cutoff == 2.5
    with pytest.raises(InputError, match="the cutoff is 'near', no number"):
        subject_of("featomic:SoapPowerSpectrum?cutoff=near")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tags": 3}, "dscribe:SOAP?n_max=3,l_max=2: tags = 3 is neither 1 nor 2"),
        ({"name": "dscribe:CoulombMatrix"}, "describes no environments"),
        ({"per": "row"}, "per = 'row' is none of"),
        ({"n_functions": 0}, "must be positive"),
        ({"cutoff": -1.0}, "the cutoff -1 Å is not a length"),
        ({"species": [6]}, "structure 0: H is none of the species"),
        ({"name": "dscribe:SOAP?compression={mode: mu2}"}, "knows no species"),
    ],
)
def test_refusals_are_one_sentence(options, says):
    with pytest.raises(InputError) as refusal:
        transformer(**options).fit(methanes(2))
    assert says in str(refusal.value)


def test_unknown_species_are_named_later_on_too():
    fitted = transformer().fit(methanes(1))
    with pytest.raises(InputError, match="structure 1: O is none of the species"):
        fitted.transform([*methanes(1), molecule("H2O")])


def test_a_bad_structure_is_named_by_its_place():
    fitted = transformer().fit(methanes(2))
    same = Atoms("CH", [(0, 0, 0), (0, 0, 0)])
    for use in (fitted.transform, fitted.derivatives, transformer().fit):
        with pytest.raises(InputError, match=r"^structure 1: "):
            use([methanes(1)[0], same])
    one, two = methanes(2)
    one.info["center"], two.info["center"] = 0, 7
    with pytest.raises(InputError, match=r"^structure 1: center 7 of 5 atoms"):
        transformer(centers="info").fit([one, two])


def test_a_center_of_another_species_is_not_lost():
    one, two = methanes(2)
    one.info["center"], two.info["center"] = 0, 1
    fitted = transformer().fit([one])
    with pytest.raises(InputError, match="structure 1: no centre in fit was H"):
        fitted.transform([one, two])


def test_exact_derivatives_of_packages_agree_with_differences():
    """What the derivatives of tagged sums are made of."""
    atoms = methanes(1)[0]
    for name in (SMALL, SMALL_FEATOMIC):
        subject = subject_of(name)
        scope = Scope("structure", 3.0, (1, 6))
        ((rows, slopes),) = subject.jacobian([atoms], scope)
        ((_, expected),) = super(type(subject), subject).jacobian([atoms], scope)
        assert rows.shape[0] == 5
        assert np.allclose(slopes, expected, atol=1e-7)
