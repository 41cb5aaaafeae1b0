"""ASE calculator of any potential."""

from dataclasses import replace

import ase
import numpy as np
import torch
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes

from atomplete.kernel.library import kernel_of
from atomplete.potentials.base import Potential
from atomplete.potentials.prediction import OF_ATOMS, UNCERTAINTIES, Prediction, Property

#: Properties of ASE by those of a prediction.
NAMES: dict[str, Property] = {
    "energy": "energy",
    "free_energy": "energy",
    "energies": "atom_energies",
    "forces": "forces",
    "stress": "stress",
    **{name: name for name in UNCERTAINTIES},
}


class PotentialCalculator(Calculator):
    """Energies (eV), forces (eV/Å) and stress (eV/Å³, ASE's order) of a potential for ASE.

    After a fit in closed form it has uncertainties, too, under the names of a ``Prediction``:
    ``calculator.get_property("forces_uncertainty", atoms)``.

    Parameters
    ----------
    potential
        The potential.
    dtype
        Of the computation.
    kernel
        True for the compiled kernel (:mod:`atomplete.kernel`), False for torch, None for the
        kernel where it was built and knows such a potential. The kernel takes over the numbers of
        the potential as they are now. Uncertainties are by torch.

    Attributes
    ----------
    kernel
        The kernel, or None for torch.

    Raises
    ------
    InputError
        When asked about a species or a cell that the potential does not know, and for a kernel
        that there is not.
    PropertyNotImplementedError
        When asked for the stress of a structure without volume.

    Examples
    --------
    >>> from atomplete.potentials import TightBinding, TightBindingSpec
    >>> dimer = ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])
    >>> dimer.calc = TightBinding(TightBindingSpec()).calculator()
    >>> dimer.get_forces().shape, dimer.calc.implemented_properties
    ((2, 3), ['energy', 'free_energy', 'forces'])
    """

    def __init__(
        self,
        potential: Potential,
        dtype: torch.dtype = torch.float64,
        kernel: bool | None = None,
    ) -> None:
        super().__init__()
        self.potential, self.dtype = potential, dtype
        self.kernel = None if kernel is False else kernel_of(potential, dtype, bool(kernel))
        self.ignored_changes = {"initial_charges", "initial_magmoms"}
        lacking = set() if potential.local else {"energies"}
        lacking |= set() if potential.periodic else {"stress"}
        lacking |= set(UNCERTAINTIES) - set(potential.uncertainties)
        self.implemented_properties = [name for name in NAMES if name not in lacking]

    def calculate(
        self,
        atoms: ase.Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Fill ``results``: energy and forces at once, energies of atoms and stress if asked."""
        super().calculate(atoms, properties, system_changes)
        asked = {"energy", "forces", *(properties or ())}
        wanted = tuple(dict.fromkeys(NAMES[name] for name in NAMES if name in asked))
        found = self._predict(wanted)
        self.results = {name: _array(getattr(found, NAMES[name]), NAMES[name]) for name in asked}
        self.results["free_energy"] = self.results["energy"]
        for name in asked & {"stress", "stress_uncertainty"}:
            if np.isnan(self.results[name]).any():
                raise PropertyNotImplementedError(f"{name} of a structure without a volume")

    def _predict(self, wanted: tuple[Property, ...]) -> Prediction:
        """Properties by the kernel, if there is one, and all others by torch."""
        if self.kernel is None:
            return self.potential.predict(self.atoms, wanted, dtype=self.dtype)
        direct = tuple(name for name in wanted if name not in UNCERTAINTIES)
        found = self.kernel(self.potential.system(self.atoms), direct)
        sure = tuple(name for name in wanted if name in UNCERTAINTIES)
        if sure:
            other = self.potential.predict(self.atoms, sure)
            found = replace(found, **{name: getattr(other, name) for name in sure})
        return found


def _array(value: torch.Tensor, name: Property) -> np.ndarray | float:
    """Numbers of atoms, or those of the only structure."""
    array: np.ndarray = value.cpu().numpy()
    if name in OF_ATOMS:
        return array
    return array[0] if array.ndim > 1 else float(array[0])
