"""Maps from feature rows to a vector of scalars and pseudoscalars for each centre."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from atomplete.descriptors import Features
from atomplete.nn.row_sum import RowSum, initialise, refuse_large


class SetMap(nn.Module):
    """y_i = A Σ_rows w psi(x) / n: scalars and pseudoscalars of each centre.

    With s the sum of the rows and s' that of their mirror images, scalars are linear in s + s'
    and pseudoscalars in s − s', so that a mirror leaves the former and negates the latter.
    Without hidden layers y_i = A Σ_rows x, without weights: a linear contraction.

    Parameters
    ----------
    hidden
        Widths of psi; none for a linear map.
    outputs
        Scalars and pseudoscalars of each centre.
    n_even, n_odd
        Scalars and pseudoscalars in a row.
    group_norm
        As in ``DeepSetSpec``.
    generator
        Source of the initial weights.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> SetMap((512, 512), (96, 32), n_even=400, n_odd=250, group_norm=1, generator=generator)
    SetMap(400 even, 250 odd → 512 → 512 → Σ → 96 even, 32 odd)
    """

    def __init__(
        self,
        hidden: tuple[int, ...],
        outputs: tuple[int, int],
        *,
        n_even: int,
        n_odd: int,
        group_norm: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self._numbers = outputs
        self._label = f"{n_even} even, {n_odd} odd → " + "".join(f"{n} → " for n in hidden)
        self.rows = RowSum(hidden, group_norm, n_even, n_odd, generator) if hidden else None
        n_even, n_odd = (hidden[-1], hidden[-1]) if hidden else (n_even, n_odd)
        refuse_large(n_even + n_odd, sum(outputs))
        self.even = nn.Linear(n_even, outputs[0])
        self.odd = nn.Linear(n_odd, outputs[1], bias=False) if outputs[1] else None
        for layer in filter(None, (self.even, self.odd)):
            initialise(layer, generator)

    def __repr__(self) -> str:
        return f"SetMap({self._label}Σ → {self._numbers[0]} even, {self._numbers[1]} odd)"

    def forward(self, features: Features) -> Float[Tensor, "center output"]:
        """Scalars first, then pseudoscalars."""
        features = features.to(self.even.weight.dtype)
        if self.rows is None:
            total = features.summed()
            return self._outputs(total.even, total.odd)
        plain, mirrored = self.rows.both(*self.rows.first(features), features)
        return self._outputs((plain + mirrored) / 2, (plain - mirrored) / 2)

    def _outputs(self, even: Tensor, odd: Tensor) -> Float[Tensor, "center output"]:
        scalars = self.even(even)
        return scalars if self.odd is None else torch.cat([scalars, self.odd(odd)], 1)
