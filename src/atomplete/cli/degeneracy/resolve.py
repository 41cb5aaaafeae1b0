"""The verb ``resolve``: the directions of motion that a descriptor sees."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import BaseModel, ConfigDict, Field

from atomplete.cli.app import Trust, check_trusted, in_new_folder, naming
from atomplete.cli.options import verb
from atomplete.runs.outputs import FileOutput
from atomplete.units import Cutoff

DescriptorName = Annotated[
    str,
    typer.Argument(
        help="three_center, power_spectrum, bispectrum, ..., a YAML file with a spec, or any "
        "subject of an audit: file.py:function, dscribe:SOAP?n_max=6, ..."
    ),
]


class BasisOptions(BaseModel):
    """Options of verbs that look for what a descriptor cannot see around a centre."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    level: Literal["environment", "structure"] = Field(
        "environment", description="environment, of one centre, or structure"
    )
    center: int | None = Field(
        None, ge=0, description="Centre atom (default: that of the info, else 0)"
    )
    cutoff: Cutoff | None = Field(
        None,
        description="Radius of an environment in Å (default: 1.25 times the farthest atom)",
    )
    position_precision: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Largest error of a coordinate in Å, 0 for exact positions (default: half of "
        "the last decimal)",
    )
    max_radial: int | None = Field(None, ge=1, description="Radial functions of our own bases")
    max_angular: int | None = Field(None, ge=0, description="Largest l of our own bases")


class ResolveOptions(BasisOptions):
    """Options of ``resolve``."""

    sweep: int = Field(3, ge=0, description="Larger bases to try where there are zeros")
    follow: int = Field(0, ge=0, description="Steps of 0.02 Å along the softest direction")
    shortest: float = Field(0.8, gt=0, description="Distance of two atoms in Å that ends the path")


@verb(ResolveOptions, FileOutput("resolve", r'\A\[\s*\{\s*"subject":'))
def resolve(
    descriptor: DescriptorName,
    input: Annotated[Path, typer.Argument(help="File of structures.")],
    options: ResolveOptions,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="JSON to write.")] = None,
    trust: Trust = False,
) -> None:
    """Count the directions that a descriptor resolves around each structure.

    Zeros that symmetry requires are told from those of a degenerate descriptor and of a basis
    too small. Written into the folder of an audit as resolution.json, or resolution_NAME.json of
    several, the spectra are shown by atomplete report.

    Example: atomplete resolve power_spectrum b8.xyz -o resolution.json
    """
    from atomplete.audit import subject_of
    from atomplete.audit.resolution.local_table import format_table, resolution_rows
    from atomplete.data import read_structures
    from atomplete.runs.files import atomic_write

    check_trusted([descriptor], trust)
    structures = read_structures(input)
    destination = None if output is None else in_new_folder(output)
    with naming(input):
        rows = resolution_rows(subject_of(descriptor), structures, **options.model_dump())
    if destination is not None:
        content = [row.model_dump(mode="json") | {"file": input.name} for row in rows]
        with atomic_write(destination) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(format_table(rows))
