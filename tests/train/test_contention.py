"""The share of other processes' time, from made-up contents of /proc."""

import os

import pytest

from sweep.train import contention
from sweep.train.contention import Contention

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")


SWEEP, WORKER, SIBLING, STRANGER = 10, 11, 12, 99


class Machine:
    """A machine whose /proc and clock are what a test says: a sweep with two workers, and somebody else's process."""

    def __init__(self, proc, monkeypatch):
        self.proc = proc
        self.seconds = 100.0
        self.columns = dict.fromkeys(COLUMNS, 1000)
        self.parents = {SWEEP: 1, WORKER: SWEEP, SIBLING: SWEEP, STRANGER: 1}
        self.own = {pid: [500, 0, 0, 0] for pid in self.parents}
        monkeypatch.setattr(contention, "_PROC", proc)
        monkeypatch.setattr(contention, "monotonic_seconds", lambda: self.seconds)
        self.passes(0)

    @property
    def stat(self):
        return self.proc / "stat"

    def works(self, pid, seconds):
        self.own[pid][1] += round(seconds * TICKS_A_SECOND)

    def ends(self, pid):
        """Its parent has waited for it: what it used is now its parent's."""
        parent = self.parents.pop(pid)
        self.own[parent][3] += sum(self.own.pop(pid))
        (self.proc / str(pid) / "stat").unlink()

    def passes(self, seconds, own=0.0, **columns):
        """`seconds` of the clock, `own` of a worker's processor time, and of each column's."""
        self.seconds += seconds
        self.works(WORKER, own)
        for name, passed in columns.items():
            self.columns[name] += round(passed * TICKS_A_SECOND)
        numbers = " ".join(map(str, self.columns.values()))
        self.stat.write_text(f"cpu  {numbers}\ncpu0 {numbers}\nintr 12345\n")
        for pid, parent in self.parents.items():
            (self.proc / str(pid)).mkdir(exist_ok=True)
            before = " ".join(["0"] * 9)
            times = " ".join(map(str, self.own[pid]))
            (self.proc / str(pid) / "stat").write_text(f"{pid} (a ) b) S {parent} {before} {times} 20 0 1\n")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)


def test_a_sibling_of_the_same_sweep_is_no_contention_and_a_stranger_is(machine):
    measured = Contention(SWEEP)
    machine.works(SIBLING, 6.0)
    machine.works(STRANGER, 3.0)
    machine.passes(10, own=9.0, user=18, idle=2)
    assert measured.share() == pytest.approx(3 / 20)


def test_what_a_worker_used_that_has_ended_meanwhile_is_still_the_sweeps(machine):
    measured = Contention(SWEEP)
    machine.works(SIBLING, 6.0)
    machine.ends(SIBLING)
    machine.passes(10, own=9.0, user=15, idle=5)
    assert measured.share() == 0


def test_the_share_is_what_is_busy_beyond_this_process(machine):
    measured = Contention(SWEEP)
    machine.passes(10, own=9.0, user=12, system=2, idle=5, iowait=1)
    assert measured.share() == pytest.approx((14 - 9) / 20)


def test_every_kind_of_work_counts_as_busy_and_a_guests_only_once(machine):
    measured = Contention(SWEEP)
    machine.passes(10, nice=1, irq=1, softirq=1, steal=1, user=1, guest=1, idle=5)
    assert measured.share() == pytest.approx(0.5)


def test_what_passed_before_is_not_counted(machine):
    machine.passes(1000, own=3.0, user=900)
    measured = Contention(SWEEP)
    machine.passes(10, own=10.0, user=10, idle=10)
    assert measured.share() == 0


@pytest.mark.parametrize(("own", "user", "idle", "share"), [(12.0, 10, 10, 0.0), (0.0, 20, -5, 1.0)])
def test_the_share_stays_within_zero_and_one_where_the_counters_disagree(machine, own, user, idle, share):
    measured = Contention(SWEEP)
    machine.passes(10, own=own, user=user, idle=idle)
    assert measured.share() == share


def test_over_too_short_a_span_it_is_unknown(machine):
    measured = Contention(SWEEP)
    machine.passes(0.1, user=1, idle=1)
    assert measured.share() is None


def test_where_the_counters_stand_still_it_is_unknown(machine):
    measured = Contention(SWEEP)
    machine.passes(10)
    assert measured.share() is None


@pytest.mark.parametrize("content", [None, "", "cpu\n", "cpu  1 2 three 4 5 6 7 8\n", "cpu  1 2 3\n"])
def test_where_the_system_does_not_tell_it_is_unknown(machine, content):
    machine.stat.unlink()
    if content is not None:
        machine.stat.write_text(content)
    measured = Contention(SWEEP)
    machine.seconds += 10
    assert measured.share() is None
