"""The files of an audit: verdicts, resolutions, provenance, and the pairs of the user."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from atomplete.audit.run import Audit
from atomplete.audit.subjects.subject import Subject, packages
from atomplete.audit.sweep import SweepRow
from atomplete.data import write_structures
from atomplete.runs.files import atomic_write, content_hash
from atomplete.runs.provenance import versions


def write_audit(
    folder: Path,
    audit: Audit,
    subjects: Sequence[Subject],
    options: dict[str, Any],
    sweep: Sequence[SweepRow] = (),
) -> None:
    """Write ``audit.json``, ``run.json``, and where there are any ``sweep.json`` and pairs.

    Parameters
    ----------
    folder
        Where to; made if need be.
    audit
        What was found: each row says subject, family, member or pair_id, level, group, verdict
        and reason; separation and noise_floor in units of the typical difference of random
        structures; structural_distance in Å; and, where displacements were followed, the slope
        with its points.
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
    _write(folder / "audit.json", [row.as_json() for row in audit.rows])
    if sweep:
        _write(folder / "sweep.json", [row.as_json() for row in sweep])
    own = audit.user_pairs
    run: dict[str, Any] = {
        "options": options,
        "versions": {**versions(), **packages(subjects)},
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "subjects": {name: _diagnosis(found) for name, found in audit.diagnoses.items()},
    }
    structures = [atoms for row in audit.rows for atoms in (row.pair.plus, row.pair.minus)]
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


def _diagnosis(found: Any) -> dict[str, Any]:
    return {
        "summary": found.summary,
        "group": found.group,
        "claimed_group": found.claimed,
        "significant_bits": found.bits,
        "faults": found.faults,
        "noise": found.noise,
        "descriptions": found.described,
        "not_finite": found.not_finite,
    }
