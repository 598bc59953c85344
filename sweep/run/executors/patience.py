"""How long a Worker may go without progress, counted while this process itself was awake to hear of it."""

from __future__ import annotations

import math

from sweep.clock import monotonic_seconds

# Chosen: time to start, to load the data again and to compile, on a slow disk; what is slow there is no hang.
SECONDS_TO_START = 600.0
# Whoever waits looks ten times a second. If it did not for so long, it was suspended itself (a stopped process, a
# closed lid): how the Worker fared meanwhile is not known, and what it says next is still to be heard.
_LONGEST_GAP_SECONDS = 1.0


class Patience:
    """With a Worker that has a Stage. Progress is a training step or an evaluation batch.

    `stall_timeout` is the seconds that may pass without any; None: as many as it takes. Until the first step, while a
    Worker may start, load its data, build its model and compile it, there are ten minutes at least.
    """

    def __init__(self, stall_timeout: float | None) -> None:
        self._stall_timeout = math.inf if stall_timeout is None else stall_timeout
        self.begin()

    def begin(self) -> None:
        """A Worker begins with something that takes a while before its first step."""
        self._restart(max(self._stall_timeout, SECONDS_TO_START))

    def note_progress(self) -> None:
        self._restart(self._stall_timeout)

    def _restart(self, limit_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        self._silent_seconds = 0.0
        self._looked_at_seconds = monotonic_seconds()

    def is_over(self) -> bool:
        """Asked whenever there is no news from the Worker."""
        now = monotonic_seconds()
        gap = now - self._looked_at_seconds
        self._looked_at_seconds = now
        if gap <= _LONGEST_GAP_SECONDS:
            self._silent_seconds += gap
        return self._silent_seconds >= self.limit_seconds
