"""What an interrupted audit leaves behind: the verdicts on families that it had finished."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from atomplete.audit.subjects.subject import Subject, packages
from atomplete.audit.verdicts.diagnosis import Diagnosis
from atomplete.audit.verdicts.measure import Perturbed
from atomplete.audit.verdicts.pairs import Pair
from atomplete.audit.verdicts.row import Row
from atomplete.audit.verdicts.verdict import Measured
from atomplete.runs.files import atomic_write, content_hash
from atomplete.runs.provenance import versions


def identity_of(subjects: Sequence[Subject], options: Mapping[str, Any]) -> str:
    """Return what verdicts depend on beside the pairs: versions, options, and files of subjects.

    What a function imports is not looked at, nor files that a model names.

    Examples
    --------
    >>> identity_of([], {"n": 1}) == identity_of([], {"n": 2})
    False
    """
    content = []
    for subject in subjects:
        place = subject.name.partition("?")[0]
        # model.pt, file.py:function, package:FILE, and the file of module:function
        names = [place, place.rpartition(":")[0], place.partition(":")[2]]
        module = getattr(sys.modules.get(names[1]), "__file__", None)
        paths = [Path(name) for name in (*names, module) if name]
        content += [sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()]
    everything = [content, {**versions(), **packages(subjects)}, dict(options)]
    return json.dumps(everything, sort_keys=True)


class Unfinished:
    """Verdicts of one subject on one family after the other, kept until all are there.

    Parameters
    ----------
    folder
        Where to; removed at the end, and no other file should be in it.
    identity
        As `identity_of` gives it; what was kept under another one is not found.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from atomplete.audit.verdicts.pairs import family_pairs
    >>> pairs = family_pairs("b8", 1)
    >>> row = Row("mine", pairs[0], "O3", "undecided", "no boron", None)
    >>> with TemporaryDirectory() as folder:
    ...     unfinished = Unfinished(Path(folder) / "kept", "0.1.0")
    ...     unfinished.keep("mine", pairs, [row], Diagnosis("O3", 53, {}, {}))
    ...     rows, diagnosis = unfinished.find("mine", pairs)
    ...     Unfinished(Path(folder) / "kept", "0.2.0").find("mine", pairs) is None
    True
    >>> rows == [row], diagnosis.summary
    (True, 'invariant under O(3)')
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder, self.identity = folder, identity

    def find(self, subject: str, pairs: Sequence[Pair]) -> tuple[list[Row], Diagnosis] | None:
        """Rows of a family, and the diagnosis as it was then; None if they are not there."""
        path = self._path(subject, pairs)
        if not path.is_file():
            return None
        kept = json.loads(path.read_text(encoding="utf-8"))
        rows = [_row(subject, pair, row) for pair, row in zip(pairs, kept["rows"], strict=True)]
        return rows, Diagnosis(**kept["diagnosis"])

    def keep(
        self, subject: str, pairs: Sequence[Pair], rows: Sequence[Row], diagnosis: Diagnosis
    ) -> None:
        """Write the rows of a family, of which there is one for each pair."""
        content = {"rows": [_plain(row) for row in rows], "diagnosis": asdict(diagnosis)}
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(self._path(subject, pairs)) as temporary:
            temporary.write_text(json.dumps(content), encoding="utf-8")

    def clear(self) -> None:
        """Remove everything, once it has been written elsewhere."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, subject: str, pairs: Sequence[Pair]) -> Path:
        structures = [atoms for pair in pairs for atoms in (pair.plus, pair.minus)]
        told = [[pair.family, pair.number, str(pair.scope)] for pair in pairs]
        centers = [str(atoms.info.get("center")) for atoms in structures]
        everything = [self.identity, subject, told, centers, content_hash(structures)]
        return self.folder / f"{sha256(json.dumps(everything).encode()).hexdigest()}.json"


def _plain(row: Row) -> dict[str, Any]:
    """All of a row but its subject and pair; numbers come back to the last bit."""
    return {
        "group": row.group,
        "verdict": row.verdict,
        "reason": row.reason,
        "measured": None if row.measured is None else asdict(row.measured),
        "perturbed": None if row.perturbed is None else asdict(row.perturbed),
    }


def _row(subject: str, pair: Pair, kept: dict[str, Any]) -> Row:
    measured, perturbed = kept.pop("measured"), kept.pop("perturbed")
    if perturbed is not None:
        lists = {key: tuple(x) for key, x in perturbed.items() if key != "slope"}
        perturbed = Perturbed(**lists, slope=perturbed["slope"])
    measured = None if measured is None else Measured(**measured)
    return Row(subject, pair, **kept, measured=measured, perturbed=perturbed)
