"""A command under its warden, as a Worker sees it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Self

from sweep.process_tree import descendants, family_ticks

# Chosen: more than a warden gives the processes that it ends.
_SECONDS_TO_LEAVE = 10.0


@dataclass(frozen=True)
class End:
    """How a command has ended: its exit code (negative for a signal) and the seconds that it took, or why it could not
    be started. All are None where its warden was lost."""

    code: int | None = None
    seconds: float | None = None
    error: str | None = None


class WardedCommand:
    """Started at once, with its output to `log`; every process of it is gone once the block is left, or `leave` has
    returned."""

    def __init__(self, arguments: Sequence[str], log: BinaryIO, environment: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._warden = subprocess.Popen(
                [sys.executable, "-P", "-m", "sweep.run.warden", str(theirs.fileno()), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(environment),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # what ends a Worker's group must not end its warden
            )
        self._said = b""
        self._family: list[int] = []
        self.is_started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.leave()
        self._socket.close()

    def wait(self, seconds: float) -> End | None:
        """How it has ended; None where it has not after `seconds`."""
        if not select.select([self._socket], [], [], seconds)[0]:
            return None
        try:
            said = self._socket.recv(65536)
        except OSError:
            said = b""
        if not said:
            self._kill_family()
            return End()
        self._said += said
        *lines, self._said = self._said.split(b"\n")
        for message in map(json.loads, lines):
            if "pid" not in message:
                return End(**message)
            self.is_started = True
        return None

    def ask_to_end(self) -> None:
        """End it: with a signal first, and after a grace for good."""
        with contextlib.suppress(OSError):
            self._socket.send(b"e")
        self._wake()

    def ticks(self) -> int | None:
        """The CPU time of all its processes so far; None where the system does not tell."""
        try:
            self._family = descendants(self._warden.pid)
            return family_ticks(self._warden.pid)
        except (OSError, ValueError, IndexError):
            return None

    def is_gone(self, seconds: float) -> bool:
        """Whether, after so many seconds, nothing is left of it: it has ended, and what it has left behind too."""
        try:
            self._warden.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def leave(self) -> None:
        """See that nothing of it is left. From any thread: what still runs is killed at once."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._wake()
        self.is_gone(_SECONDS_TO_LEAVE)

    def _wake(self) -> None:
        """Somebody may have stopped all of them."""
        self._warden.send_signal(signal.SIGCONT)

    def _kill_family(self) -> None:
        """Its warden was ended by somebody: what it is known to have watched over has nobody else."""
        for pid in self._family:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
