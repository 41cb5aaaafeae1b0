"""Environments from the rows of three-centre descriptors, in closed form: no start is needed."""

from collections.abc import Iterator

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from scipy.spatial import KDTree

from atomplete.degenerate.congruence.alignment import Floats, Integers
from atomplete.descriptors import ThreeCenter
from atomplete.errors import InputError
from atomplete.reconstruction.frames import density_of_row, places
from atomplete.reconstruction.solution import Reconstruction
from atomplete.reconstruction.tags import TagReader, Tags
from atomplete.system import System

#: Places within this distance are one, Å.
SAME = 1e-4

# Frames that are tried, and rows among which the best ones are looked for.
_FRAMES, _LOOKED_AT = 4, 8

# Columns by which equal rows are found.
_MARKS = 12


def from_rows(
    descriptor: ThreeCenter,
    values: Float[torch.Tensor, "row feature"],
    *,
    center_species: int = 0,
    tolerance: float = 1e-6,
) -> Reconstruction:
    """Find the environment that has the given rows, up to rotations and the order of neighbours.

    Each row tells the species and lengths of its two neighbours and their angle; rows with the
    first neighbour in common tell by which azimuths their densities are turned. The rows may be in
    any order. Enantiomers are told apart by the pseudoscalars among the features.

    Parameters
    ----------
    descriptor
        Whose rows they are, not projected on components.
    values
        All rows (i, i1, i2) of one centre.
    center_species
        Atomic number of the centre, which no row tells.
    tolerance
        Deviation of a row, relative to its norm, up to which it agrees: more than its noise.

    Returns
    -------
    Reconstruction
        "determined"; "undetermined" if the basis leaves more places than there are neighbours;
        "no structure" if no environment has these rows.

    Raises
    ------
    InputError
        For rows of another descriptor, that are not finite, or of a basis without any trace of
        lengths or angles.

    Examples
    --------
    >>> from atomplete.descriptors import NAMED, build
    >>> descriptor = build(NAMED["three_center"])
    >>> atoms = Atoms("B3", [(0, 0, 0), (0, 0, 1.5), (0, 1.6, 0.2)])
    >>> rows = descriptor(System.from_atoms(atoms, cutoff=2.0, centers=[0])).values
    >>> found = from_rows(descriptor, rows.flip(0), center_species=5)
    >>> found.verdict, np.sort(found.structures[0].get_all_distances()[0]).round(6)
    ('determined', array([0.      , 1.5     , 1.612452]))
    """
    if values.ndim != 2 or values.shape[1] != descriptor.n_features:
        raise InputError(f"rows of shape {tuple(values.shape)} are not those of {descriptor!r}")
    if not bool(values.isfinite().all()):
        row = int((~values.isfinite().all(1)).nonzero()[0])
        raise InputError(f"row {row} is not finite")
    reader = TagReader(descriptor)
    n = round(len(values) ** 0.5)
    if n * n != len(values):
        statement = f"{len(values)} rows are not those of all pairs of neighbours"
        return Reconstruction("no structure", (), 1.0, statement)
    if n == 0:
        return Reconstruction("determined", (Atoms([center_species]),), 0.0, "no neighbours")
    values = values.to(torch.float64)
    tags = reader.read(values)
    best: tuple[int, Integers, Floats] | None = None
    for row, density in _frames(reader, tags):
        species, found = _neighbors(reader, tags, row, density, tolerance)
        if best is None or abs(len(found) - n) < abs(len(best[2]) - n):
            best = row, species, found
        if len(found) == n:
            break
    assert best is not None
    _, species, found = best
    numbers = np.array(descriptor.spec.expansion.species)[species[:n]]
    atoms = Atoms([center_species, *numbers], np.vstack([np.zeros((1, 3)), found[:n]]))
    atoms.info["center"] = 0
    if len(found) > n:
        statement = (
            f"{n} neighbours, but {len(found)} places for them: the basis is too small to tell"
        )
        return Reconstruction("undetermined", (), float(tags.unexplained.max()), statement)
    residual = row_residual(descriptor, atoms, values)
    if len(found) < n or residual > tolerance:
        statement = f"{len(found)} of {n} neighbours found: no environment with these rows"
        if descriptor.tag_cutoff < descriptor.cutoff:
            statement += ", unless there are neighbours beyond the tag cutoff, which no row names"
        return Reconstruction("no structure", (), residual, statement)
    statement = f"the only environment with these {len(values)} rows"
    return Reconstruction("determined", (atoms,), residual, statement)


def _frames(reader: TagReader, tags: Tags) -> Iterator[tuple[int, Floats]]:
    """Rows whose frames fix the density best, of different first neighbours, with the density."""
    sine = np.sqrt(np.maximum(1 - np.square(tags.cosine), 0.0))
    # collinear pairs leave the azimuth open, and serve where there are no others
    order = np.argsort(-tags.size * (sine + 1e-6), kind="stable")[:_LOOKED_AT]
    found = [(*density_of_row(reader, tags, int(row)), int(row)) for row in order]
    used: list[float] = []
    for density, _, row in sorted(found, key=lambda entry: -entry[1]):
        if all(abs(tags.lengths[row, 0] - length) > SAME for length in used):
            used.append(float(tags.lengths[row, 0]))
            yield row, density
        if len(used) == _FRAMES:
            return


def _neighbors(
    reader: TagReader, tags: Tags, reference: int, density: Floats, tolerance: float
) -> tuple[Integers, Floats]:
    """Species and places of all neighbours in the frame of one row."""
    width = max(1e-6, tolerance) * reader.descriptor.tag_cutoff
    shared = (tags.species[:, 0] == tags.species[reference, 0]) & (
        np.abs(tags.lengths[:, 0] - tags.lengths[reference, 0]) < width
    )
    species: list[int] = []
    found: list[Floats] = []
    for row in np.flatnonzero(shared):
        for place in places(reader, tags, density, int(row), tolerance):
            own = int(tags.species[row, 1])
            is_known = (
                a == own and np.linalg.norm(place - b) < SAME
                for a, b in zip(species, found, strict=True)
            )
            if not any(is_known):
                species.append(own)
                found.append(place)
    return np.array(species, dtype=np.int64), np.array(found).reshape(-1, 3)


def row_residual(
    descriptor: ThreeCenter, atoms: Atoms, values: Float[torch.Tensor, "row feature"]
) -> float:
    """Largest distance of a row from its partner in an environment, relative to the larger of them.

    Partners are one to one if there are as many rows in both, else the nearest ones.
    """
    system = System.from_atoms(atoms, descriptor.cutoff, centers=[0])
    own = descriptor(system).values
    if not len(own):
        return 1.0
    generator = torch.Generator().manual_seed(0)
    columns = torch.randn(values.shape[1], _MARKS, generator=generator, dtype=torch.float64)
    given_marks, own_marks = (values @ columns).numpy(), (own @ columns).numpy()
    partner = KDTree(own_marks).query(given_marks)[1]
    if len(own) == len(values) and len(np.unique(partner)) < len(own):
        apart = np.linalg.norm(given_marks[:, None] - own_marks[None], axis=2)
        partner = linear_sum_assignment(apart)[1]
    partners = own[torch.from_numpy(partner)]
    away, *sizes = (
        torch.linalg.vector_norm(rows, dim=1) for rows in (values - partners, values, partners)
    )
    size = torch.maximum(*sizes)
    return float((away / size.where(size > 0, 1.0)).max())
