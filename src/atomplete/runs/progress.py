"""Progress of long work: a bar on a terminal, else a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

#: Seconds between lines where there is no terminal.
LINE_INTERVAL = 10.0


@contextmanager
def progress_of(what: str, total: int, shown: bool = True) -> Iterator[Callable[[], None]]:
    """Show the rate and the time left of ``total`` equal steps, on stderr.

    Parameters
    ----------
    what
        Name of the work.
    total
        Number of steps.
    shown
        Whether to show anything.

    Yields
    ------
    callable
        To be called after each step.

    Examples
    --------
    >>> with progress_of("labels", 2, shown=False) as step:
    ...     step()
    """
    terminal = sys.stderr.isatty()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    hidden = not (shown and terminal and total)
    with Progress(*columns, console=Console(stderr=True), disable=hidden) as bar:
        task = bar.add_task(what, total=total, rate="")
        start = last = time.monotonic()
        done = 0

        def step() -> None:
            nonlocal done, last
            done += 1
            now = time.monotonic()
            rate = _rate(done, now - start)
            bar.update(task, advance=1, rate=rate)
            if shown and not terminal and (now - last >= LINE_INTERVAL or done == total):
                last = now
                left = (now - start) / done * (total - done)
                print(f"{what}: {done} of {total}, {rate}, {left:.0f} s left", file=sys.stderr)

        yield step


def _rate(done: int, seconds: float) -> str:
    per_second = done / max(seconds, 1e-9)
    return f"{per_second:.1f}/s" if per_second >= 1 else f"{1 / per_second:.0f} s each"
