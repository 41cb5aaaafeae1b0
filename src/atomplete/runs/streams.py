"""Printing that never stops the work: results are written whether anybody reads on or not."""

import errno
import io
import os
import sys
from typing import TextIO


class Outlet(io.RawIOBase):
    """The end of a stream, which takes everything, also when nobody reads or the disk is full.

    Parameters
    ----------
    number
        Of the file descriptor.

    Examples
    --------
    >>> outlet = Outlet(os.open("/dev/full", os.O_WRONLY))
    >>> outlet.write(b"lost"), outlet.failure
    (4, 'No space left on device')
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self._error: OSError | None = None

    @property
    def failure(self) -> str | None:
        """Reason why something was not printed, unless the reader had read enough."""
        if self._error is None or self._error.errno == errno.EPIPE:
            return None
        return self._error.strerror

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]
        """Write what can be written."""
        if self._error is None:
            try:
                return os.write(self._number, data)
            except OSError as error:
                self._error = error
        return len(data)

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """Number of the file descriptor."""
        return self._number

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._number)


def open_streams() -> Outlet | None:
    """Let printing fail neither where a stream is closed or full nor where it lacks a character.

    Returns
    -------
    Outlet or None
        That of stdout, unless stdout has been replaced, as by a test.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            # the lowest number that is free, which else the next file would get
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(number, "r+" if number else "r"))  # noqa: PTH123, SIM115
    sys.stderr, _ = _lasting(sys.stderr, sys.__stderr__)
    sys.stdout, outlet = _lasting(sys.stdout, sys.__stdout__)
    return outlet


def _lasting(stream: TextIO, own: TextIO | None) -> tuple[TextIO, Outlet | None]:
    """The stream on an outlet, with a question mark for each character that it lacks."""
    if stream is not own:
        return stream, None
    outlet = Outlet(stream.fileno())
    lasting = io.TextIOWrapper(
        io.BufferedWriter(outlet),  # type: ignore[type-var]
        encoding=stream.encoding,
        errors="replace",
        line_buffering=bool(stream.line_buffering),
    )
    return lasting, outlet
