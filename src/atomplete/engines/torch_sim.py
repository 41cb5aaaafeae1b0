"""Potentials as models of torch-sim."""

from typing import Any

import torch

from atomplete.errors import InputError, MissingExtraError
from atomplete.potentials.base import Potential


def torch_sim_model(potential: Potential, dtype: torch.dtype = torch.float64) -> Any:
    """Model of torch-sim, for all structures of a state at once.

    Computed by the compiled kernel where there is one and it knows such a potential, else by
    torch, on a CPU.

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
        from torch_sim.state import SimState
    except ImportError as error:
        raise MissingExtraError("torch_sim", "engines") from error

    class Model(ModelInterface):
        def __init__(self) -> None:
            super().__init__()
            self._device, self._dtype = torch.device("cpu"), dtype
            self._compute_stress = self._compute_forces = True

        def forward(self, state: Any, **options: Any) -> dict[str, torch.Tensor]:
            if isinstance(state, dict):
                state = SimState(**state, masses=torch.ones_like(state["positions"][:, 0]))
            if state.positions.dtype != dtype or state.positions.device != self._device:
                raise InputError(
                    f"a state in {state.positions.dtype} on {state.positions.device}, but the "
                    f"model is in {dtype} on the CPU"
                )
            found = potential.predict(state.to_atoms(), ("energy", "forces", "stress"), kernel=None)
            assert found.forces is not None
            assert found.stress is not None
            stress = found.stress.nan_to_num()[:, [0, 5, 4, 5, 1, 3, 4, 3, 2]]
            values = {"energy": found.energy, "forces": found.forces}
            values["stress"] = stress.unflatten(1, (3, 3))
            return {name: value.to(dtype) for name, value in values.items()}

    return Model()
