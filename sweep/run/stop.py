"""Ctrl-C and the request to terminate, as a flag that a sweep looks at: what is being written is written to its end."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self

from sweep.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """While the block runs, the first signal sets `signal_number` and a second one `is_urgent`: no checkpoint is waited
    for. A third one, for a sweep that looks at neither, raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.is_urgent = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Python lets only the main thread handle signals; a sweep in another one is its caller's to stop.
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def raise_if_requested(self) -> None:
        """Raises Interrupted once a signal has come."""
        if self.signal_number is not None:
            raise Interrupted(self.signal_number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.is_urgent:
            raise KeyboardInterrupt
        self.is_urgent = self.signal_number is not None
        self.signal_number = self.signal_number or number
