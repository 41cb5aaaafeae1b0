"""Verbs of models: ``evaluate`` and ``reproduce``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from atomplete.cli.app import ConfigFile, Quiet, app, cores, in_new_folder, naming
from atomplete.config import resolve

Pairs = Annotated[int | None, typer.Option(help="How many of the paper's pairs (default: 4000).")]
Labels = Annotated[
    str | None,
    typer.Option(
        help="xtb, computed here; pbe, the dataset in the package; or a labelled file "
        "(default: xtb)."
    ),
]
BudgetName = Annotated[
    str | None, typer.Option(help="smoke, standard or paper (default: standard).")
]
Rows = Annotated[
    str | None, typer.Option(help="Rows to fill, such as B_NL,D_NL,best (default: all).")
]
Seeds = Annotated[
    str | None, typer.Option(help="Of validation pairs and training, such as 0,1,2 (default: 0).")
]
Workers = Annotated[
    int | None, typer.Option(help="Processes for labels (default: one for each core).")
]


def listed(text: str | None) -> list[str] | None:
    """Values separated by commas."""
    return None if text is None else [value.strip() for value in text.split(",")]


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

    from atomplete.checkpoint import load
    from atomplete.data import read_structures, write_structures
    from atomplete.potentials.base import Potential

    fitted: Any = load(model, Potential)
    structures = read_structures(input)
    with naming(input):
        predicted = fitted.predict(structures).numpy()
    labelled = [atoms.calc is not None and "energy" in atoms.calc.results for atoms in structures]
    for atoms, energy in zip(structures, predicted, strict=True):
        atoms.info["predicted_energy"] = float(energy)
    write_structures(in_new_folder(output), structures)
    print(f"energies of {len(structures)} structures in {output}")
    if all(labelled):
        errors = predicted - np.array([atoms.get_potential_energy() for atoms in structures])
        print(f"root mean square error {np.sqrt(np.mean(errors**2)):.4f} eV")


@app.command()
def reproduce(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")],
    pairs: Pairs = None,
    labels: Labels = None,
    rows: Rows = None,
    budget: BudgetName = None,
    seeds: Seeds = None,
    workers: Workers = None,
    config: ConfigFile = None,
    quiet: Quiet = False,
) -> None:
    """Fill the table of models of arXiv:2302.14770, from degenerate pairs to errors.

    Pairs, labels, trained rows and epochs that an earlier run finished in OUTPUT are used
    again. With several seeds, errors are means over them, with their spread. Writes table.json,
    parity.png, difference.png, run.json with options, versions and the hash of the data, and
    report.html, a page on all that OUTPUT holds.

    Example: atomplete reproduce --pairs 60 --budget smoke -o runs/smoke
    """
    from atomplete.paper import ReproduceOptions, format_table
    from atomplete.paper import reproduce as fill_table
    from atomplete.paper.report import plot_pairs, write_report

    given = {
        "pairs": pairs,
        "labels": labels,
        "rows": listed(rows),
        "budget": budget,
        "seeds": listed(seeds),
        "workers": workers,
    }
    defaults = {"workers": cores()}
    options = resolve(ReproduceOptions, config, given, defaults)
    table = fill_table(options, output, progress=not quiet)
    energies = [row for row in table if row.target == "energy"]
    plots = plot_pairs(energies, output) if energies else ()
    print(format_table(table))
    page = write_report(output, progress=not quiet)
    print(f"\n{', '.join(['table.json', *(plot.name for plot in plots)])} and run.json in {output}")
    print(f"report in {page}")
