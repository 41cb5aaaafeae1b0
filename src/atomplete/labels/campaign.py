"""Label many structures: in parallel, and resumed where an earlier run was cut off."""

import json
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from atomplete.data import content_hash, read_structures, write_structures
from atomplete.data.xyz import check_output
from atomplete.errors import InputError
from atomplete.labels.journal import Journal
from atomplete.labels.label import Label, LabelMethod
from atomplete.labels.workers import Accident, compute_all
from atomplete.progress import progress_of


@dataclass(frozen=True)
class LabelSummary:
    """What :func:`label_file` did.

    Attributes
    ----------
    output : Path
        The file with the labelled structures.
    journal : Path
        The journal beside it.
    labelled : int
        Number of structures in the output.
    resumed : int
        Number of structures, of all, whose labels were in the journal before.
    failed : tuple of (int, str)
        Index in the input and reason of each structure left out of the output.

    Examples
    --------
    >>> print(LabelSummary(Path("a.xyz"), Path("a.xyz.journal.jsonl"), 8, 3, ((5, "no SCF"),)))
    8 structures labelled in a.xyz (3 from the journal), 1 failed
    """

    output: Path
    journal: Path
    labelled: int
    resumed: int
    failed: tuple[tuple[int, str], ...]

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"{self.labelled} structures labelled in {self.output} "
            f"({self.resumed} from the journal), {len(self.failed)} failed"
        )


def label_structures(
    structures: Sequence[Atoms],
    method: LabelMethod,
    journal_path: str | os.PathLike[str],
    workers: int = 1,
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
        The journal, made if it does not exist. Labels that failed are kept in it with their
        reason and not tried again; calculations that broke with an exception or took their
        process down are not kept.
    workers
        Number of processes.
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
    with Journal(journal_path) as journal:
        return _label(structures, method, journal, workers, progress)[0]


def _label(
    structures: Sequence[Atoms], method: LabelMethod, journal: Journal, workers: int, progress: bool
) -> tuple[list[Label], int]:
    """Labels of all structures, and how many of them the journal had."""
    if workers < 1:
        raise InputError(f"the number of workers must be 1 or more, not {workers}")
    found = [journal.find(atoms, method) for atoms in structures]
    missing: dict[str, list[int]] = {}  # indices by content
    for index, atoms in enumerate(structures):
        if found[index] is None:
            missing.setdefault(content_hash([atoms]), []).append(index)
    equal_to = {indices[0]: indices for indices in missing.values()}
    tasks = ((index, structures[index]) for index in equal_to)
    with (
        progress_of(f"{method.name} labels", len(equal_to), progress) as step,
        closing(compute_all(method, tasks, min(workers, len(equal_to)))) as results,
    ):
        for index, result in results:
            if isinstance(result, Accident):
                label = Label.failed(result.reason, 0.0, method.name, method.settings)
            else:
                label = result
                journal.append(structures[index], label)
            for same in equal_to[index]:
                found[same] = label
            step()
    labels = [label for label in found if label is not None]
    return labels, len(labels) - sum(map(len, missing.values()))


def label_file(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    method: LabelMethod,
    workers: int = 1,
    journal: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> LabelSummary:
    """Label the structures of a file and write those that succeeded as extended XYZ.

    Parameters
    ----------
    input
        A file that :func:`~atomplete.data.read_structures` reads.
    output
        The file to write; its folder is made if need be. Each structure keeps its ``info``
        (old labels go) and gains energy and forces, as ASE's calculator results, and in
        ``info`` ``label_method``, ``label_settings`` (JSON), ``label_seconds`` and
        ``label_converged``.
    method, workers, progress
        As in :func:`label_structures`.
    journal
        The journal; by default ``<output>.journal.jsonl``.

    Returns
    -------
    LabelSummary
        Counts, and what failed and why.

    Raises
    ------
    InputError
        For input that cannot be used, and if not one structure could be labelled.

    Examples
    --------
    >>> import tempfile
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
    structures = read_structures(input)
    for index, atoms in enumerate(structures):
        method.check(atoms, f"{input}, structure {index}")
    output.parent.mkdir(parents=True, exist_ok=True)
    check_output(output)
    journal = Path(f"{output}.journal.jsonl" if journal is None else journal)
    with Journal(journal) as opened:
        labels, resumed = _label(structures, method, opened, workers, progress)
    failed = tuple(
        (index, str(label.reason)) for index, label in enumerate(labels) if not label.converged
    )
    if len(failed) == len(labels):
        raise InputError(
            f"{input}: none of its {len(labels)} structures could be labelled; "
            f"the first failed with: {failed[0][1]}"
        )
    pairs = zip(structures, labels, strict=True)
    write_structures(output, [_labelled(atoms, label) for atoms, label in pairs if label.converged])
    return LabelSummary(output, journal, len(labels) - len(failed), resumed, failed)


def _labelled(atoms: Atoms, label: Label) -> Atoms:
    labelled = atoms.copy()  # without its calculator
    results: dict[str, object] = {"energy": label.energy}
    if label.forces is not None:
        results["forces"] = label.forces
    labelled.calc = SinglePointCalculator(labelled, **results)
    labelled.info.update(
        label_method=label.method,
        label_settings=json.dumps(label.settings, sort_keys=True),
        label_seconds=round(label.seconds, 6),
        label_converged=label.converged,
    )
    return labelled
