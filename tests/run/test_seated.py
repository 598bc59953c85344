"""Who is heard, and who is waited for, among many Workers."""

from multiprocessing import Pipe

import pytest
from fake_executor import ENVIRONMENT

from sweep.errors import Outcome
from sweep.run.executors.seated import SeatedExecutor
from sweep.run.messages import StageDone
from sweep.run.stop import StopRequest
from sweep.store.records import PrepareJob

PREPARE = PrepareJob(recipe={}, device="cpu", threads=1)


class Seat:
    """One that says `said` over and over; None: nothing, ever."""

    def __init__(self, said):
        self.connection, self.worker = Pipe()
        self.said = said
        self.is_ended = False
        if said is not None:
            self.worker.send_bytes(b"")  # and is never read: there is always more

    def prepare(self, job):
        pass

    def prepared(self):
        return ENVIRONMENT

    def receive(self):
        return self.said

    def give_up(self):
        return None

    def dismiss(self):
        self.is_ended = True

    def end(self, seconds_to_leave):
        pass


def test_whoever_has_something_to_say_is_heard_however_much_others_talk():
    seats = [Seat(StageDone(stage=str(number), outcome=Outcome.FINISHED)) for number in range(20)]
    executor = SeatedExecutor(seats)
    for _ in range(3):
        assert {executor.receive(0.1).stage for _ in seats} == {seat.said.stage for seat in seats}


def test_nobody_says_anything():
    assert SeatedExecutor([Seat(None)]).receive(0) is None


def test_who_waits_for_what_others_hold_is_let_go_once_another_one_can_begin():
    here, missing = Seat(ENVIRONMENT), Seat(None)
    executor = SeatedExecutor([missing, here], seconds_to_join=0.0)
    assert executor.prepare(PREPARE, StopRequest()) == ENVIRONMENT
    assert (executor.capacity, missing.is_ended, here.is_ended) == (1, True, False)


def test_the_first_one_is_waited_for_however_long_that_takes():
    class Late(StopRequest):
        looks = 0

        def raise_if_requested(self):
            self.looks += 1
            if self.looks == 3:
                seat.worker.send_bytes(b"")

    seat, stop = Seat(None), Late()
    assert SeatedExecutor([seat], seconds_to_join=0.0).prepare(PREPARE, stop) == ENVIRONMENT
    assert stop.looks >= 3


@pytest.mark.parametrize("number", [1, 3])
def test_without_a_limit_all_are_waited_for(number):
    executor = SeatedExecutor([Seat(ENVIRONMENT) for _ in range(number)])
    executor.prepare(PREPARE, StopRequest())
    assert executor.capacity == number
