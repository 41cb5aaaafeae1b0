"""Degenerate pairs in a file of structures, and splits that never separate one."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from atomplete.errors import InputError

#: Pairs from this number on are the test set; arXiv:2302.14770 trains on the first 3500 of 4000.
FIRST_TEST_PAIR = 3500


@dataclass(frozen=True, eq=False)
class Pairs:
    """Rows of the two structures of each complete pair.

    Attributes
    ----------
    indices : ndarray of int, shape (pair, 2)
        Indices of the plus and the minus structure.
    ids : ndarray of int, shape (pair,)
        Their ``pair_id``, increasing.
    dropped : tuple of int
        ``pair_id`` of pairs that lack one of the two, increasing.

    Examples
    --------
    >>> Pairs(np.array([[0, 1]]), np.array([7]), (3,))
    Pairs(1 complete, 1 dropped)
    """

    indices: np.ndarray
    ids: np.ndarray
    dropped: tuple[int, ...]

    def __repr__(self) -> str:
        """Say the sizes, not the arrays."""
        return f"Pairs({len(self.ids)} complete, {len(self.dropped)} dropped)"


def pair_structures(structures: Sequence[Atoms], path: str | os.PathLike[str]) -> Pairs:
    """Find the pairs by ``pair_id`` (an integer) and ``sign`` (``+`` or ``-``) in ``info``.

    Parameters
    ----------
    structures
        The structures, in any order.
    path
        The file they come from, for messages.

    Returns
    -------
    Pairs
        The complete pairs, ordered by ``pair_id``, and what was left out.

    Raises
    ------
    InputError
        If a structure lacks one of the two entries, has another value, or comes twice; also
        if no pair is complete.

    Examples
    --------
    >>> signs = [Atoms("B", info={"pair_id": 5, "sign": sign}) for sign in "-+"]
    >>> pair_structures(signs, "b8.xyz").indices
    array([[1, 0]])
    """
    found: dict[int, dict[str, int]] = {}
    for index, atoms in enumerate(structures):
        name = f"{path}, structure {index}"
        pair_id, sign = _identity(atoms, name)
        members = found.setdefault(pair_id, {})
        if sign in members:
            raise InputError(
                f"{name}: pair_id {pair_id} with sign {sign} was structure {members[sign]} already"
            )
        members[sign] = index
    complete = [pair_id for pair_id in sorted(found) if len(found[pair_id]) == 2]
    if not complete:
        raise InputError(f"{path}: none of its {len(found)} pairs has both signs")
    indices = np.array([[found[pair_id]["+"], found[pair_id]["-"]] for pair_id in complete])
    dropped = tuple(sorted(set(found) - set(complete)))
    return Pairs(indices, np.array(complete), dropped)


def _identity(atoms: Atoms, name: str) -> tuple[int, str]:
    for key in ("pair_id", "sign"):
        if key not in atoms.info:
            raise InputError(f"{name}: it has no {key}, so it belongs to no pair")
    pair_id, sign = atoms.info["pair_id"], atoms.info["sign"]
    if isinstance(pair_id, bool) or not isinstance(pair_id, int | np.integer) or pair_id < 0:
        raise InputError(f"{name}: pair_id must be an integer from 0 on, not {pair_id}")
    if not isinstance(sign, str) or sign not in ("+", "-"):
        raise InputError(f"{name}: sign must be + or -, not {sign}")
    return int(pair_id), sign


@dataclass(frozen=True, eq=False)
class PairSplit:
    """Rows of a table of pairs, in three parts that share none.

    Attributes
    ----------
    train, validation, test : ndarray of int, each shape (pair,)
        Positions in the list of pairs, increasing. Choices are made on ``validation``;
        nothing is chosen on ``test``.

    Examples
    --------
    >>> PairSplit(np.arange(6), np.array([6]), np.array([7]))
    PairSplit(6 train, 1 validation, 1 test)
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def __repr__(self) -> str:
        """Say the sizes, not the arrays."""
        sizes = f"{len(self.train)} train, {len(self.validation)} validation, {len(self.test)} test"
        return f"PairSplit({sizes})"


def split_pairs(
    pair_ids: np.ndarray,
    n_train: int | None = None,
    n_validation: int | None = None,
    seed: int = 0,
) -> PairSplit:
    """Split pairs as arXiv:2302.14770 does, with a validation set besides the test set.

    Pairs with ``pair_id`` 3500 and above are the test set; in a file without them, the last
    eighth of the pairs. A seeded random part of the others is for validation, the rest for
    training.

    Parameters
    ----------
    pair_ids : ndarray of int, shape (pair,)
        Increasing, as :class:`Pairs` holds them.
    n_train
        Number of training pairs; by default all that remain. With the same seed, a smaller
        number takes a subset of a larger one.
    n_validation
        Number of validation pairs; by default a tenth of those below the test set.
    seed
        Seed of the draw.

    Returns
    -------
    PairSplit
        Rows of ``pair_ids``.

    Raises
    ------
    InputError
        If there are too few pairs for the three parts.

    Examples
    --------
    >>> split_pairs(np.arange(4000))
    PairSplit(3150 train, 350 validation, 500 test)
    >>> split_pairs(np.arange(16)).test
    array([14, 15])
    """
    rows = np.arange(len(pair_ids))
    is_test = np.asarray(pair_ids) >= FIRST_TEST_PAIR
    if not is_test.any():
        is_test = rows >= len(rows) - max(1, len(rows) // 8)
    shuffled = np.random.default_rng(seed).permutation(rows[~is_test])
    if n_validation is None:
        n_validation = max(1, round(len(shuffled) / 10))
    left = len(shuffled) - n_validation
    if n_train is None:
        n_train = max(1, left)
    if n_validation < 1 or n_train < 1 or n_train > left:
        raise InputError(
            f"{n_train} training and {n_validation} validation pairs cannot be taken from "
            f"{len(shuffled)} pairs beside the {int(is_test.sum())} of the test set"
        )
    validation, train = shuffled[:n_validation], shuffled[n_validation:][:n_train]
    return PairSplit(np.sort(train), np.sort(validation), rows[is_test])
