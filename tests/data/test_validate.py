import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st

from atomplete.data import validate
from atomplete.errors import InputError

SKEWED = np.array([[4.0, 0.0, 0.0], [3.0, 2.0, 0.0], [-5.0, 1.0, 3.0]])


@given(
    st.tuples(*[st.integers(-2, 2)] * 3),
    st.tuples(*[st.sampled_from([0.0, 1e-6, 0.5, 0.25, 0.9999999])] * 3),
    st.tuples(*[st.booleans()] * 3),
)
def test_close_images_are_found_across_every_face(shift, place, pbc):
    position = np.array(place) @ SKEWED
    image = position + np.array(shift) @ SKEWED + [0.0, 3e-4, 0.0]
    atoms = Atoms("H2", positions=[position, image], cell=SKEWED, pbc=pbc)
    if all(p or s == 0 for p, s in zip(pbc, shift, strict=True)):
        with pytest.raises(InputError, match=r"^x: atoms 0 and 1 are 0\.0003 Å apart$"):
            validate(atoms, "x")
    else:
        validate(atoms, "x")


@pytest.mark.parametrize("pbc", [True, False, [True, True, False]])
def test_sound_structures_pass(pbc):
    atoms = bulk("Si", cubic=True)
    atoms.pbc = pbc
    validate(atoms, "x")
    validate(atoms.repeat(3), "x")


def test_directions_that_do_not_repeat_need_no_vector():
    validate(Atoms("H", cell=[3, 3, 0], pbc=[True, True, False]), "slab")
    validate(Atoms("H", cell=[0, 0, 3], pbc=[False, False, True]), "chain")
    validate(Atoms("H"), "atom")


@pytest.mark.parametrize(
    ("cell", "pbc"),
    [
        ([0, 0, 0], True),
        ([3, 3, 0], True),
        ([3, 0, 3], [True, True, False]),
        ([[3, 0, 0], [0, 3, 0], [3, 3, 0]], True),
        ([[3, 0, 0], [3, 1e-5, 0], [0, 0, 3]], True),
        ([1e-4, 3, 3], True),
    ],
)
def test_cells_without_volume_are_refused(cell, pbc):
    with pytest.raises(InputError, match="spans no volume"):
        validate(Atoms("H", cell=cell, pbc=pbc), "x")
