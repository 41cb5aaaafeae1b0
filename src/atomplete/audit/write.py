"""The files of an audit: verdicts, resolutions, provenance, and the pairs of the user."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from atomplete.audit.records import SmallestBasis
from atomplete.audit.run import Audit
from atomplete.audit.subjects.subject import Subject
from atomplete.data import content_hash, write_structures
from atomplete.runs.files import atomic_write
from atomplete.runs.provenance import versions, versions_of


def write_audit(
    folder: Path,
    audit: Audit,
    subjects: Sequence[Subject],
    options: dict[str, Any],
    sweep: Sequence[SmallestBasis] = (),
) -> None:
    """Write ``audit.json``, ``run.json``, and where there are any ``sweep.json`` and pairs.

    Parameters
    ----------
    folder
        Where to; made if need be.
    audit
        Verdicts, diagnoses and pairs; `PairVerdict` says what each row holds.
    subjects
        For their packages' versions.
    options
        Of the run.
    sweep
        Smallest resolutions.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     write_audit(Path(name), Audit([]), [], {"n": 1})
    ...     sorted(path.name for path in Path(name).iterdir())
    ['audit.json', 'run.json']
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "audit.json", [row.model_dump(mode="json") for row in audit.rows])
    if sweep:
        _write(folder / "sweep.json", [row.model_dump(mode="json") for row in sweep])
    own = audit.user_pairs
    run: dict[str, Any] = {
        "options": options,
        "versions": versions() | versions_of({subject.package for subject in subjects}),
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "subjects": {name: found.model_dump() for name, found in audit.diagnoses.items()},
    }
    structures = [atoms for pair in audit.pairs for atoms in (pair.plus, pair.minus)]
    run["structures_sha256"] = content_hash(structures)
    if own is not None:
        run["user_pairs"] = {"remarks": own.remarks, "refused": own.refused}
        members = [atoms for pair in own.pairs for atoms in (pair.plus, pair.minus)]
        path = folder / f"{own.pairs[0].family}.xyz"
        if not (path.is_file() and path.samefile(own.source)):
            write_structures(path, members)
    _write(folder / "run.json", run)


def _write(path: Path, content: Any) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False, default=list) + "\n")
