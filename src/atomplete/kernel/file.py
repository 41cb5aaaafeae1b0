"""The file of tables that the kernel reads: a line of text, a line of JSON, and arrays."""

import hashlib
import json
from pathlib import Path
from typing import Any

from atomplete.errors import InputError
from atomplete.kernel.tables import tables_of
from atomplete.runs.files import atomic_write
from atomplete.runs.provenance import versions

#: First line of a file.
FIRST_LINE = "atomplete potential, version 1\n"

#: What numbers in a file are measured in.
UNITS = {"energy": "eV", "length": "angstrom"}


def content_of(potential: Any) -> bytes:
    """Bytes of a file of tables; their hash is over all that follows it.

    Raises
    ------
    InputError
        For a potential that the kernel does not compute.
    """
    sizes, arrays = tables_of(potential)
    places, offset = {}, 0
    for name, array in arrays.items():
        dtype = "float64" if array.dtype.kind == "f" else "int32"
        places[name] = {"dtype": dtype, "shape": array.shape, "offset": offset}
        offset += array.nbytes
    header = {"units": UNITS, **sizes, "bytes": offset, "arrays": places, "versions": versions()}
    rest = f", {json.dumps(header)[1:]}\n".encode()
    rest += b"".join(array.tobytes() for array in arrays.values())
    digest = hashlib.sha256(rest).hexdigest()
    return f'{FIRST_LINE}{{"sha256": "{digest}"'.encode() + rest


def write_tables(path: Path | str, potential: Any) -> None:
    """Write the file of tables of a potential, for LAMMPS and for the kernel.

    Parameters
    ----------
    path
        The file to write; its folder must exist.
    potential
        A ``DescriptorPotential`` with a ``RandomFourier`` descriptor and a linear readout.

    Raises
    ------
    InputError
        For a potential of another kind, or a file that cannot be written.
    """
    content = content_of(potential)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def header_of(path: Path) -> dict[str, Any]:
    """Header of a file of tables that is whole.

    Raises
    ------
    InputError
        For a file that is none, of another version, cut, or damaged.
    """
    try:
        first, rest = path.read_bytes().split(b"\n", 1)
    except OSError as error:
        raise InputError(f"{path}: it cannot be read ({error.strerror})") from None
    except ValueError:
        first = rest = b""
    if not first.startswith(FIRST_LINE.split("version")[0].encode()):
        raise InputError(f"{path}: not a file of tables that `atomplete export` wrote")
    if first != FIRST_LINE.strip().encode():
        raise InputError(f"{path}: another version of the format than this one writes")
    lead, length = len(b'{"sha256": "'), len(hashlib.sha256().hexdigest())
    digest, hashed = rest[lead : lead + length], rest[lead + length + 1 :]
    if hashlib.sha256(hashed).hexdigest().encode() != digest:
        raise InputError(f"{path}: cut or damaged, for its SHA-256 is another; export it anew")
    found: dict[str, Any] = json.loads(rest.split(b"\n", 1)[0])
    return found
