"""Explicit three-centre rows beside the rate of writing them, and beside featomic, on B8."""

import numpy as np
import torch
from side_by_side import Measurement, on, seconds

from atomplete.degenerate.families.registry import generate
from atomplete.descriptors import NAMED, build
from atomplete.descriptors.tagged.rows import three_center_labels
from atomplete.system import System

PAPER = {
    "cutoff": {"radius": 2.0, "smoothing": {"type": "ShiftedCosine", "width": 0.1}},
    "density": {"type": "Gaussian", "width": 0.2, "center_atom_weight": 0.0},
    "basis": {
        "type": "TensorProduct",
        "max_angular": 3,
        "radial": {"type": "Gto", "max_radial": 5},
    },
}
N_PAIRS = 125  # 250 centres with 7 neighbours: 12250 rows, 720 MB


class Featomic:
    """The same rows by two of featomic's Clebsch–Gordan products.

    (rho_i ⊗ g_{i i2}) goes to λ = l1, and with g_{i i1} to λ = 0. featomic has no tensor of two
    tagged neighbours: its samples (i, i1, i2) are made by indexing.
    """

    def __init__(self):
        import featomic
        from featomic.clebsch_gordan import ClebschGordanProduct

        self.pairs = featomic.SphericalExpansionByPair(**PAPER)
        self.density = featomic.SphericalExpansion(**PAPER)
        self.product = ClebschGordanProduct(max_angular=3)

    def blocks(self, structures):
        from metatensor import Labels

        centers = np.array([[s, atoms.info["center"]] for s, atoms in enumerate(structures)])
        rho = self.density.compute(structures, selected_samples=Labels(["system", "atom"], centers))
        g = self.pairs.compute(
            structures, selected_samples=Labels(["system", "first_atom"], centers)
        )
        rho = named(rho, samples=("atom", "center"), properties=("n", "n_3"))
        coupled = self.product.compute(
            rho,
            named(of_neighbors(g, "neighbor_2"), properties=("n", "n_2")),
            o3_lambda_1_new_name="l_3",
            o3_lambda_2_new_name="l_2",
            selected_keys=Labels(["o3_lambda"], np.arange(4)[:, None]),
        )
        return self.product.compute(
            named(of_both(of_neighbors(g, "neighbor_1")), properties=("n", "n_1")),
            of_both(coupled),
            o3_lambda_1_new_name="l_1",
            o3_lambda_2_new_name="lambda",
            selected_keys=Labels(["o3_lambda"], np.array([[0]])),
        )

    def __call__(self, structures):
        """One matrix for each parity, as featomic's own power spectra end."""
        return self.blocks(structures).keys_to_properties(["l_1", "l_2", "l_3", "lambda"])


def named(tensor, **axes):
    """One dimension of an axis under another name."""
    import metatensor

    for axis, (old, new) in axes.items():
        tensor = metatensor.rename_dimension(tensor, axis, old, new)
    return tensor


def with_samples(tensor, names, chosen):
    """Samples taken from the present ones: ``chosen`` gives their positions and new labels."""
    from metatensor import Labels, TensorBlock, TensorMap

    blocks = []
    for block in tensor.blocks():
        positions, labels = chosen(block.samples.values)
        samples, values = Labels(names, labels), block.values[positions]
        blocks.append(TensorBlock(values, samples, block.components, block.properties))
    return TensorMap(tensor.keys, blocks)


def of_neighbors(g, name):
    """Pairs without those of an atom with itself, as samples (system, center, neighbour)."""

    def chosen(samples):
        others = np.flatnonzero(samples[:, 1] != samples[:, 2])
        return others, samples[others, :3]

    return with_samples(g, ["system", "center", name], chosen)


def of_both(tensor):
    """Samples (system, center, neighbor_1, neighbor_2) of what has one of the neighbours."""
    is_first = "neighbor_1" in tensor.sample_names

    def chosen(samples):
        starts = np.flatnonzero(np.any(np.diff(samples[:, :2], axis=0), 1)) + 1
        centers = np.split(np.arange(len(samples)), starts)
        one = np.concatenate([np.repeat(pairs, len(pairs)) for pairs in centers])
        two = np.concatenate([np.tile(pairs, len(pairs)) for pairs in centers])
        labels = np.column_stack([samples[one], samples[two, 2]])
        return one if is_first else two, labels

    return with_samples(tensor, ["system", "center", "neighbor_1", "neighbor_2"], chosen)


def check(features, tensor):
    """The same numbers, but for how <l1 l2 l3> is normalised and its sign."""
    labels = three_center_labels(6, 3)
    found = 0
    for block in tensor.blocks():
        names, properties = block.properties.names, block.properties.values
        order = [names.index(name) for name in ("n_1", "l_1", "n_2", "l_2", "n_3", "l_3")]
        place = {tuple(label): k for k, label in enumerate(properties[:, order].tolist())}
        columns = [k for k, label in enumerate(labels.tolist()) if tuple(label) in place]
        ours = features.values[:, columns]
        theirs = torch.from_numpy(block.values)[
            :, 0, [place[tuple(labels[k].tolist())] for k in columns]
        ]
        theirs = theirs * (2 * labels[columns, 5] + 1) ** 0.5
        for triple in labels[columns, 1::2].unique(dim=0):
            of_triple = (labels[columns, 1::2] == triple).all(1)
            a, b = ours[:, of_triple], theirs[:, of_triple]
            sign = torch.sign((a * b).sum())
            torch.testing.assert_close(sign * b, a, rtol=0, atol=1e-5 * a.abs().max().item())
            found += a.shape[1]
    assert found == len(labels)


def measure():
    structures = generate("b8", N_PAIRS)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    featomic, descriptor = Featomic(), build(NAMED["three_center"])
    few = structures[:4]
    check(descriptor(System.from_atoms(few, 2.0)), featomic(few))
    system = System.from_atoms(structures, 2.0, centers="info", device=device)
    shape = descriptor(system).values.shape
    times = seconds(
        {
            "rows": on(device, lambda: descriptor(system)),
            "write": on(device, lambda: torch.ones(shape, dtype=torch.float64, device=device)),
        }
    )
    beside = seconds(
        {
            "rows": lambda: descriptor(System.from_atoms(structures, 2.0, centers="info")),
            "featomic": lambda: featomic(structures),
            "blocks": lambda: featomic.blocks(structures),
        },
        3,
    )
    size = shape[0] * shape[1] * 8e-9
    lines = [
        Measurement(
            f"explicit rows / rate of writing: {shape[0]} × {shape[1]} float64 on {device}",
            size / times["rows"],
            size / times["write"],
            "GB/s",
            "torch.ones",
            times["write"] / times["rows"],
            0.30,
        )
    ]
    for name, target in (("featomic", 10), ("blocks", None)):
        what = "explicit rows against featomic" + (", left in blocks" if name == "blocks" else "")
        ratio = beside[name] / beside["rows"]
        lines.append(
            Measurement(what, beside["rows"], beside[name], "s", "featomic", ratio, target)
        )
    return lines


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in measure():
        print(line)
