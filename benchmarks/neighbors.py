"""Pairs of many small molecules: all distances at once beside one call of vesin a structure.

python benchmarks/neighbors.py
"""

import ase.build
import numpy as np
from side_by_side import seconds

from atomplete import neighbors
from atomplete.degenerate.families.registry import generate

CASES = {
    "2000 B8, 2 Å": (generate("b8", 1000), 2.0),
    "1000 ethanol, 5 Å": ([ase.build.molecule("CH3CH2OH")] * 1000, 5.0),
}


def pairs(batch, cutoff, few):
    neighbors.FEW = few
    positions = np.concatenate([atoms.positions for atoms in batch])
    sizes = np.array([len(atoms) for atoms in batch])
    return neighbors.neighbor_pairs(batch, positions, sizes, cutoff)


if __name__ == "__main__":
    for name, (batch, cutoff) in CASES.items():
        best = seconds(
            {
                "ours": lambda b=batch, c=cutoff: pairs(b, c, 50),
                "vesin": lambda b=batch, c=cutoff: pairs(b, c, 0),
            }
        )
        print(f"{name}: {best['vesin'] / best['ours']:.1f} times quicker than vesin")
