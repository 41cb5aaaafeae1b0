"""Options of verbs that can compute on a Dask cluster, and the cluster that they name."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from atomplete.config import resolve
from atomplete.errors import InputError


class SchedulerOptions(BaseModel):
    """Options that name a cluster to compute on."""

    scheduler: str | None = Field(
        default=None, description="Address of a Dask scheduler, to compute there"
    )
    slurm: Path | None = Field(
        default=None,
        description="YAML file: jobs, and options of dask-jobqueue; compute in SLURM jobs",
    )


@contextmanager
def client_of(options: SchedulerOptions) -> Iterator[Any]:
    """Client of the cluster that options name, or None to compute here."""
    if options.scheduler is None and options.slurm is None:
        yield None
        return

    from atomplete.labels import dask_client

    if options.scheduler is not None and options.slurm is not None:
        raise InputError("options scheduler and slurm exclude each other")
    with ExitStack() as stack:
        address = options.scheduler or ""
        if options.slurm is not None:
            address = stack.enter_context(slurm_of(options.slurm)).scheduler_address
        yield stack.enter_context(dask_client(address))


def slurm_of(file: Path, submit: bool = True) -> Any:
    """Cluster of SLURM jobs that a file describes; without any jobs if none are to be submitted."""
    from atomplete.labels import slurm_cluster
    from atomplete.labels.workers.slurm import SlurmOptions

    options = resolve(SlurmOptions, file, {})
    content = options.model_dump(exclude_unset=True)
    return slurm_cluster(content, options.jobs if submit else 0, str(file))
