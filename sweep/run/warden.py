"""Between a Worker and somebody else's command: `python -m sweep.run.warden DESCRIPTOR ARGUMENT …` starts it, and
leaves no process of it behind, whatever becomes of the command or of the Worker.

It is a process of its own, in a session of its own, because a Worker can be killed. On Linux it adopts whatever the
command's processes leave behind, in sessions of their own too (as torchrun's are); elsewhere it knows the command's
process group alone.

The descriptor is a socket. Towards the Worker: a line of JSON when the command has started (`pid`) or could not be
(`error`), and one when it has ended (`code`, negative for a signal, and the `seconds` that it took). From the Worker: a
byte asks for the end (SIGTERM, and after a grace SIGKILL); when the Worker is gone, everything is killed at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence

from sweep.clock import Stopwatch, monotonic_seconds
from sweep.lifetime import adopt_orphans, end_with_parent
from sweep.process_tree import descendants

# Chosen: with the two seconds that Ctrl-C gives a Worker, all are gone before it is ended itself.
GRACE_SECONDS = 1.5
# Chosen: what SIGKILL has not ended by then is stuck in the kernel, or another user's.
_SECONDS_TO_DIE = 5.0
_SECONDS_BETWEEN_LOOKS = 0.02


class Warden:
    """One command and all that it starts."""

    def __init__(self, worker: socket.socket) -> None:
        self._worker = worker
        self._is_alone = False  # the Worker is gone
        self._is_asked = False  # to end the command
        self._command: subprocess.Popen[bytes] | None = None
        self._clock = Stopwatch()
        self._wakes, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._wakes, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        # A handler, unlike an ignored signal, is not inherited by the command.
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)

    def run(self, arguments: Sequence[str]) -> None:
        """Run the command to its end, or to that of the Worker's patience."""
        adopt_orphans()
        try:
            # Its parent's death is the command's, should even this process be killed.
            self._command = subprocess.Popen(arguments, start_new_session=True, preexec_fn=end_with_parent)
        except (OSError, ValueError) as error:
            self._tell({"error": f"{arguments[0]}: {getattr(error, 'strerror', None) or error}"})
            return
        self._clock.__enter__()
        self._tell({"pid": self._command.pid})
        while self._command.returncode is None and not self._is_asked and not self._is_alone:
            self._wait(None)
        self._end_all()

    def _ask(self, number: int, frame: object) -> None:
        self._is_asked = True

    def _tell(self, message: dict[str, object]) -> None:
        with contextlib.suppress(OSError):
            self._worker.sendall(json.dumps(message).encode() + b"\n")

    def _wait(self, seconds: float | None) -> None:
        """Until something has happened: a process has ended, a signal has come, or the Worker has spoken."""
        watched = [self._wakes] if self._is_alone else [self._wakes, self._worker.fileno()]
        ready, _, _ = select.select(watched, [], [], seconds)
        if self._wakes in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wakes, 4096)
        if not self._is_alone and self._worker.fileno() in ready:
            try:
                said = self._worker.recv(1)
            except OSError:
                said = b""
            self._is_asked = self._is_asked or bool(said)
            self._is_alone = not said
        self._reap()

    def _reap(self) -> None:
        """Wait for every process that has ended, adopted ones too, and tell of the command itself."""
        assert self._command is not None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._command.pid:
                self._command.returncode = os.waitstatus_to_exitcode(status)
                self._tell({"code": self._command.returncode, "seconds": self._clock.elapsed_seconds})

    def _end_all(self) -> None:
        """End what there still is; processes that are started meanwhile too."""
        asked_at = monotonic_seconds()
        self._signal(signal.SIGTERM)
        while self._is_left() and not self._is_alone and monotonic_seconds() - asked_at < GRACE_SECONDS:
            self._wait(_SECONDS_BETWEEN_LOOKS)
        killed_at = monotonic_seconds()
        while self._is_left() and monotonic_seconds() - killed_at < _SECONDS_TO_DIE:
            self._signal(signal.SIGKILL)
            self._wait(_SECONDS_BETWEEN_LOOKS)

    def _is_left(self) -> bool:
        return self._signal(0)

    def _signal(self, number: int) -> bool:
        """Send a signal to every process of the command; whether there was any."""
        assert self._command is not None
        if sys.platform != "linux":
            return _sent(os.killpg, self._command.pid, number)
        sent = [_sent(os.kill, pid, number) for pid in descendants(os.getpid())]
        return any(sent)


def _sent(send: Callable[[int, int], None], pid: int, number: int) -> bool:
    try:
        send(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # it has become another user's
        pass
    return True


if __name__ == "__main__":
    Warden(socket.socket(fileno=int(sys.argv[1]))).run(sys.argv[2:])
