"""Jobs of a cluster, one for each Stage. They need nobody while they train: whoever runs the sweep hands them out,
hears of them through the results folder, and may go away and come back.
"""

from __future__ import annotations

import math
import sys
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Event
from typing import Self

from pydantic import ValidationError

from sweep.clock import monotonic_seconds
from sweep.errors import MachineError, Outcome, Problem
from sweep.run.executors.cluster import After, Cluster
from sweep.run.executors.queued import Errand
from sweep.run.left import read_left
from sweep.run.messages import Message, Piloted, Prepared, Probed, Progressed, Said, StageDone, decode_message
from sweep.run.placement import Placement
from sweep.run.stop import StopRequest
from sweep.store.history import History, read_history
from sweep.store.queue import OTHER, Outbox, Queue, QueuedJob, Slip, Ticket, Unreadable, is_out
from sweep.store.records import Environment, PrepareJob, ProbeJob, StageJob
from sweep.store.workspace import Workspace

# How soon Ctrl-C is noticed while a first job waits for its turn.
_SECONDS_BETWEEN_STOPS = 0.1
# Chosen: word of progress is read so many looks apart, as seldom as it is written.
_LOOKS_PER_NOTE = 5
_OUT_OF_MEMORY = "OUT_OF_MEMORY"  # as Slurm calls it
_AT_ONCE = After()


@dataclass
class _Out:
    """What was handed out and is not answered. Its job was seen to have ended at `missed_at`, in the state `end`."""

    ticket: Ticket
    heard: bytes = b""
    missed_at: float = math.inf
    end: str = ""


class SlurmExecutor:
    """Hands Stages to jobs of `cluster`, and adopts those that an earlier run of the sweep has handed out.

    Where the sweep ends early, so do its jobs; unless with `detach`, at the end of the block: they are left alone.
    """

    def __init__(
        self,
        workspace: Workspace,
        placement: Placement,
        stall_timeout: float | None,
        cluster: Cluster,
        detach: bool = False,
    ) -> None:
        self.capacity = placement.jobs
        self._workspace = workspace
        self._queue, self._outbox = Queue.of(workspace), Outbox.of(workspace)
        self._stall_timeout = stall_timeout
        self._cluster = cluster
        self._detach = detach
        self._prepare_job: PrepareJob | None = None
        self._attempts: Counter[str] = Counter()  # of each Stage, that have ended
        self._out: dict[str, _Out] = {}
        self._answered: list[Ticket] = []
        self._said: deque[Said] = deque()  # of Stages
        self._others: dict[str, Message] = {}  # what else was answered, by its name
        self._is_stopping = False
        self._looked_at = self._asked_at = self._heard_at = -math.inf

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        is_left = self._detach and error[0] is None
        if self._out and not self._is_stopping and not is_left:
            self.stop()
        jobs = {ticket.job_id: ticket for ticket in self._answered if ticket.job_id is not None}
        for job_id in self._cluster.ended(jobs) if jobs else ():
            self._queue.discard_of_cluster(jobs[job_id].slip)

    def prepare(self, job: PrepareJob, stop: StopRequest) -> Environment:
        """A first job tells where it computes, unless the sweep's jobs are out already: then it was told."""
        self._cluster.check()
        history = read_history(self._workspace.journal)
        for record in history.attempts:
            self._attempts[record.stage] = max(self._attempts[record.stage], record.attempt)
        environment = self._known_environment(job, history) or self._ask_for_environment(job, stop)
        # No Stage chooses another device.
        chosen = {"device": environment.device_kind} if job.device == "auto" else {}
        self._prepare_job = job.model_copy(update=chosen)
        return environment

    def probe(self, job: ProbeJob, num_workers: int, stop: StopRequest) -> list[Probed]:
        """Each in a job of its own: that all train at the same time, the cluster does not promise."""
        names = [f"{OTHER}probe{number}" for number in range(1, num_workers + 1)]
        for name in names:
            self._hand_out(self._next_slip(name), job)
        answers = self._answers(names, stop)
        return [answer if isinstance(answer, Probed) else Probed(reason=_why_none(answer)) for answer in answers]

    def keep(self, num_workers: int) -> None:
        self.capacity = num_workers

    def submit(self, job: StageJob) -> None:
        slip, ticket = Slip(job.stage, self._attempts[job.stage] + 1), self._queue.ticket(job.stage)
        if ticket is not None:
            ticket = self._with_job_id(ticket)
            if ticket.slip == slip and self._is_at_work(ticket):
                self._out[job.stage] = _Out(ticket)
                return
        parent = self._queue.ticket(job.parent) if job.parent is not None else None
        self._hand_out(slip, job, After(ended=self._not_ended(ticket), good=self._not_ended(parent)))

    def stop(self) -> None:
        self._is_stopping = True
        self._asked_at = -math.inf
        tickets = [ticket.model_copy(update={"is_to_stop": True}) for ticket in self._queue.tickets()]
        for ticket in tickets:
            self._queue.note(ticket)
        self._cluster.cancel([ticket.job_id for ticket in tickets if ticket.job_id is not None])

    def receive(self, timeout_seconds: float) -> Said | None:
        if not self._said:
            self._look(timeout_seconds)
        return self._said.popleft() if self._said else None

    # What is asked beside Stages

    def _known_environment(self, job: PrepareJob, history: History) -> Environment | None:
        """Where the jobs that are out compute, as far as `job` asks for the same."""
        if not is_out(self._workspace) or history.last_start is None:
            return None
        known = history.last_start.environment
        is_same = known.threads == job.threads and job.device.partition(":")[0] in ("auto", known.device_kind)
        return known if is_same else None

    def _ask_for_environment(self, job: PrepareJob, stop: StopRequest) -> Environment:
        self._prepare_job = job
        slip = self._next_slip(f"{OTHER}prepare")
        self._hand_out(slip, None)
        [answer] = self._answers([slip.name], stop)
        if isinstance(answer, Prepared):
            return answer.raise_any()
        reason = f"a first job has left nothing here: {_why_none(answer)}"
        fix = f"the machines that jobs run on need what --slurm asks for, this folder, and {sys.executable}"
        raise MachineError(Problem(reason, str(self._workspace.folder), fix=fix))

    def _next_slip(self, name: str) -> Slip:
        """Of what is no Stage, no attempt is on record."""
        ticket = self._queue.ticket(name)
        return Slip(name, ticket.attempt + 1 if ticket is not None else 1)

    def _answers(self, names: Sequence[str], stop: StopRequest) -> list[Message]:
        """What comes of each of `names`, once all have ended.

        Raises:
            Interrupted: `stop` was requested meanwhile.
        """
        while not all(name in self._others for name in names):
            stop.raise_if_requested()
            self._look(_SECONDS_BETWEEN_STOPS)
        return [self._others.pop(name) for name in names]

    # Handing out

    def _hand_out(self, slip: Slip, work: StageJob | ProbeJob | None, after: After = _AT_ONCE) -> None:
        """Write down what is to be done, have it submitted, and write down whose job it is."""
        assert self._prepare_job is not None, "prepare first"
        self._outbox.discard(slip)
        ticket = Ticket(name=slip.name, attempt=slip.attempt, is_to_stop=self._is_stopping)
        self._queue.put(ticket, QueuedJob(prepare=self._prepare_job, work=work, stall_timeout=self._stall_timeout))
        try:
            errand = Errand(str(self._workspace.folder.absolute()), slip.name, slip.attempt)
            job_id = self._cluster.submit(errand, after)
        except MachineError:
            self._queue.remove(slip.name)
            raise
        ticket = ticket.model_copy(update={"job_id": job_id})
        self._queue.note(ticket)
        self._out[slip.name] = _Out(ticket)

    def _with_job_id(self, ticket: Ticket) -> Ticket:
        """Who handed it out may have ended before the cluster had told: its job has told, if it has begun."""
        note = self._outbox.progress(ticket.slip)
        if ticket.job_id is not None or note is None:
            return ticket
        ticket = ticket.model_copy(update={"job_id": note.job_id})
        self._queue.note(ticket)
        return ticket

    def _is_at_work(self, ticket: Ticket) -> bool:
        """Whether its job is still to be heard of. One that has ended before it began, as those do that wait for what
        has failed, never is; one that began and is gone has crashed."""
        if ticket.is_to_stop or ticket.job_id is None:
            return False
        has_begun = self._outbox.progress(ticket.slip) is not None
        return has_begun or self._outbox.is_answered(ticket.slip) or bool(self._not_ended(ticket))

    def _not_ended(self, ticket: Ticket | None) -> tuple[str, ...]:
        """The job of `ticket`, if it may still run."""
        if ticket is None or ticket.job_id is None or self._outbox.is_answered(ticket.slip):
            return ()
        return () if self._cluster.ended([ticket.job_id]) else (ticket.job_id,)

    # Hearing of them

    def _look(self, timeout_seconds: float) -> None:
        """Look for what jobs have left, when it is time to; wait for that as long as this."""
        left = self._looked_at + self._cluster.seconds_between_looks - monotonic_seconds()
        if left > 0:
            Event().wait(min(left, timeout_seconds))
        if left > timeout_seconds:
            return
        self._looked_at = monotonic_seconds()
        for slip in self._outbox.answered():
            if (out := self._out.get(slip.name)) is not None:
                self._hear_answer(out, slip)
        if self._looked_at - self._heard_at >= _LOOKS_PER_NOTE * self._cluster.seconds_between_looks:
            self._heard_at = self._looked_at
            for out in self._out.values():
                self._hear_progress(out)
        self._miss()

    def _hear_answer(self, out: _Out, slip: Slip) -> None:
        try:
            said = read_left(self._outbox, slip)
        except Unreadable as error:
            said = [_lost(slip.name, f"its answer is {error}")]
        if slip == out.ticket.slip:
            self._end(out, said)
        elif isinstance(said[-1], StageDone) and said[-1].outcome is Outcome.FINISHED:
            # An earlier attempt was given up, and has trained the Stage all the same.
            self._cluster.cancel([out.ticket.job_id] if out.ticket.job_id is not None else [])
            self._end(out, said)

    def _hear_progress(self, out: _Out) -> None:
        note = self._outbox.progress(out.ticket.slip)
        if note is None or not note.content or note.content == out.heard:
            return
        out.heard = note.content
        with suppress(ValidationError):  # of another version
            if isinstance(message := decode_message(note.content), Progressed):
                self._said.append(message)

    def _miss(self) -> None:
        """Ask which jobs have ended, and give up those that have left nothing, when it is time to."""
        now = self._looked_at
        if self._is_stopping or now - self._asked_at >= self._cluster.seconds_between_asking:
            self._asked_at = now
            outs = {out.ticket.job_id: out for out in self._out.values() if out.ticket.job_id is not None}
            ended = self._cluster.ended(outs) if outs else {}
            for job_id, out in outs.items():
                out.missed_at = min(out.missed_at, now) if job_id in ended else math.inf
                out.end = ended.get(job_id, "")
        for out in [out for out in self._out.values() if out.missed_at < math.inf]:
            has_begun = self._outbox.progress(out.ticket.slip) is not None
            patience = self._cluster.seconds_to_appear if has_begun or not self._is_stopping else 0.0
            if now - out.missed_at >= patience:
                if not has_begun and out.ticket.job_id is not None:  # one that cannot begin would wait for ever
                    self._cluster.cancel([out.ticket.job_id])
                self._end(out, [self._missed(out)])

    def _end(self, out: _Out, said: Sequence[Message]) -> None:
        """What came of it is known; the answer stays until it is in the journal."""
        name = out.ticket.name
        del self._out[name]
        self._queue.remove(name)
        self._answered.append(out.ticket)
        self._attempts[name] += isinstance(said[-1], StageDone)
        if out.ticket.is_of_stage:
            self._said += [message for message in said if not isinstance(message, Prepared | Probed | Piloted)]
        else:
            self._others[name] = said[-1]
            self._outbox.discard(out.ticket.slip)

    def _missed(self, out: _Out) -> StageDone:
        name, log = out.ticket.name, self._workspace.log(str(out.ticket.slip))
        shown = self._workspace.relative(log) if log.exists() else None
        if self._is_stopping:
            return StageDone(stage=name, outcome=Outcome.INTERRUPTED, reason="interrupted", log=shown)
        if out.end == _OUT_OF_MEMORY:
            reason = "out of memory (ended by the cluster); lower batch_size, or give its job more"
            return StageDone(stage=name, outcome=Outcome.OUT_OF_MEMORY, reason=reason, log=shown)
        # It is named: several that are lost with their node are no pattern.
        return _lost(name, f"its job {out.ticket.job_id} ended without an answer ({out.end})", shown)


def _lost(name: str, reason: str, log: str | None = None) -> StageDone:
    return StageDone(stage=name, outcome=Outcome.CRASHED, reason=reason, log=log)


def _why_none(answer: Message) -> str:
    return (answer.reason if isinstance(answer, StageDone) else None) or "no answer"
