"""Label many structures: in parallel, and resumed where an earlier run was cut off."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from ase import Atoms

from atomplete.data import content_hash, write_structures
from atomplete.data.xyz import check_output
from atomplete.errors import InputError
from atomplete.labels.card import LabelSummary, write_card
from atomplete.labels.journal import Journal, check_journal
from atomplete.labels.label import Label, LabelMethod
from atomplete.labels.labelled import with_label
from atomplete.labels.selection import Selection
from atomplete.labels.workers.local import LocalWorkers, Workers
from atomplete.runs.disk import reporting_disk
from atomplete.runs.fingerprint import states_electrons
from atomplete.runs.progress import progress_of


def label_structures(
    structures: Sequence[Atoms],
    method: LabelMethod,
    journal_path: str | os.PathLike[str],
    workers: int | Workers = 1,
    progress: bool = True,
) -> list[Label]:
    """Label structures, skipping those that the journal holds already.

    The work is done in processes of one thread each, so the labels do not depend on their
    number. Ctrl-C or a kill loses only the calculations that were running.

    Parameters
    ----------
    structures
        The structures; equal ones are computed once.
    method
        The method; it must pickle.
    journal_path
        The journal, made if it does not exist. Failures are kept in it with their reason; those
        that may lie with the machine (exceptions, time limits, lost processes) are tried again
        by the next run.
    workers
        Number of processes, or what computes the labels
        (:class:`~atomplete.labels.workers.local.LocalWorkers`,
        :class:`~atomplete.labels.workers.cluster.DaskWorkers`).
    progress
        Whether to show a bar, or lines where stderr is no terminal.

    Returns
    -------
    list of Label
        One per structure, in their order.

    Raises
    ------
    InputError
        If the method cannot treat a structure, or the journal cannot be used.

    Examples
    --------
    >>> import tempfile
    >>> from atomplete.labels import XTB
    >>> h2 = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     label_structures([h2], XTB(), Path(folder) / "journal.jsonl", progress=False)
    [Label(xtb, -26.721138 eV)]
    """
    for index, atoms in enumerate(structures):
        method.check(atoms, f"structure {index}")
    numbered = dict(enumerate(structures))
    workers = LocalWorkers(workers) if isinstance(workers, int) else workers
    with Journal(journal_path) as journal:
        labels, _ = _label(numbered, method, journal, workers, Selection(), progress)
    return [labels[index] for index in numbered]


def label_file(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    method: LabelMethod,
    workers: int | Workers = 1,
    journal: str | os.PathLike[str] | None = None,
    progress: bool = True,
    *,
    selection: Selection | None = None,
    merge: Sequence[str | os.PathLike[str]] = (),
    licence: str = "not stated",
) -> LabelSummary:
    """Label the structures of a file and write those that succeeded as extended XYZ.

    Parameters
    ----------
    input
        A file that :func:`~atomplete.data.read_structures` reads.
    output
        The file to write; its folder is made if need be. Each structure keeps its ``info``
        (old labels go) and gains energy, forces and stress, as ASE's calculator results, and in
        ``info`` ``label_method``, ``label_settings`` (JSON), ``label_rung``, ``label_seconds``
        and ``label_converged``. Beside it ``<output>.card.yaml`` says what the numbers are.
    method, workers, progress
        As in :func:`label_structures`.
    journal
        The journal; by default ``<output>.journal.jsonl``.
    selection
        Which of the structures, and for how long; by default all, until they are done.
    merge
        Journals of other machines, or labelled structures, whose labels are taken over first.
    licence
        For the card.

    Returns
    -------
    LabelSummary
        Counts, and what failed and why.

    Raises
    ------
    InputError
        For input that cannot be used or would be written over, a disk that is full, and if not
        one structure could be labelled.

    Examples
    --------
    >>> import tempfile
    >>> from atomplete.data import read_structures
    >>> from atomplete.labels import XTB
    >>> h2 = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_structures(Path(folder) / "h2.xyz", [h2])
    ...     done = label_file(
    ...         Path(folder) / "h2.xyz", Path(folder) / "out.xyz", XTB(), progress=False
    ...     )
    ...     print(f"{read_structures(done.output)[0].get_potential_energy():.4f} eV")
    -26.7211 eV
    """
    output = Path(output)
    selection = selection or Selection()
    workers = LocalWorkers(workers) if isinstance(workers, int) else workers
    structures, failures = selection.read(input, method)
    with reporting_disk(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    check_output(output, source=input)
    for other in merge:
        check_journal(other)  # before there is a journal of our own
    journal = Path(f"{output}.journal.jsonl" if journal is None else journal)
    with Journal(journal) as opened:
        conflicts = tuple(conflict for other in merge for conflict in opened.merge(other))
        labels, resumed = _label(structures, method, opened, workers, selection, progress)
    labelled = [
        (structures[index], label) for index, label in sorted(labels.items()) if label.converged
    ]
    failures += [(index, str(label.reason)) for index, label in labels.items() if label.reason]
    remaining = len(structures) - len(labels)
    failed = tuple(sorted(failures))
    if failed and not labelled:
        raise InputError(
            f"{input}: none of its {len(failed)} structures could be labelled; "
            f"the first failed with: {failed[0][1]}"
        )
    stated = sum(states_electrons(atoms) for atoms, _ in labelled)
    summary = LabelSummary(
        output, journal, len(labelled), resumed, failed, remaining, conflicts, stated
    )
    if labelled:
        with reporting_disk(output):
            write_structures(output, [with_label(atoms, label) for atoms, label in labelled])
            write_card(summary, Path(input).name, method, labelled, licence)
    return summary


def _label(
    structures: Mapping[int, Atoms],
    method: LabelMethod,
    journal: Journal,
    workers: Workers,
    selection: Selection,
    progress: bool,
) -> tuple[dict[int, Label], int]:
    """Labels by index, and how many of them the journal had."""
    labels: dict[int, Label] = {}
    untried: dict[str, list[int]] = {}  # indices of equal structures, by content
    broken: dict[str, list[int]] = {}
    for index, atoms in structures.items():
        label = journal.find(atoms, method)
        if label is None:
            untried.setdefault(content_hash([atoms]), []).append(index)
        elif label.transient or (selection.retry_failed and not label.converged):
            broken.setdefault(content_hash([atoms]), []).append(index)
        else:
            labels[index] = label
    resumed = len(labels)
    # what broke before comes last: it may hang again
    todo = [*untried.values(), *broken.values()][: selection.limit]
    equal_to = {indices[0]: indices for indices in todo}
    end = time.monotonic() + 3600 * (selection.max_hours or float("inf"))

    def tasks() -> Iterator[tuple[int, Atoms]]:
        for index in equal_to:
            if time.monotonic() > end:
                return
            yield index, structures[index]

    with (
        progress_of(f"{method.name} labels", len(todo), progress) as step,
        closing(workers.compute(method, tasks())) as results,
    ):
        for index, label in results:
            journal.append(structures[index], label)
            labels.update(dict.fromkeys(equal_to[index], label))
            step()
    return labels, resumed
