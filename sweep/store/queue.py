"""What a sweep has handed to jobs of a cluster, and what these have left for it: they outlive the one who submits them,
and speak to nobody.

queue/NAME.ticket           what is out now under this name, a Stage's id or ~ and a word: which attempt, and whose job
      NAME-ATTEMPT.job      what the job is to do
      NAME-ATTEMPT.cluster/ what submits it keeps there: its script, its log
outbox/NAME-ATTEMPT.answer    what came of it, written by the job
       NAME-ATTEMPT.progress  how far it was when it last said so; there from its beginning on

Only who holds the sweep's lock hands out, and moves answers into the journal. Each file is written as a whole, with a
checksum.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from sweep.errors import MachineError, Problem
from sweep.store.durable import discard_file, discard_folder, discard_unfinished, make_folder, read_file, write_own
from sweep.store.records import PrepareJob, ProbeJob, StageJob
from sweep.store.workspace import Workspace

FORMAT = 1
OTHER = "~"  # begins the names of what is no Stage
_CHECKSUM_CHARS = 64
_TICKET, _JOB, _CLUSTER, _ANSWER, _PROGRESS = ".ticket", ".job", ".cluster", ".answer", ".progress"


class Unreadable(Exception):
    """A file that is there, and damaged."""


class Ticket(BaseModel):
    """`attempt` counts the attempts at a Stage from 1, as the journal does; `job_id` is None until the cluster has
    given one. A job that `is_to_stop` begins nothing: it ends after its first step, with a checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    name: str
    attempt: int
    job_id: str | None = None
    is_to_stop: bool = False

    @property
    def slip(self) -> Slip:
        return Slip(self.name, self.attempt)

    @property
    def is_of_stage(self) -> bool:
        return not self.name.startswith(OTHER)


class QueuedJob(BaseModel):
    """What a job does: prepare, and then the `work`, where there is any. `stall_timeout` is in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prepare: PrepareJob
    work: StageJob | ProbeJob | None
    stall_timeout: float | None


@dataclass(frozen=True)
class Slip:
    """One attempt at what has a name."""

    name: str
    attempt: int

    def __str__(self) -> str:
        return f"{self.name}-{self.attempt}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        name, _, attempt = text.rpartition("-")
        return cls(name, int(attempt)) if name and attempt.isascii() and attempt.isdecimal() else None


@dataclass(frozen=True)
class Note:
    """That a job has begun, and how far it was; nothing at its beginning."""

    job_id: str
    content: bytes = b""


@dataclass(frozen=True)
class Queue:
    """What is out."""

    folder: Path

    @classmethod
    def of(cls, workspace: Workspace) -> Self:
        return cls(workspace.queue)

    def tickets(self) -> list[Ticket]:
        """All that are out, by name."""
        paths = sorted(self.folder.glob(f"*{_TICKET}"))
        return [ticket for path in paths if (ticket := self.ticket(path.stem)) is not None]

    def ticket(self, name: str) -> Ticket | None:
        """What is out under this name; a damaged ticket is none: its job does not know it, and leaves."""
        try:
            return Ticket.model_validate_json(_read(self._ticket(name)))
        except (OSError, Unreadable, ValidationError):
            return None

    def put(self, ticket: Ticket, job: QueuedJob) -> None:
        """Write down what is about to be handed out, in the place of what was out under its name.

        Raises:
            MachineError: it cannot be written.
        """
        self.remove(ticket.name)
        _write(self._job(ticket.slip), job.model_dump_json().encode())
        self.note(ticket)

    def note(self, ticket: Ticket) -> None:
        """Write down what has become known of what is out.

        Raises:
            MachineError: it cannot be written.
        """
        _write(self._ticket(ticket.name), ticket.model_dump_json().encode())

    def job(self, slip: Slip) -> QueuedJob:
        """What the job is to do.

        Raises:
            MachineError: it cannot be read.
        """
        path = self._job(slip)
        try:
            return QueuedJob.model_validate_json(_read(path))
        except (OSError, Unreadable, ValidationError) as error:
            raise MachineError(Problem(f"cannot be read: {error}", where=str(path))) from error

    def remove(self, name: str) -> None:
        """Nothing is out under this name any more: a job of it that still begins leaves at once."""
        discard_file(self._ticket(name))
        discard_unfinished(self._ticket(name))
        for path in self.folder.glob(f"{name}-*{_JOB}"):
            discard_file(path)

    def of_cluster(self, slip: Slip) -> Path:
        """The folder of what is submitted with."""
        return self.folder / f"{slip}{_CLUSTER}"

    def discard_of_cluster(self, slip: Slip) -> None:
        """Remove it, once the job has ended: it writes there to its end."""
        discard_folder(self.of_cluster(slip))

    def _ticket(self, name: str) -> Path:
        return self.folder / f"{name}{_TICKET}"

    def _job(self, slip: Slip) -> Path:
        return self.folder / f"{slip}{_JOB}"


def is_out(workspace: Workspace) -> bool:
    """Whether jobs of a cluster may be training here, or about to."""
    return any(ticket.is_of_stage and not ticket.is_to_stop for ticket in Queue.of(workspace).tickets())


def refuse_if_out(workspace: Workspace) -> None:
    """Raises MachineError where jobs may be training here."""
    if is_out(workspace):
        fix = (
            "sweep run with --executor slurm goes on with them, and Ctrl-C there ends them; "
            f"where the cluster has lost them, remove {workspace.queue}"
        )
        raise MachineError(Problem("jobs of a cluster train here", where=str(workspace.folder), fix=fix))


@dataclass(frozen=True)
class Outbox:
    """What jobs have left. What is in it, only the running room can read."""

    folder: Path

    @classmethod
    def of(cls, workspace: Workspace) -> Self:
        return cls(workspace.outbox)

    def answered(self) -> list[Slip]:
        """What there is an answer of, by name and attempt."""
        found = (Slip.parse(path.stem) for path in sorted(self.folder.glob(f"*{_ANSWER}")))
        return [slip for slip in found if slip is not None]

    def answer(self, slip: Slip) -> bytes:
        """What a job has left.

        Raises:
            Unreadable: it is damaged, or cannot be read.
        """
        try:
            return _read(self._answer(slip))
        except OSError as error:
            raise Unreadable(f"unreadable ({error.strerror})") from error

    def progress(self, slip: Slip) -> Note | None:
        """What it last said of its progress; None before its beginning."""
        try:
            job_id, _, content = _read(self._progress(slip)).partition(b"\n")
            return Note(job_id.decode(), content)
        except (OSError, Unreadable, UnicodeDecodeError):
            return None

    def is_answered(self, slip: Slip) -> bool:
        return self._answer(slip).is_file()

    def leave(self, slip: Slip, content: bytes) -> None:
        """Leave an answer.

        Raises:
            MachineError: it cannot be written.
        """
        _write(self._answer(slip), content)

    def note(self, slip: Slip, note: Note) -> None:
        """Leave word of progress.

        Raises:
            MachineError: it cannot be written.
        """
        _write(self._progress(slip), note.job_id.encode() + b"\n" + note.content)

    def discard(self, slip: Slip) -> None:
        """Remove what was left, once it is written down elsewhere, or is of no use."""
        for path in (self._answer(slip), self._progress(slip)):
            discard_file(path)
            discard_unfinished(path)

    def _answer(self, slip: Slip) -> Path:
        return self.folder / f"{slip}{_ANSWER}"

    def _progress(self, slip: Slip) -> Path:
        return self.folder / f"{slip}{_PROGRESS}"


def _write(path: Path, content: bytes) -> None:
    make_folder(path.parent)
    write_own(path, _checksum(content), b" ", content)


def _read(path: Path) -> bytes:
    whole = read_file(path)
    content = whole[_CHECKSUM_CHARS + 1 :]
    if whole[: _CHECKSUM_CHARS + 1] != _checksum(content) + b" ":
        raise Unreadable("damaged")
    return content


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
