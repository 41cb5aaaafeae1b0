"""Verbs from and to structures: ``generate`` and ``featurize``."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from atomplete.cli.app import PAIRS, XYZ, Quiet, in_new_folder, naming
from atomplete.cli.options import Given, bytes_of, verb
from atomplete.config import descriptor_of
from atomplete.runs.outputs import FileOutput, FolderOutput
from atomplete.units import Cutoff


class GenerateOptions(BaseModel):
    """Options of ``generate``."""

    model_config = ConfigDict(extra="forbid")
    n: int = Field(100, ge=1, description="Number of pairs")
    seed: int | None = Field(
        None, ge=0, lt=2**32, description="Seed (default: the family's own; for b8 the paper's)"
    )


@verb(GenerateOptions, FileOutput("generate", PAIRS, XYZ))
def generate(
    family: Annotated[
        str, typer.Argument(help="b8, distances, prl_nu2, prl_nu3, chiral, antipodal, polyhedra, …")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Extended XYZ file to write.")],
    options: GenerateOptions,
) -> None:
    """Write degenerate pairs: different structures with the same features.

    Example: atomplete generate b8 -n 4000 -o b8.xyz
    """
    from atomplete.data import write_structures
    from atomplete.degenerate.families.registry import generate as generate_pairs

    structures = generate_pairs(family, options.n, options.seed)
    write_structures(in_new_folder(output), structures)
    print(f"{options.n} pairs of family {family} in {output}")


class FeaturizeOptions(BaseModel):
    """Options of ``featurize``; unlike those of the library, all in one level."""

    model_config = ConfigDict(extra="forbid")
    descriptor: str | dict[str, Any] = Field(
        "three_center",
        description="radial_spectrum, power_spectrum, bispectrum, density_correlations, pair, "
        "pair_nu2, three_center or random_fourier (default: three_center); the YAML file may give "
        "a whole spec, and of nice must",
    )
    cutoff: Cutoff | None = Field(
        None, description="Cutoff in Å (default: that of the descriptor, 2 or 5)"
    )
    tag_cutoff: Cutoff | None = Field(
        None,
        description="Radius in Å of the neighbours that are tagged, no larger than the cutoff, "
        "which stays that of the density (default: the cutoff)",
    )
    components: tuple[int, int] | None = Field(
        None,
        description="Scalars and pseudoscalars to keep of three-centre rows (default: all)",
    )
    centers: Literal["auto", "all", "info"] = Field(
        "auto",
        description="all atoms, or info: the atom that 'center' in a structure's info names "
        "(default: info where all structures have it, else all)",
    )
    dtype: Literal["float32", "float64"] = Field("float64", description="float32 or float64")
    memory: Annotated[int, BeforeValidator(bytes_of)] = Field(
        "2GB",
        validate_default=True,
        description="Bound on the memory for features, like 4GB or 512MB",
    )


@verb(FeaturizeOptions, FolderOutput("featurize", ("features.h5", "descriptor.pt")))
def featurize(
    input: Annotated[Path, typer.Argument(help="File of structures.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")],
    given: Given,
    quiet: Quiet = False,
) -> None:
    """Write features with their row labels to OUTPUT/features.h5, in bounded memory.

    Example: atomplete featurize labelled.xyz --descriptor three_center -o features
    """
    import torch

    from atomplete.checkpoint import save
    from atomplete.data import read_structures
    from atomplete.featurize import featurize as write_features

    options = given.resolved(FeaturizeOptions)
    structures = read_structures(input)
    descriptor = descriptor_of(
        options.descriptor,
        source=f"{given.file}: descriptor",  # where it is more than a name
        structures=structures,
        cutoff=options.cutoff,
        tag_cutoff=options.tag_cutoff,
        components=options.components,
    )
    with naming(input):
        write_features(
            structures,
            descriptor,
            output / "features.h5",
            centers=options.centers,
            dtype=getattr(torch, options.dtype),
            memory=options.memory,
            progress=not quiet,
        )
    save(output / "descriptor.pt", descriptor)
    if not quiet:
        for kept in descriptor.kept:
            print(kept)
    print(f"features of {len(structures)} structures in {output / 'features.h5'}")
