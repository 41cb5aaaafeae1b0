"""Features of all structures: fitted to training pairs, computed once, used by several rows."""

import time
from dataclasses import dataclass

import torch

from atomplete.descriptors import (
    Descriptor,
    DescriptorSpec,
    build,
)
from atomplete.errors import InputError
from atomplete.latents import AutoEncoder, EncoderSpec, Latent
from atomplete.latents.autoencoder import of_centers
from atomplete.paper.data import LabelledPairs
from atomplete.system import System
from atomplete.training.feature_table import RowTable

#: Structures that are encoded at a time.
BATCH = 256


@dataclass(frozen=True)
class Inputs:
    """Inputs of the models of one seed, and the seconds that they took.

    Attributes
    ----------
    descriptor
        As it was fitted.
    rows, sums
        The rows of each centre in the dtype to train in, and their sums in float64.
    seconds
        Spent on fit and features.
    """

    descriptor: Descriptor
    rows: RowTable
    sums: RowTable
    seconds: float

    @classmethod
    def compute(
        cls, spec: DescriptorSpec, data: LabelledPairs, dtype: torch.dtype, progress: bool
    ) -> "Inputs":
        """Fit a descriptor to the training pairs, and describe all structures."""
        started = time.monotonic()
        descriptor, centers = build(spec), System.centers_of(data.structures)
        if descriptor.needs_fit:
            training = System.from_atoms(data.train_structures, spec.cutoff, centers=centers)
            descriptor.fit([training], progress=progress)
        system = data.dataset.system(spec.cutoff, centers)
        rows, sums = RowTable.compute(descriptor, system, dtype, progress=progress)
        return cls(descriptor, rows, sums, time.monotonic() - started)

    @classmethod
    def encode(cls, trained: AutoEncoder, inputs: "Inputs", dtype: torch.dtype) -> "Inputs":
        """xi~ of all structures from the inputs that the encoder was trained on."""
        started = time.monotonic()
        latent = Latent.of(inputs.descriptor, trained)
        table = inputs.table_of(trained.spec.encoder)
        parts = [
            latent.of_rows(table.batch(structures).to(torch.float64)).values
            for structures in torch.arange(table.n_structures).split(BATCH)
        ]
        features = of_centers(table.features, torch.cat(parts), latent.parity)
        exact = RowTable(features, table.n_structures)
        return cls(latent, exact.to(dtype), exact, time.monotonic() - started)

    def table_of(self, encoder: EncoderSpec) -> RowTable:
        """Sums of the rows, in float64, for a linear encoder, else the rows."""
        return self.rows if encoder.hidden else self.sums

    def of_environments(self) -> torch.Tensor:
        """(structure, feature), float64: the features of the one centre of each structure."""
        structure = self.sums.features.center_structure
        if not torch.equal(structure, torch.arange(self.sums.n_structures)):
            raise InputError(
                "a row that predicts features needs one center in each structure, named by its "
                "info entry center"
            )
        return self.sums.features.values
