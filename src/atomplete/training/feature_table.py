"""Features of a data set, from which batches of whole structures are drawn."""

from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from atomplete.descriptors import Descriptor, Features, concatenate, run
from atomplete.system import System


class RowTable:
    """Random access by structure to features that were computed once.

    Parameters
    ----------
    features
        Rows sorted by centre and centres by structure, as representations return them.
    n_structures
        Structures described, those without any centre or row included.

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import NAMED, build
    >>> from atomplete.system import System
    >>> system = System.from_atoms([ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])] * 3, cutoff=2.0)
    >>> table = RowTable(build(NAMED["power_spectrum"])(system), n_structures=3)
    >>> table.batch(torch.tensor([2, 0])).center_structure
    tensor([0, 0, 1, 1])
    """

    def __init__(self, features: Features, n_structures: int) -> None:
        self.features = features
        self.n_structures = n_structures
        n_centers = len(features.center_structure)
        self._centers = _runs(features.center_structure, n_structures)
        self._rows = _runs(features.center_of_row, n_centers)

    def __repr__(self) -> str:
        return f"RowTable({self.n_structures} structures, {self.features!r})"

    @classmethod
    def compute(
        cls,
        descriptor: Descriptor,
        system: System,
        dtype: torch.dtype = torch.float32,
        progress: bool = False,
    ) -> tuple["RowTable", "RowTable"]:
        """Rows in ``dtype``, and their sums over tagged neighbours in the dtype of ``system``.

        Features are computed in chunks; beside one chunk, only the tables are held.

        Returns
        -------
        rows, sums
            Tables with the rows of each centre, and with one row for each centre.
        """
        n_rows = int(descriptor.rows_per_center(system).sum())
        values = torch.empty(n_rows, descriptor.n_features, dtype=dtype)
        labels: list[Features] = []
        sums: list[Features] = []
        done = 0
        for features in run(descriptor, system, progress=progress):
            chunk = values[done : done + len(features.values)]
            chunk.copy_(features.values)
            labels.append(replace(features, values=chunk, weight=features.weight.to(dtype)))
            sums.append(features.summed())
            done += len(chunk)
        n_structures = len(system.cell)
        rows = replace(
            concatenate([_without_values(part) for part in labels]),
            values=values,
            parity=descriptor.parity,
        )
        return cls(rows, n_structures), cls(concatenate(sums), n_structures)

    def to(self, dtype: torch.dtype) -> "RowTable":
        """The same features in another floating-point type."""
        return RowTable(self.features.to(dtype), self.n_structures)

    def batch(self, structures: Int[Tensor, " batch"]) -> Features:
        """The features of some structures, renumbered 0, 1, … in the order given."""
        return self.batch_with_rows(structures)[0]

    def batch_with_rows(
        self, structures: Int[Tensor, " batch"]
    ) -> tuple[Features, Int[Tensor, " row"]]:
        """The same, and which rows of the table they are."""
        centers, center_structure = _expand(self._centers, structures)
        rows, center_of_row = _expand(self._rows, centers)
        features = self.features
        batch = replace(
            features,
            values=features.values[rows],
            rows={name: column[rows] for name, column in features.rows.items()},
            center_of_row=center_of_row,
            center_structure=center_structure,
            center_atom=features.center_atom[centers],
            center_species=features.center_species[centers],
            weight=features.weight[rows],
        )
        return batch, rows


def _without_values(features: Features) -> Features:
    return replace(features, values=features.values[:, :0], parity=features.parity[:0])


def _runs(group: Tensor, n_groups: int) -> tuple[Tensor, Tensor]:
    """Start and length of each group's run in a sorted column of group numbers."""
    length = torch.bincount(group, minlength=n_groups)
    return length.cumsum(0) - length, length


def _expand(runs: tuple[Tensor, Tensor], groups: Tensor) -> tuple[Tensor, Tensor]:
    """Members of the chosen groups in order, and which of the chosen each belongs to."""
    start, length = runs[0][groups], runs[1][groups]
    owner = torch.repeat_interleave(length)
    within = torch.arange(len(owner)) - (length.cumsum(0) - length)[owner]
    return start[owner] + within, owner
