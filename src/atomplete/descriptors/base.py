"""The contract of all descriptors: a system in, labelled feature rows out."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int
from pydantic import SerializeAsAny
from torch import Tensor

from atomplete.descriptors.features import Features
from atomplete.descriptors.memory import MEMORY, Measurements
from atomplete.errors import InputError
from atomplete.registry import Registered, Spec, spec_field
from atomplete.system import System

D = TypeVar("D", bound="Descriptor")


class DescriptorSpec(Spec):
    """Spec of a descriptor; it has a ``cutoff``, as a field or as a property.

    Examples
    --------
    >>> from atomplete.descriptors import ThreeCenterSpec
    >>> ThreeCenterSpec().cutoff
    2.0
    """

    if TYPE_CHECKING:

        @property
        def cutoff(self) -> float:
            """Radius of an environment, Å."""

    def known_species(self) -> tuple[int, ...] | None:
        """Atomic numbers of the neighbours that are described; None for all."""
        return None


class FitCost(NamedTuple):
    """Memory of a fit, bytes, and words on the way that it goes."""

    memory: int = 0
    way: str = ""


class Projected:
    """Linear functions of the rows of a descriptor, which never mix the parities.

    Parameters
    ----------
    descriptor
        Whose rows are meant.
    even, odd
        (feature, output): weights of its scalars and of its pseudoscalars.
    """

    def __init__(
        self,
        descriptor: "Descriptor",
        even: Float[Tensor, "even even_output"],
        odd: Float[Tensor, "odd odd_output"],
    ) -> None:
        self.descriptor, self.even, self.odd = descriptor, even, odd
        self.rows_per_center = descriptor.rows_per_center
        self.numbers_per_row = descriptor.numbers_per_row

    def __call__(self, system: System) -> Features:
        """(row, output), in the dtype of the positions."""
        rows = self.descriptor(system)
        return rows.project(self.even.to(rows.values), self.odd.to(rows.values))


class Descriptor(Registered):
    """Map from the environments of atoms to rows of invariant features.

    A subclass names its spec, sets ``spec`` and ``parity`` and computes ``forward``; what else
    is below has a default. Called, it gives the features of all centres of a system.

    Examples
    --------
    >>> from typing import Literal
    >>> class CountSpec(DescriptorSpec):
    ...     type: Literal["count"] = "count"
    ...     cutoff: float = 2.0
    >>> class Count(Descriptor, spec=CountSpec):
    ...     "Number of neighbours."
    ...     def __init__(self, spec: CountSpec) -> None:
    ...         super().__init__()
    ...         self.spec, self.parity = spec, torch.ones(1, dtype=torch.long)
    ...     def forward(self, system: System) -> Features:
    ...         counts = system.neighbor_counts[:, None].to(system.positions)
    ...         return Features.of_centers(system, counts, self.parity)
    >>> import ase
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> Count(CountSpec())(system).values.tolist()
    [[1.0], [1.0]]
    """

    spec: Any
    #: Memory of centres, once measured; see ``evaluate.split``.
    measured: Measurements

    def __init__(self) -> None:
        super().__init__()
        self.measured = {}

    if TYPE_CHECKING:

        @property
        def parity(self) -> Int[Tensor, " feature"]:
            """(feature,) +1 for scalars, −1 for pseudoscalars; an attribute is as good."""

    @property
    def cutoff(self) -> float:
        """Radius of an environment, Å."""
        return float(self.spec.cutoff)

    @property
    def n_features(self) -> int:
        """Number of features; before a fit, the most that there may be."""
        return len(self.parity)

    @property
    def numbers_per_row(self) -> int:
        """Numbers that a row is computed from at the least, if they are more than its features."""
        return self.n_features

    @property
    def needs_fit(self) -> bool:
        """Whether it must be fitted to structures before it is used."""
        return False

    @property
    def is_fitted(self) -> bool:
        """Whether it can be used."""
        return not self.needs_fit

    @property
    def feature_labels(self) -> tuple[tuple[str, ...], Int[Tensor, "feature column"]] | None:
        """Names and integer columns that say what each feature is; None if it has no factors."""
        return None

    @property
    def kept(self) -> Sequence[Any]:
        """Components that contractions have kept of their data: printable dataclasses."""
        return ()

    def forward(self, system: System) -> Features:
        """Features of all centres, (row, feature), in the dtype of the positions."""
        raise NotImplementedError

    def __call__(self, system: System) -> Features:
        """Features of all centres of a system.

        Raises
        ------
        InputError
            If a fit is needed and was not made, or pairs were listed with another cutoff.
        """
        self.check(system)
        features: Features = super().__call__(system)
        return features

    def refuse_unfitted(self) -> None:
        """Raise an InputError if a fit is needed and was not made."""
        if not self.is_fitted:
            raise InputError(f"{self!r} must be fitted before it is used")

    def check(self, system: System) -> None:
        """Raise an InputError if the descriptor cannot be used, or not for such a system.

        That is where a fit is needed and was not made, or pairs were listed with another cutoff.
        """
        self.refuse_unfitted()
        try:
            system.refuse_other_cutoff(self.cutoff)
        except InputError as error:
            raise InputError(f"{self!r}: {error}") from error

    @property
    def one_row_per_center(self) -> bool:
        """Whether each centre has one row, whatever its neighbours."""
        return True

    def rows_per_center(self, system: System) -> Int[Tensor, " center"]:
        """Number of rows of each centre."""
        return torch.ones_like(system.centers)

    def center_derivatives(
        self, system: System
    ) -> Iterator[tuple[Int[Tensor, " pair"], Float[Tensor, "pair xyz feature"]]]:
        """Derivatives of the sum of each centre's rows in the vectors to its neighbours.

        Yields positions in the list of pairs, each pair once in all, and derivatives, 1/Å.
        """
        from atomplete.descriptors.derivatives.pair_derivatives import (  # made of this class
            center_derivatives,
        )

        return center_derivatives(self, system)

    def projected(
        self,
        even: Float[Tensor, "even even_output"],
        odd: Float[Tensor, "odd odd_output"],
    ) -> Callable[[System], Features]:
        """Linear functions of the rows: the first layer of a network, by the quickest way.

        Parameters
        ----------
        even, odd
            (feature, output): weights of the scalars and of the pseudoscalars.
        """
        return Projected(self, even, odd)

    def cost_of_fit(self, systems: Sequence[System], memory: int = MEMORY) -> FitCost:
        """Memory that ``fit`` will take, said before it begins.

        Raises
        ------
        InputError
            If that is more than ``memory`` bytes.
        """
        return FitCost()

    def fit(
        self: D, systems: Sequence[System], *, memory: int = MEMORY, progress: bool = False
    ) -> D:
        """Fit the contractions, if there are any, to training environments; returns itself.

        Parameters
        ----------
        systems
            Training environments, as one system or many.
        memory
            Bound on what is held beside them, bytes.
        progress
            Whether to show how far it is.
        """
        return self


#: Field for the spec of any descriptor.
AnyDescriptorSpec = Annotated[SerializeAsAny[DescriptorSpec], spec_field(Descriptor)]
