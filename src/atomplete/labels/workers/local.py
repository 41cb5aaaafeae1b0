"""Workers that compute labels: processes of this machine, or a protocol for others."""

import queue
import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Protocol

from ase import Atoms

from atomplete.errors import InputError
from atomplete.labels.label import Label, LabelMethod
from atomplete.labels.workers.process import EndedError, LabelProcess, check_limits

#: More processes than any machine has cores.
MOST = 4096


class Workers(Protocol):
    """Protocol of workers, which compute labels in any order.

    Examples
    --------
    >>> workers: Workers = LocalWorkers(2)
    """

    def compute(
        self, method: LabelMethod, structures: Iterable[tuple[int, Atoms]]
    ) -> Generator[tuple[int, Label]]:
        """Give the label of each structure as it comes; close the generator to stop early."""


@dataclass(frozen=True)
class LocalWorkers:
    """Processes of one thread each on this machine.

    Parameters
    ----------
    number
        How many.
    nice
        Added to their niceness.
    time_limit
        Seconds after which one calculation is killed.

    Raises
    ------
    InputError
        For values that make no sense.

    Examples
    --------
    >>> from atomplete.labels import XTB
    >>> list(LocalWorkers(1).compute(XTB(), [(7, Atoms("Ne"))]))
    [(7, Label(xtb, -161.423795 eV))]
    """

    number: int = 1
    nice: int = 0
    time_limit: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if self.number < 1:
            raise InputError(f"the number of workers must be 1 or more, not {self.number}")
        if self.number > MOST:
            raise InputError(f"the number of workers must be {MOST} at the most, not {self.number}")
        check_limits(self.nice, self.time_limit)

    def compute(
        self, method: LabelMethod, structures: Iterable[tuple[int, Atoms]]
    ) -> Generator[tuple[int, Label]]:
        """Label structures, and give each result as it comes.

        Close the generator to stop early; the processes are then killed.

        Parameters
        ----------
        method
            The method; it must pickle.
        structures
            Pairs of an index, returned with the result, and a structure; taken one by one.

        Yields
        ------
        tuple of int and Label
            In the order of completion.

        Raises
        ------
        InputError
            If the method refuses a structure, or the processes do not start.
        """
        waiting, lock = iter(structures), threading.Lock()
        results: queue.SimpleQueue[tuple[int, Label] | BaseException | None] = queue.SimpleQueue()
        processes = [LabelProcess(method, self.nice, self.time_limit) for _ in range(self.number)]

        def work(process: LabelProcess) -> None:
            try:
                while True:
                    with lock:
                        index, atoms = next(waiting, (-1, None))
                    if atoms is None:
                        break
                    results.put((index, process.label(atoms)))
            except EndedError:
                pass
            except BaseException as error:
                results.put(error)  # for the caller of the generator
            results.put(None)

        threads = [threading.Thread(target=work, args=(each,)) for each in processes]
        try:
            for thread in threads:
                thread.start()
            running = len(threads)
            while running:
                result = results.get()
                if result is None:
                    running -= 1
                elif isinstance(result, BaseException):
                    raise result
                else:
                    yield result
        finally:
            for process in processes:
                process.end()
            for thread in threads:
                thread.join()
