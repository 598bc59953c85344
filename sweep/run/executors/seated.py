"""Workers that each have a seat here, wherever they run: what the executors of local processes and of Ray's actors have
in common. They live as long as the sweep.
"""

from __future__ import annotations

from collections import deque
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
    """Trains a Stage in each of its seats' Workers at a time. One without progress is ended: see Patience.

    Once a Worker is prepared, each further one has `seconds_to_join` from the last that was; then those that are still
    missing are let go. None: all are waited for. `beside` are the executors of sweeps that train side by side, whom it
    joins: of all their seats with one number, which share a device, one trains at a time.
    """

    def __init__(
        self,
        seats: Iterable[Seat],
        seconds_to_join: float | None = None,
        beside: list[SeatedExecutor] | None = None,
    ) -> None:
        self._seats = list(seats)
        self._seconds_to_join = seconds_to_join
        self._said: deque[Said] = deque()
        self._beside = beside if beside is not None else []
        self._beside.append(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.keep(0)

    @property
    def capacity(self) -> int:
        return len(self._seats)

    @property
    def busy_seats(self) -> list[int]:
        """The numbers of those whose Workers train."""
        return [number for number, seat in enumerate(self._seats) if not seat.is_free]

    def prepare(self, job: PrepareJob, stop: StopRequest) -> Environment:
        for seat in self._seats:
            seat.prepare(job)
        prepared: dict[Seat, Environment] = {}
        last_at = 0.0
        with Stopwatch() as watch:
            while waited_for := [seat for seat in self._seats if seat not in prepared]:
                stop.raise_if_requested()
                for seat in _with_news(waited_for, _SECONDS_BETWEEN_LOOKS):
                    prepared[seat] = seat.prepared()
                    last_at = watch.elapsed_seconds
                if prepared and self._is_late(watch.elapsed_seconds - last_at):
                    self._seats = [*prepared, *(seat for seat in waited_for if seat not in prepared)]
                    self.keep(len(prepared))
        return next(iter(prepared.values()))

    def _is_late(self, seconds: float) -> bool:
        return self._seconds_to_join is not None and seconds > self._seconds_to_join

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
        taken = {number for executor in self._beside for number in executor.busy_seats}
        free = [seat for number, seat in enumerate(self._seats) if number not in taken]
        next((seat for seat in free if job.parent in (seat.trained, None)), free[0]).submit(job)

    def stop(self) -> None:
        for seat in self._seats:
            seat.stop()

    def receive(self, timeout_seconds: float) -> Said | None:
        if not self._said:
            self._hear(timeout_seconds)
        return self._said.popleft() if self._said else None

    def _hear(self, timeout_seconds: float) -> None:
        """Hear a message of every seat that has one: of a thousand that talk, each has its turn."""
        with_news = _with_news(self._seats, timeout_seconds)
        for seat in self._seats:
            message = seat.receive() if seat in with_news else seat.give_up()
            if message is not None:
                self._said.append(message)


def _with_news(seats: list[Seat], timeout_seconds: float) -> set[Seat]:
    ready = set(wait([seat.connection for seat in seats if seat.connection is not None], timeout_seconds))
    return {seat for seat in seats if seat.connection in ready}
