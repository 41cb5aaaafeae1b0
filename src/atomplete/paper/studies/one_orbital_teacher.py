"""Analytic energies of an environment, from which representations that are to be ranked learn.

One s orbital on the centre and one on each neighbour, H_jk = −exp(−r_jk² / 2w²), a level of its
own on the centre. The energy is a function of all distances at once, so of every body order; it
is made of none of the features. Random members of a family of degenerate pairs, which stand for
no molecule, have one as well.
"""

from collections.abc import Callable

import numpy as np
from ase import Atoms

from atomplete.degenerate.congruence.alignment import Floats
from atomplete.system import center_of

#: Width w of the hopping in Å; the rest in units of the hopping at zero distance.
WIDTH = 1.5
CENTER_LEVEL = -1.2
TEMPERATURE = 0.2
DAMPING = 0.7


def grand_potential(positions: Floats) -> float:
    """Return Ω = −T Σ_n ln(1 + exp(−λ_n / T)): the same for mirror images.

    Parameters
    ----------
    positions
        Neighbours relative to the centre, Å, shape (neighbor, xyz).

    Examples
    --------
    >>> round(grand_potential(np.empty((0, 3))), 6)  # one level at −1.2
    -1.200495
    """
    levels, _ = np.linalg.eigh(_hamiltonian(_with_center(positions)))
    return float(-TEMPERATURE * np.logaddexp(0.0, -levels / TEMPERATURE).sum())


def rotatory_strength(positions: Floats) -> float:
    """Return R = Σ_nm (f_n − f_m) / ((λ_n − λ_m)² + γ²) μ_nm · m_nm: opposite for mirror images.

    f is the Fermi function, μ_nm the electric and m_nm the magnetic moment of a transition about
    the centre: in orbitals, μ_jk = δ_jk r_j, and m_jk = H_jk r_j × r_k from r × p with
    p = i [H, r]. The factor before them is smooth in the levels, so that R is so in the
    positions where levels cross.

    Parameters
    ----------
    positions
        Neighbours relative to the centre, Å, shape (neighbor, xyz).

    References
    ----------
    Rosenfeld, Z. Phys. 52, 161 (1929).

    Examples
    --------
    >>> helix = np.array([(1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (1.0, 1.0, 1.2)])
    >>> bool(abs(rotatory_strength(helix)) > 1e-3)
    True
    >>> bool(np.isclose(rotatory_strength(-helix), -rotatory_strength(helix), rtol=1e-10))
    True
    """
    r = _with_center(positions)
    hamiltonian = _hamiltonian(r)
    levels, orbitals = np.linalg.eigh(hamiltonian)
    electric = np.einsum("jn,jm,jx->nmx", orbitals, orbitals, r)
    magnetic = hamiltonian[:, :, None] * np.cross(r[:, None], r[None])
    magnetic = np.einsum("jn,jkx,km->nmx", orbitals, magnetic, orbitals)
    occupation = 0.5 * (1 - np.tanh(levels / (2 * TEMPERATURE)))
    factor = np.subtract.outer(occupation, occupation)
    factor = factor / (np.subtract.outer(levels, levels) ** 2 + DAMPING**2)
    return float(np.einsum("nm,nmx,nmx->", factor, electric, magnetic))


def energy(positions: Floats) -> float:
    """Return Ω + R: invariant under rotations, and different for mirror images.

    Parameters
    ----------
    positions
        Neighbours relative to the centre, Å, shape (neighbor, xyz).

    Examples
    --------
    >>> round(energy(np.empty((0, 3))), 6)
    -1.200495
    """
    return grand_potential(positions) + rotatory_strength(positions)


def of_environment(atoms: Atoms, function: Callable[[Floats], float] = energy) -> float:
    """Return what a function of the neighbours' positions says of a structure with a centre.

    Parameters
    ----------
    atoms
        A structure whose ``info["center"]`` names the centre; species do not count.
    function
        One of this module.

    Examples
    --------
    >>> from atomplete.degenerate.families.registry import generate
    >>> plus, minus = generate("chiral", 1)
    >>> bool(abs(of_environment(plus) - of_environment(minus)) > 1e-3)
    True
    """
    others = np.delete(atoms.positions, center_of(atoms), axis=0)
    return function(others - atoms.positions[center_of(atoms)])


def _with_center(positions: Floats) -> Floats:
    return np.concatenate([np.zeros((1, 3)), positions])


def _hamiltonian(r: Floats) -> Floats:
    """Hopping between all orbitals, the centre's first."""
    squared = np.square(r[:, None] - r[None]).sum(-1)
    hamiltonian: Floats = -np.exp(-squared / (2 * WIDTH**2))
    np.fill_diagonal(hamiltonian, 0.0)
    hamiltonian[0, 0] = CENTER_LEVEL
    return hamiltonian
