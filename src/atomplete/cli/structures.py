"""Verbs from and to structures: ``generate`` and ``featurize``."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from atomplete.cli.app import ConfigFile, Quiet, app, in_new_folder, naming
from atomplete.config import representation_spec, resolve
from atomplete.errors import InputError
from atomplete.units import bytes_of


class GenerateOptions(BaseModel):
    """Options of ``generate``."""

    model_config = ConfigDict(extra="forbid")
    n: int = Field(default=100, ge=1)
    seed: int | None = Field(default=None, ge=0)


@app.command()
def generate(
    family: Annotated[
        str, typer.Argument(help="b8, distances, prl_nu2, prl_nu3, chiral, antipodal, polyhedra, …")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Extended XYZ file to write.")],
    n: Annotated[int | None, typer.Option("-n", help="Number of pairs (default: 100).")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed (default: the family's own; for b8 the paper's).")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Write degenerate pairs: different structures with the same features.

    Example: atomplete generate b8 -n 4000 -o b8.xyz
    """
    from atomplete.data import write_structures
    from atomplete.degenerate.families.registry import generate as generate_pairs

    options = resolve(GenerateOptions, config, {"n": n, "seed": seed})
    structures = generate_pairs(family, options.n, options.seed)
    write_structures(in_new_folder(output), structures)
    print(f"{options.n} pairs of family {family} in {output}")


class FeaturizeOptions(BaseModel):
    """Options of ``featurize``; unlike those of the library, all in one level."""

    model_config = ConfigDict(extra="forbid")
    representation: str | dict[str, Any] = "three_center"
    cutoff: float | None = Field(default=None, gt=0)
    tag_cutoff: float | None = Field(default=None, gt=0)
    components: tuple[int, int] | None = None
    centers: Literal["auto", "all", "info"] = "auto"
    dtype: Literal["float32", "float64"] = "float64"
    memory: Annotated[int, BeforeValidator(bytes_of)] = 2 * 10**9


@app.command()
def featurize(
    input: Annotated[Path, typer.Argument(help="File of structures.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")],
    representation: Annotated[
        str | None,
        typer.Option(
            help="radial_spectrum, power_spectrum, bispectrum, density_correlations, pair, "
            "pair_nu2 or three_center (default: three_center); the YAML file may give a whole "
            "spec, and of nice must."
        ),
    ] = None,
    cutoff: Annotated[float | None, typer.Option(help="Cutoff in Å (default: 2).")] = None,
    tag_cutoff: Annotated[
        float | None,
        typer.Option(
            help="Radius in Å of the neighbours that are tagged, no larger than the cutoff, which "
            "stays that of the density (default: the cutoff)."
        ),
    ] = None,
    components: Annotated[
        tuple[int, int] | None,
        typer.Option(help="Scalars and pseudoscalars to keep of three-centre rows (default: all)."),
    ] = None,
    centers: Annotated[
        str | None,
        typer.Option(
            help="all atoms, or info: the atom that 'center' in a structure's info names "
            "(default: info where all structures have it, else all)."
        ),
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32 or float64 (default: float64).")
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(help="Bound on the memory for features, like 4GB or 512MB (default: 2GB)."),
    ] = None,
    config: ConfigFile = None,
    quiet: Quiet = False,
) -> None:
    """Write features with their row labels to OUTPUT/features.h5, in bounded memory.

    Example: atomplete featurize labelled.xyz --representation three_center -o features
    """
    import torch

    from atomplete.checkpoint import save
    from atomplete.data import read_structures
    from atomplete.featurize import featurize as write_features

    given = {
        "representation": representation,
        "cutoff": cutoff,
        "tag_cutoff": tag_cutoff,
        "components": components,
        "centers": centers,
        "dtype": dtype,
        "memory": memory,
    }
    options = resolve(FeaturizeOptions, config, given)
    structures = read_structures(input)
    in_file = config is not None and representation is None
    spec = representation_spec(
        options.representation,
        source=f"{config}: representation" if in_file else "representation",
        structures=structures,
        cutoff=options.cutoff,
        tag_cutoff=options.tag_cutoff,
        components=options.components,
    )
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: a file, not a folder")
    with naming(input):
        fitted = write_features(
            structures,
            spec,
            output / "features.h5",
            centers=options.centers,
            dtype=getattr(torch, options.dtype),
            memory=options.memory,
            progress=not quiet,
        )
    save(output / "descriptor.pt", fitted)
    if not quiet:
        for kept in getattr(fitted, "kept", ()):
            print(kept)
    print(f"features of {len(structures)} structures in {output / 'features.h5'}")
