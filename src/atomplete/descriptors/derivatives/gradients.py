"""Derivatives of feature rows with respect to positions and strain.

A row of centre i is a function of the vectors r_ij to the neighbours alone, whose derivatives make
all others: dF/dx_k = Σ_{j on k} dF/dr_ij − δ_ik Σ_j dF/dr_ij and dF/dε = Σ_j r_ij ⊗ dF/dr_ij.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atomplete.descriptors.base import Descriptor
from atomplete.descriptors.derivatives.pair_derivatives import pair_derivatives
from atomplete.descriptors.evaluate import cut
from atomplete.descriptors.memory import CHUNK_BYTES, center_bytes
from atomplete.selection import chosen_of, members
from atomplete.system import System

#: Times the memory of rows that their graph takes, for second derivatives, beside derivatives.
GRAPH = 25


@dataclass(frozen=True)
class Gradients:
    """Feature rows and their derivatives; a sample is a row and an atom that it depends on.

    The derivative with respect to the cell at fixed fractional coordinates is
    inverse(cell)ᵀ @ strain, that at fixed positions inverse(cell)ᵀ @ (strain − Σ x ⊗ dF/dx), the
    sum over the atoms of the row, for each feature.

    Attributes
    ----------
    values
        (row, feature).
    rows
        Labels of the rows, as in ``Features``.
    positions
        (sample, xyz, feature), dF/dx of the sample's row with respect to its atom, 1/Å. Images of
        an atom move with it, and so does the centre.
    row, atom
        (sample,) position in ``values``, and the atom, counted within its structure. Each row has
        its centre and every atom within the cutoff once, in order.
    strain
        (row, xyz, xyz, feature), dF/dε where positions and cell become x @ (1 + ε).

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import NAMED, build
    >>> chain = ase.Atoms("B", cell=[0, 0, 1.5], pbc=(False, False, True))
    >>> system = System.from_atoms(chain, cutoff=2.0)
    >>> result = gradients(build(NAMED["radial_spectrum"]), system)
    >>> bool(result.positions.any()), bool(result.strain[0, 2, 2].all())
    (False, True)
    """

    values: Float[Tensor, "row feature"]
    rows: dict[str, Int[Tensor, " row"]]
    positions: Float[Tensor, "sample xyz feature"]
    row: Int[Tensor, " sample"]
    atom: Int[Tensor, " sample"]
    strain: Float[Tensor, "row xyz xyz feature"]

    def take(self, place: Int[Tensor, " chosen"]) -> "Gradients":
        """Some of the rows with their samples, in the order given and as often as given."""
        sample, row = members(self.row, place)
        return Gradients(
            values=self.values[place],
            rows={name: column[place] for name, column in self.rows.items()},
            positions=self.positions[sample],
            row=row,
            atom=self.atom[sample],
            strain=self.strain[place],
        )

    def __repr__(self) -> str:
        n_rows, n_features = self.values.shape
        return f"Gradients({n_rows} rows × {n_features} features, {len(self.row)} samples)"


def gradients(
    descriptor: Descriptor,
    system: System,
    rows: Iterable[Any] | Tensor | None = None,
    *,
    chunk_bytes: int = CHUNK_BYTES,
) -> Gradients:
    """Derivatives of feature rows; the cost of a row does not grow with its structure.

    All features of a row are differentiated in one direction at a time, three for each neighbour.
    For the gradient of a single number, such as an energy, let torch differentiate
    ``descriptor(system.with_positions(x))`` instead: that takes one backward pass.

    Parameters
    ----------
    descriptor
        The descriptor; its contractions must have been fitted.
    system
        Any number of structures, with all pairs within the cutoff of the descriptor; those
        beyond it are left out.
    rows
        Which rows of ``descriptor(system)``, as ``selection.chosen_of`` takes them; they
        come in the order given and as often as given. By default all.
    chunk_bytes
        Bound on the memory of one chunk of centres, beside which the result and one copy are held.

    Raises
    ------
    InputError
        For a row that does not exist, and as the descriptor itself.

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import NAMED, build
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> first = gradients(build(NAMED["power_spectrum"]), system, rows=[0])
    >>> first, first.atom.tolist(), first.strain.shape
    (Gradients(1 rows × 84 features, 2 samples), [0, 1], torch.Size([1, 3, 3, 84]))
    >>> bool(torch.allclose(first.positions[0], -first.positions[1]))
    True
    """
    system = system.within(descriptor.cutoff)
    descriptor.check(system)
    center_of_row = torch.repeat_interleave(descriptor.rows_per_center(system))
    wanted = torch.ones_like(center_of_row, dtype=torch.bool)
    place: Tensor | None = None
    if rows is not None:
        chosen = chosen_of(rows, len(wanted), "row", "rows", wanted.device)
        # each row is differentiated once, in order
        different, place = chosen.unique(return_inverse=True)
        wanted = torch.zeros_like(wanted).index_fill(0, different, True)
    centers = center_of_row[wanted].unique()
    environments = _of_centers(system, centers)
    wanted = wanted[torch.isin(center_of_row, centers)]
    rows_of = descriptor.rows_per_center
    need = center_bytes(descriptor, environments, rows_of, descriptor.measured)
    # beside the graph of the rows, a derivative of them in each coordinate of centre and neighbours
    need = need * (GRAPH + 3 * (environments.neighbor_counts + 1))
    parts = cut(environments, need, chunk_bytes)
    sizes = [int(rows_of(part).sum()) for part in parts]
    chunks = zip(parts, wanted.split(sizes), strict=True)
    found = _joined([_of_part(descriptor, part, kept) for part, kept in chunks])
    if place is None or torch.equal(place, torch.arange(len(found.values), device=place.device)):
        return found
    return found.take(place)


def _of_centers(system: System, centers: Int[Tensor, " center"]) -> System:
    """Some of the centres, in increasing order, with their pairs."""
    kept = torch.isin(system.i, centers)
    return replace(
        system,
        centers=system.centers[centers],
        i=torch.searchsorted(centers, system.i[kept]),
        j=system.j[kept],
        shift=system.shift[kept],
    )


def _of_part(
    descriptor: Descriptor, system: System, wanted: Bool[Tensor, " all_rows"]
) -> Gradients:
    """Gradients of the wanted rows of a chunk of centres."""
    with torch.no_grad():
        features = descriptor(system)
    center = features.center_of_row[wanted]
    n_atoms, atoms, of_center, of_pair = _atoms_of_centers(system)
    # the list of a row's centre, shifted to where the samples of the row begin
    row = torch.repeat_interleave(n_atoms[center])
    shift = n_atoms[center].cumsum(0) - n_atoms.cumsum(0)[center]
    atom = atoms[torch.arange(len(row), device=row.device) - shift[row]]

    values = features.values[wanted]
    positions = values.new_zeros(len(row), 3, values.shape[1])
    strain = values.new_zeros(len(values), 3, 3, values.shape[1])
    r_ij = system.r_ij.detach()
    counts = system.neighbor_counts
    first_pair = counts.cumsum(0) - counts
    for k, derivative in enumerate(pair_derivatives(descriptor, system, wanted)):
        moved = (counts[center] > k).nonzero()[:, 0]
        pair = first_pair[center[moved]] + k
        change = derivative[:, moved].transpose(0, 1)
        positions[shift[moved] + of_pair[pair]] += change
        positions[shift[moved] + of_center[center[moved]]] -= change
        strain[moved] += r_ij[pair][:, :, None, None] * change[:, None]
    return Gradients(
        values=values,
        rows={name: column[wanted] for name, column in features.rows.items()},
        positions=positions,
        row=row,
        atom=atom - system.first_atom[system.structure[atom]],
        strain=strain,
    )


def _atoms_of_centers(system: System) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A list of atoms for each centre: its own and its neighbours, each once, in order.

    Their sizes, the lists joined, and where in these the atom of each centre and of each pair is.
    """
    n_centers, n_atoms = len(system.centers), len(system.positions)
    center = torch.cat([torch.arange(n_centers, device=system.i.device), system.i])
    atom = torch.cat([system.centers, system.j])
    number, place = (center * n_atoms + atom).unique(return_inverse=True)
    sizes = torch.bincount(number // max(n_atoms, 1), minlength=n_centers)
    return sizes, number % max(n_atoms, 1), place[:n_centers], place[n_centers:]


def _joined(parts: list[Gradients]) -> Gradients:
    """Gradients of consecutive chunks as one."""
    if len(parts) == 1:
        return parts[0]
    sizes = torch.tensor([len(part.values) for part in parts])
    offsets = (sizes.cumsum(0) - sizes).tolist()
    return Gradients(
        values=torch.cat([part.values for part in parts]),
        rows={name: torch.cat([part.rows[name] for part in parts]) for name in parts[0].rows},
        positions=torch.cat([part.positions for part in parts]),
        row=torch.cat([part.row + offset for part, offset in zip(parts, offsets, strict=True)]),
        atom=torch.cat([part.atom for part in parts]),
        strain=torch.cat([part.strain for part in parts]),
    )
