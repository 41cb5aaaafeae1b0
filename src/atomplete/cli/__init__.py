"""Command line: verbs that are thin over library functions.

Heavy packages are imported inside the verbs, so that ``--help`` answers at once.
"""

import os
import sys
from typing import Any

import typer

from atomplete.cli import (
    audit,
    label,
    paper,
    potentials,
    structures,
)
from atomplete.cli.app import app, heeding_interrupts
from atomplete.cli.degeneracy import reconstruct, resolve, search, subsets
from atomplete.cli.engines import dynamics, export, lammps
from atomplete.errors import InputError, MissingExtraError
from atomplete.runs.streams import open_streams

# importing the verbs registers them
__all__ = [
    "app",
    "audit",
    "dynamics",
    "export",
    "label",
    "lammps",
    "paper",
    "potentials",
    "reconstruct",
    "resolve",
    "search",
    "structures",
    "subsets",
]

# in the order of use, which is that of --help
_VERBS = (
    *("generate", "label", "featurize", "train", "evaluate", "suggest", "md", "export", "lammps"),
    *("audit", "resolve", "search", "subsets", "reconstruct"),
    *("reproduce", "study", "report"),
)
app.registered_commands.sort(key=lambda verb: _VERBS.index(getattr(verb.callback, "__name__", "")))

#: What typer raises for a wrong command line: the parent of its public exception.
UsageError: Any = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command line; bad input ends with one sentence and exit code 2."""
    # Threads that wait must sleep: spinning ones stall training several times over as soon as
    # another process wants a core. It has to be set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    stdout = open_streams()
    try:
        with heeding_interrupts():
            code = app(args=sys.argv[1:] or ["--help"], standalone_mode=False)
            sys.stdout.flush()
    except (InputError, MissingExtraError) as error:
        print(f"atomplete: {error}", file=sys.stderr)
        code = 2
    except UsageError as error:
        message = " ".join(error.format_message().split()).rstrip(".")
        print(f"atomplete: {message}; see --help", file=sys.stderr)
        code = 2
    except OSError as error:
        print(f"atomplete: {error.filename or 'system'}: {error.strerror}", file=sys.stderr)
        code = 2
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "allocate memory" not in str(error):
            raise
        print("atomplete: out of memory; take a smaller basis or fewer atoms", file=sys.stderr)
        code = 2
    if stdout is not None and stdout.failure is not None:
        print(f"atomplete: stdout: {stdout.failure}", file=sys.stderr)
        code = 2
    if code == 130:  # typer's answer to Ctrl-C
        print("atomplete: interrupted; give the same command again to finish", file=sys.stderr)
    sys.exit(code)
