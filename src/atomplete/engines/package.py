"""Potentials as packages of AOTInductor, which C++ and Python run without this library."""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from atomplete.engines.energies import Energies
from atomplete.errors import InputError
from atomplete.runs.files import atomic_write

#: Atoms of the structure that the program is traced with: a number that no other size has, for
#: equal sizes would be taken for the same.
ATOMS = 11


class Program(nn.Module):
    """Energy, forces and virial of one structure from its list of pairs.

    Parameters
    ----------
    energies
        Of atoms.
    """

    def __init__(self, energies: Energies) -> None:
        super().__init__()
        self.energies = energies

    def forward(
        self,
        positions: Tensor,
        cell: Tensor,
        species: Tensor,
        i: Tensor,
        j: Tensor,
        shift: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Energy (1,), energies of atoms (atom,), forces (atom, xyz) and virial (xyz, xyz).

        Parameters
        ----------
        positions, cell
            (atom, xyz) and, a vector in each row, (3, xyz), Å.
        species
            Atomic numbers, (atom,), int64; from 0 to 118.
        i, j, shift
            Each pair in both directions, (pair,), (pair,) and (pair, vector), int64: the vector
            from i to j is r_j − r_i + shift @ cell. Pairs beyond the cutoff count nothing.
            All tensors are contiguous.
        """
        number = self.energies.number_of[species]
        vectors = positions[j] - positions[i] + shift.to(positions.dtype) @ cell
        vectors = vectors.detach().requires_grad_()
        known = torch.where(number >= 0, number, 0)
        found, _ = self.energies(vectors, i, known[j], known)
        (slopes,) = torch.autograd.grad(found.sum(), vectors)
        forces = torch.zeros_like(positions).index_add(0, i, slopes).index_add(0, j, -slopes)
        virial = -(vectors.detach().T @ slopes)
        # a program cannot say a sentence; a number would be taken for an energy
        energies = torch.where(number >= 0, found.detach(), torch.nan)
        return energies.sum().reshape(1), energies, forces, virial


def write_package(path: Path, potential: Any, dtype: torch.dtype = torch.float64) -> None:
    """Write a potential as a package of AOTInductor, for the processor of this machine.

    Compiling takes minutes. The metadata of the package name elements, cutoff, units and type.

    Parameters
    ----------
    path
        The file to write; its name must end in .pt2.
    potential
        A ``DescriptorPotential`` with a ``RandomFourier`` descriptor and a linear readout.
    dtype
        Of all real numbers that go in and come out, float64 or float32.

    Raises
    ------
    InputError
        For a potential of another kind, another name, a file that cannot be written, and where
        there is no compiler of C++.
    """
    if path.suffix != ".pt2":
        raise InputError(f"{path}: the name of a package must end in .pt2, or none will load it")
    program = Program(Energies(potential, dtype))
    exported = _exported(program, potential, dtype)
    metadata = {
        "species": " ".join(map(str, sorted(potential.species))),
        "cutoff": repr(program.energies.cutoff),
        "dtype": str(dtype).removeprefix("torch."),
        "energy": "eV",
        "length": "angstrom",
    }
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about itself
        target = Path(folder) / "atomplete.pt2"
        try:
            torch._inductor.aoti_compile_and_package(
                exported,
                package_path=str(target),
                inductor_configs={"aot_inductor.metadata": metadata},
            )
        except torch._inductor.exc.InductorError as error:
            said = str(error).strip().splitlines()[0]
            raise InputError(f"{path}: it could not be compiled ({said})") from error
        with atomic_write(path) as temporary:
            temporary.write_bytes(target.read_bytes())


def _exported(program: Program, potential: Any, dtype: torch.dtype) -> Any:
    """The program for any numbers of atoms and pairs, with its derivatives written out."""
    from torch.fx.experimental.proxy_tensor import make_fx

    atoms = torch.arange(ATOMS)
    # contiguous, as tensors that come in will be: the program takes their strides for granted
    i, j = (atoms[:, None] != atoms).nonzero().T.contiguous()
    line = torch.stack([atoms**power for power in (1, 2, 3)], 1).to(dtype)
    positions = line / line.amax(0) * 0.9 * program.energies.tag_cutoff / 3**0.5
    species = torch.full((ATOMS,), min(potential.species))
    given = (
        positions,
        torch.zeros(3, 3, dtype=dtype),
        species,
        i,
        j,
        torch.zeros(len(i), 3).long(),
    )
    traced = make_fx(program, tracing_mode="symbolic", _allow_non_fake_inputs=True)(*given)
    n_atoms, n_pairs = torch.export.Dim("atoms"), torch.export.Dim("pairs")
    sizes: Any = ({0: n_atoms}, {}, {0: n_atoms}, {0: n_pairs}, {0: n_pairs}, {0: n_pairs})
    return torch.export.export(traced, given, dynamic_shapes=sizes, strict=False)
