"""The contract of all descriptors: a system in, labelled feature rows out."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import torch
from jaxtyping import Int
from pydantic import SerializeAsAny
from torch import Tensor

from atomplete.descriptors.chunks import MEMORY
from atomplete.descriptors.features import Features
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
    if TYPE_CHECKING:

        @property
        def parity(self) -> Int[Tensor, " feature"]:
            """(feature,) +1 for scalars, −1 for pseudoscalars; an attribute is as good."""

    @property
    def cutoff(self) -> float:
        """Radius of an environment, Å."""
        return float(self.spec.cutoff)

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
        """What contractions have kept of the data they were fitted to: dataclasses, printable."""
        return ()

    @abstractmethod
    def forward(self, system: System) -> Features:
        """Features of all centres, (row, feature), in the dtype of the positions."""

    def __call__(self, system: System) -> Features:
        """Features of all centres of a system.

        Raises
        ------
        InputError
            If a fit is needed and was not made.
        """
        if not self.is_fitted:
            raise InputError(f"{self!r} must be fitted before it is used")
        features: Features = super().__call__(system)
        return features

    def rows_per_center(self, system: System) -> Int[Tensor, " center"]:
        """Number of rows of each centre."""
        return torch.ones_like(system.centers)

    def row_bytes(self, system: System) -> Int[Tensor, " center"]:
        """Bytes that the rows of each centre take while they are computed, about."""
        numbers = 4 * len(self.parity) * self.rows_per_center(system)
        return numbers * system.positions.element_size()

    def fit(
        self: D, systems: Sequence[System], *, memory: int = MEMORY, progress: bool = False
    ) -> D:
        """Fit to training environments what needs a fit; returns itself.

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
