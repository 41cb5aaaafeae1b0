"""The row that is not in the published table: what we would use on the same pairs."""

from pathlib import Path

from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from atomplete.basis import LaplacianEigenstates, ShiftedCosine
from atomplete.force_matching import ForceMatchingSpec, match_forces
from atomplete.models import DeepSetSpec, EnergyModel, EnergyModelSpec, save
from atomplete.paper.data import LabelledPairs
from atomplete.representations import DensityCorrelationsSpec, ExpansionSpec


class BestSpec(BaseModel):
    """Density correlations seen from every atom, a network of each, trained on forces as well.

    The members of a pair have the same correlations around one centre, not around its neighbours.

    Examples
    --------
    >>> BestSpec().representation.expansion.cutoff
    5.0
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    representation: DensityCorrelationsSpec = DensityCorrelationsSpec(
        nu=(2,),
        expansion=ExpansionSpec(
            cutoff=5.0,
            max_radial=8,
            max_angular=6,
            radial=LaplacianEigenstates(),
            cutoff_function=ShiftedCosine(width=0.5),
        ),
    )
    deep_set: DeepSetSpec = DeepSetSpec(hidden=(128, 128), head=())
    train: ForceMatchingSpec = ForceMatchingSpec()


def fit_best(
    spec: BestSpec, data: LabelledPairs, folder: Path, *, seed: int, progress: bool
) -> Float[Tensor, " structure"]:
    """Train on the training pairs, write ``model.pt``, and predict all energies, eV."""
    species = sorted({int(number) for atoms in data.structures for number in atoms.numbers})
    model = EnergyModel(
        EnergyModelSpec(
            representation=spec.representation,
            model=spec.deep_set,
            species=tuple(species),
            centers="all",  # not only the one that the pairs name
        ),
        seed=seed,
    )
    groups = data.groups(data.split.train), data.groups(data.split.validation)
    match_forces(
        model, data.structures, data.energies, *groups, spec.train, folder,
        seed=seed, progress=progress,
    )  # fmt: skip
    save(folder / "model.pt", model)
    return model.predict(data.structures)
