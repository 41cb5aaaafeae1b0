"""Processes that label, one thread each, which end with the process that started them."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from ase import Atoms

from atomplete.errors import InputError
from atomplete.labels.label import Label, LabelMethod
from atomplete.labels.threads import one_thread_for_children

_CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Accident:
    """A calculation that ended in an exception or killed its process.

    It says little about the structure, so it is reported but not kept in the journal.

    Parameters
    ----------
    reason
        The exception, or how the process ended.

    Examples
    --------
    >>> Accident("the worker process ended with exit code -11").reason
    'the worker process ended with exit code -11'
    """

    reason: str


@dataclass(eq=False)
class _Worker:
    """One process, the pipe to it, and the index of the structure that it works on."""

    process: BaseProcess
    connection: Connection
    index: int | None = None


def compute_all(
    method: LabelMethod, structures: Iterable[tuple[int, Atoms]], workers: int
) -> Generator[tuple[int, Label | Accident]]:
    """Label structures in worker processes, and give each result as it comes.

    Close the iterator to stop early; the processes are then ended. Also when this process is
    killed they end at once.

    Parameters
    ----------
    method
        The method; it must pickle.
    structures
        Pairs of an index, returned with the result, and a structure.
    workers
        Number of processes.

    Yields
    ------
    tuple of int and Label or Accident
        In the order of completion.

    Raises
    ------
    InputError
        If the method refuses a structure.
    RuntimeError
        If the processes do not start.

    Examples
    --------
    >>> from atomplete.labels import XTB
    >>> list(compute_all(XTB(), [(7, Atoms("Ne"))], workers=1))
    [(7, Label(xtb, -161.423795 eV))]
    """
    waiting = iter(structures)
    pool: dict[Connection, _Worker] = {}
    try:
        for _ in range(workers):
            _start(method, pool)
        while pool:
            ready = wait(list(pool))
            for connection, worker in [item for item in pool.items() if item[0] in ready]:
                index = worker.index
                try:
                    answer = connection.recv()
                except (EOFError, OSError):
                    answer = _bury(pool.pop(connection))
                    _start(method, pool)
                else:
                    if isinstance(answer, InputError):
                        raise answer
                    _give_next(worker, waiting, pool)  # now: the worker need not wait
                if index is not None:
                    yield index, answer
    finally:
        for worker in pool.values():
            _stop(worker)


def _start(method: LabelMethod, pool: dict[Connection, _Worker]) -> None:
    ours, theirs = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=_serve, args=(theirs, method), daemon=True)
    with one_thread_for_children():
        process.start()
    theirs.close()  # only the worker holds that end now, so that its death closes the pipe
    pool[ours] = _Worker(process, ours)


def _give_next(
    worker: _Worker, waiting: Iterator[tuple[int, Atoms]], pool: dict[Connection, _Worker]
) -> None:
    following = next(waiting, None)
    if following is None:
        _stop(pool.pop(worker.connection))
        return
    worker.index, atoms = following
    with suppress(ConnectionError):  # a worker that has just died is noticed when it is read
        worker.connection.send(atoms)


def _bury(worker: _Worker) -> Accident:
    worker.process.join()
    worker.connection.close()
    how = f"exit code {worker.process.exitcode}"
    if worker.index is None:
        raise RuntimeError(
            f"a worker process for labels did not start ({how}); a script that labels must do so "
            'under `if __name__ == "__main__":`'
        )
    return Accident(f"the worker process ended with {how}")


def _stop(worker: _Worker) -> None:
    worker.process.terminate()
    worker.process.join()
    worker.connection.close()


def _serve(connection: Connection, method: LabelMethod) -> None:
    """Run in the worker: answer each structure with its label, until the process is ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    connection.send(None)  # started
    while True:
        connection.send(_answer(method, connection.recv()))


def _answer(method: LabelMethod, atoms: Atoms) -> Label | Accident | InputError:
    try:
        return method.compute(atoms)
    except InputError as error:
        return error
    except Exception as error:  # one structure must not end a campaign of thousands
        return Accident(" ".join(f"{type(error).__name__}: {error}".split()))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
