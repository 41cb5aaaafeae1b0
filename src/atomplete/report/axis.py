"""Scales of charts, and numbers for people."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Axis:
    """A scale with a label, from ``low`` to ``high``; ``marked`` are its ticks, if not round."""

    label: str
    low: float
    high: float
    log: bool = False
    marked: tuple[float, ...] = ()

    @classmethod
    def around(
        cls, label: str, values: Sequence[float], *, log: bool = False, zero: bool = False
    ) -> "Axis":
        """An axis that holds the finite (on a log scale: positive) values, with a margin."""
        data = np.asarray([v for v in values if np.isfinite(v) and (v > 0 or not log)], dtype=float)
        if len(data) == 0:
            data = np.array([1.0])
        low, high = float(data.min()), float(data.max())
        if log:
            margin = max((high / low) ** 0.06, 1.15)
            return cls(label, low / margin, high * margin, log)
        margin = 0.06 * (high - low) or 0.5 * abs(high) or 0.5
        return cls(label, 0.0 if zero else low - margin, high + margin, log)

    def position(self, value: float) -> float:
        """Where a value lies, 0 at the low end and 1 at the high one."""
        if self.log:
            return float(np.log(value / self.low) / np.log(self.high / self.low))
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round values, about five, unless others are asked for."""
        if self.marked:
            return list(self.marked)
        if self.log:
            return _log_ticks(self.low, self.high)
        raw = (self.high - self.low) / 5
        power = 10.0 ** np.floor(np.log10(raw))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw)
        first = int(np.ceil(self.low / step))
        return [k * step for k in range(first, int(np.floor(self.high / step)) + 1)]

    def tick_text(self, value: float) -> str:
        """A tick in words: powers of ten where the scale spans many of them."""
        if value == 0:
            return "0"
        exponent = int(np.floor(np.log10(abs(value)) + 1e-9))
        many = self.log and self.high / self.low > 1e4
        if value == 1 or (-4 < exponent < 5 and not many):
            return f"{value:.4g}".replace("-", "−")
        mantissa = round(value / 10.0**exponent, 3)
        power = f"10{_superscript(exponent)}"
        return power if mantissa == 1 else f"{mantissa:g}·{power}".replace("-", "−")


def number(value: float | None, digits: int = 3) -> str:
    """A number for people: few digits, powers of ten only where they are needed."""
    if value is None or not np.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1e5:
        text = f"{value:#.{digits}g}"
        return (text.rstrip(".") if "e" not in text else f"{value:.0f}").replace("-", "−")
    mantissa, exponent = f"{value:.{max(digits - 2, 0)}e}".split("e")
    return f"{mantissa}·10{_superscript(int(exponent))}".replace("-", "−")


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    steps: tuple[float, ...] = (1,)
    if np.log10(high / low) < 2.5:
        steps = (1, 2, 5) if np.log10(high / low) > 0.7 else (1, 1.5, 2, 3, 4, 5, 6, 8)
    ticks = [m * 10.0**d for d in decades for m in steps]
    inside = [t for t in ticks if low <= t <= high]
    return inside[:: -(-len(inside) // 7) or 1]


def _superscript(exponent: int) -> str:
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
