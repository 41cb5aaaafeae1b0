"""Hamiltonians of s and p orbitals, from integrals along the lines between atoms."""

import torch
from jaxtyping import Float
from torch import Tensor

#: Orbitals of an atom: s, x, y, z.
ORBITALS = 4


def hamiltonian(
    direction: Float[Tensor, "structure i j xyz"],
    between: Float[Tensor, "structure i j 4"],
    on_site: Float[Tensor, "structure i j 4"],
    levels: Float[Tensor, "2"],
) -> Float[Tensor, "structure orbital orbital"]:
    """Matrix elements of pairs of atoms, and of atoms in the field of their neighbours.

    Parameters
    ----------
    direction
        r_j − r_i over its length.
    between
        Integrals ssσ, spσ, ppσ, ppπ of pairs, symmetric in i and j, zero for i = j.
    on_site
        What j adds to the levels of s and p at i, to their mixing along the direction, and to
        the splitting of p.
    levels
        Energies of s and p of a free atom.

    Returns
    -------
    Float[Tensor, "structure orbital orbital"]
        Symmetric; orbitals s, x, y, z of one atom after the other. It turns with the structure.

    References
    ----------
    Slater, Koster, Phys. Rev. 94, 1498 (1954), table I.

    Examples
    --------
    >>> u = torch.zeros(1, 2, 2, 3)
    >>> u[0, 0, 1, 2], u[0, 1, 0, 2] = 1.0, -1.0
    >>> between, on_site = torch.zeros(2, 1, 2, 2, 4)
    >>> between[0, 0, 1] = between[0, 1, 0] = torch.tensor([-1.0, 2.0, 3.0, -0.5])
    >>> h = hamiltonian(u, between, on_site, torch.tensor([-9.0, -5.0]))
    >>> h[0, 0].tolist()
    [-9.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 2.0]
    """
    one = torch.eye(3, dtype=direction.dtype)
    along = direction[..., :, None] * direction[..., None, :]
    ss, sp, pp_sigma, pp_pi = between.unbind(-1)
    blocks = _blocks(
        ss, sp[..., None] * direction, -sp[..., None] * direction,
        _times(pp_sigma, along) + _times(pp_pi, one - along),
    )  # fmt: skip
    s, p, mixing, splitting = on_site.unbind(-1)
    mixed = mixing[..., None] * direction
    field = _blocks(s, mixed, mixed, _times(p, one) + _times(splitting, along - one / 3)).sum(2)
    free = torch.diag(levels[[0, 1, 1, 1]])
    n = torch.arange(direction.shape[1])
    blocks = blocks.index_put((torch.arange(len(blocks))[:, None], n, n), field + free)
    size = ORBITALS * len(n)
    return blocks.permute(0, 1, 3, 2, 4).reshape(len(blocks), size, size)


def _times(factor: Tensor, matrix: Tensor) -> Tensor:
    return factor[..., None, None] * matrix


def _blocks(ss: Tensor, sp: Tensor, ps: Tensor, pp: Tensor) -> Tensor:
    """(…, 4, 4) from the parts of s and p."""
    upper = torch.cat([ss[..., None], sp], -1)[..., None, :]
    return torch.cat([upper, torch.cat([ps[..., None], pp], -1)], -2)


def free_energy(
    matrix: Float[Tensor, "structure orbital orbital"], electrons: int, smearing: float
) -> tuple[Float[Tensor, " structure"], Float[Tensor, "structure orbital orbital"]]:
    """Helmholtz energy of electrons in pairs on Fermi-smeared levels, and the density matrix.

    The density matrix is the derivative of the energy in the Hamiltonian, whether or not levels
    coincide.

    Parameters
    ----------
    matrix
        Hamiltonians.
    electrons
        How many, in each structure.
    smearing
        kT in the unit of the matrix.

    Examples
    --------
    >>> levels = torch.diag(torch.tensor([-2.0, 1.0], dtype=torch.float64))
    >>> energy, density = free_energy(levels[None], 2, 0.01)
    >>> energy, density[0].diagonal().round()
    (tensor([-4.], dtype=torch.float64), tensor([2., 0.], dtype=torch.float64))
    """
    levels, orbitals = torch.linalg.eigh(matrix)
    low, high = levels[:, 0] - 40 * smearing, levels[:, -1] + 40 * smearing
    for _ in range(60):  # bisection, down to the last digit
        middle = (low + high) / 2
        too_many = 2 * torch.sigmoid((middle[:, None] - levels) / smearing).sum(1) > electrons
        low, high = torch.where(too_many, low, middle), torch.where(too_many, middle, high)
    potential = (low + high) / 2
    x = (potential[:, None] - levels) / smearing
    energy = -2 * smearing * torch.nn.functional.softplus(x).sum(1) + electrons * potential
    occupied = orbitals * (2 * torch.sigmoid(x))[:, None]
    return energy, occupied @ orbitals.transpose(1, 2)
