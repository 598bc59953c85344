"""The share of other processes' time, from made-up contents of /proc/stat."""

import os

import pytest

from sweep.train import contention
from sweep.train.contention import Contention

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")


class Machine:
    """A machine whose /proc/stat and clocks are what a test says."""

    def __init__(self, path, monkeypatch):
        self.path = path
        self.seconds = 100.0
        self.own_seconds = 5.0
        self.columns = dict.fromkeys(COLUMNS, 1000)
        monkeypatch.setattr(contention, "_STAT", path)
        monkeypatch.setattr(contention, "monotonic_seconds", lambda: self.seconds)
        monkeypatch.setattr(contention, "process_cpu_seconds", lambda: self.own_seconds)
        self.passes(0)

    def passes(self, seconds, own=0.0, **columns):
        """`seconds` of the clock, `own` of this process's processor time, and of each column's."""
        self.seconds += seconds
        self.own_seconds += own
        for name, passed in columns.items():
            self.columns[name] += round(passed * TICKS_A_SECOND)
        numbers = " ".join(map(str, self.columns.values()))
        self.path.write_text(f"cpu  {numbers}\ncpu0 {numbers}\nintr 12345\n")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path / "stat", monkeypatch)


def test_the_share_is_what_is_busy_beyond_this_process(machine):
    measured = Contention()
    machine.passes(10, own=9.0, user=12, system=2, idle=5, iowait=1)
    assert measured.share() == pytest.approx((14 - 9) / 20)


def test_every_kind_of_work_counts_as_busy_and_a_guests_only_once(machine):
    measured = Contention()
    machine.passes(10, nice=1, irq=1, softirq=1, steal=1, user=1, guest=1, idle=5)
    assert measured.share() == pytest.approx(0.5)


def test_what_passed_before_is_not_counted(machine):
    machine.passes(1000, own=3.0, user=900)
    measured = Contention()
    machine.passes(10, own=10.0, user=10, idle=10)
    assert measured.share() == 0


@pytest.mark.parametrize(("own", "user", "idle", "share"), [(12.0, 10, 10, 0.0), (0.0, 20, -5, 1.0)])
def test_the_share_stays_within_zero_and_one_where_the_counters_disagree(machine, own, user, idle, share):
    measured = Contention()
    machine.passes(10, own=own, user=user, idle=idle)
    assert measured.share() == share


def test_over_too_short_a_span_it_is_unknown(machine):
    measured = Contention()
    machine.passes(0.1, user=1, idle=1)
    assert measured.share() is None


def test_where_the_counters_stand_still_it_is_unknown(machine):
    measured = Contention()
    machine.passes(10)
    assert measured.share() is None


@pytest.mark.parametrize("content", [None, "", "cpu\n", "cpu  1 2 three 4 5 6 7 8\n", "cpu  1 2 3\n"])
def test_where_the_system_does_not_tell_it_is_unknown(machine, content):
    machine.path.unlink()
    if content is not None:
        machine.path.write_text(content)
    measured = Contention()
    machine.seconds += 10
    assert measured.share() is None
