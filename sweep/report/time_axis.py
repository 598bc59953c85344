"""The logarithmic axis of training times: where its ticks stand, and what they say."""

from __future__ import annotations

import math

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_UNITS = ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "us"))
# Up to 10 units, the next unit is near; each list ends where the next one begins.
_ROUND = {
    1.0: (1, 2, 5, 10, 20, 30),
    _MINUTE: (1, 2, 5, 10, 20, 30),
    _HOUR: (1, 2, 5, 10),
}


def tick_text(seconds: float) -> str:
    """`0.1 s`, `10 min`, `1 h`, `2 d`: what an axis says of a round time."""
    if 0.0099 < seconds < 1:
        return f"{seconds:g} s"
    unit, name = next(((unit, name) for unit, name in _UNITS if seconds >= 0.999 * unit), _UNITS[-1])
    return f"{seconds / unit:,.6g} {name}"


def time_ticks(low: float, high: float, at_most: int = 8) -> list[float]:
    """Round times within low … high, in seconds: the coarsest choice that has three of them, else the finest.

    Of more than `at_most` some are left out, evenly.
    """
    fine = [time for time in _round_times(low, high) if low <= time <= high]
    coarse = [time for time in fine if _is_coarse(time)]
    ticks = coarse if len(coarse) >= 3 else fine
    return ticks[:: math.ceil(len(ticks) / at_most)] if ticks else []


def padded(low: float, high: float, share: float = 0.08) -> tuple[float, float]:
    """Limits of the axis: room beside the shortest and the longest time, and no less than a factor of 4."""
    room = max((math.log(high) - math.log(low)) * share, (math.log(4) - math.log(high / low)) / 2)
    return low * math.exp(-room), high * math.exp(room)


def _round_times(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), 0)
    times = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    times += [unit * number for unit, numbers in _ROUND.items() for number in numbers]
    days = range(max(math.ceil(math.log10(high / _DAY)), 0) + 1)
    return times + [_DAY * digit * 10**decade for decade in days for digit in (1, 2, 5)]


def _is_coarse(seconds: float) -> bool:
    return tick_text(seconds).split()[0].replace(",", "").strip("0.") == "1"
