"""Matrices in s and p orbitals, from integrals along the lines between atoms."""

import torch
from jaxtyping import Float
from torch import Tensor

#: Orbitals of an atom: s, x, y, z.
ORBITALS = 4


def between_atoms(
    direction: Float[Tensor, "structure i j xyz"], integrals: Float[Tensor, "structure i j 4"]
) -> Float[Tensor, "structure orbital orbital"]:
    """Elements between the orbitals of different atoms, of axial symmetry about their line.

    Parameters
    ----------
    direction
        r_j − r_i over its length.
    integrals
        ssσ, spσ, ppσ, ppπ of pairs, symmetric in i and j, zero for i = j.

    Returns
    -------
    Float[Tensor, "structure orbital orbital"]
        Symmetric; orbitals s, x, y, z of one atom after the other. It turns with the structure.

    References
    ----------
    Slater, Koster, Phys. Rev. 94, 1498 (1954), table I.

    Examples
    --------
    >>> u, integrals = torch.zeros(1, 2, 2, 3), torch.zeros(1, 2, 2, 4)
    >>> u[0, 0, 1, 2], u[0, 1, 0, 2] = 1.0, -1.0
    >>> integrals[0, 0, 1] = integrals[0, 1, 0] = torch.tensor([-1.0, 2.0, 3.0, -0.5])
    >>> between_atoms(u, integrals)[0, 0].tolist()
    [0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 2.0]
    """
    one = torch.eye(3, dtype=direction.dtype)
    along = direction[..., :, None] * direction[..., None, :]
    ss, sp, pp_sigma, pp_pi = integrals.unbind(-1)
    blocks = _blocks(
        ss, sp[..., None] * direction, -sp[..., None] * direction,
        _times(pp_sigma, along) + _times(pp_pi, one - along),
    )  # fmt: skip
    size = ORBITALS * direction.shape[1]
    return blocks.permute(0, 1, 3, 2, 4).reshape(len(blocks), size, size)


def on_atoms(
    direction: Float[Tensor, "structure i j xyz"], field: Float[Tensor, "structure i j 4"]
) -> Float[Tensor, "structure orbital orbital"]:
    """Elements between the orbitals of one atom, in the field of its neighbours.

    Parameters
    ----------
    direction
        r_j − r_i over its length.
    field
        What j adds to the levels of s and p at i, to their mixing along the direction, and to
        the splitting of p; zero for i = j.

    Returns
    -------
    Float[Tensor, "structure orbital orbital"]
        Symmetric, orbitals as in ``between_atoms``.

    Examples
    --------
    >>> u, field = torch.zeros(1, 2, 2, 3), torch.zeros(1, 2, 2, 4)
    >>> u[0, 0, 1, 2], u[0, 1, 0, 2] = 1.0, -1.0
    >>> field[0, 0, 1] = torch.tensor([-1.0, 2.0, 0.5, 0.0])
    >>> on_atoms(u, field)[0, 3, :4].tolist()
    [0.5, 0.0, 0.0, 2.0]
    """
    one = torch.eye(3, dtype=direction.dtype)
    along = direction[..., :, None] * direction[..., None, :]
    s, p, mixing, splitting = field.unbind(-1)
    mixed = mixing[..., None] * direction
    blocks = _blocks(s, mixed, mixed, _times(p, one) + _times(splitting, along - one / 3)).sum(2)
    size = ORBITALS * direction.shape[1]
    atoms = torch.eye(direction.shape[1], dtype=direction.dtype)
    return torch.einsum("siab,ij->siajb", blocks, atoms).reshape(len(blocks), size, size)


def _times(factor: Tensor, matrix: Tensor) -> Tensor:
    return factor[..., None, None] * matrix


def _blocks(ss: Tensor, sp: Tensor, ps: Tensor, pp: Tensor) -> Tensor:
    """(…, 4, 4) from the parts of s and p."""
    upper = torch.cat([ss[..., None], sp], -1)[..., None, :]
    return torch.cat([upper, torch.cat([ps[..., None], pp], -1)], -2)
