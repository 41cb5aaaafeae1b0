"""The verb ``export``: a potential in the form that an engine reads."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import BaseModel, ConfigDict, Field

from atomplete.cli.app import about, in_new_folder
from atomplete.cli.options import verb
from atomplete.runs.outputs import FileOutput


class ExportOptions(BaseModel):
    """Options of ``export``."""

    model_config = ConfigDict(extra="forbid")
    to: Literal["lammps"] = Field(
        description="Engine that will read it: lammps, for a file of tables of the kernel"
    )


@verb(ExportOptions, FileOutput("export", r"\Aatomplete potential, version \d+\n"))
def export(
    model: Annotated[Path, typer.Argument(help="A model.pt that training wrote.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    options: ExportOptions,
) -> None:
    """Write a potential for an engine of molecular dynamics.

    The file for LAMMPS holds all numbers that a potential linear in random Fourier features is
    computed from, as the presets of train make it: a line with the version of the format, a line
    of JSON with units, elements, cutoff and the SHA-256 of all that follows, and arrays.

    Example: atomplete export runs/fit/model.pt --to lammps -o model.tables
    """
    from atomplete.checkpoint import load
    from atomplete.kernel.file import write_tables
    from atomplete.potentials.base import Potential

    potential = load(model, Potential)
    with about(model):
        write_tables(in_new_folder(output), potential)
    print(f"tables for {options.to} in {output} ({output.stat().st_size / 1e6:.3g} MB)")
