"""Labelled structures that come with the package, each with its card."""

from pathlib import Path

from atomplete.errors import InputError

_FOLDER = Path(__file__).parent

#: Files by name: ``pbe`` holds pairs of the B8 family, labelled with PBE (recipe ``fast``).
DATASETS = {"pbe": _FOLDER / "b8_pbe.xyz.gz"}


def dataset(name: str) -> Path:
    """The file of a dataset, which ``data.read_structures`` reads.

    The card beside it (``b8_pbe.card.yaml``) tells theory, units, versions, counts and licence.

    Raises
    ------
    InputError
        For a name that is not known.

    Examples
    --------
    >>> dataset("pbe").name
    'b8_pbe.xyz.gz'
    """
    if name not in DATASETS:
        raise InputError(f"there is no dataset {name!r}; choose from {', '.join(DATASETS)}")
    return DATASETS[name]
