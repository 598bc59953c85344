"""How much of the machine's CPU time other processes used while we measured."""

from __future__ import annotations

import os
from pathlib import Path

from sweep.clock import monotonic_seconds, process_cpu_seconds

_STAT = Path("/proc/stat")
# Of the first line of /proc/stat, in ticks: user nice system idle iowait irq softirq steal; guest time is in user.
_IDLE = (3, 4)
_COLUMNS = 8
# Chosen: the kernel counts in ticks of 10 ms; over a shorter span the share is mostly rounding.
_MIN_SECONDS = 0.2


class Contention:
    """Measures from its making to `share()`."""

    def __init__(self) -> None:
        self._start = _read()
        self._started_seconds = monotonic_seconds()
        self._own_seconds = process_cpu_seconds()

    def share(self) -> float | None:
        """Other processes' CPU time over the machine's, in 0..1; None where the system does not tell."""
        now = _read()
        if self._start is None or now is None or monotonic_seconds() - self._started_seconds < _MIN_SECONDS:
            return None
        total, busy = now[0] - self._start[0], now[1] - self._start[1]
        own = (process_cpu_seconds() - self._own_seconds) * os.sysconf("SC_CLK_TCK")
        return min(max((busy - own) / total, 0.0), 1.0) if total > 0 else None


def _read() -> tuple[int, int] | None:
    """The ticks that passed on all cores since boot, and those of them that were busy."""
    try:
        fields = _STAT.read_text(encoding="ascii").split("\n", 1)[0].split()[1 : 1 + _COLUMNS]
        ticks = [int(field) for field in fields]
        return sum(ticks), sum(ticks) - sum(ticks[column] for column in _IDLE)
    except (OSError, ValueError, IndexError):  # no such file, or (in some sandboxes) nothing of use in it
        return None
