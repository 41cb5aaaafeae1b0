"""Features of a file of structures, written to HDF5 without ever being held as a whole."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase
import h5py
import numpy as np
import torch

from atomplete.errors import InputError
from atomplete.files import atomic_write, content_hash
from atomplete.progress import progress_of
from atomplete.representations import (
    DensityCorrelationsSpec,
    Representation,
    ThreeCenter,
    ThreeCenterSpec,
    build,
    split,
)
from atomplete.system import Centers, System
from atomplete.versions import versions

#: Bound on the two square matrices that fitting components holds beside a chunk, bytes.
MOMENT_BYTES = 2 * 2**30


def featurize(
    structures: Sequence[ase.Atoms],
    spec: DensityCorrelationsSpec | ThreeCenterSpec,
    output: Path,
    *,
    centers: Centers = "auto",
    dtype: torch.dtype = torch.float64,
    chunk_bytes: int = 256 * 2**20,
    progress: bool = True,
) -> Representation:
    """Compute features chunk by chunk and write them to an HDF5 file.

    The file holds ``values`` (row, feature), a column for each row label (``structure``,
    ``center``, for tagged neighbours ``neighbor_1`` and ``neighbor_2``), ``weight`` (row,),
    ``parity`` (feature,) and, where features were not contracted, ``labels`` (feature, 6) with
    (q1, l1, q2, l2, q3, l3). Spec, versions and the hash of the structures are attributes.

    Parameters
    ----------
    structures
        The structures; contractions that the spec names are fitted to them.
    spec
        The representation.
    output
        File to write, complete or not at all; its folder is made if need be.
    centers
        As in ``System.from_atoms``.
    dtype
        Of the computation and of the file.
    chunk_bytes
        Bound on the memory of one chunk, beside which the pairs and one copy are held, and for
        components two square matrices of the number of features (2 GB at the most).
    progress
        Whether to show how far it is.

    Returns
    -------
    Representation
        With its contractions fitted.

    Raises
    ------
    InputError
        If the file would not fit on the disk, components not in memory, or a structure cannot be
        described.

    Examples
    --------
    >>> import tempfile
    >>> boron = ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "features.h5"
    ...     featurize([boron], ThreeCenterSpec(), path, progress=False)
    ...     with h5py.File(path) as file:
    ...         file["values"].shape, file["neighbor_1"][:].tolist()
    ThreeCenter(7344 features, cutoff 2.0 Å)
    ((2, 7344), [1, 0])
    """
    representation = build(spec)
    system = System.from_atoms(structures, spec.expansion.cutoff, centers=centers, dtype=dtype)
    parts = split(representation, system, chunk_bytes)
    n_rows = int(representation.n_rows(system).sum())
    shape = n_rows, len(representation.parity)
    _check_disk(output, shape, dtype)
    if isinstance(representation, ThreeCenter):
        _check_memory(output, representation)
        representation.fit(parts, progress=progress)
    output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(output) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["representation"] = spec.model_dump_json()
        file.attrs["versions"] = json.dumps(versions())
        file.attrs["structures_sha256"] = content_hash(structures)
        file["parity"] = representation.parity.numpy()
        if isinstance(representation, ThreeCenter) and representation.even is None:
            file["labels"] = representation.labels.numpy()
        done = 0
        with progress_of("features", len(parts), progress) as step, torch.no_grad():
            for part in parts:
                features = representation(part)
                columns = {**features.rows, "weight": features.weight, "values": features.values}
                for name, column in columns.items():
                    _write_rows(file, name, column.numpy(), done, n_rows)
                done += len(features.values)
                step()
    return representation


def _write_rows(file: Any, name: str, rows: np.ndarray, start: int, total: int) -> None:
    if name not in file:
        file.create_dataset(name, shape=(total, *rows.shape[1:]), dtype=rows.dtype)
    if len(rows):
        file[name][start : start + len(rows)] = rows


def _check_disk(output: Path, shape: tuple[int, int], dtype: torch.dtype) -> None:
    size = shape[0] * shape[1] * torch.empty(0, dtype=dtype).element_size()
    folder = next(parent for parent in output.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    if size > 0.95 * free:
        raise InputError(
            f"{output}: {shape[0]} rows of {shape[1]} features take {size / 1e9:.1f} GB, but "
            f"{free / 1e9:.1f} GB are free on the disk; keep fewer components"
        )


def _check_memory(output: Path, representation: ThreeCenter) -> None:
    """Refuse components whose second moments would not fit: they grow as species^6."""
    if representation.even is None:
        return
    odd = int((representation.labels[:, 1::2].sum(1) % 2).sum())
    even = len(representation.labels) - odd
    size = 2 * 8 * (even**2 + odd**2)  # a sum and a product, float64
    if size > MOMENT_BYTES:
        raise InputError(
            f"{output}: components of {even} + {odd} features take {size / 1e9:.1f} GB, more than "
            f"the {MOMENT_BYTES / 1e9:.1f} GB allowed; contract radial channels first, with "
            "radial_components in the spec"
        )
