"""One process at a time where two would spoil each other's results."""

import fcntl
import os
import socket
from contextlib import suppress
from pathlib import Path

from atomplete.errors import InputError
from atomplete.runs.disk import reporting_disk


class Lock:
    """A file that one process holds at a time; the system lets go of it when the process ends.

    Parameters
    ----------
    path
        The lock file; made if it does not exist.
    of
        For the message: what the holder works on.

    Raises
    ------
    InputError
        If another process, or another thread of this one, holds it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lock = Lock(Path(folder) / "lock", Path("run"))
    ...     try:
    ...         Lock(Path(folder) / "lock", Path("run"))
    ...     except InputError as error:
    ...         print(str(error).partition(" on ")[0].replace(str(os.getpid()), "N"))
    ...     lock.release()
    run: it is in use by process N
    """

    def __init__(self, path: Path, of: Path) -> None:
        self.path = path
        while True:
            with reporting_disk(of):
                self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            if not is_free(self._file):
                holder = os.pread(self._file, 400, 0).decode(errors="replace").strip()
                os.close(self._file)
                raise InputError(f"{of}: it is in use by process {holder or '?'}")
            if is_still_at(self._file, path):  # else a holder removed it in between
                break
            os.close(self._file)
        os.ftruncate(self._file, 0)
        with suppress(OSError):  # a full disk does not make the lock worse
            os.pwrite(self._file, f"{os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def release(self) -> None:
        """Let others take it."""
        self.path.unlink(missing_ok=True)
        os.close(self._file)


def is_free(file: int) -> bool:
    """Take the lock of an open file, unless somebody else has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # some network file systems have no locks
    return True


def is_still_at(file: int, path: Path) -> bool:
    """Tell whether an open file is the one of that name."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
