"""Feature rows that know which atoms they describe."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.errors import InputError
from atomplete.system import System


@dataclass(frozen=True)
class Features:
    """A matrix of features with labels on both axes.

    Attributes
    ----------
    values
        (row, feature).
    rows
        What each row describes: integer columns ``structure``, ``center`` and, for tagged
        neighbours, ``neighbor_1`` and ``neighbor_2``. Atoms are counted within their structure.
    parity
        (feature,) +1 for scalars, −1 for pseudoscalars, which change sign under inversion.
    center_of_row
        (row,) position of the row's centre in ``center_structure``.
    center_structure, center_atom, center_species
        (center,) of every centre, those without any row included; ``center_atom`` counts within
        the structure.
    weight
        (row,) product of the cutoff functions of the tagged neighbours. A non-linear function
        of a row must be multiplied by it before the sum over rows: then a neighbour that
        leaves the cutoff leaves no jump.

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import NAMED, build
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> features = build(NAMED["three_center"])(system)
    >>> features.even.shape, features.odd.shape, features.rows["neighbor_1"].tolist()
    (torch.Size([2, 4968]), torch.Size([2, 2376]), [1, 0])
    """

    values: Float[Tensor, "row feature"]
    rows: dict[str, Int[Tensor, " row"]]
    parity: Int[Tensor, " feature"]
    center_of_row: Int[Tensor, " row"]
    center_structure: Int[Tensor, " center"]
    center_atom: Int[Tensor, " center"]
    center_species: Int[Tensor, " center"]
    weight: Float[Tensor, " row"]

    def __repr__(self) -> str:
        n_rows, n_features = self.values.shape
        odd = int((self.parity < 0).sum())
        return (
            f"Features({n_rows} rows × {n_features} features, {odd} odd; "
            f"rows labelled by {', '.join(self.rows)})"
        )

    @classmethod
    def of_centers(
        cls,
        system: System,
        values: Float[Tensor, "center feature"],
        parity: Int[Tensor, " feature"],
    ) -> "Features":
        """One row for each centre: nothing tagged.

        Examples
        --------
        >>> import ase
        >>> system = System.from_atoms(ase.Atoms("B"), cutoff=2.0)
        >>> Features.of_centers(system, torch.zeros(1, 2), torch.tensor([1, -1]))
        Features(1 rows × 2 features, 1 odd; rows labelled by structure, center)
        """
        return cls.of_neighbors(system, (), values.new_empty(0)).with_values(values, parity)

    @classmethod
    def of_neighbors(
        cls,
        system: System,
        tagged: tuple[Int[Tensor, " row"], ...],
        pair_weight: Float[Tensor, " pair"],
    ) -> "Features":
        """Rows (i, i1, …, iN) of tagged neighbours, labelled, with no features yet.

        Parameters
        ----------
        system
            Atoms and pairs.
        tagged
            For each tagged neighbour, (row,) its position in the list of pairs; without any, the
            rows are the centres.
        pair_weight
            (pair,) cutoff function of each pair.

        Examples
        --------
        >>> import ase
        >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
        >>> Features.of_neighbors(system, (torch.tensor([0, 1]),), torch.ones(2)).rows
        {'structure': tensor([0, 0]), 'center': tensor([0, 1]), 'neighbor_1': tensor([1, 0])}
        """
        device = system.i.device
        structure = system.structure[system.centers]
        start = system.first_atom[structure]
        atom = system.centers - start
        center = system.i[tagged[0]] if tagged else torch.arange(len(atom), device=device)
        weight = pair_weight.new_ones(len(center))
        rows = {"structure": structure[center], "center": atom[center]}
        for number, pair in enumerate(tagged, 1):
            rows[f"neighbor_{number}"] = system.j[pair] - start[center]
            weight = weight * pair_weight[pair]
        return cls(
            values=pair_weight.new_empty(len(center), 0),
            rows=rows,
            parity=torch.empty(0, dtype=torch.long, device=device),
            center_of_row=center,
            center_structure=structure,
            center_atom=atom,
            center_species=system.species[system.centers],
            weight=weight,
        )

    def with_values(
        self, values: Float[Tensor, "row feature"], parity: Int[Tensor, " feature"]
    ) -> "Features":
        """The same rows with other features."""
        return replace(self, values=values, parity=parity.to(values.device))

    @property
    def labels(self) -> dict[str, Int[Tensor, " row"]]:
        """Labels of the rows, as in ``rows``, and the atomic number of their centre."""
        return {**self.rows, "center_species": self.center_species[self.center_of_row]}

    def center_position(self, species: Sequence[int], who: str) -> Int[Tensor, " center"]:
        """Position of the species of each centre in a list of atomic numbers.

        Raises
        ------
        InputError
            For a centre of another species than ``who`` knows; names the structure.

        Examples
        --------
        >>> import ase
        >>> system = System.from_atoms(ase.Atoms("BN", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
        >>> features = Features.of_centers(system, torch.zeros(2, 0), torch.zeros(0).long())
        >>> features.center_position((7, 5), "the model")
        tensor([1, 0])
        """
        known = torch.tensor(species, device=self.center_species.device)
        match = self.center_species[:, None] == known
        unknown = ~match.any(1)
        if unknown.any():
            first = int(unknown.nonzero()[0, 0])
            raise InputError(
                f"structure {int(self.center_structure[first])}: a center of atomic number "
                f"{int(self.center_species[first])}, but {who} knows {', '.join(map(str, species))}"
            )
        return match.long().argmax(1)

    @property
    def even(self) -> Float[Tensor, "row n_even"]:
        """The true scalars: invariant under O(3)."""
        return self._of_parity(1)

    @property
    def odd(self) -> Float[Tensor, "row n_odd"]:
        """The pseudoscalars: invariant under SO(3), odd under inversion."""
        return self._of_parity(-1)

    def _of_parity(self, sign: int) -> Tensor:
        columns = (self.parity == sign).nonzero()[:, 0]
        if len(columns) and int(columns[-1] - columns[0]) == len(columns) - 1:
            return self.values[:, int(columns[0]) : int(columns[-1]) + 1]  # a view, no copy
        return self.values[:, columns]

    def to(self, target: torch.dtype | torch.device) -> "Features":
        """Convert the features to another floating-point type, or to another device."""
        floating = replace(self, values=self.values.to(target), weight=self.weight.to(target))
        if isinstance(target, torch.dtype):
            return floating
        return replace(
            floating,
            rows={name: column.to(target) for name, column in self.rows.items()},
            parity=self.parity.to(target),
            center_of_row=self.center_of_row.to(target),
            center_structure=self.center_structure.to(target),
            center_atom=self.center_atom.to(target),
            center_species=self.center_species.to(target),
        )

    def sum_over_neighbors(self) -> Float[Tensor, "center feature"]:
        """The plain (linear) sum over tagged neighbours, zero for a centre without rows."""
        total = self.values.new_zeros(len(self.center_structure), self.values.shape[1])
        return total.index_add(0, self.center_of_row, self.values)

    def scaled(self, factor: Float[Tensor, ""]) -> "Features":
        """All values times one number."""
        return replace(self, values=self.values * factor.to(self.values))

    def summed(self) -> "Features":
        """One row for each centre: the plain sum of its rows."""
        return replace(
            self,
            values=self.sum_over_neighbors(),
            rows={"structure": self.center_structure, "center": self.center_atom},
            center_of_row=torch.arange(len(self.center_structure), device=self.values.device),
            weight=self.weight.new_ones(len(self.center_structure)),
        )

    def project(
        self,
        even: Float[Tensor, "n_even kept_even"],
        odd: Float[Tensor, "n_odd kept_odd"],
    ) -> "Features":
        """Linear combinations of the features, which never mix the parities."""
        values = torch.cat([self.even @ even, self.odd @ odd], 1)
        signs = torch.ones(values.shape[1], dtype=torch.long, device=values.device)
        signs[even.shape[1] :] = -1
        return replace(self, values=values, parity=signs)
