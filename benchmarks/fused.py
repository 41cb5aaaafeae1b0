"""The fused first layer beside explicit rows times weights, and beside the rate of matrices.

128 outputs of either parity, at the paper's basis.
"""

import ase.build
import torch
from side_by_side import Measurement, on, seconds

from atomplete.degenerate.families.registry import generate
from atomplete.descriptors import ExpansionSpec, ThreeCenterSpec, build, split
from atomplete.descriptors.tagged.fused import FusedRows
from atomplete.o3 import coupled_triples
from atomplete.system import System

N_OUTPUTS, N_Q, MAX_ANGULAR = 128, 6, 3
DIAMOND = ase.build.bulk("C", "diamond", a=3.567, cubic=True)
#: name → structures, cutoff in Å, species, centres
CASES = {
    "B8": (generate("b8", 40), 2.0, (5,), "info"),
    "diamond, 3 Å": (DIAMOND, 3.0, (6,), "all"),
    "diamond, 3.6 Å": (DIAMOND, 3.6, (6,), [0, 1, 2, 3]),
}


def operations(n, fused):
    """Floating-point operations for each pair, with n neighbours, from the shapes of the sums.

    Explicit: 2 l1 + 1 terms for each feature of a row, and a product with as many weights.
    Fused, with l the smaller of l1 and l2: the coupling of one neighbour, once for both orders of
    the neighbours; the product with the weights for each of 2l + 1 components or n rows, whichever
    are fewer; the sum over (m, q) of the other neighbour, once for each l, parity and order of the
    neighbours.
    """
    count, sums = 0, set()
    for l1, l2, l3 in coupled_triples(MAX_ANGULAR):
        n_features = N_Q**3
        if not fused:
            count += 2 * n * n_features * (2 * l1 + 1 + N_OUTPUTS)
            continue
        small, large = sorted((l1, l2))
        if l1 <= l2:
            count += 2 * N_Q**2 * (2 * small + 1) * (2 * large + 1)
        count += 2 * min(n, 2 * small + 1) * n_features * N_OUTPUTS
        if n < 2 * small + 1:
            count += 2 * n * n_features * (2 * small + 1)
        else:
            sums.add((small, (l1 + l2 + l3) % 2, l1 <= l2))
    return count + sum(2 * n * N_Q * (2 * l + 1) * N_OUTPUTS for l, _, _ in sums)


def measure_case(name, dtype, device):
    structures, cutoff, species, centers = CASES[name]
    descriptor = build(ThreeCenterSpec(expansion=ExpansionSpec(cutoff=cutoff, species=species)))
    system = System.from_atoms(structures, cutoff, centers=centers, dtype=dtype, device=device)
    n, n_pairs = int(system.neighbor_counts[0]), len(system.i)
    generator = torch.Generator().manual_seed(0)
    even, odd = (
        torch.randn(size, N_OUTPUTS, generator=generator).to(device, dtype).requires_grad_()
        for size in (4968, 2376)
    )
    square = torch.randn(1536, 1536, generator=generator).to(device, dtype)
    layer = FusedRows(descriptor, even, odd)
    positions = system.positions.clone().requires_grad_()
    moving = system.with_positions(positions)

    row_parts, layer_parts = split(descriptor, system), split(layer, system)

    def explicit():
        with torch.no_grad():
            return [descriptor(part).project(even, odd).values for part in row_parts]

    def fused():
        with torch.no_grad():
            return [layer(part).values for part in layer_parts]

    def with_gradients(rows):
        torch.autograd.grad(rows.values.square().sum(), (positions, even, odd))

    error = (torch.cat(fused()) - torch.cat(explicit())).abs().max() / explicit()[0].abs().max()
    assert error < (1e-10 if dtype == torch.float64 else 1e-4)
    times = seconds(
        {
            "explicit": on(device, explicit),
            "fused": on(device, fused),
            "matrix": on(device, lambda: square @ square),
        },
        5,
    )
    both_ways = seconds(
        {
            "explicit": on(device, lambda: with_gradients(descriptor(moving).project(even, odd))),
            "fused": on(device, lambda: with_gradients(FusedRows(descriptor, even, odd)(moving))),
        },
        3,
    )
    where = f"{name}, {n} neighbours, {str(dtype).removeprefix('torch.')} on {device}"
    fewer = operations(n, fused=False) / operations(n, fused=True)
    rate = operations(n, fused=True) * n_pairs / times["fused"]
    full = 2 * 1536**3 / times["matrix"]
    rows = n * n_pairs
    return [
        Measurement(
            f"fused first layer: {where} ({fewer:.1f} times fewer operations)",
            1e6 * times["fused"] / rows,
            1e6 * times["explicit"] / rows,
            "µs/row",
            "explicit",
            times["explicit"] / times["fused"],
            10,
        ),
        Measurement(
            f"fraction of the matrix-product rate: {where}",
            rate / 1e9,
            full / 1e9,
            "Gflop/s",
            "matrix product",
            rate / full,
            0.4,
        ),
        Measurement(
            f"fused first layer with gradients of positions and weights: {where}",
            1e6 * both_ways["fused"] / rows,
            1e6 * both_ways["explicit"] / rows,
            "µs/row",
            "explicit",
            both_ways["explicit"] / both_ways["fused"],
        ),
    ]


def measure():
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return [
        line
        for name in CASES
        for dtype in (torch.float64, torch.float32)
        for line in measure_case(name, dtype, device)
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in measure():
        print(line)
