"""GFN2-xTB labels through tblite: semi-empirical, about 5 ms for eight atoms."""

import time
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress

from atomplete.errors import InputError, MissingExtraError
from atomplete.labels.electrons import Electrons
from atomplete.labels.label import Label, Settings
from atomplete.labels.methods.threads import one_openmp_thread
from atomplete.units import BOHR, HARTREE, HARTREE_PER_BOHR

#: GFN2-xTB is parametrised for hydrogen to radon.
LAST_ELEMENT = 86

#: The ladder: how much of each new charge distribution enters the next cycle. Smaller steps
#: lead to the same solution; a higher electronic temperature would lead to another.
MIXING = {"plain": 0.4, "damping": 0.1}


@dataclass(frozen=True)
class XTB:
    """GFN2-xTB with Fermi smearing (Bannwarth, Ehlert, Grimme, JCTC 15, 1652 (2019)).

    The energy is the free energy E − kT·S of the smeared electrons, whose derivative the
    forces are. Charge and unpaired electrons are those that a structure states
    (:class:`~atomplete.labels.electrons.Electrons`); else it is neutral, with one unpaired electron
    at the most. GFN2-xTB has no spin polarisation: unpaired electrons change occupations only.

    Parameters
    ----------
    electronic_kt_hartree
        Electronic temperature kT in Hartree.
    accuracy
        Threshold of the self-consistency, relative to tblite's default. At 0.01 forces and
        finite differences of the energy agree to 1e-7 eV/Å for B8; at 1, only to 3e-5.
    max_iterations
        Cycles after which the calculation counts as failed; where it does, it is tried once
        more with a quarter of the mixing.

    Raises
    ------
    InputError
        For options that are no positive numbers.

    Examples
    --------
    >>> from ase import Atoms
    >>> label = XTB().compute(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]]))
    >>> print(f"{label.energy:.4f} eV, force {abs(label.forces[0, 2]):.3f} eV/Å")
    -26.7211 eV, force 1.087 eV/Å
    """

    electronic_kt_hartree: float = 0.01
    accuracy: float = 0.01
    max_iterations: int = 250

    name: ClassVar[str] = "xtb"

    def __post_init__(self) -> None:
        """Refuse options that are no positive numbers."""
        for option, value in asdict(self).items():
            kinds = int if option == "max_iterations" else (int, float)
            if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value < 2**31:
                kind = "integer" if option == "max_iterations" else "number"
                raise InputError(f"xtb option {option} must be a positive {kind}, not {value!r}")

    @property
    def settings(self) -> Settings:
        """Hamiltonian and options."""
        return {"hamiltonian": "GFN2-xTB", **asdict(self)}

    def check(self, atoms: Atoms, name: str) -> None:
        """Refuse elements beyond radon, impossible electrons, and cells of one or two directions.

        tblite would treat the latter as periodic along all three. The energy of a charged cell
        would be one of the background that makes it neutral.

        Examples
        --------
        >>> XTB().check(Atoms("Fr"), "a.xyz, structure 0")
        Traceback (most recent call last):
        atomplete.errors.InputError: a.xyz, structure 0: xtb has no parameters for Fr
        """
        for symbol, number in zip(atoms.symbols, atoms.numbers, strict=True):
            if not 1 <= number <= LAST_ELEMENT:
                raise InputError(f"{name}: xtb has no parameters for {symbol}")
        if atoms.pbc.any() and not atoms.pbc.all():
            raise InputError(
                f"{name}: xtb treats cells that are periodic along all directions or along none, "
                f"not pbc {atoms.pbc.tolist()}"
            )
        if Electrons.of(atoms, name).charge and atoms.pbc.any():
            raise InputError(f"{name}: xtb treats charged molecules, no charged cells")
        _tblite()

    def compute(self, atoms: Atoms) -> Label:
        """Energy, forces and, for a periodic structure, stress; failed if tblite gives up.

        Examples
        --------
        >>> XTB(max_iterations=1).compute(Atoms("BN", positions=[[0, 0, 0], [0, 0, 1.3]]))
        Label(xtb, failed: SCF not converged in 1 cycles; tried plain, damping)
        """
        self.check(atoms, str(atoms.symbols))
        tblite = _tblite()
        start = time.perf_counter()
        with one_openmp_thread(tblite._libtblite.__file__):
            try:
                rung, result = self._climb(atoms)
            except tblite.exceptions.TBLiteRuntimeError as error:
                seconds = time.perf_counter() - start
                return Label.failed(str(error), seconds, self.name, self.settings)
        seconds = time.perf_counter() - start
        stress = None
        if atoms.pbc.all():
            virial = np.asarray(result.get("virial")) * HARTREE  # dE/d(strain), (xyz, xyz)
            stress = full_3x3_to_voigt_6_stress(virial / atoms.get_volume())
        return Label(
            float(result.get("energy")) * HARTREE,
            -np.asarray(result.get("gradient")) * HARTREE_PER_BOHR,  # (atom, xyz)
            True,
            seconds,
            self.name,
            self.settings,
            stress=stress,
            rung=rung,
        )

    def _climb(self, atoms: Atoms) -> tuple[str, Any]:
        """The first rung that converges, and its result."""
        failure = _tblite().exceptions.TBLiteRuntimeError
        for rung, mixing in MIXING.items():
            try:
                return rung, self._calculator(atoms, mixing).singlepoint()
            except failure as error:
                reason = str(error)
                if not reason.startswith("SCF not converged"):
                    raise
        raise failure(f"{reason}; tried {', '.join(MIXING)}")

    def _calculator(self, atoms: Atoms, mixing: float) -> Any:
        cell = {}
        if atoms.pbc.all():
            cell = {"lattice": np.array(atoms.cell) / BOHR, "periodic": atoms.pbc}
        electrons = Electrons.of(atoms, str(atoms.symbols))
        calculator = _tblite().interface.Calculator(
            "GFN2-xTB", atoms.numbers, atoms.positions / BOHR,
            charge=float(electrons.charge), uhf=electrons.unpaired,
            color=False, logger=_silent, **cell,
        )  # fmt: skip
        calculator.set("verbosity", 0)
        calculator.set("temperature", self.electronic_kt_hartree)
        calculator.set("accuracy", self.accuracy)
        calculator.set("max-iter", self.max_iterations)
        calculator.set("mixer-damping", mixing)
        return calculator


def _silent(message: str) -> None:
    """Take the place of ``print``, tblite's default."""


def _tblite() -> Any:
    try:
        import tblite._libtblite
        import tblite.interface
    except ImportError:
        raise MissingExtraError("tblite", "dft") from None
    return tblite
