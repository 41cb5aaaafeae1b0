"""Found pairs, labelled as the families label theirs."""

from collections.abc import Iterable, Mapping

from ase import Atoms

from atomplete.degenerate.congruence.congruence import Level


def labelled(
    pairs: Iterable[tuple[Atoms, Atoms, Mapping[str, float | int | str]]], family: str, level: Level
) -> list[Atoms]:
    """Return found pairs as one list of structures that can be written and read back as pairs.

    Parameters
    ----------
    pairs
        Plus, minus, and what else is known of the pair.
    family
        Name to give them.
    level
        At the environment level the centre is atom 0.

    Returns
    -------
    list of Atoms
        plus, minus, plus, minus and so on, with ``info``: pair_id, sign ("+" or "-"), family,
        level, center (at the environment level) and what else was given.

    Examples
    --------
    >>> pair = Atoms("BH"), Atoms("BH"), {"separation": 0.4}
    >>> plus, minus = labelled([pair], "found", "structure")
    >>> minus.info["pair_id"], minus.info["sign"], minus.info["separation"]
    (0, '-', 0.4)
    """
    structures = []
    for pair_id, (plus, minus, known) in enumerate(pairs):
        for sign, atoms in (("+", plus), ("-", minus)):
            labels = {"pair_id": pair_id, "sign": sign, "family": family, "level": level}
            center = {"center": 0} if level == "environment" else {}
            info = {**labels, **center, **known}
            structures.append(Atoms(atoms.numbers, atoms.positions, info=info))
    return structures
