"""The row that is not in the published table: what we would use on the same pairs."""

from pathlib import Path

from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from atomplete.checkpoint import save
from atomplete.paper.data import LabelledPairs
from atomplete.potentials import PairBasisSpec, TightBinding, TightBindingSpec
from atomplete.training.fit import fit
from atomplete.training.gauss_newton.levenberg import GaussNewtonSpec
from atomplete.training.loss import Loss


class BestSpec(BaseModel):
    """Electrons on tagged pairs in the density of the others.

    Examples
    --------
    >>> BestSpec().model.species
    5
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    model: TightBindingSpec = TightBindingSpec(
        basis=PairBasisSpec(max_radial=10, max_radial_surroundings=7)
    )
    loss: Loss = Loss(energy=1.0, pair_difference=0.5, forces=3.0)
    fit: GaussNewtonSpec = GaussNewtonSpec()


def fit_best(
    spec: BestSpec, data: LabelledPairs, folder: Path, *, seed: int, progress: bool
) -> Float[Tensor, " structure"]:
    """Fit to the training pairs, write ``model.pt``, and predict all energies, eV."""
    model = TightBinding(spec.model)
    fit(
        model, data.dataset, data.training_split, spec.loss, spec.fit, folder,
        seed=seed, progress=progress,
    )  # fmt: skip
    save(folder / "model.pt", model)
    return model.predict(data.structures).energy
