"""A process of its own that labels: one thread, killed when it hangs, replaced when it dies."""

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import cloudpickle
from ase import Atoms

from atomplete.errors import InputError
from atomplete.labels.label import Label, LabelMethod
from atomplete.labels.methods.threads import ONE_THREAD

#: The longest time limit, seconds: what the system waits for is a 32-bit number of milliseconds.
LONGEST = (2**31 - 1) // 1000


def check_limits(nice: int, time_limit: float | None) -> None:
    """Refuse a niceness and a time limit that no process can have.

    Raises
    ------
    InputError
        For a niceness outside of 0 to 19, or a time limit outside of 0 to ``LONGEST`` seconds.

    Examples
    --------
    >>> check_limits(0, 1e10)
    Traceback (most recent call last):
    atomplete.errors.InputError: the time limit must lie between 0 and 2147483 s, not 10000000000.0
    """
    if nice not in range(20):
        raise InputError(f"the niceness must lie between 0 and 19, not {nice}")
    if time_limit is not None and not 0 < time_limit <= LONGEST:
        raise InputError(f"the time limit must lie between 0 and {LONGEST} s, not {time_limit}")


class EndedError(Exception):
    """A process was asked to end while it labelled."""


class LabelProcess:
    """Labels structures one after the other in another process, which starts when it is needed.

    A calculation that takes the process down or outlasts the limit does not touch the caller.
    When the caller dies, however that comes, the process ends as well.

    Parameters
    ----------
    method
        The method; it must pickle, by value if it is defined in a script.
    nice
        Added to the niceness of the process.
    time_limit
        Seconds after which a calculation is killed.

    Examples
    --------
    >>> from atomplete.labels import XTB
    >>> process = LabelProcess(XTB())
    >>> process.label(Atoms("Ne"))
    Label(xtb, -161.423795 eV)
    >>> process.end()
    """

    def __init__(self, method: LabelMethod, nice: int = 0, time_limit: float | None = None) -> None:
        self._method, self._nice, self._time_limit = method, nice, time_limit
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._exit_code: int | None = None
        self._ended = False
        self._lock = threading.Lock()

    def label(self, atoms: Atoms) -> Label:
        """Label one structure; if the process is lost, once more in a new one.

        Returns
        -------
        Label
            A transient failure if the method raised an exception, exceeded the time limit, or
            lost its process twice.

        Raises
        ------
        InputError
            If the method refuses the structure, or the process does not start.
        EndedError
            If :meth:`end` was called meanwhile.
        """
        start = time.perf_counter()
        if self._connection and not Path(self._scratch.name).is_dir():
            self._kill()  # its files were swept from the temporary folder: start anew
        for _ in range(2):
            try:
                connection = self._connection or self._start()
                connection.send(atoms)
                if not connection.poll(self._time_limit):
                    self._kill()
                    return self._failed(f"no result within {self._time_limit:g} s", start)
                answer = connection.recv()
            except (EOFError, OSError):
                self._kill(patience=1.0)
                if self._ended:
                    raise EndedError from None
            else:
                if isinstance(answer, InputError):
                    raise answer
                return self._failed(answer, start) if isinstance(answer, str) else answer
        how = f"the second time with exit code {self._exit_code}"
        return self._failed(f"its process died twice, {how}", start)

    def end(self) -> None:
        """Kill the process, also from another thread than the one that waits for it."""
        self._ended = True
        self._kill()

    def _failed(self, reason: str, start: float) -> Label:
        seconds = time.perf_counter() - start
        return Label.failed(reason, seconds, self._method.name, self._method.settings, True)

    def _start(self) -> Connection:
        ours, theirs = Pipe()
        self._scratch = tempfile.TemporaryDirectory(prefix="atomplete-", ignore_cleanup_errors=True)
        code = (
            f"import sys; sys.path[:] = {sys.path}; "
            f"from {__name__} import serve; serve({theirs.fileno()})"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=2,  # what calculators print must not mix with the output of the caller
            env={**os.environ, **ONE_THREAD, "TMPDIR": self._scratch.name},
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C is for the caller; one group with all it starts
        )
        theirs.close()  # only the process holds that end now: its death closes the pipe
        try:
            ours.send_bytes(cloudpickle.dumps((self._method, self._nice)))
            ours.recv()  # it has started
        except (EOFError, OSError):
            self._kill(patience=1.0)
            if self._exit_code is not None and self._exit_code < 0:
                raise  # killed by a signal as it started: not the method's fault, try again
            if not self._ended:
                raise InputError(
                    f"a process for {self._method.name} labels did not start "
                    f"(exit code {self._exit_code})"
                ) from None
        if self._ended:
            self._kill()
            raise EndedError
        self._connection = ours
        return ours

    def _kill(self, patience: float = 0.0) -> None:
        """End the process and every program that it has started; keep its exit code."""
        with self._lock:
            if self._process is None:
                return
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)  # let one that is dying tell its own exit code
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._exit_code = self._process.wait()
            # the pipe is closed with its last user, who may be waiting for it in another thread
            self._process = self._connection = None
            self._scratch.cleanup()


def serve(pipe: int) -> None:
    """Run in the process: answer each structure with its label, until the caller is gone.

    Parameters
    ----------
    pipe
        The file descriptor of this end.
    """
    connection = Connection(pipe)
    method, nice = cloudpickle.loads(connection.recv_bytes())
    os.nice(nice)
    if nice:
        # Linux may weigh sessions before processes, and this process has a session of its own
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(nice))
    structures: queue.SimpleQueue[Atoms] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, structures), daemon=True).start()
    connection.send(None)  # started
    while True:
        connection.send(_answer(method, structures.get()))


def _receive(connection: Connection, structures: "queue.SimpleQueue[Atoms]") -> None:
    try:
        while True:
            structures.put(connection.recv())
    except (EOFError, OSError):  # the caller is gone: end at once, in the midst of calculations
        os.killpg(0, signal.SIGKILL)


def _answer(method: LabelMethod, atoms: Atoms) -> Label | InputError | str:
    try:
        label = method.compute(atoms)
        return label.misfit(atoms) or label
    except InputError as error:
        return error
    except Exception as error:  # one structure must not end a campaign of thousands
        return " ".join(f"{type(error).__name__}: {error}".split())
