"""Sweeps whose disk is full: `python toy_full_disk.py FOLDER MODE`, with the toy training of toy_sweep.py.

`once` and `for-good`: a double of the disk, at which the first operation fails, then the second, and so on until a
sweep gets through; `pages` and `files`: real file systems of one page, two, … or of one file, two, …, until one is
large enough. After each the sweep is run again with room. Ends with an error where anything is lost, invented or no
MachineError; prints how many sweeps were ended by it, and how many went on without a checkpoint.
"""

import errno
import json
import os
import subprocess
import sys
import traceback
from itertools import count
from pathlib import Path

from processes import check_invariants
from toy_sweep import CHANGES, at_every_operation, outcomes
from toys import SHARED, ToyExecutor

from sweep.api import run_request
from sweep.errors import MachineError
from sweep.events import StageEnded
from sweep.request import SweepRequest

COMPLETE, COMPLETE_THOUGH_FULL, REFUSED, BROKEN = 0, 10, 3, 70
NO_MOUNT = 77


class FailingDisk:
    """Refuses the operation of a number, from 1; and all that follow where it fails for good."""

    def __init__(self, number, for_good):
        self.number, self.for_good, self.count, self.has_failed = number, for_good, 0, False

    def operated(self):
        self.count += 1
        if self.count == self.number or (self.for_good and self.count > self.number):
            self.has_failed = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def run(results, disk=None):
    """One sweep in a process of its own: how it ended, and the Stages that it acknowledged."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        write = os.write
        try:
            if disk is not None:
                at_every_operation(results, disk.operated, CHANGES)
            os._exit(run_here(results, disk, lambda text: write(writer, f"{text}\n".encode())))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(BROKEN)
    os.close(writer)
    with open(reader) as told:
        acknowledged = told.read().split()
    return os.WEXITSTATUS(os.waitpid(pid, 0)[1]), acknowledged


def run_here(results, disk, say):
    def tell(event):
        if isinstance(event, StageEnded):
            say(event.stage)

    request = SweepRequest("smoke", "0.25,0.5,1.0", results=results, settings=SHARED)
    try:
        done = run_request(request, tell, make_executor=lambda *placed: ToyExecutor())
    except MachineError as error:
        is_explained = "disk full: needs about 1 MB in" in str(error) and error.exit_code == REFUSED
        return REFUSED if is_explained else BROKEN
    assert done.is_complete
    return COMPLETE_THOUGH_FULL if disk is not None and disk.has_failed else COMPLETE


def check(results, acknowledged, untouched):
    """What was acknowledged is in the journal; what is in the journal is what it should be."""
    if not (results / "smoke" / "journal.jsonl").exists():
        assert not acknowledged
        return
    history = check_invariants(results)
    assert set(acknowledged) <= set(history.stages)
    for result in history.results:
        if result.outcome == "finished":
            assert untouched[result.entry.key] == (result.outcome, result.images, result.weights_sha256)


def check_again(results, untouched):
    """With room, the sweep is finished as if nothing had happened."""
    before = (results / "smoke" / "journal.jsonl").exists() and check_invariants(results).stages
    assert run(results)[0] == COMPLETE
    assert outcomes(results) == untouched
    assert not before or before.items() <= check_invariants(results).stages.items()


def with_failing_disk(folder, untouched, for_good):
    """The ends of sweeps at whose first, second, … operation the disk fails."""
    for number in count(1):
        results = folder / f"failed-{number}"
        ended, acknowledged = run(results, FailingDisk(number, for_good))
        assert ended != BROKEN, number
        check(results, acknowledged, untouched)
        check_again(results, untouched)
        yield ended
        if ended == COMPLETE:
            return


def on_small_disks(folder, untouched, option):
    """The ends of sweeps on file systems of growing size."""
    disk = folder / "disk"
    disk.mkdir()
    for number in count(1):
        options = option.format(number if "nr_inodes" in option else 4 * number)
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk]
        if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
            sys.exit(NO_MOUNT)
        try:
            ended, acknowledged = run(disk)
            assert ended != BROKEN, number
            check(disk, acknowledged, untouched)
            is_quiet = ended == COMPLETE and os.statvfs(disk).f_bavail > 10 and os.statvfs(disk).f_ffree > 10
            subprocess.run(["mount", "-o", "remount,size=1m,nr_inodes=1000", disk], check=True)
            check_again(disk, untouched)
        finally:
            subprocess.run(["umount", disk], check=True)
        yield COMPLETE if is_quiet else ended or COMPLETE_THOUGH_FULL
        if is_quiet:
            return


def main(folder, mode):
    assert run(folder / "untouched")[0] == COMPLETE
    untouched = outcomes(folder / "untouched")
    ways = {
        "once": lambda: with_failing_disk(folder, untouched, for_good=False),
        "for-good": lambda: with_failing_disk(folder, untouched, for_good=True),
        "pages": lambda: on_small_disks(folder, untouched, "size={}k"),
        "files": lambda: on_small_disks(folder, untouched, "size=1m,nr_inodes={}"),
    }
    ends = list(ways[mode]())
    print(json.dumps({"refused": ends.count(REFUSED), "went_on": ends.count(COMPLETE_THOUGH_FULL)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
