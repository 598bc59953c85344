"""Child processes that are gone when their parent is, and orphans that find a new parent. Only Linux can do either."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37


def end_with_parent() -> None:
    """Let the system end this process with its parent even when it cannot notice (stopped, or deep in a kernel).

    Only Linux can: elsewhere a child has to watch its parent. It counts as gone when the thread that began us ends.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def ending_text(exit_code: int) -> str:
    """How a process crashed, whose exit code, below 0 that of a signal, says so."""
    if exit_code >= 0:
        return f"crashed (exit code {exit_code})"
    name = signal.Signals(-exit_code).name
    hint = "; perhaps out of host memory" if name == "SIGKILL" else ""
    return f"crashed ({name}{hint})"


def adopt_orphans() -> None:
    """From now on, a process below this one whose parent has ended becomes this one's child, whatever its session."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def adopts_orphans() -> bool:
    """Whether this process does."""
    if sys.platform != "linux":
        return False
    answer = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(answer))
    return bool(answer.value)
