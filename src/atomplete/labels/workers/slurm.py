"""A Dask cluster of SLURM jobs, and its options."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from atomplete.config import checked
from atomplete.errors import InputError, MissingExtraError

Walltime = Annotated[str, StringConstraints(pattern=r"^(\d+-\d+(:\d+){0,2}|\d+(:\d+){0,2})$")]
Memory = Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)? *[kKMGTP]i?B?$")]
Positive = Annotated[int, Field(ge=1)]


class SlurmOptions(BaseModel):
    """Number of jobs, and the options of dask-jobqueue's ``SLURMCluster``.

    Each has its type here, for dask-jobqueue would take a text for a list of letters, and a number
    for bytes.

    Examples
    --------
    >>> checked(SlurmOptions, {"cores": 0, "memory": "32GB"}, "slurm.yaml")
    Traceback (most recent call last):
    atomplete.errors.InputError: slurm.yaml: option cores = 0 should be greater than or equal to 1
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    jobs: Positive = 1
    cores: Positive | None = None
    memory: Memory | None = None
    processes: Positive | None = None
    walltime: Walltime | None = None
    queue: str | None = None
    account: str | None = None
    job_name: str | None = None
    job_cpu: Positive | None = None
    job_mem: Memory | None = None
    job_script_prologue: list[str] = []
    job_extra_directives: list[str] = []
    job_directives_skip: list[str] = []
    worker_extra_args: list[str] = []
    worker_command: str | None = None
    interface: str | None = None
    protocol: str | None = None
    death_timeout: Annotated[float, Field(gt=0)] | None = None
    local_directory: str | None = None
    log_directory: str | None = None
    shared_temp_directory: str | None = None
    shebang: str | None = None
    python: str | None = None
    scheduler_options: dict[str, Any] = {}


@contextmanager
def slurm_cluster(
    options: Mapping[str, Any], jobs: int = 0, source: str = "SLURM options"
) -> Iterator[Any]:
    """A Dask cluster whose workers are SLURM jobs.

    Parameters
    ----------
    options
        Those of :class:`SlurmOptions`, such as ``cores``, ``memory``, ``queue``, ``walltime`` and
        ``job_script_prologue``.
    jobs
        How many jobs to submit.
    source
        Where the options come from, for messages.

    Yields
    ------
    dask_jobqueue.SLURMCluster
        The cluster, whose jobs end with the block; ``job_script()`` is what it would submit.

    Raises
    ------
    InputError
        For options that dask-jobqueue or SLURM refuses, or if there is no SLURM.
    MissingExtraError
        If dask-jobqueue is not installed.

    Examples
    --------
    >>> with slurm_cluster({"cores": 4, "memory": "8GB", "queue": "long"}) as cluster:
    ...     [line for line in cluster.job_script().splitlines() if line.startswith("#SBATCH -p")]
    ['#SBATCH -p long']
    """
    try:
        from dask_jobqueue.slurm import SLURMCluster
    except ImportError:
        raise MissingExtraError("dask-jobqueue", "dask") from None
    if jobs and shutil.which("sbatch") is None:
        raise InputError("there is no sbatch here, SLURM's command that submits jobs")
    chosen = checked(SlurmOptions, dict(options), source).model_dump(
        exclude_unset=True, exclude={"jobs"}
    )
    scheduler = {"dashboard_address": ":0", **chosen.get("scheduler_options", {})}
    try:
        cluster = SLURMCluster(**{**chosen, "scheduler_options": scheduler})
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{source}: {' '.join(str(error).split())}") from None
    with cluster:
        if jobs:
            _try_out(cluster.job_script())  # a job that is refused later would be waited for
        cluster.scale(jobs=jobs)
        yield cluster


def _try_out(script: str) -> None:
    done = subprocess.run(["sbatch", "--test-only"], input=script, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"SLURM refuses the job: {' '.join(done.stderr.split())}")
