"""Tagged descriptors of other packages in scikit-learn's pipelines, with derivatives."""

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import ase
import numpy as np
from jaxtyping import Float
from joblib import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from atomplete.audit.subjects.named import subject_of
from atomplete.audit.subjects.subject import Scope, Subject
from atomplete.audit.tagging.choices import Environment
from atomplete.audit.tagging.sums import Functions, TaggedSums
from atomplete.audit.tagging.tagged import tagged
from atomplete.errors import InputError
from atomplete.system import Centers, System, center_of
from atomplete.transformer import StructureTransformer, checked_structures, numbered_from
from atomplete.units import check_cutoff

_Result = TypeVar("_Result")

# Environments of the structures in ``fit``, of which the size of typical rows is taken.
_N_REFERENCE = 64


class TaggedTransformer(StructureTransformer):
    """Features of anybody's descriptor with tagged neighbours, of lists of ASE structures.

    For all choices of none, one and two neighbours of a centre, these become species of their
    own, the descriptor is computed, and random cosines of its rows are summed; see `tagged`.

    Parameters
    ----------
    descriptor
        A name that ``subject_of`` understands, or what it returns: ``dscribe:SOAP?n_max=6``,
        ``featomic:SoapPowerSpectrum``, ``bispectrum``, ``file.py:function``, ….
    tags
        Most neighbours that are tagged at a time, 1 or 2. The cost of a centre with n neighbours
        is that of 1 + n or of 1 + n² descriptions.
    species
        Atomic numbers of all atoms; ``None``: those that ``fit`` finds.
    cutoff
        Radius of an environment, Å, for descriptors whose options name none.
    per
        What a row of the result is. ``"structure"``: the sum over its centres of each species,
        side by side for all species of centres, over the number of all centres; ``"center"``: a
        centre, those of one structure after another.
    centers
        ``"all"`` atoms, or ``"info"``: the one that ``info["center"]`` names. ``"auto"`` is
        ``"info"`` where every structure in ``fit`` has one.
    n_functions
        Cosines for each number of tagged neighbours.
    frequency
        Standard deviation of their arguments over typical rows, about.
    seed
        Of what is random.
    n_jobs
        Processes, as everywhere in scikit-learn.

    Attributes
    ----------
    species_
        Atomic numbers of all atoms that are described.
    center_species_
        Atomic numbers of the centres in ``fit``, each with a block of features of structures.
    sums_
        What computes the features of centres.

    Raises
    ------
    InputError
        From every method, for parameters and structures that cannot be used.

    Examples
    --------
    >>> from ase.build import molecule
    >>> molecules = [molecule(name) for name in ("CH4", "H2O", "NH3")]
    >>> soap = TaggedTransformer("power_spectrum", cutoff=3.0, n_functions=50)
    >>> soap.fit_transform(molecules).shape
    (3, 400)
    """

    def __init__(
        self,
        descriptor: str | Subject = "dscribe:SOAP",
        *,
        tags: int = 1,
        species: Sequence[int] | None = None,
        cutoff: float = 5.0,
        per: Literal["structure", "center"] = "structure",
        centers: Centers | Literal["auto"] = "auto",
        n_functions: int = 256,
        frequency: float = 0.3,
        seed: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.descriptor = descriptor
        self.tags = tags
        self.species = species
        self.cutoff = cutoff
        self.per = per
        self.centers = centers
        self.n_functions = n_functions
        self.frequency = frequency
        self.seed = seed
        self.n_jobs = n_jobs

    def fit(self, X: Sequence[ase.Atoms], y: object = None) -> "TaggedTransformer":
        """Find species and the size of typical rows; ``y`` is ignored."""
        for name, choices in (
            ("per", ("structure", "center")),
            ("centers", ("auto", "all", "info")),
        ):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} = {getattr(self, name)!r} is none of {choices}")
        if self.n_functions < 1 or not self.frequency > 0:
            raise InputError(
                f"n_functions = {self.n_functions}, frequency = {self.frequency}: both must be "
                "positive"
            )
        structures = checked_structures(X)
        given = self.descriptor
        whole = tagged(subject_of(given) if isinstance(given, str) else given, self.tags)
        cutoff = check_cutoff(whole.cutoff or self.cutoff)
        found = sorted({int(number) for atoms in structures for number in atoms.numbers})
        self.species_ = found if self.species is None else sorted(set(self.species))
        self.centers_: Centers = (
            System.centers_of(structures) if self.centers == "auto" else self.centers
        )
        self._check_species(structures)
        places = [
            (index, atoms, center)
            for index, atoms in enumerate(structures)
            for center in self._centers_of(atoms, index)
        ]
        self.center_species_ = sorted({int(atoms.numbers[center]) for _, atoms, center in places})
        reference = []
        for index, atoms, center in places[:: max(1, len(places) // _N_REFERENCE)]:
            with numbered_from(index):
                reference.append(Environment.of(atoms, center, cutoff))
        self.sums_ = TaggedSums(
            whole.subject,
            whole.tags,
            Scope("environment", cutoff, tuple(self.species_)),
            reference,
            Functions(self.n_functions, self.frequency, self.seed),
        )
        return self

    def transform(self, X: Sequence[ase.Atoms]) -> Float[np.ndarray, "row feature"]:
        """Features of structures, or of their centres."""
        parts = self._each(X, _values)
        return np.stack(parts) if self.per == "structure" else np.concatenate(parts)

    def derivatives(
        self, X: Sequence[ase.Atoms]
    ) -> list[Float[np.ndarray, "row feature atom xyz"]]:
        """Derivatives of the rows of each structure by the positions of its atoms, 1/Å.

        Exact where those of the descriptor are, as of SOAP of DScribe and featomic and of this
        package's; else from central differences of its rows.

        Examples
        --------
        >>> from ase.build import molecule
        >>> soap = TaggedTransformer("power_spectrum", cutoff=3.0, n_functions=5)
        >>> soap.fit([molecule("CH4")]).derivatives([molecule("CH4")])[0].shape
        (1, 20, 5, 3)
        """
        parts = self._each(X, _slopes)
        return [part[None] for part in parts] if self.per == "structure" else parts

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Numbers of the tagged neighbours and of the function, and before them the centre."""
        check_is_fitted(self, "sums_")
        n_parts = self.sums_.n_features // self.n_functions
        names = [f"tags{n}_cos{k}" for n in range(n_parts) for k in range(self.n_functions)]
        if self.per == "structure" and len(self.center_species_) > 1:
            symbols = [ase.data.chemical_symbols[number] for number in self.center_species_]
            names = [f"{symbol}_{name}" for symbol in symbols for name in names]
        return np.array(names, dtype=object)

    def _each(
        self,
        X: Sequence[ase.Atoms],
        function: Callable[["TaggedTransformer", ase.Atoms, int], _Result],
    ) -> list[_Result]:
        check_is_fitted(self, "sums_")
        structures = checked_structures(X)
        self._check_species(structures)
        # copies leave calculators behind, which may not pass between processes
        jobs = (delayed(function)(self, atoms.copy(), k) for k, atoms in enumerate(structures))
        found: list[_Result] = Parallel(n_jobs=self.n_jobs)(jobs)
        return found

    def _check_species(self, structures: Sequence[ase.Atoms]) -> None:
        for index, atoms in enumerate(structures):
            other = set(atoms.numbers.tolist()) - set(self.species_)
            if other:
                raise InputError(
                    f"structure {index}: {ase.data.chemical_symbols[min(other)]} is none of the "
                    "species that are described"
                )

    def _centers_of(self, atoms: ase.Atoms, index: int) -> list[int]:
        if self.centers_ == "all":
            return list(range(len(atoms)))
        return [int(center_of(atoms, f"structure {index}"))]

    def _combined(
        self, atoms: ase.Atoms, centers: list[int], of_centers: Float[np.ndarray, "center *shape"]
    ) -> np.ndarray:
        """Means over the centres of each species, side by side, or the centres themselves."""
        if self.per == "center":
            return of_centers
        numbers = atoms.numbers[centers]
        other = set(numbers.tolist()) - set(self.center_species_)
        if other:
            symbol = ase.data.chemical_symbols[min(other)]
            raise InputError(f"structure 0: no centre in fit was {symbol}")
        sums = [of_centers[numbers == species].sum(axis=0) for species in self.center_species_]
        return np.concatenate(sums) / len(centers)


def _values(transformer: TaggedTransformer, atoms: ase.Atoms, index: int) -> np.ndarray:
    centers = transformer._centers_of(atoms, index)
    with numbered_from(index):
        values = transformer.sums_.values(atoms, centers)
        return transformer._combined(atoms, centers, values)


def _slopes(transformer: TaggedTransformer, atoms: ase.Atoms, index: int) -> np.ndarray:
    centers = transformer._centers_of(atoms, index)
    with numbered_from(index):
        _, slopes = transformer.sums_.slopes(atoms, centers)
        return transformer._combined(atoms, centers, slopes)
