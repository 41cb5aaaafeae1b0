"""Features as NumPy arrays: a transformer for scikit-learn's pipelines and searches."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import ase
import numpy as np
import torch
from ase.data import chemical_symbols
from jaxtyping import Float
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from atomplete.config import descriptor_spec
from atomplete.descriptors import (
    Descriptor,
    DescriptorSpec,
    Features,
    build,
    concatenate,
    estimate,
    run,
)
from atomplete.descriptors.memory import MEMORY
from atomplete.errors import InputError
from atomplete.system import Centers, System

Per = Literal["structure", "center", "row"]

#: Atoms in one job. Jobs do not depend on their number, so neither does any rounding.
ATOMS_PER_JOB = 512


class StructureTransformer(TransformerMixin, BaseEstimator):
    """Transformer of lists of ASE structures, of which scikit-learn is told so."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # structures, no matrix
        tags.no_validation = True
        return tags


class DescriptorTransformer(StructureTransformer):
    """Turns lists of ASE structures into matrices of features.

    Parameters
    ----------
    descriptor
        A name (of ``atomplete.descriptors.NAMED``), a spec, or a spec as plain data.
    species
        Atomic numbers of the neighbours described. ``None``: those that the spec was made with,
        else all that ``fit`` finds.
    cutoff
        Radius of an environment, Å; ``None``: that of the spec.
    per
        What a row of the result is. ``"structure"``: the sum over its centres of each species, side
        by side for all species of centres, over the number of all centres; ``"center"``: a centre,
        the plain sum over its tagged neighbours; ``"row"``: a centre with its tagged neighbours.
        No feature tells the species of its centre, but a label of the row does. A plain sum or
        mean of three-centre rows tells no more than the bispectrum; what they can tell more, only
        a non-linear function of each row does.
    centers
        ``"all"`` atoms, or ``"info"``: the one that ``info["center"]`` names. ``"auto"`` is
        ``"info"`` where every structure in ``fit`` has one.
    dtype
        Of the computation and the result, ``"float64"`` or ``"float32"``.
    n_jobs
        Processes that ``transform`` uses, as everywhere in scikit-learn; each computes on one
        thread. Inside ``joblib.parallel_config(backend="dask")``, the workers of a Dask cluster.
        Results are the same to the bit.
    memory
        Bound on what each process holds beside structures, pairs and results, bytes.

    Attributes
    ----------
    spec_
        The spec with species and cutoff filled in.
    descriptor_
        The descriptor, its contractions fitted. ``fit`` alone fits them.
    centers_
        ``"all"`` or ``"info"``.
    center_species_
        Atomic numbers of the centres in ``fit``. The features of structures have a block for each,
        and there are none of other centres.

    Raises
    ------
    InputError
        From every method, for parameters and structures that cannot be used, and for an
        environment whose rows alone take more than the memory.

    Examples
    --------
    Energies of rattled copper from its mean power spectrum:

    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> crystals = [bulk("Cu", cubic=True) for _ in range(40)]
    >>> for seed, atoms in enumerate(crystals):
    ...     atoms.rattle(0.1, seed=seed)
    >>> energies = [EMT().get_potential_energy(atoms) for atoms in crystals]
    >>> descriptor = DescriptorTransformer("power_spectrum", cutoff=3.5)
    >>> model = make_pipeline(descriptor, StandardScaler(), Ridge(1e-3))
    >>> model.fit(crystals[::2], energies[::2]).score(crystals[1::2], energies[1::2]) > 0.999
    True
    """

    def __init__(
        self,
        descriptor: str | DescriptorSpec | Mapping[str, Any] = "power_spectrum",
        *,
        species: Sequence[int] | None = None,
        cutoff: float | None = None,
        per: Per = "structure",
        centers: Centers | Literal["auto"] = "auto",
        dtype: Literal["float64", "float32"] = "float64",
        n_jobs: int | None = None,
        memory: int = MEMORY,
    ) -> None:
        self.descriptor = descriptor
        self.species = species
        self.cutoff = cutoff
        self.per = per
        self.centers = centers
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.memory = memory

    def fit(self, X: Sequence[ase.Atoms], y: object = None) -> "DescriptorTransformer":
        """Find species, and fit the contractions that the spec names; ``y`` is ignored."""
        for name, choices in (
            ("per", ("structure", "center", "row")),
            ("centers", ("auto", "all", "info")),
            ("dtype", ("float64", "float32")),
        ):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} = {getattr(self, name)!r} is none of {choices}")
        structures = checked_structures(X)
        self.spec_ = descriptor_spec(
            self.descriptor, structures=structures, species=self.species, cutoff=self.cutoff
        )
        auto = System.centers_of(structures)
        self.centers_: Centers = auto if self.centers == "auto" else self.centers
        system = self._system(structures)
        self.center_species_: list[int] = system.species[system.centers].unique().tolist()
        descriptor: Descriptor = build(self.spec_)
        if descriptor.needs_fit:
            descriptor.fit([system], memory=self.memory)
        self.descriptor_ = descriptor
        return self

    def transform(self, X: Sequence[ase.Atoms]) -> np.ndarray:
        """Features of any structures, (row, feature)."""
        return self.transform_with_labels(X)[0]

    def labels(self, X: Sequence[ase.Atoms]) -> dict[str, np.ndarray]:
        """Labels of the rows of ``transform(X)``, as ``transform_with_labels`` gives them.

        That computes the features, too: for both, ask for both.
        """
        return self.transform_with_labels(X)[1]

    def transform_with_labels(
        self, X: Sequence[ase.Atoms]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Features and, for each row, integer columns that say what it describes.

        ``structure`` is a position in ``X``; ``center`` and for tagged neighbours ``neighbor_1``
        and so on, counted within the structure, and ``center_species``, an atomic number, are
        there as far as ``per`` keeps them apart.

        Examples
        --------
        >>> water = ase.Atoms("OH2", [(0, 0, 0), (0, 0, 1), (0, 1, 0)])
        >>> descriptor = DescriptorTransformer("three_center", per="row", cutoff=1.2)
        >>> values, labels = descriptor.fit([water]).transform_with_labels([water])
        >>> labels["center"].tolist(), labels["neighbor_1"].tolist()
        ([0, 0, 0, 0, 1, 2], [1, 1, 2, 2, 0, 0])
        """
        check_is_fitted(self, "descriptor_")
        structures = checked_structures(X)
        sizes = np.array([len(atoms) for atoms in structures])
        job_of = (np.cumsum(sizes) - sizes) // ATOMS_PER_JOB
        starts = [0, *(np.flatnonzero(np.diff(job_of)) + 1).tolist()]
        stops = [*starts[1:], len(structures)]
        # copies leave calculators behind, which may not pass between processes
        jobs = (
            delayed(_job)(self, [atoms.copy() for atoms in structures[start:stop]], start)
            for start, stop in zip(starts, stops, strict=True)
        )
        values, labels = zip(*Parallel(n_jobs=self.n_jobs)(jobs), strict=True)
        joined = {name: np.concatenate([part[name] for part in labels]) for name in labels[0]}
        return np.concatenate(values), joined

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """The factors of each feature where it has any, else its parity and position.

        Before them the centre, where features of structures have blocks of several species.

        Examples
        --------
        >>> boron = ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])
        >>> DescriptorTransformer("three_center").fit([boron]).get_feature_names_out()[-1]
        'q5_l3_q5_l3_q5_l3'
        >>> DescriptorTransformer("bispectrum").fit([boron]).get_feature_names_out()[-1]
        'odd1267'
        """
        check_is_fitted(self, "descriptor_")
        if self.descriptor_.feature_labels is None:
            parity = self.descriptor_.parity.tolist()
            names = [f"{'even' if p > 0 else 'odd'}{k}" for k, p in enumerate(parity)]
        else:
            letters, labels = self.descriptor_.feature_labels
            names = [
                "_".join(f"{a}{n}" for a, n in zip(letters, label, strict=True))
                for label in labels.tolist()
            ]
        if self.per == "structure" and len(self.center_species_) > 1:
            symbols = [chemical_symbols[number] for number in self.center_species_]
            names = [f"{symbol}_{name}" for symbol in symbols for name in names]
        return np.array(names, dtype=object)

    def _system(self, structures: list[ase.Atoms]) -> System:
        return System.from_atoms(
            structures,
            self.spec_.cutoff,
            centers=self.centers_,
            dtype=getattr(torch, self.dtype),
        )


def checked_structures(X: Sequence[ase.Atoms]) -> list[ase.Atoms]:
    """Return what a transformer was given as a list, if it is one of ASE structures.

    Examples
    --------
    >>> checked_structures([ase.Atoms("B"), "B2"])
    Traceback (most recent call last):
    atomplete.errors.InputError: structure 1: str instead of ASE Atoms
    """
    if isinstance(X, ase.Atoms) or not isinstance(X, Iterable):
        raise InputError(f"a list of ASE structures is needed, not {type(X).__name__}")
    structures = list(X)
    for index, atoms in enumerate(structures):
        if not isinstance(atoms, ase.Atoms):
            raise InputError(f"structure {index}: {type(atoms).__name__} instead of ASE Atoms")
        if len(atoms) == 0:
            raise InputError(f"structure {index}: no atoms")
    if not structures:
        raise InputError("no structures")
    return structures


@contextmanager
def numbered_from(first: int) -> Iterator[None]:
    """Give structures in errors the numbers that they have among all, not in a part of them.

    Examples
    --------
    >>> with numbered_from(40):
    ...     checked_structures([ase.Atoms("B"), ase.Atoms()])
    Traceback (most recent call last):
    atomplete.errors.InputError: structure 41: no atoms
    """
    try:
        yield
    except InputError as error:
        count = re.compile(r"^structure (\d+)")
        sentence = count.sub(lambda found: f"structure {int(found[1]) + first}", str(error))
        raise InputError(sentence) from error


def _job(
    transformer: DescriptorTransformer, structures: list[ase.Atoms], first: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Values and labels of some structures, the first of which has the number ``first``."""
    with numbered_from(first), _one_thread():
        system = transformer._system(structures)
        size = estimate(transformer.descriptor_, system, transformer.memory)
        parts = run(transformer.descriptor_, system, size.chunk_bytes)
        if transformer.per == "structure":
            values = _of_structures(parts, transformer.center_species_, len(structures))
            labels = {"structure": torch.arange(len(structures))}
        else:
            whole = concatenate(
                [part if transformer.per == "row" else part.summed() for part in parts]
            )
            values, labels = whole.values, whole.labels
    labels["structure"] = labels["structure"] + first
    return values.numpy(), {name: column.numpy() for name, column in labels.items()}


def _of_structures(
    parts: Iterator[Features], species: list[int], n_structures: int
) -> Float[Tensor, "structure species_feature"]:
    """Sums over the centres of each species over the number of all, added up chunk by chunk."""
    total: Tensor | None = None
    count = torch.zeros(n_structures, 1)
    for part in parts:
        centers = part.sum_over_neighbors()
        if total is None:
            total = centers.new_zeros(n_structures * len(species), centers.shape[1])
        block = part.center_position(species, "the transformer")
        total.index_add_(0, part.center_structure * len(species) + block, centers)
        count.index_add_(0, part.center_structure, torch.ones(len(centers), 1))
    assert total is not None  # there is always a chunk, be it empty
    return total.view(n_structures, -1) / count.to(total)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread: sums over several have another order, and other last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
