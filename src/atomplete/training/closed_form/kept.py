"""Sums of a fit in closed form that are kept, so that structures can be added to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.data import chemical_symbols

from atomplete.checkpoint import load, read_tensors, write_tensors
from atomplete.data.dataset import Dataset, Split
from atomplete.data.extxyz import frame_text, parse_frame
from atomplete.data.metrics import GROUP_KEYS
from atomplete.errors import InputError
from atomplete.potentials import DescriptorPotential
from atomplete.potentials.base import Potential
from atomplete.runs.store import identity_of
from atomplete.training.closed_form.ridge import DERIVATIVES, RidgeSpec
from atomplete.training.data import FitData
from atomplete.training.loss import Loss
from atomplete.training.run import State

#: Name of the file, beside the model.
SUMS = "sums.pt"

FORMAT = "atomplete sums 1"


@dataclass(frozen=True, eq=False)
class KeptFit:
    """Data, options and sums of a fit in closed form: all that an update needs beside its model.

    The sums of derivatives over training structures are what is costly. Everything else is found
    anew from all structures, so that an update is the fit to old and new ones together, with the
    features of the first: references, scales, the strength of the penalty, the committee and its
    calibration. That is why the structures are kept as well, those of validation among them: they
    take little beside the sums, an old structure for validation remains one, and losses on all of
    them need no file.

    Attributes
    ----------
    potential
        The potential, with its features.
    data
        Structures.
    given
        Reference energies that were given, by symbol, eV.
    loss, solver
        Weights of the labels, and options of the closed form.
    sums
        State of the sums over training structures, for forces and stresses.
    """

    potential: Any
    data: FitData
    given: Mapping[str, float]
    loss: Loss
    solver: Any
    sums: dict[str, State] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the file, about."""
        n = self.potential.readout.coefficients.numel()
        numbers = sum(n * (n + 3) // 2 for kind in DERIVATIVES if getattr(self.loss, kind))
        return 8 * numbers + 150 * int(self.data.dataset.n_atoms.sum())

    def write(self, path: Path, sums: Mapping[str, State]) -> None:
        """Write a file with sums, of matrices their upper triangles, before the fit is solved."""
        content = {
            "format": FORMAT,
            "features": _features_of(self.potential),
            "sums": {kind: dict(state) for kind, state in sums.items()},
            "dataset": _plain(self.data.dataset),
            "isolated": _plain(self.data.isolated),
            "split": list(self.data.split),
            "given": dict(self.given),
            "loss": self.loss.model_dump(),
            "solver": self.solver.model_dump(mode="json"),
        }
        write_tensors(path, content)

    @classmethod
    def read(cls, model: Path) -> "KeptFit":
        """A potential, and what was kept of its fit beside it.

        Raises
        ------
        InputError
            For a potential that was not fitted in closed form, and sums that are missing, damaged
            or those of another model.
        """
        potential: Any = load(model, Potential)
        if potential.committee is None or not potential.committee.is_fitted:
            raise InputError(f"{model}: not fitted in closed form, so that it cannot be updated")
        path = model.parent / SUMS
        if not path.is_file():
            raise InputError(
                f"{model}: there is no {SUMS} beside it, which `atomplete train --keep-sums` "
                "writes; fit to all structures anew"
            )
        content = read_tensors(path)
        if content.get("format") != FORMAT:
            raise InputError(f"{path}: not sums of a fit")
        if content.get("features") != _features_of(potential):
            raise InputError(f"{path}: sums of another model than {model}")
        try:
            dataset, isolated = (_dataset(content[name]) for name in ("dataset", "isolated"))
            return cls(
                potential,
                FitData(dataset, Split(*content["split"]), isolated),
                content["given"],
                Loss(**content["loss"]),
                RidgeSpec(**content["solver"]),
                _whole(content["sums"], potential),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path}: damaged sums ({type(error).__name__})") from error

    def joined(self, more: FitData, name: str) -> FitData:
        """The structures and others, if these make no other fit of it.

        Raises
        ------
        InputError
            For elements that the potential does not know, and for kinds of labels that it was
            fitted to and that these do not have, or the other way round.
        """
        for index, atoms in enumerate(more.dataset.structures):
            new = sorted(set(atoms.numbers.tolist()) - set(self.potential.species))
            if new:
                raise InputError(
                    f"{more.dataset.names[index]}: {chemical_symbols[new[0]]} is new to the model; "
                    "fit to all structures anew"
                )
        for kind in self.data.dataset.labelled:
            has, had = (part.dataset.labelled[kind].any() for part in (more, self.data))
            if kind in self.loss.asked_for and not has:
                raise InputError(f"{name}: no structure has {kind}, which the model was fitted to")
            if has and not had:
                raise InputError(
                    f"{name}: it has {kind}, which the structures of the model have not; fit to "
                    "all structures anew"
                )
        return self.data.joined(more)


def check_keeps(solver: Any) -> None:
    """Refuse to keep sums for a solver that has none.

    Raises
    ------
    InputError
        For all but the closed form.
    """
    if solver.type != "ridge":
        raise InputError(
            f"sums are kept of a fit in closed form only, by ridge, not of one by {solver.type}"
        )


def _features_of(potential: DescriptorPotential) -> str:
    """Hash of what a fit in closed form settles before it solves: features and scales."""
    own = ("readout.", "committee.", "reference")
    state = {k: v for k, v in potential.state_dict().items() if not k.startswith(own)}
    return identity_of(potential.spec, {name: value.numpy() for name, value in state.items()})


def _whole(sums: dict[str, State], potential: DescriptorPotential) -> dict[str, State]:
    """Sums, if they are those of all coefficients."""
    n = potential.readout.coefficients.numel()
    shapes = {"upper": (n * (n + 1) // 2,), "right": (n,), "square": (), "count": ()}
    for state in sums.values():
        if {name: tuple(value.shape) for name, value in state.items()} != shapes:
            raise ValueError("sums of other coefficients")
    return sums


def _plain(dataset: Dataset) -> dict[str, Any]:
    return {
        "structures": [frame_text(_bare(atoms)) for atoms in dataset.structures],
        "energies": dataset.energies,
        "forces": dataset.forces,
        "stresses": dataset.stresses,
        "names": list(dataset.names),
    }


def _bare(atoms: Atoms) -> Atoms:
    """A structure with what fits and reports look at."""
    groups = {key: str(atoms.info[key]) for key in GROUP_KEYS if key in atoms.info}
    center = {key: atoms.info[key] for key in ("center",) if key in atoms.info}
    return Atoms(
        atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=groups | center
    )


def _dataset(content: dict[str, Any]) -> Dataset:
    structures = [parse_frame(text) for text in content["structures"]]
    return Dataset(**(content | {"structures": structures}))
