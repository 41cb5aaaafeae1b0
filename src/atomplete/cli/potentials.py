"""Verbs of potentials: ``train``, ``evaluate`` and ``suggest``."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import BaseModel, ConfigDict, Field

from atomplete.cli.app import XYZ, Quiet, about, in_new_folder, naming
from atomplete.cli.options import verb
from atomplete.cli.workers.scheduler import SchedulerOptions, client_of
from atomplete.runs.outputs import FileOutput, FolderOutput
from atomplete.training.options import KeyOptions, TrainOptions


class TrainVerbOptions(SchedulerOptions, TrainOptions):
    """Options of ``train``."""


@verb(
    TrainVerbOptions,
    FolderOutput(
        "train",
        (
            *("model.pt", "sums.pt", "training.pt", "metrics.json", "parity.json"),
            *("log.jsonl", "run.json"),
        ),
    ),
)
def train(
    input: Annotated[Path, typer.Argument(help="File of structures with labels.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")],
    options: TrainVerbOptions,
    quiet: Quiet = False,
) -> None:
    """Fit a potential to energies, forces and stresses of any structures.

    Energies in eV, forces in eV/Å, stresses in eV/Å³, tension positive. An interrupted run goes on
    with the same command. Writes model.pt, metrics.json, parity.json, log.jsonl, run.json with
    options, versions and the hash of the data, and report.html, a page with parity plots.

    With --update, the fit is to all structures of an earlier one in closed form as well, with its
    features, and sums over the new ones only; the earlier one needs --keep-sums.

    With --scheduler or --slurm, workers of a Dask cluster share the sums of a fit in closed form,
    which come out the same.

    Example: atomplete train train.xyz -o runs/fit
    """
    from atomplete.report.fit_page import write_fit_page
    from atomplete.training.train import train as train_on_file

    with _remote(options) as remote, naming(input):
        train_on_file(input, output, options, progress=not quiet, remote=remote)
    errors = json.loads((output / "metrics.json").read_text())
    print(errors_table(errors))
    print(f"model.pt, metrics.json, parity.json, log.jsonl and run.json in {output}")
    print(f"report in {write_fit_page(output)}")


@contextmanager
def _remote(options: TrainVerbOptions) -> Iterator[Any]:
    """Processes of the cluster that options name, if the solver has anything to do for them."""
    if options.scheduler is None and options.slurm is None:
        yield None
        return
    from atomplete.labels import call_in_order
    from atomplete.training.fit import check_remote

    check_remote(options.solver_spec())  # before jobs are submitted
    with client_of(options) as client:
        yield partial(call_in_order, client)


class EvaluateOptions(KeyOptions):
    """Options of ``evaluate``."""

    uncertainty: bool = Field(
        default=False, description="Say how sure the potential is, which takes several times longer"
    )


@verb(
    EvaluateOptions,
    FileOutput("evaluate", r"\A.*\n.*\bpredicted_energy=", XYZ, {".metrics.json": '"energy_mae"'}),
)
def evaluate(
    model: Annotated[Path, typer.Argument(help="A model.pt that training wrote.")],
    input: Annotated[Path, typer.Argument(help="File of structures.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Extended XYZ file to write.")],
    options: EvaluateOptions,
) -> None:
    """Predict energies, forces and stresses; with labels in the file, also their errors.

    With --uncertainty, a potential that was fitted in closed form says how sure it is, and which
    atoms are unlike those of training: predicted_energy_uncertainty, predicted_forces_uncertainty,
    extrapolation.

    Labels stand under the keys that training reads: energy, forces, and stress or virial, with
    stress = -virial / volume; or under those that are given. Writes the structures with
    predictions to OUTPUT, and errors to OUTPUT.metrics.json.

    Example: atomplete evaluate runs/fit/model.pt test.xyz -o predicted.xyz
    """
    from atomplete.checkpoint import load
    from atomplete.data import read_structures, write_structures
    from atomplete.data.evaluation import evaluate as evaluate_on
    from atomplete.data.properties import unread
    from atomplete.potentials.base import Potential
    from atomplete.potentials.spread import committee_of
    from atomplete.runs.files import write_json

    fitted = load(model, Potential)
    structures = read_structures(input)
    if options.uncertainty:
        with about(model):
            committee_of(fitted)
    with naming(input):
        predicted, errors = evaluate_on(
            fitted, structures, options.keys(), uncertainty=options.uncertainty
        )
    write_structures(in_new_folder(output), predicted)
    write_json(Path(f"{output}.metrics.json"), errors)
    print(f"predictions for {len(structures)} structures in {output}")
    print("\n".join([errors_table({"": errors}), *unread(structures, options.keys())]))


class SuggestOptions(BaseModel):
    """Options of ``suggest``."""

    model_config = ConfigDict(extra="forbid")
    n: int = Field(100, ge=1, description="Number of structures")
    by: Literal["forces", "energy"] = Field(
        "forces", description="Variance of forces, or energy, per atom, which is quicker"
    )


@verb(
    SuggestOptions,
    FileOutput(
        "suggest",
        r"\A.*\n(?!.*(?:energy|forces|label_method))(?=.*\bsuggested_index=)",
        XYZ,
    ),
)
def suggest(
    model: Annotated[Path, typer.Argument(help="A model.pt of a fit in closed form.")],
    pool: Annotated[Path, typer.Argument(help="File of structures; labels play no part.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Extended XYZ file to write.")],
    options: SuggestOptions,
    quiet: Quiet = False,
) -> None:
    """Choose structures of a pool whose labels would teach a potential most.

    These are structures that it is not sure of, unlike each other. They are written for
    `atomplete label`, the most uncertain first, with suggested_index, their position in POOL, and
    suggested_uncertainty, the standard deviation of their forces, eV/Å, or energy per atom, eV.

    Example: atomplete suggest runs/fit/model.pt pool.xyz -n 50 -o chosen.xyz
    """
    from atomplete.checkpoint import load
    from atomplete.data import read_structures, write_structures
    from atomplete.potentials.base import Potential
    from atomplete.potentials.spread import committee_of
    from atomplete.training.uncertainty.suggest import suggest as suggest_from

    fitted = load(model, Potential)
    with about(model):
        committee_of(fitted)
    structures = read_structures(pool)
    with about(pool):
        chosen = suggest_from(fitted, structures, options.n, options.by, progress=not quiet)
    write_structures(in_new_folder(output), chosen)
    unit = "eV/Å" if options.by == "forces" else "eV"
    first, last = (atoms.info["suggested_uncertainty"] for atoms in (chosen[0], chosen[-1]))
    print(
        f"{len(chosen)} of {len(structures)} structures in {output}; standard deviation of "
        f"{options.by} {first:.3g} {unit} of the first, {last:.3g} {unit} of the last"
    )


_QUANTITIES = {
    "energy": "eV a structure",
    "energy_per_atom": "eV",
    "forces": "eV/Å",
    "stress": "eV/Å³",
}


def errors_table(errors: Mapping[str, Mapping[str, Any]]) -> str:
    """A line for each part of the data and each quantity with labels.

    Examples
    --------
    >>> print(errors_table({"train": {"forces_mae": 0.1, "forces_rmse": 0.2, "stress_mae": None}}))
    train forces: mean absolute error 0.1, root mean square error 0.2 eV/Å
    """
    lines = [
        f"{part} {name}: mean absolute error {found[f'{name}_mae']:.4g}, root mean square error "
        f"{found[f'{name}_rmse']:.4g} {unit}{_expected(part, found, name)}".strip()
        for part, found in errors.items()
        for name, unit in _QUANTITIES.items()
        if found.get(f"{name}_mae") is not None
    ]
    return "\n".join(lines) or "no labels to compare with"


def _expected(part: str, found: Mapping[str, Any], name: str) -> str:
    """The error over what was predicted of it; on validation data it is one by construction."""
    ratio = found.get(f"{name}_calibration")
    return "" if part or ratio is None else f", {ratio:.2f} times the predicted deviation"
