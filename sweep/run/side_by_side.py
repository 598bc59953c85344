"""Several sweeps that train side by side, in turn: one loop looks after all of them.

All are made ready before any of them trains. Then the failure of one does not stop the others.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing

from sweep.errors import Interrupted, SweepError, joined
from sweep.events import Noticed
from sweep.run.session import Session
from sweep.run.stop import StopRequest
from sweep.store.history import History

_Looks = Generator[None, None, History]


def train_side_by_side(sessions: Sequence[Session], stop: StopRequest) -> list[SweepError]:
    """Train what is missing of each; returns why some of them gave up. Their journals say what came of it.

    Raises:
        SweepError: with all that is wrong with any of them, before anything trains.
    """
    with ExitStack() as stack:
        looks = [stack.enter_context(closing(session.looks(stop))) for session in sessions]
        if not _make_ready(looks, stop):
            return []
        return _train(sessions, looks)


def _make_ready(looks: Sequence[_Looks], stop: StopRequest) -> bool:
    """Whether all of them are; not where they were stopped before that."""
    errors: list[SweepError] = []
    for each in looks:
        try:
            stop.raise_if_requested()
            next(each)
        except Interrupted:
            return False
        except SweepError as error:
            errors.append(error)
    if errors:
        raise joined(errors)
    return True


def _train(sessions: Sequence[Session], looks: Sequence[_Looks]) -> list[SweepError]:
    errors: list[SweepError] = []
    running = list(zip(sessions, looks, strict=True))
    while running:
        for session, each in list(running):
            try:
                next(each)
            except StopIteration:
                running.remove((session, each))
            except SweepError as error:
                running.remove((session, each))
                errors.append(error)
                session.tell(Noticed("given up; the other sweeps go on" if running else "given up"))
    return errors
