"""How much of the machine's CPU time processes that are none of this sweep's used while we measured."""

from __future__ import annotations

from pathlib import Path

from sweep.clock import monotonic_seconds
from sweep.process_tree import family_ticks

_PROC = Path("/proc")
# Of the first line of /proc/stat, in ticks: user nice system idle iowait irq softirq steal; guest time is in user.
_IDLE = (3, 4)
_COLUMNS = 8
# Chosen: the kernel counts in ticks of 10 ms; over a shorter span the share is mostly rounding.
_MIN_SECONDS = 0.2


class Contention:
    """Measures from its making to `share()`. The sweep is the process `sweep_pid` and all that descend from it."""

    def __init__(self, sweep_pid: int) -> None:
        self._sweep_pid = sweep_pid
        self._started_seconds = monotonic_seconds()
        self._start = self._read()

    def share(self) -> float | None:
        """Others' CPU time over the machine's, in 0..1; None where the system does not tell."""
        if monotonic_seconds() - self._started_seconds < _MIN_SECONDS:
            return None
        now = self._read()
        if self._start is None or now is None:
            return None
        total, busy, own = (after - before for after, before in zip(now, self._start, strict=True))
        return min(max((busy - own) / total, 0.0), 1.0) if total > 0 else None

    def _read(self) -> tuple[int, int, int] | None:
        """Ticks on all cores since boot: all that passed, those that were busy, those of this sweep."""
        try:
            fields = (_PROC / "stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1 : 1 + _COLUMNS]
            ticks = [int(field) for field in fields]
            own = family_ticks(self._sweep_pid, _PROC)
            return sum(ticks), sum(ticks) - sum(ticks[column] for column in _IDLE), own
        except (OSError, ValueError, IndexError):  # no such file, or (in some sandboxes) nothing of use in it
            return None


def highest(*shares: float | None) -> float | None:
    """The largest of those that are known."""
    return max((share for share in shares if share is not None), default=None)
