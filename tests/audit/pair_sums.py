"""A metatomic model whose theory is known: sums over neighbours of functions of the distance."""

# ruff: noqa: UP006, UP035, UP045 — TorchScript and metatomic read these annotations only
import math
from typing import Dict, List, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
    System,
)

CUTOFF = 12.0


class PairSums(torch.nn.Module):
    """exp(−a r) for two a: a row of two features for each atom; the energy is their product
    with (1, 2), in eV, summed over atoms where it is that of the whole."""

    def __init__(self):
        super().__init__()
        self.neighbors = NeighborListOptions(CUTOFF, full_list=True, strict=True)

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        return [self.neighbors]

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        found: Dict[str, TensorMap] = {}
        for name, output in outputs.items():
            blocks: List[TensorBlock] = []
            for number, system in enumerate(systems):
                values = self.rows(system)
                if name == "energy":
                    values = values @ torch.tensor([[1.0], [2.0]], dtype=values.dtype)
                atoms = torch.arange(len(system)).reshape(-1, 1)
                samples = torch.cat([torch.full_like(atoms, number), atoms], dim=1)
                if output.sample_kind == "system":
                    values, samples = values.sum(0, keepdim=True), samples[:1, :1]
                blocks.append(block_of(values, samples))
            assert len(blocks) == 1, "the audit asks for one structure after the other"
            found[name] = TensorMap(Labels(["_"], torch.tensor([[0]])), blocks)
        return found

    def rows(self, system: System) -> torch.Tensor:
        pairs = system.get_neighbor_list(self.neighbors)
        r = torch.linalg.vector_norm(pairs.values.reshape(-1, 3), dim=1)
        end = 0.5 * (1 + torch.cos(math.pi * r / 12.0))
        terms = torch.stack([end * torch.exp(-0.3 * r), end * torch.exp(-0.7 * r)], dim=1)
        rows = torch.zeros(len(system), 2, dtype=terms.dtype)
        return rows.index_add(0, pairs.samples.column("first_atom").to(torch.int64), terms)


def block_of(values: torch.Tensor, samples: torch.Tensor) -> TensorBlock:
    """A block with its samples the other way round: a model may list them in any order."""
    names = ["system", "atom"] if samples.shape[1] == 2 else ["system"]
    properties = Labels(["number"], torch.arange(values.shape[1]).reshape(-1, 1))
    nothing: List[Labels] = []
    return TensorBlock(values.flip(0), Labels(names, samples.flip(0)), nothing, properties)


def save(path, feature="feature", energy_kind="atom"):
    """Export it, with the names and kinds of outputs that a model may have."""
    capabilities = ModelCapabilities(
        outputs={
            "energy": ModelOutput(unit="eV", sample_kind=energy_kind),
            feature: ModelOutput(sample_kind="atom"),
        },
        atomic_types=[1, 5, 6, 8],
        interaction_range=CUTOFF,
        length_unit="angstrom",
        supported_devices=["cpu"],
        dtype="float64",
    )
    AtomisticModel(PairSums().eval(), ModelMetadata(), capabilities).save(str(path))
