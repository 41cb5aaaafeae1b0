"""Verbs that look for what a representation cannot see: ``resolve``, ``search``, ``subsets``."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import BaseModel, ConfigDict, Field

from atomplete.cli.app import ConfigFile, Quiet, app, in_new_folder, naming
from atomplete.config import resolve as resolve_options
from atomplete.errors import InputError

Representation = Annotated[
    str,
    typer.Argument(
        help="three_center, power_spectrum, bispectrum, ..., a YAML file with a spec, or any "
        "subject of an audit: file.py:function, dscribe:SOAP?n_max=6, ..."
    ),
]
Level = Annotated[
    str | None,
    typer.Option(help="environment, of one centre, or structure (default: environment)."),
]
Group = Annotated[
    str | None, typer.Option(help="O3, or SO3: enantiomers are different (default: O3).")
]
MaxRadial = Annotated[int | None, typer.Option(help="Radial functions of our own bases.")]
MaxAngular = Annotated[int | None, typer.Option(help="Largest l of our own bases.")]
Cutoff = Annotated[
    float | None,
    typer.Option(help="Radius of an environment in Å (default: 1.25 times the farthest atom)."),
]


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
    center: Annotated[
        int | None, typer.Option(help="Centre atom (default: that of the info, else 0).")
    ] = None,
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
    too small.

    Example: atomplete resolve power_spectrum b8.xyz -o resolution.json
    """
    from atomplete.audit.local_table import format_table, resolution_rows
    from atomplete.data import read_structures

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
    with naming(input):
        rows = resolution_rows(representation, structures, **options.model_dump())
    print(format_table(rows))
    if output is not None:
        _write_json(output, rows)


class SearchOptions(BaseModel):
    """Options of ``search``."""

    model_config = ConfigDict(extra="forbid")
    level: Literal["environment", "structure"] = "environment"
    group: Literal["O3", "SO3"] = "O3"
    index: int = Field(default=0, ge=0)
    center: int | None = Field(default=None, ge=0)
    cutoff: float | None = Field(default=None, gt=0)
    max_radial: int | None = Field(default=None, ge=1)
    max_angular: int | None = Field(default=None, ge=0)
    shortest: float = Field(default=0.8, gt=0)
    longest: float | None = Field(default=None, gt=0)
    move_both: bool = False
    from_families: bool = False
    starts: int = Field(default=200, ge=1)
    seconds: float = Field(default=300.0, gt=0)
    finds: int = Field(default=1, ge=1)
    least_nu: int = Field(default=0, ge=0, le=4)
    separation: float = Field(default=0.1, gt=0)
    feature_distance: float = Field(default=1e-8, gt=0)
    seed: int = Field(default=0, ge=0)


@app.command()
def search(
    representation: Representation,
    input: Annotated[Path, typer.Argument(help="File with the structure.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Extended XYZ file to write.")],
    index: Annotated[
        int | None, typer.Option(help="Which structure of the file (default: 0).")
    ] = None,
    level: Level = None,
    group: Group = None,
    center: Annotated[
        int | None, typer.Option(help="Centre atom (default: that of the info, else 0).")
    ] = None,
    cutoff: Cutoff = None,
    max_radial: MaxRadial = None,
    max_angular: MaxAngular = None,
    shortest: Annotated[
        float | None, typer.Option(help="Least distance in Å between atoms (default: 0.8).")
    ] = None,
    longest: Annotated[
        float | None,
        typer.Option(
            help="Largest distance in Å from the centre, or between atoms of a structure "
            "(default: that of the structure)."
        ),
    ] = None,
    move_both: Annotated[
        bool,
        typer.Option("--move-both", help="Look for any pair of this composition, not a double."),
    ] = False,
    from_families: Annotated[
        bool, typer.Option("--from-families", help="Start from known families before random ones.")
    ] = False,
    starts: Annotated[int | None, typer.Option(help="Most starts (default: 200).")] = None,
    seconds: Annotated[float | None, typer.Option(help="Most seconds (default: 300).")] = None,
    finds: Annotated[int | None, typer.Option(help="Pairs to find (default: 1).")] = None,
    least_nu: Annotated[
        int | None,
        typer.Option(
            help="Correlations that the pair shares in any basis: the order of the representation "
            "leaves out pairs that only a small basis makes equal (default: 0)."
        ),
    ] = None,
    separation: Annotated[
        float | None, typer.Option(help="Least congruence distance in Å (default: 0.1).")
    ] = None,
    feature_distance: Annotated[
        float | None, typer.Option(help="Largest relative feature distance (default: 1e-8).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the starts (default: 0).")] = None,
    config: ConfigFile = None,
    quiet: Quiet = False,
) -> None:
    """Search for structures that a representation cannot tell apart, by optimisation.

    Pairs are written with pair_id, sign and family "found", each checked by exact congruence.
    Without a find nothing is written; that proves nothing.

    Example: atomplete search power_spectrum ch4.xyz --move-both -o pairs.xyz
    """
    from atomplete.audit.feature_maps import feature_map
    from atomplete.audit.local_table import prepared
    from atomplete.data import read_structures, write_structures
    from atomplete.data.xyz import check_output
    from atomplete.degenerate.found import labelled
    from atomplete.degenerate.search import Budget, Target
    from atomplete.degenerate.search import search as search_pairs
    from atomplete.degenerate.starts import Limits

    given = {
        "level": level,
        "group": group,
        "index": index,
        "center": center,
        "cutoff": cutoff,
        "max_radial": max_radial,
        "max_angular": max_angular,
        "shortest": shortest,
        "longest": longest,
        "move_both": move_both or None,
        "from_families": from_families or None,
        "starts": starts,
        "seconds": seconds,
        "finds": finds,
        "least_nu": least_nu,
        "separation": separation,
        "feature_distance": feature_distance,
        "seed": seed,
    }
    options = resolve_options(SearchOptions, config, given)
    check_output(output)
    structures = read_structures(input)
    if options.index >= len(structures):
        raise InputError(f"{input}: no structure {options.index}, it holds {len(structures)}")
    try:
        atoms, farthest, radius = prepared(
            structures[options.index], options.level, options.center, options.cutoff
        )
    except InputError as error:
        raise InputError(f"{input}, structure {options.index}: {error}") from error
    limits = Limits(options.shortest, options.longest or 1.001 * farthest)
    if options.level == "environment" and limits.longest >= radius:
        raise InputError(f"longest {limits.longest:g} Å is not within the cutoff {radius:g} Å")
    basis = {"max_radial": options.max_radial, "max_angular": options.max_angular}
    features = feature_map(representation, atoms, options.level, radius, **basis)
    result = search_pairs(
        features,
        limits,
        move_both=options.move_both,
        from_families=options.from_families,
        budget=Budget(options.starts, options.seconds, options.finds),
        target=Target(
            options.feature_distance, options.separation, options.least_nu, options.group
        ),
        seed=options.seed,
        progress=not quiet,
    )
    print(result)
    for pair in result.finds:
        print(f"  {pair}")
    if result.finds:
        pairs = ((pair.plus, pair.minus, pair.measured()) for pair in result.finds)
        write_structures(in_new_folder(output), labelled(pairs, "found", options.level))
        print(f"{len(result.finds)} pairs in {output}")
    elif result.nearest is not None:
        print(f"nearest: {result.nearest}")


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
    from atomplete.degenerate.found import labelled
    from atomplete.degenerate.subsets import degenerate_subsets
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


def _write_json(path: Path, content: Any) -> None:
    from atomplete.files import atomic_write

    with atomic_write(in_new_folder(path)) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
