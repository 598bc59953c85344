"""A Worker process on this machine, and the connection to it.

It runs in a process group of its own, so that Ctrl-C reaches only the parent; its threads and its GPU are set in its
environment before torch starts.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing import Pipe
from pathlib import Path

from sweep import host_memory
from sweep.lifetime import ending_text
from sweep.run.messages import Job, Message, encode, receive
from sweep.store.durable import open_log

# Chosen: a Worker leaves by itself within milliseconds of its connection's end; one that is stuck is killed after this.
SECONDS_TO_LEAVE = 2.0


class Child:
    """A Worker of so many `threads`, with more `environment` beside ours. `sweep_pid` is the process that all Workers
    of the sweep on this machine descend from; None: this one."""

    def __init__(
        self, log: Path, threads: int, environment: Mapping[str, str] | None = None, sweep_pid: int | None = None
    ) -> None:
        self.connection, theirs = Pipe()
        own = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads)) | dict(environment or {})
        arguments = (str(theirs.fileno()), str(sweep_pid or os.getpid()))
        self._oom_kills_before = host_memory.num_oom_kills()
        with open_log(log) as output, theirs:
            self.process = subprocess.Popen(
                # -P: a folder called `sweep` where the user stands is not imported in our place.
                [sys.executable, "-P", "-m", "sweep.run.worker", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | own,
                pass_fds=(theirs.fileno(),),
                process_group=0,
            )

    def send(self, job: Job) -> None:
        # A Worker that is gone is noticed by the one who receives.
        with contextlib.suppress(OSError):
            self.connection.send_bytes(encode(job))

    def receive(self) -> Message | None:
        """The next message; None when the process is gone."""
        return receive(self.connection)

    def dismiss(self) -> None:
        """Let the process go: from now on it has nobody to talk to."""
        self.connection.close()

    def end(self, seconds_to_leave: float = SECONDS_TO_LEAVE) -> str:
        """End the process and all of its group; says how it ended."""
        self.connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds_to_leave)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        code = self.process.wait()
        return _ended_for_memory() if self.was_ended_for_memory else ending_text(code)

    @property
    def was_ended_for_memory(self) -> bool:
        """Whether the kernel did, as far as it says: the process was killed, and ours has lost one for its memory."""
        kills = host_memory.num_oom_kills()
        is_counted = kills is not None and self._oom_kills_before is not None and kills > self._oom_kills_before
        return is_counted and self.process.returncode == -signal.SIGKILL


def _ended_for_memory() -> str:
    return f"out of memory (ended by the kernel; {host_memory.size_text(host_memory.total_bytes())} in all)"
