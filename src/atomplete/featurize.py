"""Features of a file of structures, written to HDF5 without ever being held as a whole."""

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import ase
import h5py
import torch

from atomplete.descriptors import Descriptor, Estimate, Features, estimate, run
from atomplete.descriptors.memory import MEMORY
from atomplete.errors import InputError
from atomplete.runs.disk import open_tolerant
from atomplete.runs.files import atomic_write
from atomplete.runs.fingerprint import content_hash
from atomplete.runs.provenance import versions
from atomplete.system import Centers, System


def featurize(
    structures: Sequence[ase.Atoms],
    descriptor: Descriptor,
    output: Path,
    *,
    centers: Centers | Literal["auto"] = "auto",
    dtype: torch.dtype = torch.float64,
    memory: int = MEMORY,
    progress: bool = True,
) -> None:
    """Compute features chunk by chunk and write them to an HDF5 file.

    The file holds ``values`` (row, feature), a column for each row label (``structure``,
    ``center``, for tagged neighbours ``neighbor_1`` and ``neighbor_2``, and ``center_species``,
    an atomic number, which no feature tells), ``weight`` (row,), ``parity`` (feature,) and, where
    features are products of factors, ``labels`` (feature, column): (q, l) of each factor of
    three-centre descriptors, (q, l, k) of tagged correlations.
    Spec, versions, the hash of the structures and what contractions have kept are attributes.

    Parameters
    ----------
    structures
        The structures.
    descriptor
        The descriptor; one that needs a fit and has none is fitted to the structures.
    output
        File to write, complete or not at all; its folder is made if need be.
    centers
        As in ``System.from_atoms``; ``"auto"`` is what ``System.centers_of`` the structures says.
    dtype
        Of the computation and of the file.
    memory
        Bound on what fitting and evaluation hold beside structures and pairs, bytes.
    progress
        Whether to say how much it will be, and then how far it is.

    Raises
    ------
    InputError
        If the file does not fit on the disk, the rows of a centre or components not into the
        memory, or a structure cannot be described.

    Examples
    --------
    >>> import tempfile
    >>> from atomplete.descriptors import ThreeCenterSpec, build
    >>> boron = ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "features.h5"
    ...     featurize([boron], build(ThreeCenterSpec()), path, progress=False)
    ...     with h5py.File(path) as file:
    ...         file["values"].shape, file["neighbor_1"][:].tolist()
    ((2, 7344), [1, 0])
    """
    chosen = System.centers_of(structures) if centers == "auto" else centers
    system = System.from_atoms(structures, descriptor.cutoff, centers=chosen, dtype=dtype)
    size = estimate(descriptor, system, memory)
    _check_disk(output, size)
    output.parent.mkdir(parents=True, exist_ok=True)
    if progress:
        print(size, file=sys.stderr)
    if not descriptor.is_fitted:
        descriptor.fit([system], memory=memory, progress=progress)
    with (
        atomic_write(output) as temporary,
        open_tolerant(temporary) as disk,
        h5py.File(disk, "w") as file,
    ):
        file.attrs["descriptor"] = descriptor.spec.model_dump_json()
        file.attrs["versions"] = json.dumps(versions())
        file.attrs["structures_sha256"] = content_hash(structures)
        file["parity"] = descriptor.parity.numpy()
        if descriptor.needs_fit:
            file.attrs["kept"] = json.dumps([asdict(kept) for kept in descriptor.kept])
        if descriptor.feature_labels is not None:
            file["labels"] = descriptor.feature_labels[1].numpy()
        done = 0
        for features in run(descriptor, system, size.chunk_bytes, progress=progress):
            done += _write(file, features, done, size.n_rows)
            if disk.error is not None:
                break


def _write(file: h5py.File, features: Features, start: int, total: int) -> int:
    """Write rows after those written before; returns their number."""
    columns = {**features.labels, "weight": features.weight, "values": features.values}
    for name, rows in columns.items():
        if name not in file:
            shape = total, *rows.shape[1:]
            file.create_dataset(name, shape=shape, dtype=rows.numpy().dtype)
        if len(rows):
            file[name][start : start + len(rows)] = rows.numpy()
    return len(features.values)


def _check_disk(output: Path, size: Estimate) -> None:
    folder = next(parent for parent in output.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    if size.disk > 0.95 * free:
        raise InputError(
            f"{output}: {size.n_rows} rows of {size.n_features} features take "
            f"{size.disk / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free on the disk; "
            "keep fewer components"
        )
