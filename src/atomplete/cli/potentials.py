"""Verb of potentials: ``evaluate``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from atomplete.cli.app import app, in_new_folder, naming


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
    write_structures(in_new_folder(output, input, model), structures)
    print(f"energies of {len(structures)} structures in {output}")
    if all(labelled):
        errors = predicted - np.array([atoms.get_potential_energy() for atoms in structures])
        print(f"root mean square error {np.sqrt(np.mean(errors**2)):.4f} eV")
