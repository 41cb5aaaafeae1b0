"""Options of training on a file of structures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from atomplete.config import checked
from atomplete.errors import InputError
from atomplete.units import Cutoff

if TYPE_CHECKING:  # the command line reads this module to start up
    from atomplete.data.dataset import Dataset
    from atomplete.data.properties import LabelKeys
    from atomplete.nn.readout import ReadoutSpec
    from atomplete.training.fit import Solver
    from atomplete.training.loss import Loss


#: Options that may be given with an update; all others are those of the first fit.
WITH_UPDATE = {
    *("energy_key", "forces_key", "stress_key", "virial_key"),
    *("validation", "validation_fraction", "seed", "keep_sums", "update"),
}


class KeyOptions(BaseModel):
    """Keys under which labels stand: options of ``atomplete train`` and ``atomplete evaluate``.

    Examples
    --------
    >>> KeyOptions(energy_key="REF_energy").keys().energy
    ('REF_energy',)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    energy_key: str | None = Field(
        default=None, description="Key of the energies (default: energy)"
    )
    forces_key: str | None = Field(default=None, description="Key of the forces (default: forces)")
    stress_key: str | None = Field(
        default=None, description="Key of the stresses (default: stress)"
    )
    virial_key: str | None = Field(
        default=None, description="Key of the virials (default: virial or virials)"
    )

    def keys(self) -> "LabelKeys":
        """Keys that labels are looked for under."""
        from atomplete.data.properties import LabelKeys

        given = {
            name: (key,)
            for name in LabelKeys.model_fields
            if (key := getattr(self, f"{name}_key")) is not None
        }
        return LabelKeys(**given)


class TrainOptions(KeyOptions):
    """Options of ``atomplete train``.

    Examples
    --------
    >>> TrainOptions(readout="deep_set").solver_spec().type
    'adam'
    """

    validation: Path | None = Field(default=None, description="File of structures to validate with")
    validation_fraction: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Fraction of the structures to validate with, if no file is given "
        "(default: a tenth, and no more than 50 structures)",
    )
    preset: Literal["fast", "accurate", "tiny"] = Field(
        default="fast",
        description="fast; accurate, with more features, time and memory; tiny, with few trained "
        "ones, the cheapest to evaluate",
    )
    potential: dict[str, Any] | None = None  # the spec of any registered one
    descriptor: str | dict[str, Any] | None = Field(
        default=None,
        description="power_spectrum, three_center, … (default: random_fourier of the "
        "preset, power_spectrum for a network); the YAML file may give a spec",
    )
    cutoff: Cutoff | None = Field(default=None, description="Cutoff in Å (default: 5)")
    readout: Literal["linear", "deep_set"] = Field(
        default="linear", description="linear, in closed form, or deep_set, a network"
    )
    repulsion: Literal["zbl", "none"] | None = Field(
        default=None,
        description="Repulsion at distances shorter than in the data, zbl or none (default: zbl "
        "where all atoms are centers)",
    )
    energy_weight: float = Field(default=1.0, ge=0, description="Weight of the energies per atom")
    forces_weight: float = Field(default=1.0, ge=0, description="Weight of the forces")
    stress_weight: float | None = Field(
        default=None,
        ge=0,
        description="Weight of the stresses (default: 0.1 if the file has any that agree "
        "with its energies, else 0)",
    )
    references: dict[str, float] = {}  # energies of atoms by symbol, eV
    seed: int = Field(
        default=0, ge=0, lt=2**32, description="Seed of the validation structures and of training"
    )
    epochs: int = Field(default=100, ge=1, description="Epochs of a network")
    deep_set: dict[str, Any] = Field({"hidden": (64, 64), "head": (64,)})
    solver: dict[str, Any] | None = None
    keep_sums: bool = Field(
        default=False, description="Write sums.pt, so that structures can be added with --update"
    )
    update: Path | None = Field(
        default=None,
        description="A model.pt with its sums.pt: fit to its structures and to these together",
    )

    @model_validator(mode="after")
    def _preset_is_of_linear_potentials(self) -> "TrainOptions":
        for name in ("potential", "solver"):
            if self.preset != "fast" and getattr(self, name) is not None:
                raise ValueError(f"preset {self.preset}: it has another {name} than is given")
        if self.preset != "fast" and self.readout != "linear":
            raise ValueError(f"preset {self.preset}: it has no {self.readout} readout")
        return self

    def check_update(self, folder: Path) -> None:
        """Refuse what the first fit has settled, and the folder where it is.

        Raises
        ------
        InputError
            Naming the option.
        """
        for name in sorted(self.model_fields_set & TrainOptions.model_fields.keys() - WITH_UPDATE):
            raise InputError(f"option {name}: an update takes that of the model that it updates")
        if self.update is not None and folder.resolve() == self.update.parent.resolve():
            raise InputError(f"{folder}: it holds the model to update; write into another folder")

    def loss(self, dataset: "Dataset") -> "Loss":
        """Loss with the weights that are given, or that fit the labels there are."""
        from atomplete.data.checks.pulay import stress_offset
        from atomplete.training.loss import Loss

        stress = self.stress_weight
        if stress is None:
            wrong = stress_offset(dataset).matters
            stress = 0.1 if dataset.labelled["stresses"].any() and not wrong else 0.0
        return Loss(energy_per_atom=self.energy_weight, forces=self.forces_weight, stress=stress)

    def readout_spec(self) -> "ReadoutSpec":
        """Spec of the readout."""
        from atomplete.nn.deep_set import DeepSetSpec
        from atomplete.nn.linear import LinearSpec

        if self.readout == "linear":
            return LinearSpec()
        return checked(DeepSetSpec, self.deep_set, "deep_set")

    def solver_spec(self) -> "Solver":
        """The solver that is given, or the one of the readout."""
        from atomplete.training.adam import AdamSpec
        from atomplete.training.fit import SOLVERS
        from atomplete.training.presets import PRESETS

        if self.solver is not None:
            kind = str(self.solver.get("type"))
            if kind not in SOLVERS:
                raise InputError(f"solver {kind!r} is none of {', '.join(SOLVERS)}")
            return checked(SOLVERS[kind][0], self.solver, "solver")  # type: ignore[return-value]
        if self.readout == "linear" and self.potential is None:
            return PRESETS[self.preset].solver
        return AdamSpec(batch_structures=8, epochs=self.epochs)
