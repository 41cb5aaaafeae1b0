"""Electrons in their ground state, in a field that their own charges make."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from atomplete.errors import InputError
from atomplete.potentials.tight_binding.slater_koster import ORBITALS

#: Shells of an atom, s and p, and to which of them its orbitals belong.
SHELLS = 2
SHELL_OF = (0, 1, 1, 1)
#: Of the potential, eV; the energy is wrong by its square, over some eV.
TOLERANCE = 1e-8
MAX_STEPS, LARGEST_STEP = 25, 5.0
#: Steps before which the response is found anew; it hardly changes after that.
RESPONSES = 2


class NoGroundStateError(InputError):
    """No ground state was found; ``structure`` and ``reason`` say where and why."""

    def __init__(self, structure: int, reason: str) -> None:
        super().__init__(f"structure {structure}: {reason}")
        self.structure, self.reason = structure, reason


@dataclass(frozen=True, eq=False)
class GroundState:
    """Electrons in molecules that have as many orbitals.

    Attributes
    ----------
    energy
        Helmholtz energy, (structure,).
    density, energy_density
        Σ_n f_n c_n c_nᵀ and Σ_n f_n ε_n c_n c_nᵀ, (structure, orbital, orbital).
    charge
        Electrons of a shell beyond those of the free atom, (structure, shell).
    potential
        What they feel, (structure, orbital, orbital), to be multiplied by the overlaps.
    """

    energy: Float[Tensor, " structure"]
    density: Float[Tensor, "structure orbital orbital"]
    energy_density: Float[Tensor, "structure orbital orbital"]
    charge: Float[Tensor, "structure shell"]
    potential: Float[Tensor, "structure orbital orbital"]


def ground_state(
    matrix: Float[Tensor, "structure orbital orbital"],
    overlap: Float[Tensor, "structure orbital orbital"],
    repulsion: Float[Tensor, "structure shell shell"],
    free_atoms: Float[Tensor, " shell"],
    smearing: float,
) -> GroundState:
    """Minimise E = Tr(P H) − T S + ½ Σ q γ q over densities P of electrons in pairs.

    q are Mulliken's charges of shells. Their potential is found by Newton's method: the levels
    give the response of the charges, with which it converges in three or four steps.

    Parameters
    ----------
    matrix, overlap
        H, and overlaps of the orbitals s, x, y, z of one atom after the other.
    repulsion
        γ, between electrons of shells.
    free_atoms
        Electrons of each shell of the free atoms.
    smearing
        kT of the electrons, in the unit of the matrix.

    Raises
    ------
    NoGroundStateError
        Where the charges do not converge, or orbitals are not independent.

    References
    ----------
    Elstner et al., Phys. Rev. B 58, 7260 (1998).

    Examples
    --------
    Two atoms, far apart, with the same levels:

    >>> levels = torch.diag(torch.tensor([-9.0, -5, -5, -5] * 2, dtype=torch.float64))[None]
    >>> one, none = torch.eye(8, dtype=torch.float64)[None], torch.zeros(1, 4, 4)
    >>> free = torch.tensor([2.0, 1.0] * 2, dtype=torch.float64)
    >>> state = ground_state(levels, one, none.double(), free, 0.01)
    >>> [round(charge, 6) for charge in state.charge[0].abs().tolist()]
    [0.0, 0.0, 0.0, 0.0]
    """
    lower, failed = torch.linalg.cholesky_ex(overlap)
    if failed.any():
        raise NoGroundStateError(
            int(failed.ne(0).int().argmax()), "the orbitals are not independent"
        )
    inverse = torch.linalg.solve_triangular(
        lower, torch.eye(overlap.shape[1], dtype=overlap.dtype).expand_as(overlap), upper=False
    )
    one = torch.eye(len(free_atoms), dtype=matrix.dtype)
    shell_potential = torch.zeros(len(matrix), len(free_atoms), dtype=matrix.dtype)
    for iteration in range(MAX_STEPS):
        potential = _between_orbitals(shell_potential)
        levels, orbitals = torch.linalg.eigh(
            inverse @ (matrix + overlap * potential) @ inverse.transpose(1, 2)
        )
        orbitals = inverse.transpose(1, 2) @ orbitals
        x, free_energy = _occupy(levels, free_atoms.sum(), smearing)
        density = _weighted(orbitals, 2 * torch.sigmoid(x))
        charge = _of_shells((density * overlap).sum(2)) - free_atoms
        wanted = (repulsion @ charge[..., None])[..., 0]
        residual = wanted - shell_potential
        unfinished = residual.abs().amax(1) > TOLERANCE
        if not unfinished.any():
            break
        if iteration < RESPONSES:
            response = _response(levels, orbitals, overlap @ orbitals, x, smearing)
        step = torch.linalg.solve_ex(one - repulsion @ response, residual).result
        # others stay as they are, so that a structure is the same alone and among others
        step = step.nan_to_num().clamp(-LARGEST_STEP, LARGEST_STEP) * unfinished[:, None]
        shell_potential = shell_potential + step
    else:
        raise NoGroundStateError(int(unfinished.int().argmax()), "the charges do not converge")
    own = (charge * (wanted / 2 - shell_potential)).sum(1) - shell_potential @ free_atoms
    energy_density = _weighted(orbitals, 2 * torch.sigmoid(x) * levels)
    return GroundState(free_energy + own, density, energy_density, charge, potential)


def _occupy(levels: Tensor, electrons: Tensor, smearing: float) -> tuple[Tensor, Tensor]:
    """(μ − ε) / kT with the chemical potential μ, and the Helmholtz energy."""
    low, high = levels[:, 0] - 40 * smearing, levels[:, -1] + 40 * smearing
    for _ in range(60):  # bisection, down to the last digit
        middle = (low + high) / 2
        too_many = 2 * torch.sigmoid((middle[:, None] - levels) / smearing).sum(1) > electrons
        low, high = torch.where(too_many, low, middle), torch.where(too_many, middle, high)
    potential = (low + high) / 2
    x = (potential[:, None] - levels) / smearing
    grand_potential = -2 * smearing * torch.nn.functional.softplus(x, threshold=40).sum(1)
    return x, grand_potential + electrons * potential


def _response(
    levels: Tensor, orbitals: Tensor, projected: Tensor, x: Tensor, smearing: float
) -> Float[Tensor, "structure shell shell"]:
    """Change of the charges of shells with their potentials, at the same number of electrons."""
    # in single precision, for it only leads to where the charges are right
    levels, orbitals, projected, x = (t.float() for t in (levels, orbitals, projected, x))
    filled = torch.sigmoid(x)
    slope = -filled * torch.sigmoid(-x) / smearing
    apart = levels[:, :, None] - levels[:, None]
    together = apart.abs() < 0.03 * smearing
    quotient = torch.where(
        together,
        (slope[:, :, None] + slope[:, None]) / 2,
        (filled[:, :, None] - filled[:, None]) / apart.masked_fill(together, 1.0),
    )
    # Mulliken's charges of a shell as a matrix in the molecular orbitals
    charge = _of_shells(orbitals[:, :, :, None] * projected[:, :, None, :])
    charge = charge + charge.transpose(2, 3)
    both = (charge * quotient[:, None]).flatten(2) @ charge.flatten(2).transpose(1, 2) / 2
    # less what the chemical potential moves, so that no electrons are made
    level = torch.einsum("sknn,sn->sk", charge, slope)
    total = (2 * slope.sum(1)).clamp_max(-1e-12)[:, None, None]
    return (both - level[:, :, None] * level[:, None] / total).double()


def _weighted(orbitals: Tensor, weights: Float[Tensor, "structure level"]) -> Tensor:
    return (orbitals * weights[:, None]) @ orbitals.transpose(1, 2)


def _of_shells(of_orbitals: Float[Tensor, "structure orbital *rest"]) -> Tensor:
    """Sum over the orbitals of each shell."""
    s, p = of_orbitals.unflatten(1, (-1, ORBITALS)).split([1, ORBITALS - 1], 2)
    return torch.cat([s, p.sum(2, keepdim=True)], 2).flatten(1, 2)


def _between_orbitals(potential: Float[Tensor, "structure shell"]) -> Tensor:
    """Mean of the potentials of two orbitals."""
    of_orbitals = potential.unflatten(1, (-1, SHELLS))[:, :, SHELL_OF].flatten(1)
    return (of_orbitals[:, :, None] + of_orbitals[:, None]) / 2
