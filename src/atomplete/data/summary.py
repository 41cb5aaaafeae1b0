"""Summary of a data set before a fit: what was read, how it spreads, and what was left unread."""

from collections import Counter
from collections.abc import Sequence

from ase import Atoms
from ase.data import chemical_symbols

from atomplete.data.checks.pulay import stress_offset
from atomplete.data.checks.signs import forces_sign, stress_sign
from atomplete.data.dataset import Dataset
from atomplete.data.properties import LabelKeys, keys_found, unread
from atomplete.data.references import References


def describe_data(
    dataset: Dataset, keys: LabelKeys, references: References, source: str = "structures"
) -> str:
    """Lines about a data set for people: counts, keys, spreads, references, signs of derivatives.

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
    if has["forces"].any():
        lines.append(f"  {forces_sign(dataset)}")
    if has["stresses"].any():
        lines.append(f"  {stress_sign(dataset)}")
        offset = stress_offset(dataset)
        lines += [f"  {offset}"] if offset.matters else []
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
