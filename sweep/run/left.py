"""What a job of a cluster has left in the outbox, as the messages that they are."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from sweep.run.messages import Message, decode_message, encode
from sweep.store.queue import Outbox, Slip, Unreadable


def leave(outbox: Outbox, slip: Slip, said: Sequence[Message]) -> None:
    """Leave what was said, the answer last.

    Raises:
        MachineError: it cannot be written.
    """
    outbox.leave(slip, b"\n".join(map(encode, said)))


def read_left(outbox: Outbox, slip: Slip) -> list[Message]:
    """What was said, the answer last.

    Raises:
        Unreadable: it is damaged, or of another version.
    """
    try:
        return [decode_message(line) for line in outbox.answer(slip).split(b"\n")]
    except ValidationError as error:
        raise Unreadable("of another version") from error
