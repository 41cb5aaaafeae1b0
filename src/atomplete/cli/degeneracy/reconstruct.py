"""The verb ``reconstruct``: structures from features."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from pydantic import BaseModel, ConfigDict, Field

from atomplete.cli.app import XYZ, Trust, check_trusted, in_new_folder
from atomplete.cli.options import verb
from atomplete.errors import InputError
from atomplete.runs.outputs import FileOutput
from atomplete.units import Cutoff

if TYPE_CHECKING:
    from atomplete.audit.subjects.subject import Rows, Subject
    from atomplete.reconstruction import Reconstruction

#: Top of a file of this verb.
_RECONSTRUCTED = r"\A.*\n.*family=reconstructed"

# What h5py and NumPy raise for files that are damaged, or made otherwise.
_OF_OTHER_FILES = (OSError, KeyError, ValueError, IndexError, TypeError, RuntimeError)


class ReconstructOptions(BaseModel):
    """Options of ``reconstruct``."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    index: int = Field(0, ge=0, description="Index of the structure")
    center: int | None = Field(
        None, ge=0, description="Centre atom (default: that of the info, else 0)"
    )
    cutoff: Cutoff | None = Field(
        None, description="Radius of an environment in Å (default: 1.25 times the farthest atom)"
    )
    composition: str | None = Field(
        None,
        description="Neighbours, like CH3, or any of some species, like C,H or H,: then their "
        "number is found too (default: those of the structure in FILE, else any that the "
        "descriptor knows)",
    )
    tolerance: float | None = Field(
        None,
        gt=0,
        description="Relative deviation up to which features agree; more than their noise "
        "(default: 1e-6 for rows, 1e-9 for others)",
    )
    shortest: float = Field(0.5, gt=0, description="Least distance in Å between atoms")
    most: int = Field(12, ge=1, description="Largest number of neighbours that is tried")
    populations: int = Field(3, ge=1, description="Times to begin anew, to find other solutions")
    seconds: float = Field(120.0, gt=0, description="Largest number of seconds")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the starts")


@verb(ReconstructOptions, FileOutput("reconstruct", _RECONSTRUCTED, XYZ))
def reconstruct(
    features: Annotated[
        str,
        typer.Argument(
            help="Folder that atomplete featurize wrote, or, with FILE, any subject of an audit: "
            "power_spectrum, dscribe:SOAP?n_max=6, file.py:function, ..."
        ),
    ],
    options: ReconstructOptions,
    output: Annotated[Path, typer.Option("-o", "--output", help="Extended XYZ file to write.")],
    file: Annotated[
        Path | None, typer.Argument(help="Structures whose features the subject computes.")
    ] = None,
    trust: Trust = False,
) -> None:
    """Find the environment that has given features, or all that are found to have them.

    From rows of a three-centre descriptor in closed form; from other features by fits from many
    starts. Several structures are written as degenerate pairs. Without one nothing is written.

    Example: atomplete reconstruct power_spectrum ch4.xyz -o found.xyz
    """
    from atomplete.data import write_structures

    found = (
        _from_folder(Path(features), options)
        if file is None
        else _from_subject(features, file, options, trust)
    )
    print(found)
    if len(found.structures) > 1:
        for index, row in enumerate(found.distances()):
            apart = ", ".join(f"{distance:.3g}" for distance in row[:index])
            if apart:
                print(f"  structure {index} is {apart} Å from those before")
    if found.structures:
        write_structures(in_new_folder(output), found.labelled())
        print(f"{len(found.structures)} structures in {output}")


def _from_folder(folder: Path, options: ReconstructOptions) -> "Reconstruction":
    """Reconstruct from the features that a folder holds, with the descriptor beside them."""
    import h5py
    import numpy as np
    import torch

    from atomplete.audit.subjects.of_descriptor import DescriptorSubject
    from atomplete.checkpoint import load
    from atomplete.descriptors import Descriptor, ThreeCenter
    from atomplete.reconstruction import from_rows

    path = folder / "features.h5"
    if not path.is_file():
        raise InputError(f"{folder}: no features.h5 of atomplete featurize, and no FILE is given")
    descriptor = load(folder / "descriptor.pt", Descriptor)
    try:
        with h5py.File(path) as stored:
            rows = np.flatnonzero(stored["structure"][:] == options.index)
            centers = stored["center"][:][rows]
            center = options.center if options.center is not None else int(min(centers, default=0))
            rows = rows[centers == center]
            values = stored["values"][rows]
            species = stored["center_species"][:][rows]
    except _OF_OTHER_FILES as error:
        raise InputError(f"{path}: not what atomplete featurize writes ({error})") from error
    if not len(rows):
        raise InputError(f"{path}: no rows of structure {options.index}, center {center}")
    if descriptor.spec.type == "three_center":
        tolerance = options.tolerance or 1e-6
        given = torch.from_numpy(values.astype(np.float64))
        described = cast(ThreeCenter, descriptor)
        return from_rows(described, given, center_species=int(species[0]), tolerance=tolerance)
    if not descriptor.one_row_per_center:
        raise InputError(f"{path}: rows of {descriptor!r}; of tagged rows, three_center ones only")
    subject = DescriptorSubject(descriptor, group="SO3")
    known = descriptor.spec.known_species()
    if known is None and options.composition is None:
        raise InputError(f"{path}: the descriptor knows any species; name them by --composition")
    neighbors = options.composition or f"{','.join(_symbols(known or ()))},"
    return _fitted(subject, values, int(species[0]), neighbors, descriptor.cutoff, options)


def _from_subject(
    name: str, file: Path, options: ReconstructOptions, trust: bool
) -> "Reconstruction":
    """Reconstruct from the features that a subject gives for a structure."""
    from atomplete.audit import Scope, subject_of
    from atomplete.audit.resolution.local_table import prepared
    from atomplete.data import read_structures

    check_trusted([name], trust)
    structures = read_structures(file)
    if options.index >= len(structures):
        raise InputError(f"{file}: no structure {options.index}, it holds {len(structures)}")
    subject = subject_of(name)
    given = structures[options.index]
    try:
        atoms, _, radius = prepared(
            given, "environment", options.center, options.cutoff or subject.cutoff
        )
    except InputError as error:
        raise InputError(f"{file}, structure {options.index}: {error}") from error
    neighbors = options.composition or atoms[1:].get_chemical_formula()
    numbers = {*atoms.numbers.tolist(), *_numbers(neighbors)}
    (rows,) = subject.describe([atoms], Scope("environment", radius, tuple(sorted(numbers))))
    return _fitted(subject, rows, int(atoms.numbers[0]), neighbors, radius, options)


def _fitted(
    subject: "Subject",
    rows: "Rows",
    center: int,
    neighbors: str,
    radius: float,
    options: ReconstructOptions,
) -> "Reconstruction":
    """Fits of one composition, or of several."""
    from atomplete.audit.search.starts import Limits
    from atomplete.reconstruction import Effort, from_features, likely_compositions

    limits = Limits(options.shortest, radius)
    numbers = _numbers(neighbors)
    compositions = [(center, *numbers)]
    if "," in neighbors:
        compositions = likely_compositions(
            subject,
            rows,
            center,
            tuple(sorted(set(numbers))),
            limits,
            most=options.most,
            seed=options.seed,
        )
    return from_features(
        subject,
        rows,
        compositions,
        limits,
        effort=Effort(populations=options.populations, seconds=options.seconds),
        tolerance=options.tolerance or 1e-9,
        seed=options.seed,
    )


def _numbers(neighbors: str) -> list[int]:
    """Atomic numbers of a formula, or of a list of species."""
    from ase import Atoms

    try:
        numbers = Atoms(neighbors.replace(",", "")).numbers.tolist()
    except (KeyError, ValueError) as error:
        raise InputError(f"composition {neighbors!r}: neither CH3 nor C,H") from error
    if not numbers:
        raise InputError(f"composition {neighbors!r}: no neighbours")
    return [int(number) for number in numbers]


def _symbols(numbers: tuple[int, ...]) -> list[str]:
    from ase.data import chemical_symbols

    return [chemical_symbols[number] for number in numbers]
