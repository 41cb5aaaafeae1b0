"""Potentials as models of metatomic, for i-PI, torch-sim, ASE and other engines that read them."""

# mypy: disable-error-code="name-defined"
# ruff: noqa: UP006, UP035, UP045 — TorchScript and metatomic read these annotations only
import warnings
from pathlib import Path
from typing import Any, Dict, List, Optional

import torch

from atomplete.engines.parts import EnergiesInParts
from atomplete.errors import MissingExtraError
from atomplete.runs.files import atomic_write


def write_metatomic(path: Path, potential: Any, dtype: torch.dtype = torch.float64) -> None:
    """Write a potential as a model of metatomic: a TorchScript archive.

    Its outputs are ``energy``, of structures or atoms, and ``energy_uncertainty`` after a fit in
    closed form; engines find forces and stress by autograd.

    Parameters
    ----------
    path
        The file to write.
    potential
        A ``DescriptorPotential`` with a ``RandomFourier`` descriptor and a linear readout.
    dtype
        Of all that the model takes and gives, float64 or float32.

    Raises
    ------
    InputError
        For a potential of another kind, or a file that cannot be written.
    MissingExtraError
        If metatomic is not installed.
    """
    parts = EnergiesInParts(potential, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TorchScript, which torch advises against
        model = _model(parts, potential, str(dtype).removeprefix("torch."))
        with atomic_write(path) as temporary:
            model.save(str(temporary))


def _model(parts: EnergiesInParts, potential: Any, dtype: str) -> Any:
    # TorchScript looks for types of arguments among the globals
    global Labels, ModelOutput, NeighborListOptions, System, TensorMap
    try:
        from metatensor.torch import Labels, TensorBlock, TensorMap
        from metatomic.torch import (
            AtomisticModel,
            ModelCapabilities,
            ModelMetadata,
            ModelOutput,
            NeighborListOptions,
            System,
        )
    except ImportError as error:
        raise MissingExtraError("metatomic", "metatomic") from error

    class Model(torch.nn.Module):
        """Energies of systems one by one."""

        def __init__(self, parts: EnergiesInParts) -> None:
            super().__init__()
            self.parts = parts
            cutoff = parts.energies.cutoff
            self.pairs = NeighborListOptions(cutoff, full_list=True, strict=True)

        def requested_neighbor_lists(self) -> List[NeighborListOptions]:
            return [self.pairs]

        def forward(
            self,
            systems: List[System],
            outputs: Dict[str, ModelOutput],
            selected_atoms: Optional[Labels] = None,
        ) -> Dict[str, TensorMap]:
            energies: List[torch.Tensor] = []
            changes: List[torch.Tensor] = []
            places: List[torch.Tensor] = []
            for number, system in enumerate(systems):
                atoms = torch.arange(len(system), device=system.positions.device)
                if selected_atoms is not None:
                    here = selected_atoms.column("system") == number
                    atoms = selected_atoms.column("atom")[here].to(torch.int64)
                found = self.of_system(system, atoms, "energy_uncertainty" in outputs)
                energies.append(found[0])
                changes.append(found[1])
                places.append(torch.stack([torch.full_like(atoms, number), atoms], 1))
            place, energy, change = torch.cat(places), torch.cat(energies), torch.cat(changes)
            results: Dict[str, TensorMap] = {}
            for name, output in outputs.items():
                values = change if name == "energy_uncertainty" else energy[:, None]
                names, samples = ["system", "atom"], place
                if output.sample_kind == "system":
                    samples = torch.arange(len(systems), device=place.device)[:, None]
                    zero = torch.zeros(
                        (len(systems), values.shape[1]), dtype=values.dtype, device=values.device
                    )
                    values, names = zero.index_add(0, place[:, 0], values), ["system"]
                if name == "energy_uncertainty":
                    values = self.parts.calibration * (values**2).mean(1, keepdim=True).sqrt()
                single = torch.zeros((1, 1), dtype=torch.int64, device=place.device)
                components: List[Labels] = []
                block = TensorBlock(
                    values, Labels(names, samples), components, Labels("energy", single)
                )
                results[name] = TensorMap(Labels("_", single), [block])
            return results

        def of_system(
            self, system: System, atoms: torch.Tensor, members: bool
        ) -> tuple[torch.Tensor, torch.Tensor]:
            pairs = system.get_neighbor_list(self.pairs)
            number = self.parts.energies.number_of[system.types.to(torch.int64)]
            place = torch.full_like(number, -1)
            place[atoms] = torch.arange(len(atoms), device=place.device)
            i = place[pairs.samples.column("first_atom").to(torch.int64)]
            neighbor = number[pairs.samples.column("second_atom").to(torch.int64)]
            kept = torch.nonzero(i >= 0)[:, 0]
            vectors = pairs.values[:, :, 0][kept]
            return self.parts(vectors, i[kept], neighbor[kept], number[atoms], members)

    unit = {"unit": "eV", "sample_kind": "atom"}
    outputs = {"energy": ModelOutput(description="of a linear potential of atomplete", **unit)}
    if parts.members.shape[2]:
        outputs["energy_uncertainty"] = ModelOutput(
            description="calibrated deviation over a committee", **unit
        )
    capabilities = ModelCapabilities(
        outputs=outputs,
        atomic_types=sorted(potential.species),
        interaction_range=parts.energies.cutoff,
        length_unit="angstrom",
        supported_devices=["cpu", "cuda"],
        dtype=dtype,
    )
    return AtomisticModel(Model(parts).eval(), ModelMetadata(name="atomplete"), capabilities)
