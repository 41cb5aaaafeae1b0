"""Pairs with energies on which representations are ranked: B8, and families of degenerate pairs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from ase import Atoms

from atomplete.data import PairSplit, split_pairs
from atomplete.degenerate.families.registry import get
from atomplete.paper.data import LabelledPairs
from atomplete.paper.studies.one_orbital_teacher import of_environment

#: Families a to e of degenerate environments.
FAMILIES = ("distances", "prl_nu2", "prl_nu3", "chiral", "antipodal")

#: Distance to which the farthest neighbour of each member is scaled, Å: all are within a cutoff.
RADIUS = 1.8


@dataclass(frozen=True, eq=False)
class Study:
    """Pairs to train and test on, and what the models of them are invariant under.

    Attributes
    ----------
    data
        The pairs of one species, with energies, and their split.
    test_sets
        Test pairs, as positions in ``data.ids``, by the name of their set.
    group
        The group of the models.

    Examples
    --------
    >>> {name: len(pairs) for name, pairs in family_study(17).test_sets.items()}
    {'distances': 2, 'prl_nu2': 2, 'prl_nu3': 2, 'chiral': 2, 'antipodal': 2, 'union': 10}
    """

    data: LabelledPairs
    test_sets: dict[str, np.ndarray]
    group: Literal["O3", "SO3"]


def b8_study(path: Path, n_pairs: int) -> Study:
    """Return the first pairs of a labelled file.

    Parameters
    ----------
    path
        Labelled structures.
    n_pairs
        Pairs for all purposes; an eighth of them are test pairs if no ``pair_id`` is 3500 or more.

    Examples
    --------
    >>> from atomplete.paper.datasets import dataset
    >>> b8_study(dataset("pbe"), 100).data
    LabelledPairs(PairSplit(79 train, 9 validation, 12 test), 0 dropped)
    """
    data = LabelledPairs.read(path, n_pairs, seed=0)
    return Study(data, {"b8": data.split.test}, "O3")


def family_study(n_pairs: int) -> Study:
    """Return the first pairs of one species of each family, with energies of ``tight_binding``.

    Members are scaled to one radius. The energies differ for mirror images, so the group of the
    models is SO(3).

    Parameters
    ----------
    n_pairs
        Pairs of each family.

    Examples
    --------
    >>> family_study(17).data
    LabelledPairs(PairSplit(65 train, 10 validation, 10 test), 0 dropped)
    """
    pairs = [pair for family in FAMILIES for pair in _one_species(family, n_pairs)]
    structures = [_scaled(atoms) for pair in pairs for atoms in pair]
    own = split_pairs(np.arange(n_pairs))
    offsets = n_pairs * np.arange(len(FAMILIES))[:, None]
    train, validation, test = ((offsets + part) for part in (own.train, own.validation, own.test))
    data = LabelledPairs(
        structures=structures,
        energies=torch.tensor([of_environment(atoms) for atoms in structures], dtype=torch.float64),
        ids=np.arange(len(pairs)),
        split=PairSplit(train.ravel(), validation.ravel(), test.ravel()),
        dropped=(),
    )
    test_sets = dict(zip(FAMILIES, test, strict=True)) | {"union": test.ravel()}
    return Study(data, test_sets, "SO3")


def _one_species(family: str, n_pairs: int) -> list[tuple[Atoms, Atoms]]:
    """Members of several species, every other one, are left out: one basis serves all."""
    pairs = get(family).pairs(2 * n_pairs)
    return [pair for pair in pairs if len(set(pair[0].numbers)) == 1][:n_pairs]


def _scaled(atoms: Atoms) -> Atoms:
    """A copy; radii are the same in both members of a pair, which thus stays degenerate."""
    scaled = atoms.copy()
    scaled.positions *= RADIUS / np.linalg.norm(atoms.positions, axis=1).max()
    return scaled
