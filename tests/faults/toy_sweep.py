"""A sweep that is killed at its first disk operation, one that is killed at its second, and so on until one gets
through; each is then run again: `python toy_sweep.py RESULTS`. Ends with an error where anything is lost; prints how
many were killed, and how many of those went on from a checkpoint.

Session, journal, lock and checkpoints are real, training is a toy's. Each sweep is a process of its own, forked here:
they start at once.
"""

import json
import os
import signal
import sys
from pathlib import Path

from processes import check_invariants, kept_states, left_over
from toys import SHARED, ToyExecutor

from sweep.api import run_request
from sweep.request import SweepRequest

CHANGES = ("os.rename", "os.mkdir", "os.chmod", "os.truncate")
REMOVALS = ("os.remove", "os.rmdir")


def at_every_operation(folder, operated, events):
    """Have `operated` called before each operation of this process that changes what lies in `folder`: these audit
    events, opening to write, and what is done to files that are open."""

    def watch(event, arguments):
        if arguments and str(arguments[0]).startswith(str(folder)):
            is_opened = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if event in events or is_opened:
                operated()

    def watched(call):
        def watched_call(*arguments):
            operated()
            return call(*arguments)

        return watched_call

    os.fsync, os.write = watched(os.fsync), watched(os.write)
    sys.addaudithook(watch)


def kill_before_operation(number, folder):
    """This process ends before its operation of that number, from 1."""
    count = 0

    def operated():
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    at_every_operation(folder, operated, CHANGES + REMOVALS)


def run(results, kill_at=None):
    """One sweep in a process of its own; the signal that ended it, or 0."""
    pid = os.fork()
    if pid == 0:
        try:
            if kill_at is not None:
                kill_before_operation(kill_at, results)
            request = SweepRequest("smoke", "0.25,0.5,1.0", results=results, settings=SHARED)
            is_complete = run_request(request, make_executor=lambda *placed: ToyExecutor()).is_complete
            os._exit(0 if is_complete else 1)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def outcomes(results):
    """What a sweep has come to, without what may differ: where it was interrupted."""
    assert left_over(results / "smoke") == []
    found = check_invariants(results).results
    return {result.entry.key: (result.outcome, result.images, result.weights_sha256) for result in found}


def main(folder):
    untouched = folder / "untouched"
    assert run(untouched) == 0
    kills = resumed = 0
    while run(results := folder / f"killed-{kills + 1}", kills + 1) == signal.SIGKILL:
        kills += 1
        journal = results / "smoke" / "journal.jsonl"
        before = check_invariants(results) if journal.exists() else None
        done = {r.entry.key: r for r in before.results if r.outcome == "finished"} if before else {}
        assert run(results) == 0
        assert outcomes(results) == outcomes(untouched), kills
        assert kept_states(results / "smoke") == kept_states(untouched / "smoke"), kills
        after = {result.entry.key: result for result in check_invariants(results).results}
        assert all(after[key] == result for key, result in done.items()), kills
        stages = check_invariants(results).stages.values()
        resumed += any(record.measurement.resumed_at for record in stages)
    assert outcomes(results) == outcomes(untouched)
    print(json.dumps({"kills": kills, "resumed": resumed}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
