"""The contract of readouts: an energy of each centre from its feature rows."""

from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float, Int
from pydantic import SerializeAsAny
from torch import Tensor

from atomplete.descriptors import Descriptor, Features
from atomplete.errors import InputError
from atomplete.registry import Registered, Spec, spec_field
from atomplete.system import System


class ReadoutSpec(Spec):
    """Spec of a readout.

    Examples
    --------
    >>> from atomplete.nn.linear import LinearSpec
    >>> LinearSpec().type
    'linear'
    """


class Readout(Registered):
    """Energy of each centre, in a scale of its own, from the rows of a descriptor.

    A subclass names its spec, is made from it with ``parity`` (of the features), ``species`` (of
    the centres) and ``seed`` (of initial weights), and computes ``forward``.
    """

    spec: Any
    #: Whether it is linear in ``coefficients``, and can be fitted in closed form.
    is_linear: ClassVar[bool] = False

    def forward(self, features: Features) -> Float[Tensor, " center"]:
        """E_i of each centre."""
        raise NotImplementedError

    def of_system(
        self, descriptor: Descriptor, system: System, scale: Tensor
    ) -> tuple[Features, Float[Tensor, " center"]]:
        """Labels of the centres of a system, and E_i from features times ``scale``."""
        features = descriptor(system)
        return features, self(features.scaled(scale))

    def count_rows(self, n_rows: int, n_centers: int) -> None:
        """Take over the number of rows of training data; by default unused."""

    def start(self, features: Features, seed: int) -> None:
        """Adapt to typical features before training; by default unused."""

    def finish(self) -> None:
        """Undo what ``start`` did to the form of the readout."""

    # readouts that are linear in their coefficients, for fits in closed form

    @property
    def coefficients(self) -> Float[Tensor, "block feature"]:
        """Coefficients that E_i is linear in, a block for each kind of centre."""
        raise InputError(f"a readout of type {self.spec.type!r} is not linear in coefficients")

    def inputs(self, features: Features) -> Float[Tensor, "center feature"]:
        """Derivatives of E_i in the coefficients of its block."""
        raise InputError(f"a readout of type {self.spec.type!r} is not linear in coefficients")

    def columns(self, parity: Int[Tensor, " feature"]) -> Int[Tensor, " column"]:
        """Features whose sums over rows are the ``inputs``."""
        raise InputError(f"a readout of type {self.spec.type!r} is not linear in coefficients")

    def block(self, features: Features) -> Int[Tensor, " center"]:
        """Block of coefficients of each centre."""
        return torch.zeros_like(features.center_species)


#: Field for the spec of any readout.
AnyReadoutSpec = Annotated[SerializeAsAny[ReadoutSpec], spec_field(Readout)]
