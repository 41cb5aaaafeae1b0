import numpy as np
import pytest
from ase import Atoms

from atomplete.data import write_structures
from atomplete.labels import XTB, label_file


def _b8(sign):
    """The first pair of arXiv:2302.14770, from its six parameters."""
    r, z1, z2 = 1.3945490156290707, 0.5779363176538004, 1.7685268584161764
    psi, phi1, phi2 = 2.2879156819735713, 2.6660340954713644, 1.8331788801509368
    azimuths = np.array([0, phi1, phi1 + phi2])

    def ring(angles, z):
        return np.stack([r * np.cos(angles), r * np.sin(angles), np.full(3, z)], axis=1)

    positions = np.vstack([[0, 0, 0], ring(azimuths, z1), ring(azimuths + psi, -z1)])
    return Atoms("B8", positions=np.vstack([positions, [0, 0, sign * z2]]))


@pytest.fixture
def pair_zero():
    """The plus and the minus structure."""
    return _b8(+1), _b8(-1)


def rattled_b8(number, seed=0):
    """Many different small structures."""
    rng = np.random.default_rng(seed)
    plus = _b8(+1)
    structures = []
    for index in range(number):
        atoms = plus.copy()
        atoms.positions += rng.normal(scale=0.05, size=(8, 3))
        atoms.info["pair_id"] = index
        structures.append(atoms)
    return structures


@pytest.fixture
def rattled():
    return rattled_b8


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A folder with a file of structures, and what xTB makes of it when nothing goes wrong."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_structures(folder / "in.xyz", rattled_b8(200))
    label_file(folder / "in.xyz", folder / "out.xyz", XTB(), 2, progress=False)
    return folder
