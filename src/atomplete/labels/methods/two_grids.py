"""Self-consistency on a fine integration grid at little more than the price of a coarse one."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

#: Evaluations on the fine grid after the first; two are the rule.
MAX_CORRECTIONS = 8

#: Orbitals on a grid are kept up to this size in MB: those of B8 on grid level 3 take 400.
MAX_CACHE = 1000

#: Grid points at a time, in PySCF's units of 56: its own blocks of a gradient outgrow the caches.
BLOCK = 128


def converge(fine: Any, coarse: Any, density: Any) -> None:
    """Converge an SCF of PySCF on its own grid by cycles on the grid of another one.

    The coarse SCF is run with a correction to its energy: the value and the slope of the
    difference between the grids at the density before. Where that density does not change any
    more, the slope of the corrected energy is that of the fine one, so what converges is the
    fine SCF itself. It counts as converged when its gradient is below the root of its
    ``conv_tol``, as in PySCF, and its free energy within ``conv_tol`` of the predicted one.

    Parameters
    ----------
    fine
        A smeared Kohn–Sham SCF, which is given orbitals, energies and ``converged``.
    coarse
        The same on another grid; its ``get_veff`` and thresholds are replaced.
    density
        The density matrix to start from.

    Examples
    --------
    See :class:`~atomplete.labels.methods.pbe.PBE`.
    """
    uncorrected = coarse.get_veff
    core, potential = fine.get_hcore(), fine.get_veff(dm=density)
    coarse.conv_tol, coarse.conv_tol_grad = fine.conv_tol / 10, np.sqrt(fine.conv_tol) / 10
    for _ in range(MAX_CORRECTIONS):
        coarse.get_veff = _corrected(uncorrected, potential, density)
        coarse.kernel(dm0=density)
        if not coarse.converged:
            return
        density = coarse.make_rdm1()
        potential = fine.get_veff(dm=density)
        for name in ("mo_coeff", "mo_occ", "mo_energy", "entropy"):
            setattr(fine, name, getattr(coarse, name))
        fine.e_tot = fine.energy_tot(density, core, potential)
        gradient = np.linalg.norm(fine.get_grad(fine.mo_coeff, fine.mo_occ, core + potential))
        fine.converged = bool(
            abs(fine.e_free - coarse.e_free) < fine.conv_tol and gradient < np.sqrt(fine.conv_tol)
        )
        if fine.converged:
            return


def _corrected(uncorrected: Any, potential: Any, density: Any) -> Any:
    """``get_veff`` of the coarse grid, plus what the fine one adds to first order."""
    from pyscf.lib import tag_array

    coarse = uncorrected(dm=density)
    slope = np.asarray(potential) - np.asarray(coarse)
    offset = potential.exc - coarse.exc - np.vdot(slope, density)

    def get_veff(mol: Any = None, dm: Any = None, *_: Any, **__: Any) -> Any:
        veff = uncorrected(mol, dm)
        exc = veff.exc + offset + np.vdot(slope, dm)
        return tag_array(np.asarray(veff) + slope, ecoul=veff.ecoul, exc=exc, vj=veff.vj, vk=None)

    return get_veff


def integrator() -> Any:
    """PySCF's numerical integrator, which here evaluates the orbitals on a grid only once.

    They are kept in memory up to ``MAX_CACHE``.

    Returns
    -------
    NumInt
        For the ``_numint`` of one SCF, whose grid stays as it is.

    Examples
    --------
    See :class:`~atomplete.labels.methods.pbe.PBE`.
    """
    return _keeping_integrator()()


@cache
def _keeping_integrator() -> Any:
    from pyscf.dft.numint import BLKSIZE, NumInt

    class KeepingIntegrator(NumInt):
        """Keeps orbitals with first derivatives, which every cycle needs."""

        def __init__(self) -> None:
            super().__init__()
            self._kept: Any = (None, [])

        def block_loop(
            self, mol: Any, grids: Any, nao: int, deriv: int = 0, max_memory: float = 0
        ) -> Iterator[Any]:
            blocks = super().block_loop(mol, grids, nao, deriv, blksize=BLOCK * BLKSIZE)
            megabytes = 4 * grids.coords.shape[0] * nao * 8 / 1e6
            if deriv != 1 or megabytes > MAX_CACHE:
                yield from blocks
                return
            if self._kept[0] is not grids:
                # a copy in the same memory order: PySCF writes each block into the one before
                self._kept = grids, [(np.copy(ao, order="K"), *rest) for ao, *rest in blocks]
            yield from self._kept[1]

    return KeepingIntegrator
