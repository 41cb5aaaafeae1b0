"""The verb ``search``: structures that a representation cannot tell apart, by optimisation."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import BaseModel, ConfigDict, Field

from atomplete.cli.app import ConfigFile, Quiet, app, in_new_folder
from atomplete.cli.blindness import (
    Center,
    Cutoff,
    Group,
    Level,
    MaxAngular,
    MaxRadial,
    Representation,
)
from atomplete.config import resolve as resolve_options
from atomplete.errors import InputError


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
    center: Center = None,
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
    from atomplete.audit.resolution.local_table import prepared
    from atomplete.audit.subjects.feature_maps import feature_map
    from atomplete.data import read_structures, write_structures
    from atomplete.data.xyz import check_output
    from atomplete.degenerate.search.found import labelled
    from atomplete.degenerate.search.near_pair import Target
    from atomplete.degenerate.search.search import Budget
    from atomplete.degenerate.search.search import search as search_pairs
    from atomplete.degenerate.search.starts import Limits

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
    check_output(output, source=input)
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
