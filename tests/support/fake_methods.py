"""Label methods without physics; worker processes import them by name, so they live here."""

import os
import signal
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from atomplete.errors import InputError
from atomplete.labels import Label


@dataclass(frozen=True)
class Fake:
    """Does to each structure what its ``info["act"]`` says, and writes down that it was asked."""

    log: str
    scale: float = 1.0
    name = "fake"

    @property
    def settings(self):
        return {key: value for key, value in asdict(self).items() if key != "log"}

    def check(self, atoms, name):
        if 118 in atoms.numbers:
            raise InputError(f"{name}: fake has no parameters for Og")

    def compute(self, atoms):
        with Path(self.log).open("a") as log:
            log.write(f"{os.getpid()}\n")
        calm = Path(f"{self.log}.calm").exists()
        match None if calm else atoms.info.get("act"):
            case "fail":
                return Label.failed("SCF not converged", 0.5, self.name, self.settings)
            case "raise":
                raise RuntimeError("two\nlines")
            case "refuse":
                raise InputError("late refusal")
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "scratch":
                with tempfile.NamedTemporaryFile():
                    pass
            case "sleep":
                time.sleep(60)
            case "garble":
                return Label(float("nan"), None, True, 0.1, self.name, self.settings)
            case "shape":
                forces = np.zeros((len(atoms) + 1, 3))
                return Label(-1.0, forces, True, 0.1, self.name, self.settings)
            case "scrambled":
                forces = np.zeros((3, len(atoms)))
                return Label(-1.0, forces, True, 0.1, self.name, self.settings)
            case "energies":
                return Label(np.zeros(3), None, True, 0.1, self.name, self.settings)
            case "complex":
                return Label(-1.0 + 0j, None, True, 0.1, self.name, self.settings)
            case "float32":
                forces = np.zeros((len(atoms), 3), np.float32).tolist()
                energy = np.array(-1.0, np.float32)
                return Label(energy, forces, True, 0.1, self.name, self.settings)
            case "once":  # dies once: what a worker that was killed looks like
                done = Path(f"{self.log}.died")
                if not done.exists():
                    done.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
        energy = self.scale * float(np.sum(atoms.positions**2))
        return Label(
            energy, -2 * self.scale * atoms.positions, True, 0.25, self.name, self.settings
        )


@dataclass(frozen=True)
class Unstartable(Fake):
    """Cannot be rebuilt in a worker."""

    def __reduce__(self):
        return (os._exit, (3,))
