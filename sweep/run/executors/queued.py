"""What a job of a cluster does, wherever that starts it: it reads what it is to do from the results folder, has a
Worker of its own do it, and leaves the answer there. Nobody need wait for it.

Before the end of its time the cluster sends the signal that submitit asks for, and SIGTERM where the job is pre-empted:
then the Worker writes a checkpoint, and the job is queued again, to go on from there. One that is cancelled writes a
checkpoint, too, in the time that it is given.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.clock import Stopwatch
from sweep.errors import Interrupted, MachineError, Outcome, RecipeError, SweepError
from sweep.run.executors.child import Child
from sweep.run.executors.seat import Seat
from sweep.run.executors.seated import SeatedExecutor
from sweep.run.left import leave
from sweep.run.messages import Message, Orphaned, Prepared, Progressed, StageDone, encode
from sweep.run.stop import StopRequest
from sweep.store.queue import Note, Outbox, Queue, QueuedJob, Slip, Ticket
from sweep.store.records import ProbeJob, StageJob
from sweep.store.states import StageStates
from sweep.store.workspace import Workspace

if TYPE_CHECKING:
    from submitit.core.utils import DelayedSubmission

_SECONDS_BETWEEN_LOOKS = 0.2
# Chosen: less than the grace that a job is given; the controller answers in well under a second.
_SECONDS_TO_ANSWER = 10.0
# Chosen: a thousand jobs that each write more often would be felt on a shared disk.
_SECONDS_BETWEEN_NOTES = 5.0
# Chosen: once or twice can be bad luck.
_MOST_FRUITLESS = 3


@dataclass
class Errand:
    """What is submitted: to do what is in the queue of `workspace` under this name and attempt. `num_fruitless` is how
    often in a row its turn has ended before it came any further."""

    workspace: str
    name: str
    attempt: int
    num_fruitless: int = 0

    def __call__(self) -> None:
        """Do it, and leave the answer. It ends well only where what follows on it can begin."""
        if self._outbox.is_answered(self._slip):
            return
        if (ticket := self._ticket()) is None:
            sys.exit(1)  # nobody waits for it any more
        self._outbox.note(self._slip, Note(_own_id()))
        with StopRequest() as stop, _turn(stop) as queue_again:
            newest = self._newest_step()
            try:
                said = self._do(ticket, stop)
            except Interrupted:
                said = [_interrupted(self.name)]
            if stop.signal_number is not None and _is_cut_short(said[-1]):
                said = self._cut_short(said, stop.signal_number, newest, queue_again)
        leave(self._outbox, self._slip, said)
        if not _ends_well(said[-1]):
            sys.exit(1)

    def checkpoint(self) -> DelayedSubmission:
        """What submitit queues again: the states are where they were written."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _cut_short(
        self, said: list[Message], number: int, newest: int, queue_again: Callable[[], None]
    ) -> list[Message]:
        """What there is to say once a signal has ended it: mostly nothing, and this process ends. `newest` is the step
        that it began with."""
        if self._is_to_stop():
            return said if _is(Outcome.INTERRUPTED, said[-1]) else [_interrupted(self.name)]
        if number != _turn_signal() and not _is_still_running():
            sys.exit(1)  # cancelled: what becomes of it, the cluster knows
        self.num_fruitless = 0 if self._newest_step() > newest else self.num_fruitless + 1
        if self.num_fruitless < _MOST_FRUITLESS:
            queue_again()
        return [_too_short(self.name)]

    def _do(self, ticket: Ticket, stop: StopRequest) -> list[Message]:
        """What the Worker says of it, the answer last.

        Raises:
            Interrupted: a signal came before there was anything to be saved.
        """
        job = self._queue.job(self._slip)
        seat = Seat(Workspace(Path(self.workspace)), str(self._slip), _start_worker, job.stall_timeout)
        with SeatedExecutor([seat]) as executor:
            try:
                environment = executor.prepare(job.prepare, stop)
            except Interrupted:
                raise
            except SweepError as error:
                return [_unprepared(self.name, job, error)]
            if job.work is None:
                return [Prepared(environment=environment)]
            if isinstance(job.work, ProbeJob):
                return list(executor.probe(job.work, 1, stop))
            if ticket.is_to_stop:
                executor.stop()
            return self._train(executor, job.work, stop)

    def _train(self, executor: SeatedExecutor, job: StageJob, stop: StopRequest) -> list[Message]:
        said: list[Message] = []
        was_asked = False
        executor.submit(job)
        with Stopwatch() as watch:
            noted_at = -_SECONDS_BETWEEN_NOTES
            while True:
                if stop.signal_number is not None and not was_asked:
                    was_asked = True
                    executor.stop()
                message = executor.receive(_SECONDS_BETWEEN_LOOKS)
                if isinstance(message, Progressed):
                    if watch.elapsed_seconds - noted_at >= _SECONDS_BETWEEN_NOTES:
                        noted_at = watch.elapsed_seconds
                        self._note(message)
                elif message is not None:
                    said.append(message)
                    if isinstance(message, StageDone | Orphaned):
                        return said

    def _note(self, progress: Progressed) -> None:
        with suppress(MachineError):  # a disk that is full for a while: training is worth more than word of it
            self._outbox.note(self._slip, Note(_own_id(), encode(progress)))

    def _ticket(self) -> Ticket | None:
        """What is out under this name, if that is this job."""
        ticket = self._queue.ticket(self.name)
        is_ours = ticket is not None and ticket.slip == self._slip and ticket.job_id in (None, _own_id())
        return ticket if is_ours else None

    def _is_to_stop(self) -> bool:
        ticket = self._ticket()
        return ticket is not None and ticket.is_to_stop

    def _newest_step(self) -> int:
        return max(StageStates(Workspace(Path(self.workspace)).states / self.name).steps(), default=0)

    @property
    def _slip(self) -> Slip:
        return Slip(self.name, self.attempt)

    @property
    def _queue(self) -> Queue:
        return Queue.of(Workspace(Path(self.workspace)))

    @property
    def _outbox(self) -> Outbox:
        return Outbox.of(Workspace(Path(self.workspace)))


def _start_worker(log: Path, threads: int) -> Child:
    """Clusters without control groups signal all processes of a job: this one alone is to hear that, and ask for a
    checkpoint. An ignored signal, unlike a handler, is inherited."""
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (_turn_signal(), signal.SIGTERM)}
    try:
        return Child(log, threads)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _own_id() -> str:
    from submitit import JobEnvironment

    return JobEnvironment().job_id


def _is_still_running() -> bool:
    """Whether this job counts as running although it was signalled: one that is pre-empted does until its grace is
    over, and is queued again by nobody where it ends before. One that is cancelled does not."""
    command = ["squeue", "--noheader", f"--jobs={_own_id()}", "--format=%T"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS_TO_ANSWER, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return said.stdout.strip() == "RUNNING"


def _turn_signal() -> int:
    """The signal by which the cluster tells of the end of a job's time or turn."""
    from submitit import JobEnvironment

    return int(signal.Signals[f"SIG{JobEnvironment.USR_SIG}"])


@contextmanager
def _turn(stop: StopRequest) -> Iterator[Callable[[], None]]:
    """Until the end of the block, the end of this job's turn is a request to stop; it yields what queues the job again,
    which does not return."""

    def note(number: int, frame: object) -> None:
        stop.signal_number = stop.signal_number or number

    def queue_again() -> None:
        # submitit's own, which would do that at once, in the midst of whatever this process does.
        assert callable(theirs)
        theirs(number, None)

    number = _turn_signal()
    theirs = signal.signal(number, note)
    try:
        yield queue_again
    finally:
        signal.signal(number, theirs)


def _unprepared(name: str, job: QueuedJob, error: SweepError) -> Message:
    if isinstance(job.work, StageJob):
        return StageDone(stage=name, outcome=Outcome.FAILED, reason="; ".join(map(str, error.problems)))
    is_mistake = isinstance(error, RecipeError)
    return Prepared(mistakes=error.problems) if is_mistake else Prepared(problems=error.problems)


def _interrupted(name: str) -> StageDone:
    return StageDone(stage=name, outcome=Outcome.INTERRUPTED, reason="interrupted")


def _too_short(name: str) -> StageDone:
    reason = f"its job's turn has ended {_MOST_FRUITLESS} times before it was any further: give it more time"
    return StageDone(stage=name, outcome=Outcome.FAILED, reason=reason)


def _is(outcome: Outcome, message: Message) -> bool:
    return isinstance(message, StageDone) and message.outcome is outcome


def _is_cut_short(message: Message) -> bool:
    """By a signal; of its processes those that hear it too may crash of it."""
    return _is(Outcome.INTERRUPTED, message) or _is(Outcome.CRASHED, message)


def _ends_well(message: Message) -> bool:
    return _is(Outcome.FINISHED, message) or not isinstance(message, StageDone | Orphaned)
