"""The compiled kernel, where there is one, for structures as this library lists them."""

import ctypes
import json
from functools import cache
from pathlib import Path
from typing import Any

import torch

from atomplete.descriptors.expansion import position_of_species
from atomplete.errors import InputError
from atomplete.kernel.file import content_of
from atomplete.kernel.tables import refuse_without_kernel
from atomplete.potentials.pair_slopes import prediction_of_slopes
from atomplete.potentials.prediction import Prediction
from atomplete.system import System

#: Where pip puts the library; the folder is no package, and the library no module of Python.
FOLDER = Path(__file__).parent / "compiled"

#: Number of the interface that is called here: a library of older sources has another, or none.
INTERFACE = 1

#: Longest sentence about a file, bytes.
MESSAGE = 1000


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernel; None if it was not built, or not for this machine or these sources."""
    for path in sorted(FOLDER.glob("library*")):
        try:
            found = ctypes.CDLL(str(path))
            if found.atomplete_interface() != INTERFACE:
                continue
        except (OSError, AttributeError):
            continue
        found.atomplete_read.restype = ctypes.c_void_p
        return found
    return None


def kernel_of(potential: Any, dtype: torch.dtype, required: bool) -> "Kernel | None":
    """Kernel of a potential as it is now; None if there is none.

    Raises
    ------
    InputError
        If a kernel is required and there is none; the message says why.
    """
    try:
        refuse_without_kernel(potential)
        return Kernel(content_of(potential), dtype=dtype) if library() or required else None
    except InputError:
        if required:
            raise
        return None


class Kernel:
    """A potential as the compiled kernel evaluates it, on all threads of torch.

    Parameters
    ----------
    content
        Bytes of a file of tables.
    name
        The file, for what errors say.
    dtype
        float32 for products with frequencies in single precision; all else is in float64.

    Attributes
    ----------
    species
        Atomic numbers that it knows.

    Raises
    ------
    InputError
        If the bytes are not such a file, or damaged, if the kernel was not built, and for another
        type.
    """

    def __init__(
        self, content: bytes, name: str = "tables", dtype: torch.dtype = torch.float64
    ) -> None:
        if dtype not in (torch.float64, torch.float32):
            raise InputError(f"{dtype}: the kernel computes in float64 or float32")
        found = library()
        if found is None:
            raise InputError("the kernel was not built: pip builds it where there is a compiler")
        self._library = found
        message = ctypes.create_string_buffer(MESSAGE)
        pointer = found.atomplete_read(
            content,
            ctypes.c_int64(len(content)),
            name.encode(),
            int(dtype == torch.float32),
            message,
            MESSAGE,
        )
        if not pointer:
            raise InputError(message.value.decode(errors="replace"))
        self._pointer = ctypes.c_void_p(pointer)
        header = json.loads(content.split(b"\n", 2)[1])
        self.species, self.cutoff = tuple(header["species"]), header["cutoff"]

    def __del__(self) -> None:
        if hasattr(self, "_pointer"):
            self._library.atomplete_free(self._pointer)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Kernel":
        """Itself, for nothing changes it: calculators are copied, as for images of a path."""
        return self

    def __call__(self, system: System, properties: tuple[str, ...]) -> Prediction:
        """Predict properties of the structures of a system, in which all atoms are centres.

        Parameters
        ----------
        system
            Structures of known species, as ``Potential.system`` makes them.
        properties
            Fields of the ``Prediction`` beside the energy, but for uncertainties.
        """
        system.refuse_other_cutoff(self.cutoff)
        number = position_of_species(system, self.species).int()
        first = torch.searchsorted(system.i, torch.arange(len(number) + 1))
        r_ij = system.r_ij.detach().double().contiguous()
        energies = r_ij.new_empty(len(number))
        slopes = torch.empty_like(r_ij) if set(properties) - {"energy", "atom_energies"} else None
        order = number.argsort(stable=True)
        arrays = (order, number, first, r_ij, number[system.j], energies, slopes)
        failed = self._library.atomplete_evaluate(
            self._pointer,
            ctypes.c_int64(len(number)),
            *(ctypes.c_void_p(None if x is None else x.data_ptr()) for x in arrays),
            torch.get_num_threads(),
        )
        if failed:
            raise MemoryError
        energy = energies.new_zeros(len(system.cell)).index_add(0, system.structure, energies)
        of_atoms = energies if "atom_energies" in properties else None
        if slopes is None:
            return Prediction(system.structure, energy, atom_energies=of_atoms)
        return prediction_of_slopes(system, energy, of_atoms, slopes, properties)
