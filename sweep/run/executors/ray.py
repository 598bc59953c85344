"""Workers on the nodes of a Ray cluster: an actor each, which Ray places where there is room for what it needs.

The actor is a Relay: it starts the Worker's process on its node, so that a Worker there is what it is here. On a node
that sees the sweep's folder it writes its states there; from and to any other they travel through Ray's object store,
and this process keeps them. An actor ends with this process; one that is lost is replaced, elsewhere if need be.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from typing import Self

import ray
from ray.exceptions import OutOfMemoryError, RayError

from sweep.errors import MachineError, Outcome, Problem
from sweep.run.executors.child import SECONDS_TO_LEAVE
from sweep.run.executors.courier import Courier
from sweep.run.executors.mirror import Change
from sweep.run.executors.ray_cluster import (
    Resources,
    check_room,
    connected,
    first_line,
    has_gpus,
    room_for,
    start_actor,
)
from sweep.run.executors.relay import Ended, Heard, Item, Ready, Relay, Token
from sweep.run.executors.seat import Seat
from sweep.run.executors.seated import SeatedExecutor
from sweep.run.messages import Job, Message, Noted, Prepared, Said, StageDone, encode, receive
from sweep.run.placement import Placement
from sweep.run.stop import StopRequest
from sweep.store.durable import discard_file, make_folder, write_bytes
from sweep.store.records import Environment, PrepareJob, StageJob
from sweep.store.workspace import Workspace

# Chosen: an answer over the network takes milliseconds; a node that gives none is given up.
_SECONDS_TO_ANSWER = 3.0
# Chosen: many times what a Worker that has a place takes to start. Two sweeps that each hold what the other one waits
# for would wait for ever.
_SECONDS_TO_JOIN = 60.0
_TOKEN = ".seen-"


class RayExecutor(SeatedExecutor):
    """Trains in actors of the cluster at `address`, a Stage in each at a time. Each takes `resources`, by Ray's names:
    unless they say so, as many CPUs as it has threads, and a GPU where it is to compute on one, for each of the devices
    of a trial. With `chooses_jobs` there are no more of them than the cluster has room for, and those go that wait for
    what others hold."""

    def __init__(
        self,
        workspace: Workspace,
        placement: Placement,
        stall_timeout: float | None = None,
        address: str | None = None,
        resources: Resources | None = None,
        chooses_jobs: bool = False,
        devices_per_trial: int = 1,
    ) -> None:
        super().__init__((), seconds_to_join=_SECONDS_TO_JOIN if chooses_jobs else None)
        self._workspace = workspace
        self._placement = placement
        self._stall_timeout = stall_timeout
        self._address = address
        self._asked = dict(resources or {})
        self._need: Resources = {}
        self._chooses_jobs = chooses_jobs
        self._num_devices = devices_per_trial
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            UsageError: no address, or more Workers than the cluster has room for.
            MachineError: no cluster answers, or the sweep's folder cannot be written.
        """
        with ExitStack() as held:  # what was begun is undone where the rest fails
            held.enter_context(connected(self._address))
            self._need = self._needed()
            jobs = self._placement.jobs
            if self._chooses_jobs:
                jobs = max(1, min(jobs, room_for(self._need)))
            check_room(jobs, self._need)
            token = held.enter_context(_token_in(self._workspace))
            start = partial(RayLine, self._need, token)
            self._seats = [Seat(self._workspace, index + 1, start, self._stall_timeout) for index in range(jobs)]
            self._held = held.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        with self._held:
            super().__exit__(*error)

    def _needed(self) -> Resources:
        device = self._placement.device
        on_gpu = device == "cuda" or (device == "auto" and has_gpus())
        num_cpus, num_gpus = self._placement.threads * self._num_devices, int(on_gpu) * self._num_devices
        return {"num_cpus": num_cpus, "num_gpus": num_gpus, **self._asked}

    def prepare(self, job: PrepareJob, stop: StopRequest) -> Environment:
        if job.device == "auto":  # one that saw no GPU would else go on with the CPU
            job = job.model_copy(update={"device": "cuda" if self._need["num_gpus"] else "cpu"})
        return super().prepare(job, stop)

    def receive(self, timeout_seconds: float) -> Said | None:
        said = super().receive(timeout_seconds)
        if isinstance(said, StageDone) and said.outcome is Outcome.CRASHED:
            self._give_up_seats()
        return said

    def _give_up_seats(self) -> None:
        """Of the Workers that were lost, those are not waited for that the cluster has no room for any more."""
        num_spare = len(self._seats) - max(1, room_for(self._need))
        lost = [seat for seat in self._seats if seat.is_free and seat.connection is None]
        for seat in lost[: max(0, num_spare)]:
            self._seats.remove(seat)


@contextmanager
def _token_in(workspace: Workspace) -> Iterator[Token]:
    """By which it is found out whether a node sees the sweep's folder. Its name is new every time: a network disk may
    remember what it has seen before."""
    text = secrets.token_hex(16)
    token = Token(workspace.folder.absolute() / f"{_TOKEN}{text}", text)
    make_folder(workspace.folder)
    for left in workspace.folder.glob(f"{_TOKEN}*"):  # by a sweep that was killed
        discard_file(left)
    write_bytes(token.path, text.encode())
    try:
        yield token
    finally:
        discard_file(token.path)


class RayLine:
    """The way to one Worker: see WorkerLine. A thread hears what its actor says, and passes that on to `connection`."""

    def __init__(self, need: Resources, token: Token, log: Path, threads: int) -> None:
        self.connection, self._theirs = Pipe()
        self._log = log
        self._shown_folder = token.path.parent
        self._actor = start_actor(Relay, need, log, threads, token, os.getcwd())
        self._lock = threading.Lock()
        self._not_sent: list[Job] | None = []  # until it is known whether states have to travel; then None
        self._courier: Courier | None = None  # where they have to
        self._stage: str | None = None  # the one that was sent last
        self._has_failed = False
        self._ended: Ended | None = None
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def was_ended_for_memory(self) -> bool:
        return self._ended is not None and self._ended.was_for_memory

    def send(self, job: Job) -> None:
        with self._lock:
            if self._not_sent is None:
                self._hand_over(job)
            else:
                self._not_sent.append(job)

    def receive(self) -> Message | None:
        return receive(self.connection)

    def dismiss(self) -> None:
        self.connection.close()
        self._actor.leave.options(concurrency_group="tell").remote(SECONDS_TO_LEAVE)

    def end(self, seconds_to_leave: float = SECONDS_TO_LEAVE) -> str:
        self.connection.close()
        if self._not_sent is None and self._ended is None:
            self._actor.leave.options(concurrency_group="tell").remote(seconds_to_leave)
            self._thread.join(seconds_to_leave + _SECONDS_TO_ANSWER)
        ray.kill(self._actor)
        self._thread.join(_SECONDS_TO_ANSWER)
        return self._ended.reason if self._ended else f"crashed ({self._log.stem} does not answer)"

    def _listen(self) -> None:
        try:
            items: list[Item] = ray.get(self._actor.begin.remote())
            while self._ended is None:
                for item in items:
                    self._take(item)
                if self._ended is None:
                    items = ray.get(self._actor.hear.options(concurrency_group="hear").remote())
        except RayError as error:
            self._ended = _lost(error, self._log.stem)
        finally:
            self._theirs.close()

    def _take(self, item: Item) -> None:
        if isinstance(item, Ready):
            self._begin(item)
        elif isinstance(item, Heard):
            self._pass_on(item.frame)
        elif isinstance(item, Ended):
            self._ended = item
        else:
            self._keep(item)

    def _begin(self, ready: Ready) -> None:
        with self._lock:
            self._courier = Courier(ready.scratch, self._log) if ready.scratch is not None else None
            jobs, self._not_sent = self._not_sent or [], None
            for job in jobs:
                if self._courier is not None and isinstance(job, PrepareJob) and job.recipe.get("command") is not None:
                    self._refuse_command(ready.host)
                else:
                    self._hand_over(job)

    def _refuse_command(self, host: str) -> None:
        message = f"the node {host} does not see this folder, and a command writes there"
        problem = Problem(message, str(self._shown_folder), fix="put --results on a disk that all nodes see")
        self._pass_on(encode(Prepared(problems=(problem,))))

    def _hand_over(self, job: Job) -> None:
        states = None
        if isinstance(job, StageJob):
            self._stage = job.stage
        if self._courier is not None:
            states = self._courier.pack(job) if isinstance(job, StageJob) else None
            job = self._courier.address(job)
        self._actor.tell.options(concurrency_group="tell").remote(encode(job), states)

    def _pass_on(self, frame: bytes) -> None:
        with suppress(OSError):  # nobody listens any more
            self._theirs.send_bytes(frame)

    def _keep(self, change: Change) -> None:
        assert self._courier is not None
        try:
            self._courier.deliver(change)
            self._has_failed = False
        except MachineError as error:
            if not self._has_failed and self._stage is not None:  # a full disk is told of once, not every minute
                text = f"warning: what its worker keeps cannot be kept here: {error}"
                self._pass_on(encode(Noted(stage=self._stage, text=text)))
            self._has_failed = True


def _lost(error: RayError, name: str) -> Ended:
    """How a Worker ended whose actor is gone. It is named: several that are lost with their node are no pattern."""
    if isinstance(error, OutOfMemoryError):
        return Ended(f"out of memory ({name}: {first_line(error)})", was_for_memory=True)
    return Ended(f"crashed ({name}: {first_line(error)})")
