"""Derivatives with respect to positions and cell, and what is left of them at the cutoff."""

from dataclasses import replace

import ase
import pytest
import torch
from environments import CUTOFF, fitted, molecule

from atomplete.descriptors import (
    NAMED,
    DensityCorrelationsSpec,
    ExpansionSpec,
    ThreeCenterSpec,
    build,
)
from atomplete.radial import LaplacianEigenstates, PolynomialCutoff, ShiftedCosine
from atomplete.system import System

BASES = {
    "gto": ExpansionSpec(
        max_radial=2,
        max_angular=2,
        species=(6,),
        cutoff_function=ShiftedCosine(width=0.5),
    ),
    "laplacian": ExpansionSpec(
        max_radial=2,
        max_angular=2,
        species=(6,),
        radial=LaplacianEigenstates(),
        cutoff_function=PolynomialCutoff(width=0.5),
    ),
}
SPECS = {
    f"{name}-{basis}": spec.model_copy(update={"expansion": expansion})
    for basis, expansion in BASES.items()
    for name, spec in NAMED.items()
    if "expansion" in type(spec).model_fields
} | {
    f"contracted-{basis}": ThreeCenterSpec(
        expansion=expansion, radial_components=1, components=(8, 4)
    )
    for basis, expansion in BASES.items()
}


@pytest.fixture(scope="module", params=SPECS)
def descriptor(request):
    if isinstance(SPECS[request.param], ThreeCenterSpec):
        return _fit(SPECS[request.param])
    return fitted(SPECS[request.param])


def _fit(spec):
    training = System.from_atoms([molecule(s, symbols="C") for s in (10, 11)], CUTOFF)
    return build(spec).fit([training])


def probe(values):
    """A few combinations of all features: as telling as all of them, and quicker to check."""
    generator = torch.Generator().manual_seed(0)
    return values @ torch.randn(values.shape[1], 2, generator=generator, dtype=values.dtype)


def test_gradcheck(descriptor):
    atoms = ase.Atoms(
        "C2",
        [(0.1, 0.0, 0.2), (0.4, 1.2, 0.9)],
        cell=[(1.7, 0.0, 0.0), (0.4, 2.3, 0.0), (0.3, -0.2, 2.6)],
        pbc=(True, True, False),
    )
    # the centre of the molecule, one of two atoms in the cell: fewer rows, same derivatives
    structures = [molecule(1, n=3, symbols="C"), atoms]
    system = System.from_atoms(structures, CUTOFF, centers=[0])

    def features(positions, cell):
        return probe(descriptor(replace(system, positions=positions, cell=cell)).values)

    inputs = [t.clone().requires_grad_() for t in (system.positions, system.cell)]
    assert torch.autograd.gradcheck(features, inputs, atol=1e-7)
    (gradient,) = torch.autograd.grad(features(*inputs).sum(), inputs[1])
    assert gradient[1, :2].abs().max() > 1e-4


@pytest.mark.parametrize("name", ["power_spectrum-gto", "three_center-laplacian"])
def test_second_derivatives(name):
    spec = SPECS[name]
    descriptor = _fit(spec) if isinstance(spec, ThreeCenterSpec) else fitted(spec)
    system = System.from_atoms(molecule(1, n=3, symbols="C"), CUTOFF)
    positions = system.positions.clone().requires_grad_()
    assert torch.autograd.gradgradcheck(
        lambda x: probe(descriptor(system.with_positions(x)).values)[:2], positions, atol=1e-6
    )


def test_no_gradient_between_structures(descriptor):
    system = System.from_atoms([molecule(s, n=4, symbols="C") for s in range(3)], CUTOFF)
    positions = system.positions.clone().requires_grad_()
    features = descriptor(system.with_positions(positions))
    of_second = probe(features.values[features.rows["structure"] == 1]).sum()
    (gradient,) = torch.autograd.grad(of_second, positions)
    assert gradient[system.structure == 1].abs().max() > 1e-4
    assert not gradient[system.structure != 1].any()


def test_translations_do_no_work(descriptor):
    system = System.from_atoms(molecule(2, n=4, symbols="C"), CUTOFF)
    positions = system.positions.clone().requires_grad_()
    value = probe(descriptor(system.with_positions(positions)).values).sum()
    (gradient,) = torch.autograd.grad(value, positions)
    assert gradient.sum(0).abs().max() < 1e-12 * gradient.abs().max()


def nonlinear_sum(features):
    """A weighted non-linear function of each row, summed over the rows of a centre."""
    rows = features.weight[:, None] * torch.cos(1.0 + probe(features.values))
    total = rows.new_zeros(len(features.center_structure), rows.shape[1])
    return total.index_add(0, features.center_of_row, rows)


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("function", [ShiftedCosine(width=0.3), PolynomialCutoff(width=0.3)])
def test_a_neighbour_leaves_smoothly(name, function):
    """A fourth atom leaves: values and derivatives become those without it.

    The second derivative, too, with the polynomial cutoff function.
    """
    spec = SPECS[name]
    basis = spec.expansion.model_copy(update={"cutoff_function": function})
    spec = spec.model_copy(update={"expansion": basis})
    descriptor = _fit(spec) if isinstance(spec, ThreeCenterSpec) else fitted(spec)
    tagged = not isinstance(spec, DensityCorrelationsSpec)
    base = molecule(3, n=3, symbols="C")
    direction = torch.tensor([0.6, -0.48, 0.64], dtype=torch.float64)

    def values(distance):
        atoms = base + ase.Atoms("C", [(direction * distance.item()).tolist()])
        system = System.from_atoms(atoms, CUTOFF, centers=[0])
        last = torch.zeros(4, 1, dtype=torch.float64)
        last[3] = 1.0
        positions = system.positions * (1 - last) + last * direction * distance
        features = descriptor(system.with_positions(positions))
        return nonlinear_sum(features) if tagged else probe(features.values)

    def jet(step):
        d = torch.tensor(CUTOFF - step, dtype=torch.float64, requires_grad=True)
        value = values(d)
        result = [value.detach()[0]]
        first, second = [], []
        for component in value[0]:
            first.append(torch.autograd.grad(component, d, create_graph=True)[0])
            second.append(torch.autograd.grad(first[-1], d, retain_graph=True)[0])
        return [*result, torch.stack(first).detach(), torch.stack(second).detach()]

    gone = values(torch.tensor(CUTOFF + 1e-6, dtype=torch.float64))[0]
    near, nearer = jet(1e-3), jet(1e-5)
    inside = jet(0.2)
    scale = [x.abs().max() for x in inside]
    assert (nearer[0] - gone).abs().max() < 1e-7 * scale[0]
    assert nearer[1].abs().max() < 1e-3 * scale[1]
    assert nearer[1].abs().max() < 2e-2 * near[1].abs().max() + 1e-14
    if isinstance(function, PolynomialCutoff):
        assert nearer[2].abs().max() < 1e-2 * scale[2]
        assert nearer[2].abs().max() < 2e-2 * near[2].abs().max() + 1e-14
