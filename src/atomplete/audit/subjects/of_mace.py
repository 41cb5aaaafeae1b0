"""MACE models as subjects: of a file, and untrained."""

import warnings
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from ase import Atoms
from pydantic import BaseModel, ConfigDict, Field

from atomplete.audit.subjects.subject import CannotDescribe, OneByOne, Rows, Scope, Subject
from atomplete.config import checked
from atomplete.degenerate.congruence.congruence import Level
from atomplete.errors import InputError, MissingExtraError
from atomplete.system import center_of
from atomplete.units import Cutoff


class MaceChoices(BaseModel):
    """Options of a MACE model."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    output: Literal["descriptors", "energy"] = "descriptors"
    dtype: Literal["float64", "float32"] = "float64"
    level: Level | None = None


class UntrainedChoices(MaceChoices):
    """Options of an untrained MACE model."""

    layers: int = Field(default=2, ge=1)
    correlation: int = Field(default=3, ge=1)
    max_angular: int = Field(default=3, ge=0)
    channels: int = Field(default=16, ge=1)
    cutoff: Cutoff | None = None
    seed: int = Field(default=0, ge=0, lt=2**32)


def mace_subject(name: str, options: dict[str, Any]) -> Subject:
    """Return a MACE model: ``mace:FILE``, or ``mace:untrained`` with random weights.

    An untrained model shows what the architecture can see. Its cutoff, unless given, and its
    species are those of what is audited; a file has its own.

    Parameters
    ----------
    name
        After ``mace:``, the file of the model, or "untrained".
    options
        ``output``: "descriptors" (default), the invariants of all layers, of each atom; or
        "energy", of the whole structure or, at the environment level, of the centre alone.
        ``dtype``: "float64" (default) or "float32". ``level``: only one of both; the descriptor
        of a centre knows the environments of its neighbours as well. Of an untrained model also
        ``layers`` (2), ``correlation`` (3), ``max_angular`` (3), ``channels`` (16), each a scalar
        and a vector, ``cutoff`` and ``seed``.

    Raises
    ------
    MissingExtraError
        If MACE is not installed.

    References
    ----------
    Batatia et al., NeurIPS 35, 11423 (2022).

    Examples
    --------
    >>> mace_subject("mace:absent.model", {"layers": 2})
    Traceback (most recent call last):
    atomplete.errors.InputError: mace:absent.model: unknown option layers
    """
    path = name.partition(":")[2]
    kind = UntrainedChoices if path == "untrained" else MaceChoices
    choices = checked(kind, options, name)
    _import_mace()
    if isinstance(choices, UntrainedChoices):
        return UntrainedMace(name, choices)
    return MaceSubject(name, choices, _read(name, path, choices.dtype))


class MaceSubject(OneByOne):
    """A MACE model of a file."""

    package = "mace-torch"

    def __init__(self, name: str, choices: MaceChoices, module: Any = None) -> None:
        self.name, self.choices, self.module = name, choices, module
        self.levels = ("environment", "structure") if choices.level is None else (choices.level,)

    def module_of(self, scope: Scope) -> Any:
        """The model for a scope."""
        return self.module

    def rows(self, atoms: Atoms, scope: Scope) -> Rows:
        """Descriptors of atoms, or the energy; at the environment level of the centre."""
        return _rows(self.module_of(scope), atoms, self.choices, scope.level)


class UntrainedMace(MaceSubject):
    """A MACE model of random weights, for the species and cutoff of the scope."""

    choices: UntrainedChoices

    def module_of(self, scope: Scope) -> Any:
        """The model for a scope."""
        return _untrained(self.choices, self.choices.cutoff or scope.cutoff, scope.species)


def _import_mace() -> None:
    """Import it before e3nn, which then reads its own files, and without their warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import mace.calculators  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("mace", "mace") from error


def _read(name: str, path: str, dtype: str) -> Any:
    """The model of a file, by MACE's own calculator."""
    from mace.calculators import MACECalculator

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (module,) = MACECalculator(path, device="cpu", default_dtype=dtype).models
    except Exception as error:  # of a pickled model, anything
        raise InputError(f"{name} cannot be read ({' '.join(str(error).split())})") from error
    return module


@lru_cache(maxsize=16)
def _untrained(choices: UntrainedChoices, cutoff: float, species: tuple[int, ...]) -> Any:
    """The same random weights for each cutoff."""
    import mace.modules
    import torch
    from e3nn import o3
    from mace.tools.torch_tools import default_dtype

    interaction = mace.modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    n = choices.channels
    with (
        default_dtype(choices.dtype),
        torch.random.fork_rng(devices=[]),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of TorchScript, dozens
        torch.manual_seed(choices.seed)
        module = mace.modules.MACE(
            r_max=cutoff, num_bessel=8, num_polynomial_cutoff=5, max_ell=choices.max_angular,
            interaction_cls=interaction, interaction_cls_first=interaction,
            num_interactions=choices.layers, correlation=choices.correlation,
            hidden_irreps=o3.Irreps(f"{n}x0e + {n}x1o"), MLP_irreps=o3.Irreps("16x0e"),
            gate=torch.nn.functional.silu, avg_num_neighbors=1.0,
            num_elements=len(species), atomic_numbers=list(species),
            atomic_energies=np.zeros(len(species)),
        )  # fmt: skip
    return module.requires_grad_(False)


def _rows(module: Any, atoms: Atoms, choices: MaceChoices, level: Level) -> Rows:
    """Descriptors of atoms, or the energy; at the environment level of the centre."""
    from mace import data
    from mace.tools import AtomicNumberTable, torch_geometric
    from mace.tools.torch_tools import default_dtype

    table = AtomicNumberTable([int(z) for z in module.atomic_numbers])
    unknown = sorted(set(atoms.numbers.tolist()) - set(table.zs))
    if unknown:
        raise CannotDescribe(f"it knows no atoms of atomic number {unknown[0]}")
    with default_dtype(choices.dtype):
        configuration = data.config_from_atoms(atoms)
        graph = data.AtomicData.from_config(configuration, table, float(module.r_max))
        batch = torch_geometric.Batch.from_data_list([graph]).to_dict()
        found = module(batch, compute_force=False)
    key = "node_feats" if choices.output == "descriptors" else "node_energy"
    rows = found[key].detach().numpy()
    if choices.output == "descriptors":
        rows = rows[:, _invariants(module)]
    elif level == "structure":
        return np.array([[found["energy"].item()]])
    else:
        rows = rows[:, None]
    return rows[[center_of(atoms)]] if level == "environment" else rows


def _invariants(module: Any) -> list[int]:
    """Columns of the scalars of all layers."""
    from e3nn import o3

    start = 0
    columns: list[int] = []
    for product in module.products:
        irreps = o3.Irreps(str(product.linear.irreps_out))
        for part, block in zip(irreps, irreps.slices(), strict=True):
            if part.ir.is_scalar():
                columns += range(start + block.start, start + block.stop)
        start += irreps.dim
    return columns
