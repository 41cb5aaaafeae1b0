"""One way to fit: a potential, a data set, a loss, and the solver that minimises it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from atomplete.data.dataset import Dataset, Split
from atomplete.errors import InputError
from atomplete.potentials.base import Potential
from atomplete.training.adam import AdamSpec
from atomplete.training.closed_form.ridge import RidgeSpec, fit_by_ridge
from atomplete.training.gauss_newton.levenberg import GaussNewtonSpec, fit_by_gauss_newton
from atomplete.training.loss import Loss, check_labels
from atomplete.training.natural_gradient.natural_gradient import (
    NaturalGradientSpec,
    fit_by_natural_gradient,
)
from atomplete.training.networks import fit_by_adam
from atomplete.training.run import Task

Solver = AdamSpec | RidgeSpec | GaussNewtonSpec | NaturalGradientSpec

#: Options and function of each solver, by the type of its options.
SOLVERS: dict[str, tuple[type[BaseModel], Callable[..., None]]] = {
    "adam": (AdamSpec, fit_by_adam),
    "ridge": (RidgeSpec, fit_by_ridge),
    "gauss_newton": (GaussNewtonSpec, fit_by_gauss_newton),
    "natural_gradient": (NaturalGradientSpec, fit_by_natural_gradient),
}


def fit(
    potential: Potential,
    dataset: Dataset,
    split: Split,
    loss: Loss,
    solver: Solver,
    folder: Path,
    **options: Any,
) -> None:
    """Fit a potential to data; it ends where its validation loss is smallest.

    All solvers log their steps and resume from what an interrupted run left in the folder, if
    options, seed, data and versions of this package and of torch are the same. The repulsion of a
    potential is kept off all structures, so that none of them learns it once more.

    Parameters
    ----------
    potential
        Any potential with parameters for ``adam``, one that is linear in its coefficients for
        ``ridge``, one of these on random Fourier features for ``natural_gradient``, a tight-binding
        model for ``gauss_newton``.
    dataset, split, loss, folder, **options
        As in :class:`Task`; ``seed``, ``features``, ``references``, ``progress`` and ``remote``
        are optional.
    solver
        Options of the solver.

    Raises
    ------
    InputError
        If labels that the loss asks for are missing, and as the solvers and ``check_remote``.

    Examples
    --------
    >>> import ase, tempfile, torch
    >>> from atomplete.descriptors import DensityCorrelationsSpec
    >>> from atomplete.nn import LinearSpec
    >>> from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
    >>> dimers = [
    ...     ase.Atoms("B2", [(0, 0, 0), (0, 0, r)], info={"energy": (r - 1.6) ** 2})
    ...     for r in (1.4, 1.5, 1.6, 1.7, 1.8, 1.9)
    ... ]
    >>> spec = DescriptorPotentialSpec(
    ...     descriptor=DensityCorrelationsSpec(nu=(1,)), readout=LinearSpec(), species=(5,)
    ... )
    >>> potential, data = DescriptorPotential(spec), Dataset.from_structures(dimers)
    >>> one = torch.arange(6)[:, None]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fit(
    ...         potential, data, Split(one[::2], one[1::2]), Loss(energy=1.0), RidgeSpec(),
    ...         Path(folder), progress=False,
    ...     )
    >>> bool((potential.predict(dimers).energy - data.energies).abs().max() < 0.02)
    True
    """
    if options.get("remote") is not None:
        check_remote(solver)
    check_labels(dataset, loss, split.train.flatten())
    potential.keep_off(dataset.structures)
    task = Task(potential, dataset, split, loss, folder, **options)
    SOLVERS[solver.type][1](task, solver)


def check_remote(solver: Solver) -> None:
    """Refuse other processes for a solver that has nothing for them to do.

    Raises
    ------
    InputError
        For all but the closed form.

    Examples
    --------
    >>> check_remote(AdamSpec())
    Traceback (most recent call last):
    atomplete.errors.InputError: a Dask cluster can help a fit in closed form only, by ridge, not \
one by adam
    """
    if solver.type != "ridge":
        raise InputError(
            f"a Dask cluster can help a fit in closed form only, by ridge, not one by {solver.type}"
        )
