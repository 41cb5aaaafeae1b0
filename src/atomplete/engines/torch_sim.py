"""Potentials as models of torch-sim."""

from typing import Any

import ase
import torch

from atomplete.errors import InputError, MissingExtraError
from atomplete.kernel.library import kernel_of
from atomplete.potentials.base import Potential
from atomplete.potentials.prediction import Prediction, Property


def torch_sim_model(potential: Potential, dtype: torch.dtype = torch.float64) -> Any:
    """Model of torch-sim, for all structures of a state at once.

    Computed by the compiled kernel where there is one and it knows such a potential, else by
    torch, on a CPU; the kernel takes over the numbers of the potential as they are now.

    Parameters
    ----------
    potential
        The potential.
    dtype
        Of states and results; the computation is in float64.

    Returns
    -------
    torch_sim.models.interface.ModelInterface
        Its results are ``energy`` (eV), ``forces`` (eV/Å) and ``stress`` (eV/Å³; zero without a
        volume).

    Raises
    ------
    InputError
        In a run, for a state on another device, of another type, or with elements that are unknown.
    MissingExtraError
        If torch-sim is not installed.

    Examples
    --------
    >>> torch_sim.static(system=atoms, model=torch_sim_model(potential))  # doctest: +SKIP
    """
    try:
        from torch_sim.models.interface import ModelInterface
    except ImportError as error:
        raise MissingExtraError("torch_sim", "engines") from error

    properties: tuple[Property, ...] = ("energy", "forces", "stress")
    kernel = kernel_of(potential, torch.float64, required=False)

    def compute(structures: list[ase.Atoms]) -> Prediction:
        if kernel is None:
            return potential.predict(structures, properties)
        return kernel(potential.system(structures), properties)

    class Model(ModelInterface):
        def __init__(self) -> None:
            super().__init__()
            self._device, self._dtype = torch.device("cpu"), dtype
            self._compute_stress = self._compute_forces = True

        def forward(self, state: Any, **options: Any) -> dict[str, torch.Tensor]:
            if state.positions.dtype != dtype or state.positions.device != self._device:
                raise InputError(
                    f"a state in {state.positions.dtype} on {state.positions.device}, but the "
                    f"model is in {dtype} on the CPU"
                )
            found = compute(state.to_atoms())
            assert found.forces is not None
            assert found.stress is not None
            stress = found.stress.nan_to_num()[:, [0, 5, 4, 5, 1, 3, 4, 3, 2]]
            values = {"energy": found.energy, "forces": found.forces}
            values["stress"] = stress.unflatten(1, (3, 3))
            return {name: value.to(dtype) for name, value in values.items()}

    return Model()
