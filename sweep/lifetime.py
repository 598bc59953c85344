"""A child process that is gone when its parent is."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Let the system end this process with its parent even when it cannot notice (stopped, or deep in a kernel).

    Only Linux can: elsewhere a child has to watch its parent. It counts as gone when the thread that began us ends.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
