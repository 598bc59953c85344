"""Toy training, at once and nearly free: a chain of hashes, so that no step can be left out, be made twice or come in
another place without being seen. Its checkpoints are real files of the real store.
"""

import hashlib
import json
import os
import signal
import sys
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "store"))

from histories import ENVIRONMENT

from sweep.errors import MachineError, Outcome
from sweep.lifetime import end_with_parent
from sweep.run.messages import Orphaned, StageDone, decode_message, encode
from sweep.store.records import Evaluations, Measurement
from sweep.store.states import Origin, StageStates, UnusableState
from sweep.store.workspace import Workspace

STEPS_BETWEEN_CHECKPOINTS = 40
# Settings of a recipe whose lengths have a plateau in common.
SHARED = ("lr_scheduler=wsd", "min_shared_steps=1")


def train_chain(job, workspace, is_stopping=lambda: False, memory=None):
    """Train a Stage, going on from its newest checkpoint, or from the end of the one before, which `memory` may hold;
    one that is stopped writes a checkpoint first."""
    states, origin = StageStates(workspace.states / job.stage), _origin(job)
    memory = {} if memory is None else memory
    try:
        so_far = _beginning(job, workspace, memory)
    except UnusableState as reason:
        return Orphaned(stage=job.stage, reason=str(reason))
    with suppress(MachineError):  # as a Worker does
        states.begin()
    for step in range(so_far["step"], job.stop_step):
        so_far["chain"] = hashlib.sha256(f"{so_far['chain']} {step}".encode()).hexdigest()
        so_far["images"] += 64
        so_far["step"] = step + 1
        stops = is_stopping()
        if stops or (step + 1) % STEPS_BETWEEN_CHECKPOINTS == 0 or step + 1 in job.kept_steps:
            with suppress(MachineError):
                states.write(step + 1, json.dumps(so_far).encode(), origin, job.kept_steps)
        if stops:
            reason = f"interrupted; goes on at step {step + 1}"
            return StageDone(stage=job.stage, outcome=Outcome.INTERRUPTED, reason=reason, environment=ENVIRONMENT)
    memory.clear()
    memory[job.stage] = so_far
    measurement = _measurement(job, so_far)
    return StageDone(stage=job.stage, outcome=Outcome.FINISHED, measurement=measurement, environment=ENVIRONMENT)


def _beginning(job, workspace, memory):
    """A checkpoint of its own or of a Stage that came its way, the end of the one before, or nothing."""
    own = StageStates(workspace.states / job.stage)
    sources = [(own, step) for step in own.steps()[:1]]
    if job.checkpoint:
        sources.append((StageStates(workspace.states / job.checkpoint.stage), job.checkpoint.step))
    if sources:
        states, step = max(sources, key=lambda source: source[1])
        so_far = json.loads(bytes(states.read(step)))
        return so_far | {"resumed_at": [*so_far["resumed_at"], step]}
    new = {"chain": f"seed {job.seed}", "images": 0, "step": job.start_step, "resumed_at": []}
    if job.parent is None:
        return new
    parent = memory.get(job.parent)
    if parent is None:
        parent = json.loads(bytes(StageStates(workspace.states / job.parent).read(job.start_step)))
    return new | {"chain": parent["chain"]}


def _origin(job):
    fields = ("stage", "ratio", "seed", "start_step", "stop_step", "is_end")
    return Origin(method=job.recipe["method"], **{field: getattr(job, field) for field in fields})


def _measurement(job, so_far):
    return Measurement(
        steps=job.stop_step - job.start_step,
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


class ToyExecutor:
    """Trains in this process, one Stage at a time."""

    capacity = 1

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def prepare(self, job, stop):
        self.workspace = Workspace(Path(job.workspace))
        self.memory = {}
        return ENVIRONMENT

    def submit(self, job):
        self.job = job

    def stop(self):
        pass

    def receive(self, timeout_seconds):
        return train_chain(self.job, self.workspace, memory=self.memory)


class ForkedToys(ToyExecutor):
    """Trains each Stage in a child process, `capacity` of them at a time: they can be killed one by one."""

    def __init__(self, capacity):
        self.capacity = capacity
        self._children = {}  # the connection to each: its process and its Stage

    def __exit__(self, *error):
        for connection in list(self._children):
            os.kill(self._children[connection][0], signal.SIGKILL)
            self._end(connection)

    def submit(self, job):
        ours, theirs = Pipe(duplex=False)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                _train_as_child(job, self.workspace, theirs, parent)
            finally:
                os._exit(1)
        theirs.close()
        self._children[ours] = pid, job.stage

    def stop(self):
        for pid, _ in self._children.values():
            os.kill(pid, signal.SIGTERM)

    def receive(self, timeout_seconds):
        for connection in wait(list(self._children), timeout_seconds):
            try:
                done = decode_message(connection.recv_bytes())
            except EOFError:
                done = StageDone(stage=self._children[connection][1], outcome=Outcome.CRASHED, reason="crashed")
            self._end(connection)
            return done
        return None

    def _end(self, connection):
        connection.close()
        os.waitpid(self._children.pop(connection)[0], 0)


def _train_as_child(job, workspace, connection, parent):
    stops = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *received: stops.append(received))
    end_with_parent()
    if os.getppid() == parent:  # else it had ended before we could ask for that
        connection.send_bytes(encode(train_chain(job, workspace, lambda: bool(stops))))
    os._exit(0)
