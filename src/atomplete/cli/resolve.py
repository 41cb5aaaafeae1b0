"""The verb ``resolve``: the directions of motion that a representation sees."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import BaseModel, ConfigDict, Field

from atomplete.cli.app import ConfigFile, app, in_new_folder, naming
from atomplete.cli.blindness import Center, Cutoff, Level, MaxAngular, MaxRadial, Representation
from atomplete.config import resolve as resolve_options


class ResolveOptions(BaseModel):
    """Options of ``resolve``."""

    model_config = ConfigDict(extra="forbid")
    level: Literal["environment", "structure"] = "environment"
    center: int | None = Field(default=None, ge=0)
    cutoff: float | None = Field(default=None, gt=0)
    max_radial: int | None = Field(default=None, ge=1)
    max_angular: int | None = Field(default=None, ge=0)
    sweep: int = Field(default=3, ge=0)
    follow: int = Field(default=0, ge=0)
    shortest: float = Field(default=0.8, gt=0)


@app.command()
def resolve(
    representation: Representation,
    input: Annotated[Path, typer.Argument(help="File of structures.")],
    level: Level = None,
    center: Center = None,
    cutoff: Cutoff = None,
    max_radial: MaxRadial = None,
    max_angular: MaxAngular = None,
    sweep: Annotated[
        int | None, typer.Option(help="Larger bases to try where there are zeros (default: 3).")
    ] = None,
    follow: Annotated[
        int | None,
        typer.Option(help="Steps of 0.02 Å along the softest direction (default: 0)."),
    ] = None,
    shortest: Annotated[
        float | None, typer.Option(help="Distance in Å at which that path ends (default: 0.8).")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="JSON to write.")] = None,
    config: ConfigFile = None,
) -> None:
    """Count the directions that a representation resolves around each structure.

    Zeros that symmetry requires are told from those of a degenerate representation and of a basis
    too small. Written into the folder of an audit as resolution.json, or resolution_NAME.json of
    several, the spectra are shown by atomplete report.

    Example: atomplete resolve power_spectrum b8.xyz -o resolution.json
    """
    from atomplete.audit.resolution.local_table import format_table, resolution_rows
    from atomplete.data import read_structures
    from atomplete.runs.files import atomic_write

    given = {
        "level": level,
        "center": center,
        "cutoff": cutoff,
        "max_radial": max_radial,
        "max_angular": max_angular,
        "sweep": sweep,
        "follow": follow,
        "shortest": shortest,
    }
    options = resolve_options(ResolveOptions, config, given)
    structures = read_structures(input)
    destination = None if output is None else in_new_folder(output)
    with naming(input):
        rows = resolution_rows(representation, structures, **options.model_dump())
    print(format_table(rows))
    if destination is not None:
        content = [{"file": input.name, **row} for row in rows]
        with atomic_write(destination) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
