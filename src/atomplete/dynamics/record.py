"""Trajectory and log of a run, which grow together with the state that it goes on from."""

import json
import os
import time
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from ase import Atoms

from atomplete.checkpoint import read_tensors, write_tensors
from atomplete.data.xyz import frame
from atomplete.errors import InputError
from atomplete.runs.disk import reporting_disk
from atomplete.runs.folder import claim

TRAJECTORY, LOG, STATE, STOPPED = "trajectory.xyz", "log.jsonl", "state.pt", "stopped.xyz"

#: Seconds between two states on the disk: what a kill costs.
INTERVAL = 5.0


class Record:
    """Files of a run in a folder: ``trajectory.xyz``, ``log.jsonl`` and ``state.pt``.

    The state holds the lengths of the two others when it was taken. What a killed run has written
    after it is cut off, and written again.

    Parameters
    ----------
    folder
        Where they are; it exists.
    identity
        What the steps depend on, plain values by name.

    Attributes
    ----------
    state
        That of an earlier run of the same identity; empty for none.

    Raises
    ------
    InputError
        If the folder holds a run of another identity, or a file of it is damaged.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self.folder, self._identity = folder, identity
        self.state = self._found()
        self._files: dict[str, IO[bytes]] = {}
        self._kept = time.monotonic()
        lengths = self.state.get("lengths", {})
        for name in (TRAJECTORY, LOG):
            path, length = folder / name, lengths.get(name, 0)
            claim(path)
            with reporting_disk(path):
                self._files[name] = path.open("ab")
                self._files[name].truncate(length)

    def _found(self) -> dict[str, Any]:
        path = self.folder / STATE
        if not path.exists():
            return {}
        found = read_tensors(path)
        known = found.get("identity")
        if not isinstance(known, dict) or not isinstance(found.get("step"), int):
            raise InputError(f"{path}: no state of dynamics; remove it to begin anew")
        for name, value in self._identity.items():
            if known.get(name) != value:
                raise InputError(
                    f"{self.folder}: it holds a run with another {name} "
                    f"({known.get(name)}, not {value}); write into another folder"
                )
        for name, length in found["lengths"].items():
            file = self.folder / name
            if not file.is_file() or file.stat().st_size < length:
                raise InputError(
                    f"{file}: cut since {STATE} was written; remove that to begin anew"
                )
        return {name: _as_array(value) for name, value in found.items()}

    def frame(self, atoms: Atoms) -> None:
        """Add a structure to the trajectory."""
        self._append(TRAJECTORY, frame(atoms, f"{self.folder / TRAJECTORY}").encode())

    def line(self, entry: dict[str, Any]) -> None:
        """Add a line to the log."""
        self._append(LOG, json.dumps(entry).encode() + b"\n")

    def _append(self, name: str, text: bytes) -> None:
        with reporting_disk(self.folder / name):
            self._files[name].write(text)
            self._files[name].flush()

    def taken(self, state: dict[str, Any]) -> dict[str, Any]:
        """A state with what the files hold by now."""
        return state | {"lengths": {name: file.tell() for name, file in self._files.items()}}

    def due(self) -> bool:
        """Whether a kill would cost more than some seconds."""
        return time.monotonic() - self._kept > INTERVAL

    def keep(self, taken: dict[str, Any]) -> None:
        """Write a state that was taken."""
        for name, file in self._files.items():
            with reporting_disk(self.folder / name):
                os.fsync(file.fileno())
        content = {name: _as_tensor(value) for name, value in taken.items()}
        write_tensors(self.folder / STATE, content | {"identity": self._identity})
        self._kept = time.monotonic()

    def end(self, taken: dict[str, Any]) -> None:
        """Write the last whole state, and cut off what belongs to later steps."""
        try:
            for name, length in taken.get("lengths", {}).items():
                self._files[name].truncate(length)
            if taken:
                self.keep(taken)
        finally:
            for file in self._files.values():
                file.close()

    def entries(self) -> list[dict[str, Any]]:
        """Lines of the log."""
        with (self.folder / LOG).open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]


def _as_tensor(value: Any) -> Any:
    return torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value


def _as_array(value: Any) -> Any:
    return value.numpy() if isinstance(value, torch.Tensor) else value
