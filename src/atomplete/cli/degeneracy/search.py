"""The verb ``search``: structures that a descriptor cannot tell apart, by optimisation."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import Field

from atomplete.cli.app import PAIRS, XYZ, Quiet, Trust, check_trusted, in_new_folder
from atomplete.cli.degeneracy.resolve import BasisOptions, DescriptorName
from atomplete.cli.options import verb
from atomplete.errors import InputError
from atomplete.runs.outputs import FileOutput


class SearchOptions(BasisOptions):
    """Options of ``search``."""

    index: int = Field(0, ge=0, description="Index of the structure in the file")
    group: Literal["O3", "SO3"] = Field("O3", description="O3, or SO3: enantiomers are different")
    shortest: float = Field(0.8, gt=0, description="Least distance in Å between atoms")
    longest: float | None = Field(
        None,
        gt=0,
        description="Largest distance in Å from the centre, or between atoms of a structure "
        "(default: that of the structure)",
    )
    move_both: bool = Field(
        False, description="Look for any pair of this composition, not a double"
    )
    from_families: bool = Field(False, description="Start from known families before random ones")
    starts: int = Field(200, ge=1, description="Largest number of starts")
    seconds: float = Field(300.0, gt=0, description="Largest number of seconds")
    finds: int = Field(1, ge=1, description="Pairs to find")
    least_nu: int = Field(
        0,
        ge=0,
        le=4,
        description="Smallest ν up to which the two structures must agree in the limit of a "
        "complete basis; the ν of the descriptor leaves out pairs due to a small basis",
    )
    structural_distance: float = Field(0.1, gt=0, description="Least congruence distance in Å")
    feature_distance: float = Field(1e-8, gt=0, description="Largest relative feature distance")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the starts")


@verb(SearchOptions, FileOutput("search", PAIRS, XYZ))
def search(
    descriptor: DescriptorName,
    input: Annotated[Path, typer.Argument(help="File with the structure.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Extended XYZ file to write.")],
    options: SearchOptions,
    trust: Trust = False,
    quiet: Quiet = False,
) -> None:
    """Search for structures that a descriptor cannot tell apart, by optimisation.

    Pairs are written with pair_id, sign and family "found", each checked by exact congruence.
    Without a find nothing is written; that proves nothing.

    Example: atomplete search power_spectrum ch4.xyz --move-both -o pairs.xyz
    """
    from atomplete.audit import subject_of
    from atomplete.audit.feature_map import FeatureMap
    from atomplete.audit.precision import precision_of
    from atomplete.audit.resolution.local_table import in_basis, prepared
    from atomplete.audit.search.near_pair import Target
    from atomplete.audit.search.search import Budget
    from atomplete.audit.search.search import search as search_pairs
    from atomplete.audit.search.starts import Limits
    from atomplete.data import read_structures, write_structures
    from atomplete.degenerate.labelled import labelled

    check_trusted([descriptor], trust)
    structures = read_structures(input)
    if options.index >= len(structures):
        raise InputError(f"{input}: no structure {options.index}, it holds {len(structures)}")
    subject = subject_of(descriptor)
    cutoff = options.cutoff or subject.cutoff
    try:
        atoms, farthest, radius = prepared(
            structures[options.index], options.level, options.center, cutoff
        )
    except InputError as error:
        raise InputError(f"{input}, structure {options.index}: {error}") from error
    limits = Limits(options.shortest, options.longest or 1.001 * farthest)
    if options.level == "environment" and limits.longest >= radius:
        raise InputError(f"longest {limits.longest:g} Å is not within the cutoff {radius:g} Å")
    features = FeatureMap(subject, atoms, options.level, radius)
    features = in_basis(features, options.max_radial, options.max_angular)
    precision = precision_of(structures[options.index], options.position_precision)
    result = search_pairs(
        features,
        limits,
        move_both=options.move_both,
        from_families=options.from_families,
        budget=Budget(options.starts, options.seconds, options.finds),
        target=Target(
            options.feature_distance, options.structural_distance, options.least_nu, options.group
        ),
        precision=precision,
        seed=options.seed,
        progress=not quiet,
    )
    if result.finds:
        pairs = ((pair.plus, pair.minus, pair.measured()) for pair in result.finds)
        write_structures(in_new_folder(output), labelled(pairs, "found", options.level))
    print(result)
    for pair in result.finds:
        print(f"  {pair}")
    if precision and not options.move_both:
        print(f"coordinates are worth {precision:.0e} Å: features agree as far as that tells")
    if result.finds:
        print(f"{len(result.finds)} pairs in {output}")
    elif result.nearest is not None:
        print(f"nearest: {result.nearest}")
