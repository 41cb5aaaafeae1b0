"""Timing of functions in turns, so that whatever else the machine does meets all of them."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Measurement:
    """One line of the table: ours beside a reference, in the same unit.

    ``ratio`` is how many times better ours is; ``target`` the least that it should be.
    """

    what: str
    ours: float
    reference: float
    unit: str
    reference_name: str
    ratio: float
    target: float | None = None


def seconds(
    functions: dict[str, Callable[[], object]],
    rounds: int = 7,
    least: float = 0.05,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Best time of a call of each function, called in turns; short ones many times a round.

    With ``time.process_time`` as the clock, that of all threads, whoever else wants their cores.
    """
    calls = {}
    for name, function in functions.items():
        function()  # warm up
        start = clock()
        function()
        calls[name] = max(1, int(least / max(clock() - start, 1e-9)))
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, function in functions.items():
            start = clock()
            for _ in range(calls[name]):
                function()
            best[name] = min(best[name], (clock() - start) / calls[name])
    return best


def on(device: str, function: Callable[[], object]) -> Callable[[], object]:
    """The function, finished when it returns."""

    def call() -> object:
        result = function()
        if device == "cuda":
            torch.cuda.synchronize()
        return result

    return call


def matrix_rate(
    dtype: torch.dtype = torch.float64,
    size: int = 1536,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Floating-point operations per second of a large matrix product."""
    a, b = torch.randn(2, size, size, dtype=dtype)
    return 2 * size**3 / seconds({"mm": lambda: a @ b}, clock=clock)["mm"]


def machine() -> str:
    """The processor and the number of threads."""
    with Path("/proc/cpuinfo").open() as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {torch.get_num_threads()} thread(s)"
