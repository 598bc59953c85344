"""A sweep that is killed at its first disk operation, one that is killed at its second, and so on until one gets
through; each is then run again: `python toy_sweep.py RESULTS`. Ends with an error where anything is lost; prints how
many were killed, and how many of those went on from a checkpoint.

Session, journal, lock and checkpoints are real; training is a chain of hashes, so that no step can be left out, be made
twice or come in another place without being seen. Each sweep is a process of its own, forked here: they start at once.
"""

import hashlib
import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "store"))

from histories import ENVIRONMENT
from processes import check_invariants

from sweep.api import run_sweep
from sweep.errors import Outcome
from sweep.request import SweepRequest
from sweep.run.messages import StageDone
from sweep.store.records import Evaluations, Measurement
from sweep.store.states import StageStates
from sweep.store.workspace import Workspace

STEPS_BETWEEN_CHECKPOINTS = 40


class ToyExecutor:
    """Trains chains of hashes, going on from checkpoints of their own."""

    capacity = 1

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def prepare(self, job, stop):
        self.workspace = Workspace(Path(job.workspace))
        return ENVIRONMENT

    def submit(self, job):
        self.job = job

    def stop(self):
        pass

    def receive(self, timeout_seconds):
        job, states = self.job, StageStates(self.workspace.states(self.job.stage))
        states.begin()
        so_far = {"chain": job.stage, "images": 0, "resumed_at": []}
        for begun in states.steps()[:1]:
            so_far = json.loads(bytes(states.read(begun)))
            so_far["resumed_at"].append(begun)
        for step in range((so_far["resumed_at"] or [0])[-1], job.stop_step):
            so_far["chain"] = hashlib.sha256(f"{so_far['chain']} {step}".encode()).hexdigest()
            so_far["images"] += 64
            if (step + 1) % STEPS_BETWEEN_CHECKPOINTS == 0:
                states.write(step + 1, json.dumps(so_far).encode())
        measurement = Measurement(
            steps=job.stop_step,
            images=so_far["images"],
            train_seconds=1.0,
            data_wait_seconds=0.5,
            eval_seconds=0.1,
            startup_seconds=0.1,
            contention=None,
            evaluations=Evaluations(steps=(job.stop_step,), accuracy=(0.5,), loss=(1.0,)),
            weights_sha256=so_far["chain"],
            resumed_at=tuple(so_far["resumed_at"]),
        )
        return StageDone(stage=job.stage, outcome=Outcome.FINISHED, measurement=measurement, environment=ENVIRONMENT)


def kill_before_operation(number, folder):
    """This process ends before its operation of that number, from 1, that changes what lies in `folder`."""
    count = 0

    def operated():
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(event, arguments):
        if not arguments or not str(arguments[0]).startswith(str(folder)):
            return
        changes = event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate")
        if changes or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            operated()

    fsync = os.fsync

    def watched_fsync(descriptor):
        operated()
        fsync(descriptor)

    os.fsync = watched_fsync
    sys.addaudithook(watch)


def run(results, kill_at=None):
    """One sweep in a process of its own; the signal that ended it, or 0."""
    pid = os.fork()
    if pid == 0:
        try:
            if kill_at is not None:
                kill_before_operation(kill_at, results)
            request = SweepRequest("smoke", "0.25,0.5,1.0", results=results)
            is_complete = run_sweep(request, make_executor=lambda *placed: ToyExecutor()).is_complete
            os._exit(0 if is_complete else 1)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def outcomes(results):
    """What a sweep has come to, without what may differ: where it was interrupted."""
    assert not list((results / "smoke" / "states").iterdir())
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
        after = {result.entry.key: result for result in check_invariants(results).results}
        assert all(after[key] == result for key, result in done.items()), kills
        stages = check_invariants(results).stages.values()
        resumed += any(record.measurement.resumed_at for record in stages)
    assert outcomes(results) == outcomes(untouched)
    print(json.dumps({"kills": kills, "resumed": resumed}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
