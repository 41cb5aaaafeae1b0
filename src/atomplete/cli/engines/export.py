"""The verb ``export``: a potential in the form that an engine reads."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import BaseModel, ConfigDict, Field, model_validator

from atomplete.cli.app import about, in_new_folder
from atomplete.cli.options import verb
from atomplete.runs.outputs import FileOutput


class ExportOptions(BaseModel):
    """Options of ``export``."""

    model_config = ConfigDict(extra="forbid")
    to: Literal["lammps", "metatomic", "pt2"] = Field(
        description="Engine that will read it: lammps, for a file of tables of the kernel; "
        "metatomic, for a model that i-PI, torch-sim and ASE read; pt2, for a compiled program"
    )
    dtype: Literal["float64", "float32"] = Field(
        default="float64", description="Of numbers that a model of metatomic or pt2 computes with"
    )

    @model_validator(mode="after")
    def _tables_are_exact(self) -> "ExportOptions":
        if self.to == "lammps" and self.dtype != "float64":
            raise ValueError("dtype: tables for lammps are in float64")
        return self


#: Beginnings of the files: of tables, and of the archives that torch writes for others.
MARK = r"\A(?:atomplete potential, version \d+\n|PK\x03\x04(?s:.{26})(?:\.atomplete-|atomplete/))"


@verb(ExportOptions, FileOutput("export", MARK))
def export(
    model: Annotated[Path, typer.Argument(help="A model.pt that training wrote.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    options: ExportOptions,
) -> None:
    """Write a potential for an engine of molecular dynamics.

    All are for potentials linear in random Fourier features, as the presets of train make them.
    The file for LAMMPS holds all numbers that such a potential is computed from: a line with the
    version of the format, a line of JSON with units, elements, cutoff and the SHA-256 of all that
    follows, and arrays. A model of metatomic has energies of atoms and, after a fit in closed form,
    their uncertainty. A package pt2 is compiled for this machine, which takes minutes.

    Example: atomplete export runs/fit/model.pt --to lammps -o model.tables
    """
    from atomplete.checkpoint import load
    from atomplete.potentials.base import Potential

    potential = load(model, Potential)
    with about(model):
        _write(in_new_folder(output), potential, options)
    print(f"{options.to}: {output} ({output.stat().st_size / 1e6:.3g} MB)")


def _write(output: Path, potential: Any, options: ExportOptions) -> None:
    """Write a potential for the engine that is asked for."""
    import torch

    dtype = getattr(torch, options.dtype)
    if options.to == "lammps":
        from atomplete.kernel.file import write_tables

        write_tables(output, potential)
    elif options.to == "metatomic":
        from atomplete.engines.metatomic import write_metatomic

        write_metatomic(output, potential, dtype)
    else:
        from atomplete.engines.package import write_package

        write_package(output, potential, dtype)
