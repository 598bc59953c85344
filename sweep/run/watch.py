"""When a command has had its time, or hangs: it prints nothing, and its processes use no CPU time."""

from __future__ import annotations

import math
import os

from sweep.clock import Stopwatch
from sweep.errors import Outcome
from sweep.run.executors.patience import Patience
from sweep.run.output import Output
from sweep.run.warded import WardedCommand

# Chosen: threads that only wait use less of a core; whatever trains, or waits for a GPU, uses more.
_IDLE_SHARE = 0.01
# Chosen: to look at every process of a large machine takes a while.
_LOOKS_PER_TIMEOUT, _MAX_SECONDS_BETWEEN = 8, 10.0


class Watch:
    """Over a command from its start on. `cause` is how it ends, once it has to; None: as it ends by itself."""

    def __init__(
        self, running: WardedCommand, output: Output, time_limit: float | None, stall_timeout: float | None
    ) -> None:
        self._running = running
        self._output = output
        self._time_limit = math.inf if time_limit is None else time_limit
        self._patience = Patience(stall_timeout)
        self._patience.note_progress()
        self._clock = Stopwatch().__enter__()
        self._seconds_between = min((stall_timeout or math.inf) / _LOOKS_PER_TIMEOUT, _MAX_SECONDS_BETWEEN)
        self._looked_at, self._ticks, self._num_bytes = 0.0, 0, 0
        self.cause: tuple[Outcome, str] | None = None

    @property
    def elapsed_seconds(self) -> float:
        return self._clock.elapsed_seconds

    def should_end(self, is_stopped: bool) -> bool:
        """Whether the command is to be ended now; true once."""
        if self.cause is not None:
            return False
        if is_stopped:
            self.cause = Outcome.INTERRUPTED, "interrupted"
        elif self.elapsed_seconds >= self._time_limit:
            self.cause = Outcome.FAILED, f"time limit of {self._time_limit:g} s reached, stopped"
        elif self._hangs():
            limit = f"{self._patience.limit_seconds:g} s"
            self.cause = Outcome.STALLED, f"no output and no CPU time for {limit}, stopped"
        return self.cause is not None

    def _hangs(self) -> bool:
        seconds = self.elapsed_seconds - self._looked_at
        if seconds >= self._seconds_between:
            self._looked_at += seconds
            if self._has_moved(seconds):
                self._patience.note_progress()
        return self._patience.is_over()

    def _has_moved(self, seconds: float) -> bool:
        """Whether anything has happened in the last so many seconds, as far as can be known."""
        num_bytes, ticks = self._output.num_bytes(), self._running.ticks()
        has_printed, self._num_bytes = num_bytes != self._num_bytes, num_bytes
        used, self._ticks = (None if ticks is None else ticks - self._ticks), ticks or 0
        idle_ticks = _IDLE_SHARE * seconds * os.sysconf("SC_CLK_TCK")
        # A child that has ended, and that nobody waited for, takes its time along.
        return has_printed or used is None or used > idle_ticks or used < 0
