"""Battery for any registered potential: the promises that a potential makes, each checked.

Structures are given, for only who makes a potential knows which make sense: one molecule at least,
of four atoms or more and of no symmetry, and where cells are understood one crystal without any.
"""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet
from torch import Tensor

from atomplete.checkpoint import load, save
from atomplete.o3 import random_rotation
from atomplete.potentials.base import Potential

#: Step of finite differences, Å or strain; their error is of the fourth order in it.
STEP = 1e-3


def check_potential(potential: Potential, structures: Sequence[Atoms]) -> None:
    """Run all of ``POTENTIAL_CHECKS``; for one test each, parametrize a test over them.

    Raises
    ------
    AssertionError
        For the first promise that is not kept.

    Examples
    --------
    >>> from atomplete.potentials import TightBinding, TightBindingSpec
    >>> boron = Atoms("B4", [(0, 0, 0), (0, 0.2, 1.6), (1.5, 0, 0.3), (-0.4, 1.4, -0.3)])
    >>> check_potential(TightBinding(TightBindingSpec()), [boron])
    """
    for check in POTENTIAL_CHECKS.values():
        check(potential, structures)


def forces(potential: Potential, structures: Sequence[Atoms]) -> None:
    """Assert that forces are −dE/dr, by differences along a random direction."""
    for atoms in structures:
        direction = np.random.default_rng(0).normal(size=(len(atoms), 3))
        found = _of(potential, atoms, "forces")
        expected = -_slope(potential, partial(_along, _moved, atoms, direction))
        _close((found * torch.from_numpy(direction)).sum(), expected, 1e-6, "forces")


def stress(potential: Potential, structures: Sequence[Atoms]) -> None:
    """Assert that the stress is dE/dε / V, by differences; NaN where there is no volume."""
    for atoms in structures:
        found = _of(potential, atoms, "stress")[0]
        if atoms.cell.rank < 3 or not atoms.pbc.any():
            assert found.isnan().all(), "stress: numbers for a structure without a volume"
            continue
        for k, (x, y) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
            strain = np.zeros((3, 3))
            strain[x, y] += 0.5
            strain[y, x] += 0.5
            expected = _slope(potential, partial(_along, _strained, atoms, strain))
            _close(found[k], expected / atoms.get_volume(), 1e-6, "stress", found.abs().max())


def virials_of_atoms(potential: Potential, structures: Sequence[Atoms]) -> None:
    """Assert their sum, −dE/dε, and in molecules −Σ_i r_ij ⊗ dE_i/dr_j, by differences."""
    if not potential.local:
        return
    for atoms in structures:
        found = _of(potential, atoms, "atom_virials")
        strain = np.random.default_rng(0).normal(size=(3, 3))
        expected = -_slope(potential, partial(_along, _strained, atoms, strain))
        total = (found.sum(0) * torch.from_numpy(strain)).sum()
        _close(total, expected, 1e-6, "virials of atoms", found.abs().max())
        if atoms.pbc.any():
            continue
        r_ij = torch.from_numpy(atoms.positions[-1] - atoms.positions)
        for axis in range(3):
            direction = np.zeros((len(atoms), 3))
            direction[-1, axis] = 1.0
            moved = partial(_along, _moved, atoms, direction)
            slopes = _difference(partial(_at, potential, moved, "atom_energies"))
            slopes[-1] = 0.0  # r_jj is zero
            expected = -(r_ij * slopes[:, None]).sum(0)
            _close(found[-1, :, axis], expected, 1e-6, "virial of an atom", found.abs().max())


def symmetries(potential: Potential, structures: Sequence[Atoms]) -> None:
    """Assert that energies and forces go with rotations, reflections, shifts and order of atoms."""
    generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    for atoms in structures:
        before = potential.predict(atoms, ("energy", "forces"))
        for proper in (True, False):
            turn = random_rotation(generator, proper=proper).double().numpy()
            order = rng.permutation(len(atoms))
            copy = atoms[order]
            if "center" in atoms.info:
                copy.info["center"] = int(np.flatnonzero(order == atoms.info["center"])[0])
            copy.set_cell(copy.cell.array @ turn.T)
            copy.positions = copy.positions @ turn.T + rng.normal(size=3)
            after = potential.predict(copy, ("energy", "forces"))
            _close(after.energy, before.energy, 1e-10, "energy of a turned copy")
            expected = _given(before.forces)[order] @ torch.from_numpy(turn.T)
            _close(_given(after.forces), expected, 1e-8, "forces of a turned copy")


def supercells(potential: Potential, structures: Sequence[Atoms]) -> None:
    """Assert that two cells have twice the energy, and the same forces and stress."""
    for atoms in structures:
        if not atoms.pbc.all():
            continue
        one = potential.predict(atoms, ("energy", "forces", "stress"))
        two = potential.predict(atoms.repeat((1, 2, 1)), ("energy", "forces", "stress"))
        _close(two.energy, 2 * one.energy, 1e-10, "energy of two cells")
        _close(_given(two.forces), _given(one.forces).repeat(2, 1), 1e-8, "forces of two cells")
        _close(_given(two.stress), _given(one.stress), 1e-8, "stress of two cells")


def far_fragments(potential: Potential, structures: Sequence[Atoms]) -> None:
    """Assert that energies of molecules far from each other add up, and forces do not change."""
    for atoms in structures:
        if atoms.pbc.any() or potential.centers == "info":
            continue
        far = atoms.copy()
        far.positions += (0.0, 3e4, 0.0)
        one = potential.predict(atoms, ("energy", "forces"))
        two = potential.predict(atoms + far, ("energy", "forces"))
        _close(two.energy, 2 * one.energy, 1e-8, "energy of fragments")
        _close(_given(two.forces), _given(one.forces).repeat(2, 1), 1e-6, "forces of fragments")


def smooth_at_the_cutoff(potential: Potential, structures: Sequence[Atoms]) -> None:
    """Assert a continuous energy and force, and as ``smoothness`` says the derivative of forces.

    An atom leaves along a line on which nothing else is near the cutoff.
    """
    atoms = structures[0]
    start = int(atoms.positions[:, 0].argmax())
    if potential.centers == "info":
        start = int(atoms.info["center"])

    def at(r: float) -> Tensor:
        one = atoms[[start]]
        one.info = {"center": 0} if potential.centers == "info" else {}
        one.pbc = False
        moved = one + Atoms([atoms.numbers[start]], [one.positions[0] + (r, 0, 0)])
        moved.info = one.info
        found = potential.predict(moved, ("energy", "forces"))
        return torch.stack([found.energy[0], _given(found.forces)[1, 0]])

    r_c, h = potential.cutoff, 1e-4 * potential.cutoff
    inside, on, outside = (at(r_c + k * h) for k in (-1, 0, 1))
    energies = torch.stack([at(f * r_c) for f in (0.5, 0.6, 0.7, 0.8, 0.9)])
    scale = energies.diff(dim=0).abs().amax(0).clamp_min(1e-12)
    assert (outside - inside)[0].abs() <= 1e-3 * scale[0], "energy jumps at the cutoff"
    assert (outside - inside)[1].abs() <= 1e-1 * scale[1], "force jumps at the cutoff"
    if potential.smoothness >= 2:
        bend = ((outside - on) - (on - inside))[1].abs() / h
        assert bend <= 1e-2 * scale[1] / (0.1 * r_c), "slope of the force jumps at the cutoff"


def company(potential: Potential, structures: Sequence[Atoms]) -> None:
    """Assert equal energies and forces alone and in company, in any order."""
    batch = [*structures, *(_moved(atoms, 0.01 * _shape(atoms)) for atoms in structures)]
    for order in (batch, batch[::-1]):
        together = potential.predict(order, ("energy", "forces"))
        for k, atoms in enumerate(order):
            alone = potential.predict(atoms, ("energy", "forces"))
            _close(together[k].energy, alone.energy, 1e-12, "energy in company")
            _close(_given(together[k].forces), _given(alone.forces), 1e-10, "forces in company")


def no_leaks(potential: Potential, structures: Sequence[Atoms]) -> None:
    """Assert that the energy of a structure does not depend on atoms of another."""
    system = potential.system([structures[0], *structures])
    positions = system.positions.clone().requires_grad_()
    energy = potential.energies(system.with_positions(positions))[0]
    (slope,) = torch.autograd.grad(energy, positions)
    assert not slope[system.structure > 0].any(), "a structure feels atoms of another"


def energy_is_conserved(potential: Potential, structures: Sequence[Atoms]) -> None:
    """Assert that the error of the total energy in NVE falls with the square of the time step."""
    errors = []
    for steps in (8, 16):
        atoms = structures[0].copy()
        atoms.calc = potential.calculator()
        atoms.set_momenta((300 * units.kB * atoms.get_masses()[:, None]) ** 0.5 * _shape(atoms))
        dynamics = VelocityVerlet(atoms, timestep=4 * units.fs / steps)
        start = atoms.get_total_energy()
        dynamics.run(steps)
        errors.append(abs(atoms.get_total_energy() - start))
    assert errors[1] <= max(errors[0] / 2.5, 1e-8), f"energy drifts in NVE: {errors}"


def single_precision(potential: Potential, structures: Sequence[Atoms]) -> None:
    """Assert that float32 is near float64, and as near far from the origin."""
    for atoms in structures:
        far = _moved(atoms, np.array([1e5, 0.0, 0.0]))
        exact = potential.predict(atoms, ("energy", "forces"))
        for copy in (atoms, far):
            single = potential.predict(copy, ("energy", "forces"), dtype=torch.float32)
            _close(single.energy, exact.energy, 1e-4, "energy in float32")
            _close(_given(single.forces), _given(exact.forces), 1e-2, "forces in float32")


def lone_atoms(potential: Potential, structures: Sequence[Atoms]) -> None:
    """Assert finite energies of lone atoms without forces, and nothing for no structures."""
    alone = [Atoms([z], info={"center": 0}) for z in potential.species]
    found = potential.predict(alone, ("energy", "forces"))
    assert found.energy.isfinite().all(), "energy of a lone atom"
    assert not _given(found.forces).any(), "force on a lone atom"
    nothing = potential.predict([], ("energy", "forces"))
    assert len(nothing) == 0, "energies of no structures"
    assert _given(nothing.forces).shape == (0, 3), "forces of no atoms"


def save_and_load(potential: Potential, structures: Sequence[Atoms]) -> None:
    """Assert that a file holds all of the potential."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        save(path, potential)
        loaded = load(path, Potential)
    assert loaded.spec == potential.spec
    expected, found = (p.predict(structures).energy for p in (potential, loaded))
    assert torch.equal(found, expected), "energies of a loaded potential"


#: All checks by name: functions of a potential and of structures for it.
POTENTIAL_CHECKS: dict[str, Callable[[Potential, Sequence[Atoms]], None]] = {
    check.__name__: check
    for check in (
        forces, stress, virials_of_atoms, symmetries, supercells, far_fragments,
        smooth_at_the_cutoff, company, no_leaks, energy_is_conserved, single_precision,
        lone_atoms, save_and_load,
    )
}  # fmt: skip


def _of(potential: Potential, atoms: Atoms, name: str) -> Tensor:
    return _given(getattr(potential.predict(atoms, (name,)), name))


def _given(value: Tensor | None) -> Tensor:
    assert value is not None
    return value


def _moved(atoms: Atoms, by: np.ndarray) -> Atoms:
    copy = atoms.copy()
    copy.positions += by
    return copy


def _strained(atoms: Atoms, strain: np.ndarray) -> Atoms:
    copy = atoms.copy()
    copy.set_cell(atoms.cell.array @ (np.eye(3) + strain).T)
    copy.positions = atoms.positions @ (np.eye(3) + strain).T
    return copy


def _shape(atoms: Atoms) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(len(atoms), 3))


def _along(
    change: Callable[[Atoms, np.ndarray], Atoms], atoms: Atoms, direction: np.ndarray, h: float
) -> Atoms:
    return change(atoms, h * direction)


def _at(potential: Potential, path: Callable[[float], Atoms], name: str, h: float) -> Tensor:
    return _of(potential, path(h), name)


def _slope(potential: Potential, path: Callable[[float], Atoms]) -> Tensor:
    """Derivative of the energy of a structure along a path."""
    return _difference(partial(_at, potential, path, "energy"))[0]


def _difference(at: Callable[[float], Tensor]) -> Tensor:
    near, far = (at(k * STEP) - at(-k * STEP) for k in (1, 2))
    return (8 * near - far) / (12 * STEP)


def _close(
    found: Tensor, expected: Tensor, tolerance: float, name: str, scale: Tensor | None = None
) -> None:
    largest = max(float((expected if scale is None else scale).abs().max()), 1e-4)
    deviation = float((found - expected).abs().max())
    # written so that NaN fails
    if not deviation <= tolerance * largest:
        raise AssertionError(
            f"{name}: deviation {deviation:.2e}, tolerance {tolerance:.0e} of {largest:.2e}"
        )
