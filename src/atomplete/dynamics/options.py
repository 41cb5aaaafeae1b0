"""Options of molecular dynamics."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: Options that do not change the steps: a run goes on where they were others.
FREE = {"time", "stop_extrapolation"}


class DynamicsOptions(BaseModel):
    """Options of ``atomplete md``.

    Examples
    --------
    >>> DynamicsOptions(ensemble="nvt", time=2.0, timestep=0.5).steps
    4000
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    ensemble: Literal["nve", "nvt", "npt"] = Field(
        "nve", description="nve, nvt, or npt, at constant pressure in cells of one shape"
    )
    thermostat: Literal["langevin", "nose-hoover"] = Field(
        "langevin", description="Thermostat of nvt: langevin or nose-hoover, a chain of three"
    )
    temperature: float = Field(
        300.0, gt=0, description="Temperature in K: at the start, and that of nvt and npt"
    )
    pressure: float = Field(0.0, description="Pressure of npt in GPa")
    timestep: float = Field(0.5, gt=0, le=100, description="Time step in fs")
    time: float = Field(1.0, gt=0, description="Length of the whole run in ps")
    damping: float = Field(
        100.0,
        gt=0,
        description="Time in which the thermostat acts, in fs; the barostat takes ten times that",
    )
    every: int = Field(100, ge=1, description="Steps from one frame of the trajectory to the next")
    log_every: int = Field(10, ge=1, description="Steps from one line of the log to the next")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of velocities and of the noise")
    stop_extrapolation: float = Field(
        5.0, gt=0, description="Extrapolation grade of an atom at which the run is stopped"
    )

    @property
    def steps(self) -> int:
        """Number of time steps of the whole run."""
        return max(1, round(1000 * self.time / self.timestep))

    @property
    def stochastic(self) -> bool:
        """Whether noise acts on all atoms, so that nothing is conserved."""
        return self.ensemble == "nvt" and self.thermostat == "langevin"

    @model_validator(mode="after")
    def _a_thermostat_acts_over_some_steps(self) -> "DynamicsOptions":
        if self.ensemble != "nve" and self.damping < 2 * self.timestep:
            raise ValueError("damping must be two time steps or more")
        return self
