"""What a Worker says, as frames of JSON over one private connection; jobs travel the other way.

Standard output is left to whatever a library prints; it goes to the Worker's log.
"""

from __future__ import annotations

import select
from multiprocessing.connection import Connection
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from sweep.errors import MachineError, Outcome, Problem, RecipeError
from sweep.events import Progress
from sweep.store.records import Environment, Measurement, Measures, PilotJob, PrepareJob, ProbeJob, StageJob


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Prepared(_Message):
    """The answer to a PrepareJob: `environment` is None where there are `problems` (of the machine or its data), or
    `mistakes` (of the recipe, or the code that it names).

    `num_examples` is how many examples the training data has, where the recipe does not tell; with `is_made_up` they
    are random ones, in place of those that are missing.
    """

    kind: Literal["prepared"] = "prepared"
    environment: Environment | None = None
    problems: tuple[Problem, ...] = ()
    mistakes: tuple[Problem, ...] = ()
    num_examples: int | None = None
    is_made_up: bool = False

    def raise_any(self) -> Environment:
        """Where it computes.

        Raises:
            RecipeError: there are mistakes.
            MachineError: there are problems.
        """
        if self.environment is None:
            raise RecipeError([*self.mistakes, *self.problems]) if self.mistakes else MachineError(self.problems)
        return self.environment


class Probed(_Message):
    """The answer to a ProbeJob: the seconds of a step, or the `reason` why that is not known."""

    kind: Literal["probed"] = "probed"
    step_seconds: float | None = None
    reason: str | None = None


class Piloted(_Message):
    """The answer to a PilotJob: what was measured, or the `reason` why nothing was."""

    kind: Literal["piloted"] = "piloted"
    measures: Measures | None = None
    reason: str | None = None


class Progressed(_Message):
    """A step is done, or a batch evaluated. Dropped rather than waited for, where nobody reads."""

    kind: Literal["progressed"] = "progressed"
    progress: Progress


class Noted(_Message):
    """Something that the user should know of a Stage, and that stops nothing."""

    kind: Literal["noted"] = "noted"
    stage: str
    text: str


class Orphaned(_Message):
    """The answer to a StageJob that has nothing to begin with: the state at the end of its parent is gone."""

    kind: Literal["orphaned"] = "orphaned"
    stage: str
    reason: str


class StageDone(_Message):
    """The answer to a StageJob, or an executor's word that its Worker was lost or hung (then nothing was measured)."""

    kind: Literal["done"] = "done"
    stage: str
    outcome: Outcome
    reason: str | None = None
    measurement: Measurement | None = None
    environment: Environment | None = None
    log: str | None = None


class StopJob(_Message):
    """Write a checkpoint of what is being trained, and answer with what came of it. Heard while a Stage is trained."""

    kind: Literal["stop"] = "stop"


Message = Prepared | Probed | Piloted | Progressed | Noted | Orphaned | StageDone
Said = Progressed | Noted | Orphaned | StageDone  # of a Stage
Job = PrepareJob | ProbeJob | PilotJob | StageJob | StopJob

_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])
_JOB: TypeAdapter[Job] = TypeAdapter(Annotated[Job, Field(discriminator="kind")])


def encode(item: Message | Job) -> bytes:
    return item.model_dump_json().encode()


def send(connection: Connection, message: Message) -> None:
    """Say it to whoever listens. One that does not read must not hold up training: progress is dropped, results not."""
    if isinstance(message, Progressed) and not select.select([], [connection], [], 0)[1]:
        return
    connection.send_bytes(encode(message))


def receive(connection: Connection) -> Message | None:
    """The next message, which is waited for; None when whoever says them is gone."""
    try:
        return decode_message(connection.recv_bytes())
    except (EOFError, OSError):
        return None


def decode_message(frame: bytes) -> Message:
    return _MESSAGE.validate_json(frame)


def decode_job(frame: bytes) -> Job:
    return _JOB.validate_json(frame)
