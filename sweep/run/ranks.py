"""A Stage that several processes train together, one a device: the Worker starts them, and passes on what rank 0 says.

Each of them is a Worker itself, and prepares as one does. They live as long as the Stage, and end with the Worker, even
when that is killed. One that ends before its time ends the Stage, for its own reason.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Protocol

from sweep import host_memory
from sweep.errors import Outcome, SweepError
from sweep.lifetime import end_with_parent, ending_text
from sweep.lossy import lossy
from sweep.run.messages import (
    Message,
    Noted,
    Orphaned,
    Prepared,
    Progressed,
    StageDone,
    StopJob,
    decode_job,
    decode_message,
    encode,
    send,
)
from sweep.store.records import PrepareJob, StageJob

if TYPE_CHECKING:
    from sweep.train.group import Group
    from sweep.train.launch import Lost

_SECONDS_BETWEEN_LOOKS = 0.1
# Chosen: many times what the launcher takes to notice that a process is gone, and to end the others.
_SECONDS_TO_BE_ENDED = 5.0
# What ends the Stage for all of them.
_ENDS_ALL = (Outcome.FAILED, Outcome.CRASHED, Outcome.OUT_OF_MEMORY)


class RankWorker(Protocol):
    """The Worker that a rank is."""

    def do(self, job: PrepareJob | StageJob) -> None: ...

    def stop(self) -> None: ...


# Given whom it tells, the process that the sweep descends from, and the group that it is part of.
MakeWorker = Callable[[Callable[[Message], None], int, "Group"], RankWorker]


class Ranks:
    """The processes of one Stage, as many as its recipe asks for."""

    def __init__(self, prepare_job: PrepareJob, job: StageJob, make_worker: MakeWorker, sweep_pid: int) -> None:
        self._jobs = prepare_job, job
        self._make_worker = make_worker
        self._sweep_pid = sweep_pid
        self._size = int(job.recipe["devices_per_trial"])
        pairs = [Pipe() for _ in range(self._size)]
        self._ours = {ours: rank for rank, (ours, _) in enumerate(pairs)}
        self._theirs = [theirs for _, theirs in pairs]
        self._first = pairs[0][0]
        self._answers: dict[int, StageDone | Orphaned] = {}

    def stop(self) -> None:
        """From any thread: have rank 0 write a checkpoint and all of them stop."""
        with suppress(OSError):  # they have ended
            self._first.send_bytes(encode(StopJob()))

    def train(self, tell: Callable[[Message], None]) -> StageDone | Orphaned:
        """Have them train the Stage, and pass on what is said meanwhile."""
        from sweep.train.launch import launch

        oom_kills = host_memory.num_oom_kills()
        with ThreadPoolExecutor(max_workers=1) as thread:
            arguments = (self._theirs, self._make_worker, *self._jobs, self._sweep_pid)
            launched = thread.submit(launch, self._size, _serve, *arguments)
            while not launched.done():
                self._hear(_SECONDS_BETWEEN_LOOKS, tell)
        for connection in self._theirs:
            connection.close()
        while self._ours:
            self._hear(None, tell)
        return self._answer(launched.result(), oom_kills)

    def _hear(self, timeout_seconds: float | None, tell: Callable[[Message], None]) -> None:
        for connection in wait(list(self._ours), timeout_seconds):
            assert isinstance(connection, Connection)
            try:
                message = decode_message(connection.recv_bytes())
            except (EOFError, OSError):
                del self._ours[connection]
                connection.close()
                continue
            if isinstance(message, StageDone | Orphaned):
                self._answers[self._ours[connection]] = message
            else:
                tell(message)

    def _answer(self, lost: Lost | None, oom_kills_before: int | None) -> StageDone | Orphaned:
        if lost is None:
            return self._answers[0]
        answer = self._answers.get(lost.rank)
        if isinstance(answer, Orphaned):
            return answer
        if answer is not None:
            return answer.model_copy(update={"reason": f"rank {lost.rank}: {answer.reason}"})
        kills = host_memory.num_oom_kills()
        is_counted = kills is not None and oom_kills_before is not None and kills > oom_kills_before
        if is_counted and lost.exit_code == -signal.SIGKILL:
            outcome, ending = Outcome.OUT_OF_MEMORY, "out of memory (ended by the kernel); lower batch_size"
        else:
            outcome, ending = Outcome.CRASHED, ending_text(lost.exit_code)
        return StageDone(stage=self._jobs[1].stage, outcome=outcome, reason=f"rank {lost.rank}: {ending}")


class _Voice:
    """What a rank says: rank 0 whatever its Worker tells, the others nothing; and how it all ended."""

    def __init__(self, connection: Connection, rank: int) -> None:
        self._connection = connection
        self._rank = rank
        self.said: Message | None = None  # last, of what is an answer

    def __call__(self, message: Message) -> None:
        if not isinstance(message, Progressed | Noted):
            self.said = message
        elif self._rank == 0:
            send(self._connection, message)


def _serve(
    connections: Sequence[Connection], make_worker: MakeWorker, prepare_job: PrepareJob, job: StageJob, sweep_pid: int
) -> None:
    """What each of the processes does."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the sweep's to handle
    sys.stdout, sys.stderr = lossy(sys.stdout), lossy(sys.stderr)
    rank = int(os.environ["RANK"])
    for other in connections:
        if other is not connections[rank]:
            other.close()
    voice = _Voice(connections[rank], rank)
    try:
        _train(voice, connections[rank], make_worker, (prepare_job, job), sweep_pid)
    except Exception as error:
        traceback.print_exc()
        first = str(error).strip().partition("\n")[0]
        reason = first if isinstance(error, SweepError) else f"{type(error).__name__}: {first}"
        voice(StageDone(stage=job.stage, outcome=Outcome.FAILED, reason=reason))
    _end(voice.said, connections[rank])


def _train(
    voice: _Voice,
    connection: Connection,
    make_worker: MakeWorker,
    jobs: tuple[PrepareJob, StageJob],
    sweep_pid: int,
) -> None:
    from sweep.train.group import join_group, leave_group

    prepare_job, job = jobs
    worker = make_worker(voice, sweep_pid, join_group(prepare_job.device))
    threading.Thread(target=_obey, args=(connection, worker), daemon=True).start()
    worker.do(prepare_job)
    assert isinstance(voice.said, Prepared)
    voice.said.raise_any()
    worker.do(job)
    if not _ends_all(voice.said):
        leave_group()


def _obey(connection: Connection, worker: RankWorker) -> None:
    """When the Worker is gone, this process ends at once."""
    while True:
        try:
            job = decode_job(connection.recv_bytes())
        except (EOFError, OSError):
            os._exit(0)
        if isinstance(job, StopJob):
            worker.stop()


def _ends_all(answer: Message | None) -> bool:
    return isinstance(answer, Orphaned) or (isinstance(answer, StageDone) and answer.outcome in _ENDS_ALL)


def _end(answer: Message | None, connection: Connection) -> None:
    """Give the answer; one that is the end for all ends this process here."""
    assert isinstance(answer, StageDone | Orphaned)
    if isinstance(answer, StageDone) and answer.outcome is Outcome.CRASHED:
        # Another one's end can be the cause: then this one is ended meanwhile, and that one's reason counts.
        threading.Event().wait(_SECONDS_TO_BE_ENDED)
    connection.send_bytes(encode(answer))
    if _ends_all(answer):
        sys.stderr.flush()
        os._exit(1)
