"""Growth of the PBE dataset: the order in which pairs are labelled, and the rewriting of its files.

python -m atomplete.paper.datasets.campaign order runs/pbe/b8.xyz
python -m atomplete.paper.datasets.campaign ship runs/pbe/labelled.xyz.journal.jsonl
"""

import argparse
import gzip
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms

from atomplete.data import write_structures
from atomplete.degenerate.families.registry import generate
from atomplete.labels import PBE, Journal, Label, LabelSummary
from atomplete.labels.card import write_card
from atomplete.labels.labelled import with_label
from atomplete.paper.datasets import dataset
from atomplete.runs.files import atomic_write

#: Pairs of the paper's draw: the first test pair, the first that is labelled last, and all.
FIRST_TEST, FIRST_LAST, N_PAIRS = 3500, 3900, 4000

#: One of so many labelled pairs is a test pair, so that the dataset can be used at any size.
TEST_EVERY = 10

LICENCE = "BSD-3-Clause"


def order() -> list[int]:
    """Numbers of the pairs in the order of labelling.

    Nine training pairs and a test pair in turns, each kind in the paper's order, until either
    is used up; test pairs from 3900 on come last.

    Returns
    -------
    list of int
        A permutation of 0 to 3999.

    Examples
    --------
    >>> order()[:11]
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 3500, 9]
    """
    train, test = iter(range(FIRST_TEST)), iter(range(FIRST_TEST, FIRST_LAST))
    mixed = [
        next(test if (place + 1) % TEST_EVERY == 0 else train, None) for place in range(N_PAIRS)
    ]
    # what is left of one kind after the other
    return [pair for pair in mixed if pair is not None] + [
        *train,
        *test,
        *range(FIRST_LAST, N_PAIRS),
    ]


def write_order(path: str | os.PathLike[str]) -> None:
    """Write the structures of all pairs in the order of labelling.

    Parameters
    ----------
    path
        Extended XYZ; its folder is made if need be.

    Examples
    --------
    >>> from atomplete.data import read_structures
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_order(Path(folder) / "b8.xyz")
    ...     len(read_structures(Path(folder) / "b8.xyz"))
    8000
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    drawn = generate("b8", N_PAIRS)
    write_structures(path, [drawn[2 * pair + member] for pair in order() for member in (0, 1)])


def ship(
    journal: str | os.PathLike[str], output: str | os.PathLike[str] | None = None
) -> LabelSummary:
    """Add the finished pairs of a campaign to the shipped dataset, and rewrite its card.

    The journal may still be in use. Where both have a label, the shipped one stays.

    Parameters
    ----------
    journal
        The campaign's.
    output
        Where to write instead of over the shipped file: a name that ends in ``.xyz.gz``.

    Returns
    -------
    LabelSummary
        Counts; a pair of which one member failed is left out and listed in the card.

    Raises
    ------
    InputError
        If the journal cannot be read.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "journal.jsonl").touch()
    ...     summary = ship(Path(folder) / "journal.jsonl", Path(folder) / "b8_pbe.xyz.gz")
    >>> summary.labelled >= 800
    True
    """
    shipped = dataset("pbe")
    output = shipped if output is None else Path(output)
    drawn, method = generate("b8", N_PAIRS), PBE()
    with tempfile.TemporaryDirectory() as folder:
        with Journal(Path(folder) / "journal.jsonl") as merged:
            conflicts = merged.merge(shipped) + merged.merge(journal)
            labels = [merged.find(atoms, method) for atoms in drawn]
        labelled = _whole_pairs(drawn, labels)
        plain = Path(folder) / output.name.removesuffix(".gz")
        write_structures(plain, [with_label(atoms, label) for atoms, label in labelled])
        place = {pair: 2 * index for index, pair in enumerate(order())}
        failed = tuple(
            sorted(
                (place[index // 2] + index % 2, str(label.reason))
                for index, label in enumerate(labels)
                if label is not None and not label.converged
            )
        )
        summary = LabelSummary(plain, Path(journal), len(labelled), 0, failed, 0, tuple(conflicts))
        write_card(summary, "b8.xyz", method, labelled, LICENCE)
        with atomic_write(output) as temporary:
            temporary.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
        card = output.with_name(output.name.removesuffix(".xyz.gz") + ".card.yaml")
        with atomic_write(card) as temporary:
            temporary.write_bytes(summary.card.read_bytes())
    return summary


def _whole_pairs(
    drawn: Sequence[Atoms], labels: Sequence[Label | None]
) -> list[tuple[Atoms, Label]]:
    kept = []
    for first in range(0, len(drawn), 2):
        members = [
            (atoms, label)
            for atoms, label in zip(
                drawn[first : first + 2], labels[first : first + 2], strict=True
            )
            if label is not None and label.converged
        ]
        if len(members) == 2:
            kept += members
    return kept


def main() -> None:
    """Command line: ``order`` or ``ship``, and a path."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("action", choices=("order", "ship"))
    parser.add_argument("path", help="order: structures to write; ship: journal to take from")
    options = parser.parse_args()
    if options.action == "order":
        write_order(options.path)
    else:
        summary = ship(options.path)
        print(f"{summary.labelled // 2} pairs, {len(summary.failed)} failed structures")
        for conflict in summary.conflicts:
            print(f"conflict, {conflict}")


if __name__ == "__main__":
    main()
