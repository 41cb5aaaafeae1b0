"""The verb ``subsets``: degenerate pairs among subsets of rings and polyhedra."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import BaseModel, ConfigDict, Field

from atomplete.cli.app import PAIRS, XYZ, in_new_folder
from atomplete.cli.options import verb
from atomplete.errors import InputError
from atomplete.runs.outputs import FileOutput


class SubsetsOptions(BaseModel):
    """Options of ``subsets``."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    nu: int = Field(2, ge=1, le=3, description="Order up to which correlations agree, 1 to 3")
    level: Literal["environment", "structure"] = Field(
        "environment", description="environment, of one centre, or structure"
    )
    group: Literal["O3", "SO3"] = Field("O3", description="O3, or SO3: enantiomers are different")
    center: bool = Field(True, description="Whether a structure has an atom in the middle too")
    spacing: float = Field(1.5, gt=0, le=1e3, description="Shortest distance of the vertices in Å")
    symbols: tuple[str, str] = Field(
        ("C", "C"), description="Species of the centre and of the vertices"
    )


@verb(SubsetsOptions, FileOutput("subsets", PAIRS, XYZ))
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
    options: SubsetsOptions,
) -> None:
    """Find all degenerate pairs among the subsets of the vertices of rings and polyhedra.

    Congruent subsets are left out. Of m subsets that agree, m - 1 pairs are written.

    Example: atomplete subsets prism:7+poles*1.3 7 --nu 3 -o pairs.xyz
    """
    from ase.data import atomic_numbers

    from atomplete.data import write_structures
    from atomplete.degenerate.labelled import labelled
    from atomplete.degenerate.subsets import degenerate_subsets
    from atomplete.degenerate.vertices import vertices as vertices_of

    for symbol in options.symbols:
        if symbol not in atomic_numbers:
            raise InputError(f"symbols: {symbol!r} is no element")
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
    found = ((pair.plus, pair.minus, {"vertices": vertices, **pair.measured()}) for pair in pairs)
    if pairs:
        write_structures(in_new_folder(output), labelled(found, "subsets", options.level))
    for order in sorted({pair.degenerate_nu for pair in pairs}):
        count = sum(pair.degenerate_nu == order for pair in pairs)
        print(f"{count} pairs that agree up to nu = {order}")
    print(f"{len(pairs)} pairs in {output}" if pairs else "no pairs")
