"""Summary of a data set before a fit: what was read, how it spreads, and what was left unread."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from atomplete.data.dataset import Dataset
from atomplete.data.properties import LabelKeys, keys_found, unread
from atomplete.data.references import References

#: Relative difference of two volumes from which on a pair of cells tells the sign of the stress.
VOLUMES_APART = 0.005

#: Root mean square force up to which the energy of a cell is one of its volume, eV/Å.
AT_REST = 0.2

#: Pairs of cells that are compared at the most, and that are needed.
MOST_PAIRS, FEWEST_PAIRS = 20_000, 5

#: Share of the pairs that must agree, or disagree, for the sign to be known.
SURE = 0.65


@dataclass(frozen=True)
class StressSign:
    """Comparison of the labelled stress with dE/dV between cells of one composition.

    Attributes
    ----------
    n_pairs
        Pairs of cells compared: the same atoms nearly at rest, volumes apart.
    agreement
        Share of them in which the energy changes as the stress says, with tension positive: near
        1 for ASE's sign, near 0 for the opposite one.
    """

    n_pairs: int
    agreement: float

    def __str__(self) -> str:
        compared = f"{self.agreement:.0%} of {self.n_pairs} pairs of cells"
        if self.n_pairs < FEWEST_PAIRS:
            return "sign of the stress: cannot be told, too few cells at rest differ in volume"
        if self.agreement > SURE:
            return f"sign of the stress: agrees with dE/dV ({compared})"
        if self.agreement < 1 - SURE:
            return (
                f"WARNING, sign of the stress: OPPOSITE to that of dE/dV (agrees in {compared}); "
                "tension must be positive, as in ASE"
            )
        return f"sign of the stress: cannot be told (agrees with dE/dV in {compared})"


def stress_sign(dataset: Dataset) -> StressSign:
    """Compare stresses with energies of cells that have the same atoms and other volumes.

    Between two cells E changes by about ½ (tr σ_1 + tr σ_2) / 3 · (V_2 − V_1). Cells with large
    forces, where there are any, are left out: their energy is not one of the volume.

    Examples
    --------
    >>> from ase.calculators.singlepoint import SinglePointCalculator
    >>> cells = []
    >>> for a in (3.9, 4.0, 4.1, 4.2):
    ...     cell = Atoms("Si", cell=[a, a, a], pbc=True)
    ...     slope = 2 * (a**3 - 64.0)  # of E = (V − 64)²
    ...     stress = slope * np.array([1, 1, 1, 0, 0, 0])
    ...     cell.calc = SinglePointCalculator(cell, energy=(a**3 - 64.0) ** 2, stress=stress)
    ...     cells.append(cell)
    >>> print(stress_sign(Dataset.from_structures(cells)))
    sign of the stress: agrees with dE/dV (100% of 6 pairs of cells)
    """
    has = dataset.labelled
    squares = dataset.n_atoms.new_zeros(len(dataset)).double()
    squares.index_add_(0, dataset.structure_of_atom, dataset.forces.square().sum(1).nan_to_num())
    at_rest = squares <= 3 * dataset.n_atoms * AT_REST**2
    alike: dict[str, list[int]] = defaultdict(list)
    for index in (has["stresses"] & has["energies"] & at_rest).nonzero()[:, 0].tolist():
        alike[str(dataset.structures[index].symbols.formula.count())].append(index)
    agree = [np.zeros(0, dtype=bool)]
    for members in alike.values():
        volume = np.array([dataset.structures[index].get_volume() for index in members])
        energy = dataset.energies[members].numpy()
        pressure = dataset.stresses[members, :3].mean(1).numpy()
        first, second = np.triu_indices(len(members), 1)
        apart = volume[second] - volume[first]
        far = np.flatnonzero(np.abs(apart) > VOLUMES_APART * volume[first])
        far = far[:: 1 + len(far) // MOST_PAIRS]
        first, second, apart = first[far], second[far], apart[far]
        work = (pressure[first] + pressure[second]) / 2 * apart
        agree.append((energy[second] - energy[first]) * work > 0)
    found = np.concatenate(agree)
    return StressSign(len(found), float(found.mean()) if len(found) else float("nan"))


def describe_data(
    dataset: Dataset, keys: LabelKeys, references: References, source: str = "structures"
) -> str:
    """Lines about a data set for people: counts, keys, spreads, references, sign of the stress.

    Parameters
    ----------
    dataset
        The data.
    keys
        Where labels were looked for.
    references
        Reference energies that the fit starts from.
    source
        Name of the data.

    Examples
    --------
    >>> dimers = [
    ...     Atoms("B2", [(0, 0, 0), (0, 0, r)], info={"energy": r, "REF_energy": -r})
    ...     for r in (1.5, 1.6)
    ... ]
    >>> data = Dataset.from_structures(dimers)
    >>> found = References(species=(5,), energies=(0.775,), origin=("least squares",))
    >>> print(describe_data(data, LabelKeys(), found, "b2.xyz"))
    b2.xyz: 2 structures of 2 atoms, none periodic; elements B
      energies of 2 structures, key energy; standard deviation 0.03536 eV per atom
      no forces
      no stresses
      reference energies: B 0.775 eV (least squares)
      NOT READ, though it looks like a label: REF_energy (2 structures)
    """
    lines = [f"{source}: {_structures(dataset.structures)}"]
    has = dataset.labelled
    per_atom = dataset.energies / dataset.n_atoms
    values = {
        "energies": (per_atom, "energy", "eV per atom"),
        "forces": (dataset.forces, "forces", "eV/Å"),
        "stresses": (dataset.stresses, "stress", "eV/Å³"),
    }
    for name, (labels, key, unit) in values.items():
        count = int(has[name].sum())
        if not count:
            lines.append(f"  no {name}")
            continue
        finite = labels[labels.isfinite()]
        spread = finite.std(correction=min(1, finite.numel() - 1))
        under = ", ".join(
            f"{name} (stress = -{name} / volume)" if name in keys.virial else name
            for name in keys_found(dataset.structures, keys, key)  # type: ignore[arg-type]
        )
        missing = "" if count == len(dataset) else f" (of {len(dataset)})"
        lines.append(
            f"  {name} of {count} structures{missing}, key {under}; "
            f"standard deviation {float(spread):.4g} {unit}"
        )
    if has["stresses"].any():
        lines.append(f"  {stress_sign(dataset)}")
    lines.append(f"  reference energies: {references}")
    lines += [f"  {line}" for line in unread(dataset.structures, keys)]
    return "\n".join(lines)


def _structures(structures: Sequence[Atoms]) -> str:
    sizes = [len(atoms) for atoms in structures]
    size = f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
    periodic = Counter(bool(atoms.pbc.any()) for atoms in structures)
    kind = {len(structures): "all", 0: "none"}.get(periodic[True], str(periodic[True]))
    elements = sorted({int(number) for atoms in structures for number in atoms.numbers})
    names = ", ".join(chemical_symbols[number] for number in elements)
    return f"{len(structures)} structures of {size} atoms, {kind} periodic; elements {names}"
