"""The compiled kernel, where there is one, for structures as this library lists them."""

import ctypes
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from atomplete.errors import InputError
from atomplete.system import System

#: Longest sentence about a file.
MESSAGE = 1000


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernel; None if it was not built, or not for this machine."""
    for path in sorted((Path(__file__).parent / "compiled").glob("library*")):
        try:
            found = ctypes.CDLL(str(path))
        except OSError:
            continue
        found.atomplete_read.restype = ctypes.c_void_p
        return found
    return None


class PairDerivatives(NamedTuple):
    """Energies of centres, eV, and their derivatives in the vectors of pairs, eV/Å."""

    energies: np.ndarray
    gradient: np.ndarray


class Kernel:
    """A potential as the compiled kernel evaluates it, in float64.

    Parameters
    ----------
    content
        Bytes of a file of tables.
    name
        What errors say of it.

    Raises
    ------
    InputError
        If the bytes are not such a file, or damaged, or if the kernel was not built.
    """

    def __init__(self, content: bytes, name: str = "tables") -> None:
        found = library()
        if found is None:
            raise InputError("the kernel was not built: pip install needs a compiler of C++17")
        self._library = found
        message = ctypes.create_string_buffer(MESSAGE)
        pointer = found.atomplete_read(
            content, ctypes.c_int64(len(content)), name.encode(), message, MESSAGE
        )
        if not pointer:
            raise InputError(message.value.decode(errors="replace"))
        self._pointer = ctypes.c_void_p(pointer)

    def __del__(self) -> None:
        if hasattr(self, "_pointer"):
            self._library.atomplete_free(self._pointer)

    def evaluate(
        self, system: System, species: tuple[int, ...], threads: int = 1
    ) -> PairDerivatives:
        """Energies of the centres of a system and their derivatives in its ``r_ij``.

        Parameters
        ----------
        system
            Structures, with pairs within the cutoff.
        species
            Atomic numbers in the order of the tables; all atoms must be of these.
        threads
            How many to use.
        """
        place = np.zeros(max(species) + 1, np.int32)
        place[list(species)] = np.arange(len(species))
        numbers = place[system.species.numpy()]
        of_center, of_pair = numbers[system.centers.numpy()], numbers[system.j.numpy()]
        first = np.searchsorted(system.i.numpy(), np.arange(len(of_center) + 1))
        vectors = np.ascontiguousarray(system.r_ij.detach().numpy(), np.float64)
        energies, gradient = np.empty(len(of_center)), np.empty(vectors.shape)
        order = of_center.argsort(kind="stable")
        arrays = (order, of_center, first, vectors, of_pair, energies, gradient)
        failed = self._library.atomplete_evaluate(
            self._pointer,
            ctypes.c_int64(len(of_center)),
            *(array.ctypes.data_as(ctypes.c_void_p) for array in arrays),
            threads,
        )
        if failed:
            raise MemoryError
        return PairDerivatives(energies, gradient)
