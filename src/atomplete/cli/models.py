"""Verbs of models: ``evaluate`` and ``reproduce``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

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
Workers = Annotated[
    int | None, typer.Option(help="Processes for labels (default: one for each core).")
]


class Study(StrEnum):
    """What ``study`` can find out."""

    LATENT_SIZE = "latent-size"
    OBJECTIVES = "objectives"


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
    rows: Annotated[
        str | None, typer.Option(help="Rows to fill, such as B_NL,D_NL (default: all).")
    ] = None,
    budget: BudgetName = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="Of validation pairs and training, such as 0,1,2 (default: 0)."),
    ] = None,
    workers: Workers = None,
    config: ConfigFile = None,
    quiet: Quiet = False,
) -> None:
    """Fill the table of models of arXiv:2302.14770, from degenerate pairs to errors.

    Pairs, labels, trained rows and epochs that an earlier run finished in OUTPUT are used
    again. With several seeds, errors are means over them, with their spread. Writes table.json,
    parity.png, difference.png, and run.json with options, versions and the hash of the data.

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
        "seeds": None if seeds is None else [seed.strip() for seed in seeds.split(",")],
        "workers": workers,
    }
    defaults = {"workers": cores()}
    options = resolve(ReproduceOptions, config, given, defaults)
    table = fill_table(options, output, progress=not quiet)
    energies = [row for row in table if row.target == "energy"]
    plots = plot_pairs(energies, output) if energies else ()
    print(format_table(table))
    print(f"\n{', '.join(['table.json', *(plot.name for plot in plots)])} and run.json in {output}")


@app.command()
def study(
    name: Annotated[Study, typer.Argument(help="What to find out.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")],
    pairs: Pairs = None,
    labels: Labels = None,
    budget: BudgetName = None,
    seed: Annotated[
        int | None, typer.Option(help="Of validation pairs and training (default: 0).")
    ] = None,
    workers: Workers = None,
    config: ConfigFile = None,
    quiet: Quiet = False,
) -> None:
    """Ask more of the encoder–decoder than the table does.

    latent-size: the error of the row A_NL_rho against the size of its latent, from 8 to 512
    numbers; writes latent_size.json. objectives: latents trained to contain ν = 7 features, to
    match distances between environments, and to have a Jacobian of full rank, with what each
    resolves; writes objectives.json. OUTPUT may be the folder of a table: labels found there
    are used, and what an earlier run finished is not done again.

    Example: atomplete study latent-size --pairs 60 --budget smoke -o runs/smoke
    """
    from atomplete.paper import ReproduceOptions, latent_sizes, objectives

    given = {
        "pairs": pairs,
        "labels": labels,
        "budget": budget,
        "seeds": None if seed is None else [seed],
        "workers": workers,
    }
    options = resolve(ReproduceOptions, config, given, {"workers": cores()})
    if name is Study.LATENT_SIZE:
        print("numbers in xi~   pair mean   pair difference")
        for size in latent_sizes(options, output, progress=not quiet):
            print(f"{size.latent:14d} {size.mean_error:11.4f} {size.difference_error:17.4f}")
        print(f"\nlatent_size.json in {output}")
        return
    print("objective   separation   rank of 3n-6   pair mean   pair difference")
    for entry in objectives(options, output, progress=not quiet):
        print(
            f"{entry.objective:10} {entry.separation:11.4f} {entry.jacobian_rank:8.1f} "
            f"{entry.full_rank:5d} {entry.mean_error:11.4f} {entry.difference_error:17.4f}"
        )
    print(f"\nobjectives.json in {output}")
