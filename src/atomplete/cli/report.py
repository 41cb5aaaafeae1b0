"""Verb of results: ``report``."""

from pathlib import Path
from typing import Annotated

import typer

from atomplete.cli.app import Quiet, app


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a reproduce run, or of an audit.")],
    quiet: Quiet = False,
) -> None:
    """Write a page on the results in FOLDER: tables, plots, and pairs to turn in 3D.

    FOLDER/report.html is a single file that any browser opens, also without a network.

    Example: atomplete report runs/b8
    """
    from atomplete.paper.report import write_report

    print(f"report in {write_report(folder, progress=not quiet)}")
