"""Sweeps that a storm can break over: real ones, and toys that start at once. What they print is heard without waiting.

Every process of a real one carries a mark in its environment, so that one that was left behind is found; whatever is
left of a toy holds its output open.
"""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from processes import is_alive, workers_of
from toys import SHARED, ForkedToys

from sweep.api import run_request
from sweep.request import SweepRequest

MARK = "SWEEP_STORM"
# What takes longer has failed; nothing here asserts how fast anything is.
PATIENCE_SECONDS = 120


class Running:
    """One run of a sweep, by its process and what comes out of it."""

    def __init__(self, pid, output):
        self.pid = pid
        self.heard = b""
        self.is_silent = False  # whether nothing more can come
        self._output = output

    def hear(self, seconds, until=b""):
        """Listen for so long, or until something is said that holds `until`; whether it may say more."""
        deadline, start = time.monotonic() + seconds, len(self.heard)
        while not self.is_silent and (left := deadline - time.monotonic()) > 0:
            if select.select([self._output], [], [], left)[0]:
                said = os.read(self._output, 1 << 16)
                self.heard += said
                self.is_silent = not said
                if until and until in self.heard[start:]:
                    break
        return not self.is_silent

    def send(self, number):
        """Send it a signal; whether it was not gone already."""
        if was_alive := is_alive(self.pid):
            os.kill(self.pid, number)
        return was_alive

    def kill_a_worker(self, choose):
        """SIGKILL one of its Workers; whether there was one."""
        try:
            workers = [pid for pid in self.workers() if is_alive(pid)]
        except OSError:  # it is gone itself
            return False
        if workers:
            os.kill(choose(workers), signal.SIGKILL)
        return bool(workers)

    def workers(self):
        return workers_of(self.pid)

    def end(self):
        """Wait until it has ended; its exit code, that of a signal below 0."""
        assert not self.hear(PATIENCE_SECONDS), f"process {self.pid} does not end, or has left one behind"
        os.close(self._output)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


class RunningToy(Running):
    def workers(self):
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]


class RealSweeps:
    """The installed command on the recipe `smoke`, with real Workers."""

    name = "real"
    seconds = 7  # Chosen: a little longer than one that nobody kills
    settings = ("epochs=30", *SHARED)
    arguments = ("--ratios", "0.25,0.5,1.0", "--retries", "100", *(word for s in settings for word in ("--set", s)))

    def start(self, place, jobs, checkpoint_every):
        """Begin a run in the folder `place`; its results are in place/results/smoke, its complaints in place.stderr."""
        command = [Path(sys.executable).with_name("sweep"), "run", "smoke", "--json", *self.arguments]
        command += ["--jobs", str(jobs), "--checkpoint-every", str(checkpoint_every)]
        surroundings = {"HOME": str(place / "home"), "TMPDIR": str(place / "tmp"), MARK: str(place)}
        output, theirs = os.pipe()
        with open(f"{place}.stderr", "ab") as complaints:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=complaints, cwd=place,
                env=os.environ | surroundings,
            )  # fmt: skip
        os.close(theirs)
        process.returncode = 0  # it is waited for here
        return Running(process.pid, output)

    def left_behind(self, place):
        """The processes of sweeps in `place`, whoever their parents are."""
        mark = f"{MARK}={place}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                marked = mark in (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if marked and is_alive(int(folder.name)):
                found.append(int(folder.name))
        return found


class ToySweeps:
    """The same sweep with toys for Workers, each forked from here."""

    name = "toy"
    seconds = 0.8
    request = SweepRequest("smoke", "0.2:1:0.2", seeds=2, settings=("epochs=40", *SHARED), retries=100)

    def start(self, place, jobs, checkpoint_every):
        output, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(output)
                self._run(place, theirs, jobs)
            finally:
                os._exit(1)
        os.close(theirs)
        return RunningToy(pid, output)

    def _run(self, place, output, jobs):
        from sweep.report.live import JsonView
        from sweep.report.screen import Screen

        os.chdir(place)
        os.dup2(output, 1)
        os.close(output)
        with open(f"{place}.stderr", "ab") as complaints:
            os.dup2(complaints.fileno(), 2)
        screen = Screen(file=os.fdopen(1, "w"))
        done = run_request(self.request, JsonView(screen), lambda *placed: ForkedToys(jobs))
        sys.stdout.flush()
        os._exit(128 + done.stopped_by if done.stopped_by else 0 if done.is_complete else 1)

    def left_behind(self, place):
        return []  # nothing: its output has ended
