"""Workers that each have a seat here, wherever they run: what the executors of local processes and of Ray's actors have
in common. They live as long as the sweep.
"""

from __future__ import annotations

from collections.abc import Iterable
from multiprocessing.connection import wait
from typing import Self

from sweep.clock import Stopwatch
from sweep.run.executors.child import SECONDS_TO_LEAVE
from sweep.run.executors.seat import Seat
from sweep.run.messages import Probed, Said
from sweep.run.stop import StopRequest
from sweep.store.records import Environment, PrepareJob, ProbeJob, StageJob

# How soon Ctrl-C is noticed while Workers start, or try out how fast they are.
_SECONDS_BETWEEN_LOOKS = 0.1


class SeatedExecutor:
    """Trains a Stage in each of its seats' Workers at a time. One without progress is ended: see Patience."""

    def __init__(self, seats: Iterable[Seat]) -> None:
        self._seats = list(seats)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.keep(0)

    @property
    def capacity(self) -> int:
        return len(self._seats)

    def prepare(self, job: PrepareJob, stop: StopRequest) -> Environment:
        for seat in self._seats:
            seat.prepare(job)
        waited_for = list(self._seats)
        environments = []
        while waited_for:
            stop.raise_if_requested()
            for seat in _with_news(waited_for, _SECONDS_BETWEEN_LOOKS):
                environments.append(seat.prepared())
                waited_for.remove(seat)
        return environments[0]

    def probe(self, job: ProbeJob, num_workers: int, stop: StopRequest) -> list[Probed]:
        waited_for = self._seats[:num_workers]
        for seat in waited_for:
            seat.probe(job)
        probed = []
        while waited_for:
            stop.raise_if_requested()
            with_news = _with_news(waited_for, _SECONDS_BETWEEN_LOOKS)
            for seat in list(waited_for):
                answer = seat.probed() if seat in with_news else seat.give_up_probe()
                if answer is not None:
                    probed.append(answer)
                    waited_for.remove(seat)
        return probed

    def keep(self, num_workers: int) -> None:
        leaving = self._seats[num_workers:]
        del self._seats[num_workers:]
        for seat in leaving:  # all of them first, so that the slow ones leave together
            seat.dismiss()
        with Stopwatch() as watch:
            for seat in leaving:
                seat.end(max(0.0, SECONDS_TO_LEAVE - watch.elapsed_seconds))

    def submit(self, job: StageJob) -> None:
        # The Worker that has just trained the Stage before has the state that this one begins with.
        free = [seat for seat in self._seats if seat.is_free]
        next((seat for seat in free if job.parent in (seat.trained, None)), free[0]).submit(job)

    def stop(self) -> None:
        for seat in self._seats:
            seat.stop()

    def receive(self, timeout_seconds: float) -> Said | None:
        with_news = _with_news(self._seats, timeout_seconds)
        # The silent ones first: one that talks without end must not keep us from looking at them.
        for seat in (seat for seat in self._seats if seat not in with_news):
            if (done := seat.give_up()) is not None:
                return done
        for seat in with_news:
            if (message := seat.receive()) is not None:
                return message
        return None


def _with_news(seats: list[Seat], timeout_seconds: float) -> list[Seat]:
    connections = [seat.connection for seat in seats if seat.connection is not None]
    ready = wait(connections, timeout_seconds)
    return [seat for seat in seats if seat.connection in ready]
