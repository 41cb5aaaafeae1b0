"""Sums of rows of forces and stresses over shares of the data, here or elsewhere alike."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby, pairwise
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from atomplete.checkpoint import content_of, from_content
from atomplete.data.dataset import Dataset
from atomplete.errors import InputError
from atomplete.potentials import DescriptorPotential
from atomplete.runs.provenance import versions_of
from atomplete.training.closed_form.derivative_rows import Labelled, bytes_of_rows
from atomplete.training.closed_form.normal_equations import NormalEquations
from atomplete.training.run import Remote, State

#: Shares of the data, at most. A sum of numbers depends on their order: shares follow from the
#: data alone, and are added in their order wherever they come from.
SHARES = 16

#: Packages of which all that sum up must have the same version.
SAME = ("atomplete", "torch")


def shares_of(need: Sequence[int], memory: int) -> list[list[range]]:
    """Runs of structures that take so many bytes at most, in shares of similar size.

    Parameters
    ----------
    need
        Bytes that each structure takes; a single one may take more than ``memory``.
    memory
        Bound on a run.

    Examples
    --------
    >>> shares_of([5, 5, 5, 5, 5], 10)
    [[range(0, 2), range(2, 3)], [range(3, 5)]]
    """
    total = max(sum(need), 1)
    number = min(SHARES, max(total // memory, 1))
    share_of = [number * done // total for done in accumulate(need, initial=0)]
    shares = []
    for _, members in groupby(range(len(need)), key=share_of.__getitem__):
        starts: list[int] = []
        used = 0
        for structure in members:
            if not starts or used + need[structure] > memory:
                starts.append(structure)
                used = 0
            used += need[structure]
        shares.append([range(*bounds) for bounds in pairwise([*starts, structure + 1])])
    return shares


class DerivativeSums:
    """Sums of the rows of derivatives of training data, with a state to resume.

    Parameters
    ----------
    potential
        A descriptor with a linear readout.
    dataset, structures
        Structures with labels, chosen by index.
    kinds
        Those of "forces" and "stress" that are summed up.
    dtype
        Of derivatives; their products are summed in float64.
    memory
        Bound on derivatives that are held at once, bytes.
    known
        States of sums over other structures, to begin with; they are taken out, for they are large.

    Attributes
    ----------
    total
        Sums of the shares that are done, in the units of ``derivative_rows``, eV and Å.
    """

    def __init__(
        self,
        potential: DescriptorPotential,
        dataset: Dataset,
        structures: Int[Tensor, " chosen"],
        kinds: Sequence[str],
        dtype: str,
        memory: int,
        known: dict[str, State] | None = None,
    ) -> None:
        self._potential, self._dtype = potential, dtype
        self._shares: list[list[range]] = []
        if kinds:
            self._data = Labelled.of(potential, dataset, structures)
            need = bytes_of_rows(potential, self._data.system).tolist()
            self._shares = shares_of(need, memory)
        self.total = _empty(potential, kinds)
        known = {} if known is None else known
        for kind in list(known):
            self.total[kind].load_state_dict(known.pop(kind))
        self._share: dict[str, NormalEquations] = {}  # of the share at hand
        self._done = self._parts = 0  # shares, and parts of the share at hand

    @property
    def left(self) -> int:
        """Number of parts that are still to be summed up."""
        return sum(map(len, self._shares[self._done :])) - self._parts

    def here(self) -> Iterator[int]:
        """Go on in this process, part by part; after each step its number of parts."""
        for share in self._shares[self._done :]:
            self._share = self._share or _empty(self._potential, self.total)
            for part in share[self._parts :]:
                _add_rows(self._share, self._potential, self._data.part(part), self._dtype)
                self._parts += 1
                if self._parts == len(share):
                    for kind, total in self.total.items():
                        total.add_sums(self._share[kind])
                        self._share[kind].clear()
                    self._done, self._parts = self._done + 1, 0
                yield 1
        self._share = {}

    def elsewhere(self, remote: Remote) -> Iterator[int]:
        """Go on in other processes, share by share; after each step its number of parts."""
        self._share, self._parts = {}, 0
        content, kinds = content_of(self._potential), tuple(self.total)
        left = self._shares[self._done :]
        calls = (
            (content, kinds, self._dtype, list(map(len, share)), self._data.part(whole).arrays())
            for share in left
            for whole in (range(share[0].start, share[-1].stop),)
        )
        for share, found in zip(left, remote(sums_of_share, calls), strict=True):
            for kind, arrays in found.items():
                state = {name: torch.from_numpy(array) for name, array in arrays.items()}
                self.total[kind].add_state(state)
            self._done += 1
            yield len(share)

    def state_dict(self) -> dict[str, Any]:
        """The sums, and how far they are."""
        share = _states(self._share) if self._parts else {}
        done = {"shares": self._done, "parts": self._parts}
        return {"total": _states(self.total), "share": share, **done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from sums that were saved."""
        self._done, self._parts = state["shares"], state["parts"]
        self._share = _empty(self._potential, state["share"])
        for sums, states in ((self.total, state["total"]), (self._share, state["share"])):
            for kind, found in states.items():
                sums[kind].load_state_dict(found)


def sums_of_share(
    content: dict[str, Any],
    kinds: Sequence[str],
    dtype: str,
    sizes: Sequence[int],
    arrays: dict[str, Any],
) -> dict[str, dict[str, Any]]:
    """Sums over structures, part by part: plain data in, plain data out, for any process.

    Raises
    ------
    InputError
        Where packages have other versions than those that the content was made with.
    """
    for package, version in versions_of(SAME).items():
        if content["versions"][package] != version:
            here = content["versions"][package]
            raise InputError(f"workers have {package} {version}, but here it is {here}")
    potential = from_content(content, DescriptorPotential)
    data = Labelled.from_arrays(arrays)
    sums, start = _empty(potential, kinds), 0
    for size in sizes:
        _add_rows(sums, potential, data.part(range(start, start + size)), dtype)
        start += size
    return {
        kind: {name: value.numpy() for name, value in state.items()}
        for kind, state in _states(sums).items()
    }


def _empty(potential: DescriptorPotential, kinds: Iterable[str]) -> dict[str, NormalEquations]:
    n = potential.readout.coefficients.numel()
    return {kind: NormalEquations.empty(n) for kind in kinds}


def _add_rows(
    sums: dict[str, NormalEquations], potential: DescriptorPotential, part: Labelled, dtype: str
) -> None:
    for kind, rows, targets in part.rows(potential, tuple(sums), dtype):
        sums[kind].add(rows, targets)


def _states(sums: dict[str, NormalEquations]) -> dict[str, dict[str, Tensor]]:
    return {kind: of_kind.state_dict() for kind, of_kind in sums.items()}
