"""Verbs of the paper and of its results: ``reproduce``, ``study`` and ``report``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from atomplete.cli.app import Quiet
from atomplete.cli.options import Given, verb
from atomplete.errors import InputError
from atomplete.paper.options import ReproduceOptions
from atomplete.runs.outputs import FolderOutput


@verb(
    ReproduceOptions,
    FolderOutput("reproduce", ("table.json", "run.json", "parity.png", "difference.png")),
)
def reproduce(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")],
    options: ReproduceOptions,
    quiet: Quiet = False,
) -> None:
    """Fill the table of models of arXiv:2302.14770, from degenerate pairs to errors.

    Pairs, labels, trained rows and epochs that an earlier run finished in OUTPUT are used
    again. With several seeds, errors are means over them, with their spread. Writes table.json,
    parity.png, difference.png, run.json with options, versions and the hash of the data, and
    report.html, a page on all that OUTPUT holds.

    Example: atomplete reproduce --pairs 60 --budget smoke -o runs/smoke
    """
    from atomplete.paper.experiment import reproduce as fill_table
    from atomplete.paper.report import RUN_PAGE, plot_pairs
    from atomplete.paper.table import format_table
    from atomplete.report import write_report

    table = fill_table(options, output, progress=not quiet)
    energies = [row for row in table if row.target == "energy"]
    plots = plot_pairs(energies, output) if energies else ()
    print(format_table(table))
    page = write_report(output, [RUN_PAGE], progress=not quiet)
    print(f"\n{', '.join(['table.json', *(plot.name for plot in plots)])} and run.json in {output}")
    print(f"report in {page}")


class Study(StrEnum):
    """Questions that ``study`` can answer."""

    LATENT_SIZE = "latent-size"
    OBJECTIVES = "objectives"
    ABLATION = "ablation"
    LEARNING_CURVE = "learning-curve"

    @property
    def file(self) -> str:
        """Name of the file with the answer."""
        return f"{self.replace('-', '_')}.json"


@verb(ReproduceOptions, FolderOutput("reproduce", tuple(question.file for question in Study)))
def study(
    name: Annotated[Study, typer.Argument(help="Question to answer.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")],
    given: Given,
    quiet: Quiet = False,
) -> None:
    """Ask what the table leaves open: latents, tags and correlations, numbers of pairs.

    latent-size: errors of the row A_NL_rho against the size of its latent, from 8 to 512
    numbers. objectives: latents trained to contain ν = 7 features, to match distances between
    environments, and to have a Jacobian of full rank, with what each resolves. Both take the
    first seed.

    ablation: representations with 0 to 2 tagged neighbours and correlations to ν = 7, on B8 (by
    default 800 pairs, seeds 0,1,2) and on the union of families of degenerate environments; it
    has neither rows nor budget, but options of its own for YAML. learning-curve: ROWS trained on
    an eighth of the pairs up to all, extrapolated to the 3500 of the paper; no other study looks
    at ROWS.

    Writes latent_size.json, objectives.json, ablation.json or learning_curve.json. OUTPUT may be
    the folder of a table, whose labels are used then, and whose next report shows the study; what
    an earlier run finished is not done again.

    Example: atomplete study latent-size --pairs 60 --budget smoke -o runs/smoke
    """
    if name is Study.ABLATION:
        _ablation(given, output, not quiet)
    else:
        of_table = {
            Study.LATENT_SIZE: _latent_size,
            Study.OBJECTIVES: _objectives,
            Study.LEARNING_CURVE: _learning_curve,
        }
        of_table[name](given.resolved(ReproduceOptions), output, not quiet)
    print(f"\n{name.file} in {output}")


def _latent_size(options: ReproduceOptions, output: Path, progress: bool) -> None:
    from atomplete.paper.studies.latent_size import latent_sizes

    found = latent_sizes(options, output, progress=progress)
    print("numbers in xi~   pair mean   pair difference")
    for size in found:
        print(f"{size.latent:14d} {size.mean_error:11.4f} {size.difference_error:17.4f}")


def _objectives(options: ReproduceOptions, output: Path, progress: bool) -> None:
    from atomplete.paper.studies.objectives import objectives

    found = objectives(options, output, progress=progress)
    print("objective   separation   rank of 3n-6   pair mean   pair difference")
    for entry in found:
        print(
            f"{entry.objective:10} {entry.separation:11.4f} {entry.jacobian_rank:8.1f} "
            f"{entry.full_rank:5d} {entry.mean_error:11.4f} {entry.difference_error:17.4f}"
        )


def _ablation(given: Given, output: Path, progress: bool) -> None:
    from atomplete.paper.studies.ablation import AblationOptions, ablation

    values = {
        "b8_pairs" if name == "pairs" else name: value for name, value in given.values.items()
    }
    if "rows" in values or "budget" in values:
        raise InputError("study ablation has neither rows nor a budget")
    found = ablation(Given(values, given.file).resolved(AblationOptions), output, progress=progress)
    print("representation   set          pair mean   pair difference")
    for row in found:
        spread = row.difference_error_spread
        beside = "" if spread is None else f" ± {spread:.4f}"
        print(
            f"{row.representation:16} {row.set:10} {row.mean_error:11.4f} "
            f"{row.difference_error:17.4f}{beside}"
        )


def _learning_curve(options: ReproduceOptions, output: Path, progress: bool) -> None:
    from atomplete.paper.studies.learning_curve import learning_curve

    found = learning_curve(options, output, progress=progress)
    print("row        training pairs   pair mean                 pair difference")
    for point in found:
        mean, difference = point.cells()
        print(f"{point.row:10} {point.n_train_pairs:14d}   {mean:25} {difference}")


@verb()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of reproduce, audit or train.")],
    quiet: Quiet = False,
) -> None:
    """Write a page on the results in FOLDER: tables, plots, and pairs to turn in 3D.

    FOLDER/report.html is a single file that any browser opens, also without a network.

    Example: atomplete report runs/b8
    """
    from atomplete.paper.report import RUN_PAGE
    from atomplete.report import AUDIT_PAGE, FIT_PAGE, write_report

    kinds = (RUN_PAGE, AUDIT_PAGE, FIT_PAGE)
    print(f"report in {write_report(folder, kinds, progress=not quiet)}")
