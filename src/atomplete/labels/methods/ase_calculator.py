"""Labels from any calculator of ASE."""

import time

from ase import Atoms
from ase.calculators.calculator import SCFError

from atomplete.data.calculators import CalculatorSource
from atomplete.labels.electrons import refuse_look_alikes
from atomplete.labels.label import Label


class AseCalculator(CalculatorSource):
    """Any calculator of ASE, made anew for each structure.

    The energy is the calculator's ``free_energy`` where it has one, which is what forces are
    the derivative of, else its ``energy``. Of a structure it gets what is hashed, the
    :func:`~atomplete.runs.fingerprint.essentials`, so that nothing else can change a label.
    Parameters are those of
    :class:`~atomplete.data.calculators.CalculatorSource`.

    Examples
    --------
    >>> label = AseCalculator("emt", {}).compute(Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.2]]))
    >>> print(f"{label.energy:.2f} eV, force {label.forces[0, 2]:.2f} eV/Å")
    3.19 eV, force 0.49 eV/Å
    """

    def check(self, atoms: Atoms, name: str) -> None:
        """Refuse charges and spins under names that the calculator would not be given.

        What it cannot treat it says itself, structure by structure.
        """
        refuse_look_alikes(atoms, name)

    def compute(self, atoms: Atoms) -> Label:
        """Energy, forces and, for a structure periodic in all directions, stress.

        Each where the calculator implements it; failed if it raises ASE's ``SCFError``.
        """
        start = time.perf_counter()
        wanted = ["forces"] + ["stress"] * bool(atoms.pbc.all())
        try:
            found = self.results(atoms, wanted)
        except SCFError as error:
            reason = f"SCF not converged ({' '.join(str(error).split())})"
            return Label.failed(reason, time.perf_counter() - start, self.name, self.settings)
        return Label(
            float(found["energy"]),
            found.get("forces"),
            True,
            time.perf_counter() - start,
            self.name,
            self.settings,
            stress=found.get("stress"),
        )
