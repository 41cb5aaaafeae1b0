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
    if not shown or total == 0:
        yield lambda: None
    elif sys.stderr.isatty():
        with _bar(what, total) as step:
            yield step
    else:
        yield _lines(what, total)


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    start, done = time.monotonic(), 0
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, rate="")

        def step() -> None:
            nonlocal done
            done += 1
            bar.update(task, advance=1, rate=_rate(done, time.monotonic() - start))

        yield step


def _lines(what: str, total: int) -> Callable[[], None]:
    start = last = time.monotonic()
    done = 0

    def step() -> None:
        nonlocal done, last
        done += 1
        now = time.monotonic()
        if now - last >= LINE_INTERVAL or done == total:
            last = now
            left = (now - start) / done * (total - done)
            rate = _rate(done, now - start)
            print(f"{what}: {done} of {total}, {rate}, {left:.0f} s left", file=sys.stderr)

    return step


def _rate(done: int, seconds: float) -> str:
    per_second = done / max(seconds, 1e-9)
    return f"{per_second:.1f}/s" if per_second >= 1 else f"{1 / per_second:.0f} s each"
