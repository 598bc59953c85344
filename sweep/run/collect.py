"""What comes of the jobs of a cluster goes from the outbox into the journal: by who holds the sweep, each once."""

from __future__ import annotations

from sweep.errors import Outcome
from sweep.events import Listener, Noticed
from sweep.run.ledger import record_of
from sweep.run.left import read_left
from sweep.run.messages import Message, StageDone
from sweep.store.history import History
from sweep.store.journal import append
from sweep.store.queue import OTHER, Outbox, Queue, Slip, Unreadable
from sweep.store.records import StageRecord
from sweep.store.workspace import Workspace


def collect(workspace: Workspace, history: History, tell: Listener) -> None:
    """Write down in the journal, and in `history`, how Stages have ended that jobs have trained meanwhile; each once,
    however often it was delivered. What is damaged is told, and its Stage runs again.

    Raises:
        MachineError: the journal cannot be written; what was left is there still.
    """
    outbox, queue = Outbox.of(workspace), Queue.of(workspace)
    num_ended = 0
    for slip in outbox.answered():
        try:
            record = _record(slip, read_left(outbox, slip)[-1], history)
        except Unreadable as error:
            tell(Noticed(f"ignored an answer in {outbox.folder} ({slip}: {error}); its stage runs again"))
            record = None
        if record is not None:
            append(workspace.journal, record)
            history.add(record)
            num_ended += 1
        outbox.discard(slip)
        if (ticket := queue.ticket(slip.name)) is not None and ticket.slip == slip:
            queue.remove(slip.name)
    if num_ended:
        tell(Noticed(f"{num_ended} stage{'s' if num_ended > 1 else ''} ended meanwhile, as jobs of a cluster"))


def _record(slip: Slip, answer: Message, history: History) -> StageRecord | None:
    """What is to be written down of an answer; None where it is known, or no longer asked for."""
    is_of_stage = not slip.name.startswith(OTHER)
    if not isinstance(answer, StageDone) or not is_of_stage or history.is_final(slip.name):
        return None
    attempts = [record.attempt for record in history.attempts if record.stage == slip.name]
    if slip.attempt not in attempts:
        return record_of(answer, slip.attempt, None)
    # It was given up, and has finished all the same.
    is_late = answer.outcome is Outcome.FINISHED
    return record_of(answer, max(attempts) + 1, None) if is_late else None
