"""Verb of what goes beyond the table: ``study``."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atomplete.cli.app import ConfigFile, Quiet, app, cores
from atomplete.cli.models import BudgetName, Labels, Pairs, Rows, Workers, listed
from atomplete.config import resolve
from atomplete.errors import InputError

if TYPE_CHECKING:  # --help needs neither
    from atomplete.paper import AblationOptions, ReproduceOptions


class Study(StrEnum):
    """What ``study`` can find out."""

    LATENT_SIZE = "latent-size"
    OBJECTIVES = "objectives"
    ABLATION = "ablation"
    LEARNING_CURVE = "learning-curve"


@app.command()
def study(
    name: Annotated[Study, typer.Argument(help="What to find out.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")],
    pairs: Pairs = None,
    labels: Labels = None,
    rows: Rows = None,
    budget: BudgetName = None,
    seeds: Annotated[
        str | None, typer.Option(help="Such as 0,1,2 (default: 0; of ablation: 0,1,2).")
    ] = None,
    workers: Workers = None,
    config: ConfigFile = None,
    quiet: Quiet = False,
) -> None:
    """Ask what the table leaves open: latents, tags and correlations, numbers of pairs.

    latent-size: errors of the row A_NL_rho against the size of its latent, from 8 to 512
    numbers. objectives: latents trained to contain ν = 7 features, to match distances between
    environments, and to have a Jacobian of full rank, with what each resolves. Both take the
    first seed.

    ablation: representations with 0 to 2 tagged neighbours and correlations to ν = 7, on B8 (800
    pairs by default) and on the union of families of degenerate environments; it has neither
    rows nor budget, but options of its own for YAML. learning-curve: ROWS trained on an eighth
    of the pairs up to all, extrapolated to the 3500 of the paper; no other study looks at ROWS.

    Writes latent_size.json, objectives.json, ablation.json or learning_curve.json. OUTPUT may be
    the folder of a table, whose labels are used then, and whose next report shows the study; what
    an earlier run finished is not done again.

    Example: atomplete study latent-size --pairs 60 --budget smoke -o runs/smoke
    """
    from atomplete.paper import AblationOptions, ReproduceOptions

    shared = {"labels": labels, "seeds": listed(seeds), "workers": workers}
    defaults = {"workers": cores()}
    if name is Study.ABLATION:
        if rows is not None or budget is not None:
            raise InputError("study ablation has neither rows nor a budget")
        given = shared | {"b8_pairs": pairs}
        _ablation(resolve(AblationOptions, config, given, defaults), output, not quiet)
    else:
        given = shared | {"pairs": pairs, "rows": listed(rows), "budget": budget}
        options = resolve(ReproduceOptions, config, given, defaults)
        of_table = {
            Study.LATENT_SIZE: _latent_size,
            Study.OBJECTIVES: _objectives,
            Study.LEARNING_CURVE: _learning_curve,
        }
        of_table[name](options, output, not quiet)
    print(f"\n{name.replace('-', '_')}.json in {output}")


def _latent_size(options: "ReproduceOptions", output: Path, progress: bool) -> None:
    from atomplete.paper import latent_sizes

    found = latent_sizes(options, output, progress=progress)
    print("numbers in xi~   pair mean   pair difference")
    for size in found:
        print(f"{size.latent:14d} {size.mean_error:11.4f} {size.difference_error:17.4f}")


def _objectives(options: "ReproduceOptions", output: Path, progress: bool) -> None:
    from atomplete.paper import objectives

    found = objectives(options, output, progress=progress)
    print("objective   separation   rank of 3n-6   pair mean   pair difference")
    for entry in found:
        print(
            f"{entry.objective:10} {entry.separation:11.4f} {entry.jacobian_rank:8.1f} "
            f"{entry.full_rank:5d} {entry.mean_error:11.4f} {entry.difference_error:17.4f}"
        )


def _ablation(options: "AblationOptions", output: Path, progress: bool) -> None:
    from atomplete.paper import ablation

    found = ablation(options, output, progress=progress)
    print("representation   set          pair mean   pair difference")
    for row in found:
        spread = row.difference_error_spread
        beside = "" if spread is None else f" ± {spread:.4f}"
        print(
            f"{row.representation:16} {row.set:10} {row.mean_error:11.4f} "
            f"{row.difference_error:17.4f}{beside}"
        )


def _learning_curve(options: "ReproduceOptions", output: Path, progress: bool) -> None:
    from atomplete.paper import Extrapolation, learning_curve

    found = learning_curve(options, output, progress=progress)
    print("row        training pairs   pair mean                 pair difference")
    for point in found:
        mean, difference = f"{point.mean_error:.4f}", f"{point.difference_error:.4f}"
        if isinstance(point, Extrapolation):
            mean += f" ({point.mean_error_low:.3f} to {point.mean_error_high:.3f})"
            difference += f" ({point.difference_error_low:.3f} to "
            difference += f"{point.difference_error_high:.3f}), extrapolated"
        print(f"{point.row:10} {point.n_train_pairs:14d}   {mean:25} {difference}")
