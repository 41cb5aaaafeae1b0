"""Calls of functions on a Dask cluster, and their outcome."""

import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import Any

from atomplete.errors import InputError

GONE = "the Dask scheduler is gone; the same command goes on from here"


def call_in_order(
    client: Any, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]
) -> Generator[Any]:
    """Call a function on the workers, as many times at once as they have threads and once more.

    Workers may come and go; what a lost one was at is computed elsewhere.

    Parameters
    ----------
    client
        A ``distributed.Client``.
    function
        One that workers can import.
    calls
        Arguments of each call, taken one by one.

    Yields
    ------
    object
        Results, in the order of the calls.

    Raises
    ------
    InputError
        If the function raises it, workers lack a package or die, or the scheduler is gone.
    Exception
        Whatever else the function raises.

    Examples
    --------
    >>> from distributed import Client
    >>> with Client(processes=False, n_workers=1, dashboard_address=None) as client:
    ...     list(call_in_order(client, pow, [(2, 3), (5, 2)]))
    [8, 25]
    """
    from distributed import KilledWorker

    waiting, running = iter(calls), deque[Any]()
    try:
        while True:
            while len(running) < threads_of(client) + 1:
                arguments = next(waiting, None)
                if arguments is None:
                    break
                with warnings.catch_warnings(action="ignore"):  # arguments are large, and differ
                    running.append(client.submit(function, *arguments, pure=False))
            if not running:
                return
            running[0].exception()  # is waited for
            try:
                found = outcome(running.popleft())
            except KilledWorker as error:
                raise InputError(
                    f"{error.allowed_failures + 1} Dask workers died of the same work; they may "
                    "lack memory"
                ) from None
            yield found
    finally:
        with suppress(OSError):  # there may be no scheduler any more
            client.cancel(list(running))


def threads_of(client: Any) -> int:
    """Number of threads of all workers, but 1 where there is no worker yet.

    Raises
    ------
    InputError
        If the scheduler is gone.
    """
    try:
        return max(sum(client.nthreads().values()), 1)
    except OSError:
        raise InputError(GONE) from None


def outcome(future: Any) -> Any:
    """Result of a call that has ended.

    Raises
    ------
    InputError
        If the function raises it, workers lack a package, or the scheduler is gone.
    Exception
        Whatever else the function raises.
    """
    if future.status == "finished":
        return future.result()
    if future.status != "error":
        raise InputError(GONE)
    error = future.exception()
    if isinstance(error, ImportError):
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"the Dask workers lack a package ({reason})")
    raise error
