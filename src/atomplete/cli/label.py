"""The verb ``label``: energies and forces of reference methods."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ConfigDict, Field

from atomplete.cli.app import XYZ, Quiet
from atomplete.cli.options import verb
from atomplete.cli.workers.scheduler import SchedulerOptions, client_of, slurm_of
from atomplete.errors import InputError
from atomplete.runs.outputs import FileOutput
from atomplete.runs.provenance import cores


class LabelOptions(SchedulerOptions):
    """Options of ``label``."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    method: str = Field(
        "xtb",
        description="xtb, pbe, or an ASE calculator: ase:emt, ase:package.module:Class, "
        "file.py:function",
    )
    settings: dict[str, Any] = Field(default_factory=dict)
    workers: int = Field(
        default_factory=cores, ge=1, description="Processes (default: one for each core)"
    )
    nice: int = Field(0, ge=0, le=19, description="Niceness to add to the processes")
    time_limit: float | None = Field(
        None, gt=0, description="Seconds after which one calculation is killed"
    )
    slice: str = Field(":", description="A:B, structures A to B - 1 of the file (default: all)")
    limit: int | None = Field(None, ge=1, description="New calculations in this run")
    max_hours: float | None = Field(
        None, gt=0, description="Hours after which no new calculation begins"
    )
    retry_failed: bool = Field(False, description="Compute failed structures again")
    skip_unreadable: bool = Field(False, description="Leave out structures that cannot be used")
    merge: Annotated[
        list[Path],
        typer.Option(help="Journal or labelled file to take labels from; may be repeated."),
    ] = Field(default_factory=list)
    licence: str = Field("not stated", description="Licence, for the card")


@verb(
    LabelOptions,
    FileOutput(
        "label",
        r"\A.*\n.*\blabel_method=",
        XYZ,
        {".card.yaml": r"\Afile: ", ".journal.jsonl": r'\A\{"'},
    ),
)
def label(
    input: Annotated[Path, typer.Argument(help="File of structures.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Extended XYZ file to write.")],
    options: LabelOptions,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the SLURM job script and end.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Compute energies and forces; an interrupted run goes on where it was.

    Finished labels are kept in OUTPUT.journal.jsonl; OUTPUT.card.yaml says what the numbers
    are. Methods take settings from the YAML file, such as `settings: {recipe: paper}` for pbe.

    Example: atomplete label b8.xyz -o labelled.xyz --method xtb
    """
    if dry_run:
        if options.slurm is None:
            raise InputError("--dry-run prints the job script of --slurm, which is not given")
        with slurm_of(options.slurm, submit=False) as cluster:
            print(cluster.job_script())
        return

    from atomplete.labels import Selection, get_method, label_file

    selection = Selection(
        options.slice,
        options.limit,
        options.max_hours,
        options.retry_failed,
        options.skip_unreadable,
    )
    labels_of = get_method(options.method, **options.settings)
    with _label_workers(options) as machine:
        summary = label_file(
            input,
            output,
            labels_of,
            workers=machine,
            progress=not quiet,
            selection=selection,
            merge=options.merge,
            licence=options.licence,
        )
    print(summary)
    if summary.stated and labels_of.name.startswith("ase:"):
        print(
            f"{summary.stated} structures state charge, spin or moments: {labels_of.name} was "
            "given these, and it is not known whether it heeds them",
            file=sys.stderr,
        )
    for index, reason in summary.failed:
        print(f"structure {index} failed: {reason}", file=sys.stderr)
    for conflict in summary.conflicts:
        print(f"conflict, {conflict}", file=sys.stderr)


@contextmanager
def _label_workers(options: LabelOptions) -> Iterator[Any]:
    from atomplete.labels import DaskWorkers, LocalWorkers

    with client_of(options) as client:
        if client is None:
            yield LocalWorkers(options.workers, options.nice, options.time_limit)
        else:
            yield DaskWorkers(client, options.nice, options.time_limit)
