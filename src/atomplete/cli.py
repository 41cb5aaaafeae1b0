"""Command line: verbs that are thin over library functions.

Heavy packages are imported inside the verbs, so that ``--help`` answers at once.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import BaseModel, ConfigDict, Field

from atomplete.config import resolve
from atomplete.errors import InputError, MissingExtraError

app = typer.Typer(
    name="atomplete",
    help="Complete representations of atomic environments, and models built on them.\n\n"
    "Start with: atomplete reproduce --pairs 60 --budget smoke -o runs/smoke",
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="YAML file of options (name: value); the command line wins."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]


#: What typer raises for a wrong command line: the parent of its public exception.
UsageError: Any = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command line; bad input ends with one sentence and exit code 2."""
    # Threads that wait must sleep: spinning ones stall training several times over as soon as
    # another process wants a core. It has to be set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = app(args=sys.argv[1:] or ["--help"], standalone_mode=False)
    except (InputError, MissingExtraError) as error:
        print(f"atomplete: {error}", file=sys.stderr)
        code = 2
    except UsageError as error:
        message = " ".join(error.format_message().split()).rstrip(".")
        print(f"atomplete: {message}; see --help", file=sys.stderr)
        code = 2
    except OSError as error:
        print(f"atomplete: {error.filename or 'system'}: {error.strerror}", file=sys.stderr)
        code = 2
    if code == 130:  # typer's answer to Ctrl-C
        print("atomplete: interrupted; the same command goes on from here", file=sys.stderr)
    sys.exit(code)


class GenerateOptions(BaseModel):
    """Options of ``generate``."""

    model_config = ConfigDict(extra="forbid")
    n: int = Field(default=100, ge=1)
    seed: int | None = Field(default=None, ge=0)


@app.command()
def generate(
    family: Annotated[
        str, typer.Argument(help="b8, distances, prl_nu2, prl_nu3, chiral, antipodal or controls.")
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
    from atomplete.degenerate.families import generate as generate_pairs

    options = resolve(GenerateOptions, config, {"n": n, "seed": seed})
    structures = generate_pairs(family, options.n, options.seed)
    write_structures(_file_in_folder(output), structures)
    print(f"{options.n} pairs of family {family} in {output}")


class LabelOptions(BaseModel):
    """Options of ``label``."""

    model_config = ConfigDict(extra="forbid")
    method: str = "xtb"
    settings: dict[str, Any] = Field(default_factory=dict)
    workers: int = Field(ge=1)
    nice: int = Field(default=0, ge=0, le=19)
    time_limit: float | None = Field(default=None, gt=0)
    scheduler: str | None = None
    slurm: Path | None = None
    slice: str = ":"
    limit: int | None = Field(default=None, ge=1)
    max_hours: float | None = Field(default=None, gt=0)
    retry_failed: bool = False
    skip_unreadable: bool = False
    merge: list[Path] = Field(default_factory=list)
    licence: str = "not stated"


class SlurmOptions(BaseModel):
    """Number of jobs; all else goes to dask-jobqueue."""

    model_config = ConfigDict(extra="allow")
    jobs: int = Field(default=1, ge=1)


@app.command()
def label(
    input: Annotated[Path, typer.Argument(help="File of structures.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Extended XYZ file to write.")],
    method: Annotated[
        str | None,
        typer.Option(
            help="xtb, pbe, or an ASE calculator: ase:emt, ase:package.module:Class, "
            "file.py:function (default: xtb)."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes (default: one for each core).")
    ] = None,
    nice: Annotated[int | None, typer.Option(help="Niceness to add to the processes.")] = None,
    time_limit: Annotated[
        float | None, typer.Option(help="Seconds after which one calculation is killed.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, to compute there.")
    ] = None,
    slurm: Annotated[
        Path | None,
        typer.Option(help="YAML file: jobs, and options of dask-jobqueue; compute in SLURM jobs."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the SLURM job script and end.")
    ] = False,
    part: Annotated[
        str | None, typer.Option("--slice", help="A:B, structures A to B - 1 of the file.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="New calculations in this run.")] = None,
    max_hours: Annotated[
        float | None, typer.Option(help="Hours after which no new calculation begins.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed for good.")
    ] = False,
    skip_unreadable: Annotated[
        bool,
        typer.Option("--skip-unreadable", help="Go on without structures that cannot be used."),
    ] = False,
    merge: Annotated[
        list[Path] | None,
        typer.Option(help="Journal of another machine to take labels from; may be repeated."),
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Licence, for the card.")] = None,
    config: ConfigFile = None,
    quiet: Quiet = False,
) -> None:
    """Compute energies and forces; an interrupted run goes on where it was.

    Finished labels are kept in OUTPUT.journal.jsonl; OUTPUT.card.yaml says what the numbers
    are. Methods take settings from the YAML file, such as `settings: {recipe: paper}` for pbe.

    Example: atomplete label b8.xyz -o labelled.xyz --method xtb
    """
    given = {
        "method": method,
        "workers": workers,
        "nice": nice,
        "time_limit": time_limit,
        "scheduler": scheduler,
        "slurm": slurm,
        "slice": part,
        "limit": limit,
        "max_hours": max_hours,
        "retry_failed": retry_failed or None,
        "skip_unreadable": skip_unreadable or None,
        "merge": merge or None,
        "licence": licence,
    }
    options = resolve(LabelOptions, config, given, {"workers": _cores()})
    if dry_run:
        if options.slurm is None:
            raise InputError("--dry-run prints the job script of --slurm, which is not given")
        with _slurm_cluster(options.slurm, submit=False) as cluster:
            print(cluster.job_script())
        return

    from atomplete.labels import Selection, get_method, label_file

    selection = Selection(
        options.slice,
        options.limit,
        options.max_hours,
        options.retry_failed,
        options.skip_unreadable,
    )
    labels_of = get_method(options.method, **options.settings)
    with _label_workers(options) as machine:
        summary = label_file(
            input,
            output,
            labels_of,
            workers=machine,
            progress=not quiet,
            selection=selection,
            merge=options.merge,
            licence=options.licence,
        )
    print(summary)
    for index, reason in summary.failed:
        print(f"structure {index} failed: {reason}", file=sys.stderr)
    for conflict in summary.conflicts:
        print(f"conflict, {conflict}", file=sys.stderr)


class FeaturizeOptions(BaseModel):
    """Options of ``featurize``; unlike those of the library, all in one level."""

    model_config = ConfigDict(extra="forbid")
    representation: str | dict[str, Any] = "three_center"
    cutoff: float | None = Field(default=None, gt=0)
    components: tuple[int, int] | None = None
    centers: Literal["auto", "all", "info"] = "auto"
    dtype: Literal["float32", "float64"] = "float64"
    memory: float = Field(default=1.0, gt=0)


@app.command()
def featurize(
    input: Annotated[Path, typer.Argument(help="File of structures.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")],
    representation: Annotated[
        str | None,
        typer.Option(
            help="three_center, density_correlations, radial_spectrum, power_spectrum or "
            "bispectrum (default: three_center); the YAML file may give a whole spec."
        ),
    ] = None,
    cutoff: Annotated[float | None, typer.Option(help="Cutoff in Å (default: 2).")] = None,
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
        float | None, typer.Option(help="Memory for features, GB (default: 1).")
    ] = None,
    config: ConfigFile = None,
    quiet: Quiet = False,
) -> None:
    """Write features with their row labels to OUTPUT/features.h5, in bounded memory.

    Example: atomplete featurize labelled.xyz --representation three_center -o features
    """
    import torch

    from atomplete.data import read_structures
    from atomplete.featurize import featurize as write_features
    from atomplete.models.checkpoint import write_tensors

    given = {
        "representation": representation,
        "cutoff": cutoff,
        "components": components,
        "centers": centers,
        "dtype": dtype,
        "memory": memory,
    }
    options = resolve(FeaturizeOptions, config, given)
    structures = read_structures(input)
    species = sorted({int(z) for atoms in structures for z in atoms.numbers})
    spec = _representation_spec(options, species)
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: a file, not a folder")
    with _naming(input):
        fitted = write_features(
            structures,
            spec,
            output / "features.h5",
            centers=options.centers,
            dtype=getattr(torch, options.dtype),
            chunk_bytes=int(options.memory * 2**30 / 2),
            progress=not quiet,
        )
    content = {"spec": spec.model_dump_json(), "state": fitted.state_dict()}
    write_tensors(output / "representation.pt", content)
    print(f"features of {len(structures)} structures in {output / 'features.h5'}")


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="A model.pt that training wrote.")],
    input: Annotated[Path, typer.Argument(help="File of structures.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Extended XYZ file to write.")],
) -> None:
    """Predict energies with a trained model; with labels in the file, also print the errors.

    Example: atomplete evaluate runs/b8/B_NL/model.pt b8.xyz -o predicted.xyz
    """
    import numpy as np

    from atomplete.data import read_structures, write_structures
    from atomplete.models import load

    fitted = load(model)
    structures = read_structures(input)
    with _naming(input):
        predicted = fitted.predict(structures).numpy()
    labelled = [atoms.calc is not None and "energy" in atoms.calc.results for atoms in structures]
    for atoms, energy in zip(structures, predicted, strict=True):
        atoms.info["predicted_energy"] = float(energy)
    write_structures(_file_in_folder(output), structures)
    print(f"energies of {len(structures)} structures in {output}")
    if all(labelled):
        errors = predicted - np.array([atoms.get_potential_energy() for atoms in structures])
        print(f"root mean square error {np.sqrt(np.mean(errors**2)):.4f} eV")


@app.command()
def reproduce(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")],
    pairs: Annotated[
        int | None, typer.Option(help="How many of the paper's pairs (default: 4000).")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="xtb, computed here; pbe, the dataset in the package; or a labelled file "
            "(default: xtb)."
        ),
    ] = None,
    rows: Annotated[
        str | None, typer.Option(help="Rows to fill, such as B_NL,D_NL (default: all).")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="smoke, standard or paper (default: standard).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of split and training (default: 0).")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes for labels (default: one for each core).")
    ] = None,
    config: ConfigFile = None,
    quiet: Quiet = False,
) -> None:
    """Fill the table of models of arXiv:2302.14770, from degenerate pairs to errors.

    Pairs, labels, trained rows and epochs that an earlier run finished in OUTPUT are used
    again. Writes table.json, parity.png, difference.png, and run.json with options, versions
    and the hash of the data.

    Example: atomplete reproduce --pairs 60 --budget smoke -o runs/smoke
    """
    from atomplete.paper import ReproduceOptions, format_table
    from atomplete.paper import reproduce as fill_table
    from atomplete.report import plot_pairs

    given = {
        "pairs": pairs,
        "labels": labels,
        "rows": None if rows is None else [name.strip() for name in rows.split(",")],
        "budget": budget,
        "seed": seed,
        "workers": workers,
    }
    defaults = {"workers": _cores()}
    options = resolve(ReproduceOptions, config, given, defaults)
    table = fill_table(options, output, progress=not quiet)
    plots = plot_pairs(table, output)
    print(format_table(table))
    print(f"\ntable.json, {', '.join(plot.name for plot in plots)} and run.json in {output}")


def _representation_spec(options: FeaturizeOptions, species: list[int]) -> Any:
    from atomplete.config import checked
    from atomplete.representations import NAMED, RepresentationOptions

    given = options.representation
    if isinstance(given, dict):
        content, source = dict(given), "representation"
    elif given in NAMED:
        content, source = NAMED[given].model_dump(exclude={"expansion": {"species"}}), given
    else:
        raise InputError(f"unknown representation {given}; known: {', '.join(NAMED)}")
    expansion = content.get("expansion", {})
    if isinstance(expansion, dict):  # anything else is refused below, by name
        content["expansion"] = expansion = {"species": species, **expansion}
        if options.cutoff is not None:
            expansion["cutoff"] = options.cutoff
    if options.components is not None:
        content["components"] = options.components
    return checked(RepresentationOptions, {"spec": content}, source).spec


@contextmanager
def _label_workers(options: LabelOptions) -> Iterator[Any]:
    from atomplete.labels import DaskWorkers, LocalWorkers, dask_client

    if options.scheduler is not None and options.slurm is not None:
        raise InputError("options scheduler and slurm exclude each other")
    with ExitStack() as stack:
        address = options.scheduler
        if options.slurm is not None:
            address = stack.enter_context(_slurm_cluster(options.slurm)).scheduler_address
        if address is None:
            yield LocalWorkers(options.workers, options.nice, options.time_limit)
        else:
            client = stack.enter_context(dask_client(address))
            yield DaskWorkers(client, options.nice, options.time_limit)


def _slurm_cluster(file: Path, submit: bool = True) -> Any:
    from atomplete.labels import slurm_cluster

    options = resolve(SlurmOptions, file, {}).model_dump()
    jobs = options.pop("jobs")
    return slurm_cluster(options, jobs if submit else 0)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in sentences about one of its structures."""
    try:
        yield
    except InputError as error:
        if str(error).startswith("structure "):
            raise InputError(f"{path}, {error}") from error
        raise


def _file_in_folder(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    main()
