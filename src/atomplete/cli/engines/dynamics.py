"""The verb ``md``: molecular dynamics."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import typer

from atomplete.cli.app import Quiet, naming
from atomplete.cli.options import verb
from atomplete.dynamics.options import DynamicsOptions
from atomplete.errors import InputError
from atomplete.runs.outputs import FolderOutput


@verb(
    DynamicsOptions,
    FolderOutput("md", ("trajectory.xyz", "log.jsonl", "state.pt", "run.json", "stopped.xyz")),
)
def md(
    input: Annotated[Path, typer.Argument(help="File of structures.")],
    model: Annotated[Path, typer.Option("--model", help="A model.pt that training wrote.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")],
    options: DynamicsOptions,
    index: Annotated[
        int, typer.Option(help="Structure to start from, counted from 0; -1 is the last.")
    ] = -1,
    quiet: Quiet = False,
) -> None:
    """Run molecular dynamics; an interrupted run goes on where it was, and a longer one too.

    Starts with the velocities of the file, else with those of a temperature. Writes trajectory.xyz
    (frames with momenta, energy, forces), log.jsonl (energies, drift, temperature, pressure,
    extrapolation), run.json, and state.pt, from which the same command goes on.

    Stops, with the frame in stopped.xyz, where the potential was not trained: where an energy is no
    number, atoms fly apart, come nearer than in any data, or are unlike those of the data.

    Example: atomplete md start.xyz --model runs/fit/model.pt -o runs/md --ensemble nvt --time 10
    """
    from atomplete.checkpoint import load
    from atomplete.data import read_structures
    from atomplete.dynamics.run import run_dynamics
    from atomplete.potentials.base import Potential

    potential = load(model, Potential)
    structures = read_structures(input)
    if not -len(structures) <= index < len(structures):
        raise InputError(f"{input}: there is no structure {index}; it has {len(structures)}")
    chosen = range(len(structures))[index]
    with naming(input), _counted(chosen):
        log = run_dynamics(
            structures[chosen],
            potential.calculator(),
            output,
            options,
            model=sha256(model.read_bytes()).hexdigest(),
            shortest=potential.shortest,
            progress=not quiet,
        )
    print(summary(log))
    print(f"trajectory.xyz, log.jsonl, state.pt and run.json in {output}")


@contextmanager
def _counted(index: int) -> Iterator[None]:
    """Name the only structure of a run by its place in the file."""
    first = "structure 0"
    try:
        yield
    except InputError as error:
        if str(error).startswith(first):
            raise InputError(f"structure {index}{str(error).removeprefix(first)}") from error
        raise


def summary(log: Sequence[Mapping[str, Any]]) -> str:
    """One line on a run: its length, mean temperature, drift and largest grade.

    Examples
    --------
    >>> summary([{"step": 10, "time": 0.005, "temperature": 300.0, "drift": 1e-6}])
    'step 10, 0.005 ps: mean temperature 300 K, drift 1e-06 eV an atom'
    """
    last = log[-1]
    said = f"step {last['step']}, {last['time']:g} ps: mean temperature "
    said += f"{fmean(line['temperature'] for line in log):.4g} K"
    if last["drift"] is not None:
        said += f", drift {last['drift']:.2g} eV an atom"
    if "extrapolation" in last:
        said += f", largest extrapolation grade {max(line['extrapolation'] for line in log):.2g}"
    return said
