"""Label campaigns on a Dask cluster."""

import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import cloudpickle
from ase import Atoms

from atomplete.errors import InputError, MissingExtraError
from atomplete.labels.label import Label, LabelMethod
from atomplete.labels.workers.calls import outcome, threads_of
from atomplete.labels.workers.process import LabelProcess, check_limits

#: Seconds to wait for the scheduler to answer.
PATIENCE = 10


@dataclass(frozen=True)
class DaskWorkers:
    """The workers of a Dask cluster, one label process for each of their threads.

    The processes are those of :class:`~atomplete.labels.workers.local.LocalWorkers`, so labels are
    the same. Workers may come and go; what a lost one was at is computed elsewhere. They need
    this package, and for a calculator of ASE its package, but no files of this machine.

    Parameters
    ----------
    client
        A ``distributed.Client``.
    nice, time_limit
        As in :class:`~atomplete.labels.workers.local.LocalWorkers`.

    Examples
    --------
    >>> from distributed import Client
    >>> from atomplete.labels import XTB
    >>> with Client(processes=False, n_workers=1, dashboard_address=None) as client:
    ...     list(DaskWorkers(client).compute(XTB(), [(7, Atoms("Ne"))]))
    [(7, Label(xtb, -161.423795 eV))]
    """

    client: Any
    nice: int = 0
    time_limit: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_limits(self.nice, self.time_limit)

    def compute(
        self, method: LabelMethod, structures: Iterable[tuple[int, Atoms]]
    ) -> Generator[tuple[int, Label]]:
        """Label structures as :class:`LocalWorkers` do, with two under way for each thread.

        Raises
        ------
        InputError
            If the method refuses a structure, workers lack a package, or the scheduler is gone.
        """
        waiting = iter(structures)
        pickled = cloudpickle.dumps(method)
        running: dict[Any, int] = {}
        completed = _distributed().as_completed(loop=self.client.loop)
        try:
            while True:
                while len(running) < 2 * threads_of(self.client):
                    index, atoms = next(waiting, (-1, None))
                    if atoms is None:
                        break
                    future = self.client.submit(
                        _label, pickled, self.nice, self.time_limit, atoms.copy(), pure=False
                    )
                    running[future] = index
                    completed.add(future)
                if not running:
                    return
                future = next(completed)
                yield running.pop(future), _result(future, method)
        finally:
            with suppress(OSError):  # there may be no scheduler any more
                self.client.cancel(list(running))
                self.client.run(_end_processes, on_error="ignore")


def _result(future: Any, method: LabelMethod) -> Label:
    try:
        found: Label = outcome(future)
        return found
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Label.failed(reason, 0.0, method.name, method.settings, transient=True)


def _label(pickled: bytes, nice: int, time_limit: float | None, atoms: Atoms) -> Label:
    """Run in a thread of a Dask worker, which keeps its process for the next structure."""
    worker = _distributed().get_worker()
    if not hasattr(worker, "label_processes"):
        worker.label_processes = {}
    known, thread = worker.label_processes, threading.get_ident()
    given, process = known.get(thread, (None, None))
    if given != (pickled, nice, time_limit):
        if process is not None:
            process.end()
        process = LabelProcess(cloudpickle.loads(pickled), nice, time_limit)
        known[thread] = (pickled, nice, time_limit), process
    return process.label(atoms)


def _end_processes(dask_worker: Any) -> None:
    known = getattr(dask_worker, "label_processes", {})
    while known:
        known.popitem()[1][1].end()


@contextmanager
def dask_client(address: str) -> Iterator[Any]:
    """Connect to a Dask scheduler.

    Parameters
    ----------
    address
        Such as ``tcp://10.0.0.1:8786``, or the path of a scheduler file.

    Yields
    ------
    distributed.Client
        The connection, closed at the end.

    Raises
    ------
    InputError
        If no scheduler answers there.
    MissingExtraError
        If Dask is not installed.

    Examples
    --------
    >>> with dask_client("here"):
    ...     pass
    Traceback (most recent call last):
    atomplete.errors.InputError: no Dask scheduler answers at here (...)
    """
    distributed = _distributed()
    where = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
    try:
        client = distributed.Client(**where, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:  # OSError includes TimeoutError
        reason = " ".join(str(error).split())
        raise InputError(f"no Dask scheduler answers at {address} ({reason})") from None
    with client:
        yield client


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise MissingExtraError("dask", "dask") from None
    return distributed
