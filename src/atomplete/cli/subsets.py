"""The verb ``subsets``: degenerate pairs among subsets of rings and polyhedra."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import BaseModel, ConfigDict, Field

from atomplete.cli.app import ConfigFile, app, in_new_folder
from atomplete.cli.blindness import Group, Level
from atomplete.config import resolve as resolve_options
from atomplete.errors import InputError


class SubsetsOptions(BaseModel):
    """Options of ``subsets``."""

    model_config = ConfigDict(extra="forbid")
    nu: int = Field(default=2, ge=1, le=3)
    level: Literal["environment", "structure"] = "environment"
    group: Literal["O3", "SO3"] = "O3"
    center: bool = True
    spacing: float = Field(default=1.5, gt=0)
    symbols: tuple[str, str] = ("C", "C")


@app.command()
def subsets(
    vertices: Annotated[
        str,
        typer.Argument(
            help="ring:N, prism:N, antiprism:N, tetrahedron, cube, octahedron, icosahedron, "
            "dodecahedron, poles; *S scales, + joins: prism:7+poles*1.3"
        ),
    ],
    size: Annotated[int, typer.Argument(help="Vertices in a subset.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Extended XYZ file to write.")],
    nu: Annotated[
        int | None, typer.Option(help="Order up to which correlations agree, 1 to 3 (default: 2).")
    ] = None,
    level: Level = None,
    group: Group = None,
    center: Annotated[
        bool | None,
        typer.Option(
            "--center/--no-center", help="Whether a structure has an atom in the middle too."
        ),
    ] = None,
    spacing: Annotated[
        float | None, typer.Option(help="Shortest distance of the vertices in Å (default: 1.5).")
    ] = None,
    symbols: Annotated[
        tuple[str, str] | None,
        typer.Option(help="Species of the centre and of the vertices (default: C C)."),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Find all degenerate pairs among the subsets of the vertices of rings and polyhedra.

    Congruent subsets are left out. Of m subsets that agree, m - 1 pairs are written.

    Example: atomplete subsets prism:7+poles*1.3 7 --nu 3 -o pairs.xyz
    """
    from ase.data import atomic_numbers

    from atomplete.data import write_structures
    from atomplete.data.xyz import check_output
    from atomplete.degenerate.search.found import labelled
    from atomplete.degenerate.search.subsets import degenerate_subsets
    from atomplete.degenerate.vertices import vertices as vertices_of

    given = {
        "nu": nu,
        "level": level,
        "group": group,
        "center": center,
        "spacing": spacing,
        "symbols": symbols,
    }
    options = resolve_options(SubsetsOptions, config, given)
    for symbol in options.symbols:
        if symbol not in atomic_numbers:
            raise InputError(f"symbols: {symbol!r} is no element")
    check_output(output)
    pairs = degenerate_subsets(
        vertices_of(vertices),
        size,
        options.nu,
        level=options.level,
        with_center=options.center,
        group=options.group,
        spacing=options.spacing,
        symbols=options.symbols,
    )
    for order in sorted({pair.degenerate_nu for pair in pairs}):
        count = sum(pair.degenerate_nu == order for pair in pairs)
        print(f"{count} pairs that agree up to nu = {order}")
    if not pairs:
        print("no pairs")
        return
    found = ((pair.plus, pair.minus, {"vertices": vertices, **pair.measured()}) for pair in pairs)
    write_structures(in_new_folder(output), labelled(found, "subsets", options.level))
    print(f"{len(pairs)} pairs in {output}")
