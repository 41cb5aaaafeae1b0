"""What features of some structures will take, said before any of it is computed."""

from dataclasses import dataclass

from atomplete.descriptors.chunks import CHUNK_BYTES, MEMORY, OVERHEAD, check_centers
from atomplete.descriptors.contraction.method import Method
from atomplete.descriptors.nice.nice import Nice
from atomplete.descriptors.streaming import Representation
from atomplete.descriptors.tagged.three_center import ThreeCenter
from atomplete.system import System


@dataclass(frozen=True)
class Estimate:
    """Size of the features, and what finding them takes.

    Attributes
    ----------
    n_rows, n_features
        Shape of the values.
    disk
        Their size, bytes.
    memory
        The most that fitting and evaluation hold beside structures and pairs, bytes.
    chunk_bytes
        The part of it that a chunk of centres may take while it is evaluated.
    method
        How components of rows are found, if there are any to find.
    operations
        Multiply-adds that this takes.

    Examples
    --------
    >>> print(Estimate(49, 7344, disk=49 * 7344 * 8, memory=10**8, chunk_bytes=10**7, method=None))
    49 rows × 7344 features: 2.88 MB on disk, at most 100 MB in memory
    """

    n_rows: int
    n_features: int
    disk: int
    memory: int
    chunk_bytes: int
    method: Method | None
    operations: int = 0

    def __str__(self) -> str:
        found = (
            ""
            if self.method is None
            else f"; components: {self.method}, {self.operations:.1g} operations"
        )
        return (
            f"{self.n_rows} rows × {self.n_features} features: {gigabytes(self.disk)} on disk, "
            f"at most {gigabytes(self.memory)} in memory{found}"
        )


def estimate(representation: Representation, system: System, memory: int = MEMORY) -> Estimate:
    """Rows, features, disk and memory of featurizing ``system`` within ``memory`` bytes.

    Contractions are to be fitted to the same system.

    Raises
    ------
    InputError
        If it cannot be done within so little memory.

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import ThreeCenterSpec, build
    >>> system = System.from_atoms([ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])] * 10, cutoff=2.0)
    >>> print(estimate(build(ThreeCenterSpec()), system))
    20 rows × 7344 features: 1.18 MB on disk, at most 106 MB in memory
    """
    need = representation.row_bytes(system)
    held = OVERHEAD + sum(buffer.nbytes for buffer in representation.buffers())
    check_centers(system, need, memory - held)
    chunk_bytes = min(CHUNK_BYTES, memory - held)
    largest = int(need.max()) if len(need) else 0
    peak = held + min(int(need.sum()), max(chunk_bytes, largest))
    method: Method | None = None
    operations = 0
    if isinstance(representation, ThreeCenter) and representation.even is not None:
        plan = representation.contraction_plan([system], memory)
        peak = max(peak, plan.peak, plan.held + min(int(need.sum()), plan.chunk_bytes))
        method, operations = plan.method, plan.operations
    if isinstance(representation, Nice):
        representation.check_fit(len(system.centers), memory)
        peak = max(peak, representation.fit_bytes(len(system.centers)))
    n_rows, n_features = (
        int(representation.rows_per_center(system).sum()),
        len(representation.parity),
    )
    return Estimate(
        n_rows=n_rows,
        n_features=n_features,
        disk=n_rows * n_features * system.positions.element_size(),
        memory=peak,
        chunk_bytes=chunk_bytes,
        method=method,
        operations=operations,
    )


def gigabytes(size: int) -> str:
    """A number of bytes with three digits, in MB or GB.

    Examples
    --------
    >>> gigabytes(2_500_000_000), gigabytes(1_000_000)
    ('2.5 GB', '1 MB')
    """
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"
