"""The machine's clock is set back and forward while a sweep runs: it is a label, and no measurement and no order."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from processes import check_invariants

from sweep import clock
from sweep.api import run_request
from sweep.events import StageEnded
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.store.catalogue import list_sweeps, read_sweep

TRIALS = ("--set", "epochs=20", "--ratios", "0.25,0.5,1.0", "--checkpoint-every", "0.05")
# In every process of a sweep: each look at the clock finds it a day further back, or a day ahead.
JUMPING = """
import datetime, itertools, time
import sweep.clock
offsets = itertools.cycle((-86400, 86400, -3 * 86400))
now = time.time
time.time = lambda: now() + next(offsets)
time.time_ns = lambda: int(time.time() * 1e9)
class Jumping(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)
sweep.clock.datetime = Jumping
"""


def run_with_a_jumping_clock(folder, results):
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(JUMPING)
    path = os.pathsep.join([str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    words = [sys.executable, "-m", "sweep", "run", "smoke", "--results", results, *TRIALS]
    return subprocess.run(words, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)


@pytest.mark.slow
def test_a_sweep_measures_and_trains_the_same_on_a_clock_that_jumps_by_days(sweep, tmp_path):
    began = time.perf_counter()
    jumped = run_with_a_jumping_clock(tmp_path / "code", tmp_path / "jumped")
    seconds = time.perf_counter() - began
    assert jumped.returncode == 0, jumped.stderr
    assert sweep("run", "smoke", "--results", tmp_path / "plain", *TRIALS).returncode == 0
    history = check_invariants(tmp_path / "jumped")
    began_at, found = datetime.fromisoformat(history.last_start.started_at), history.results
    assert abs(began_at - datetime.now(UTC)) > timedelta(hours=20)
    plain = {result.entry.key: result for result in check_invariants(tmp_path / "plain").results}
    for result in found:
        as_ever = plain[result.entry.key]
        assert (result.weights_sha256, result.accuracy) == (as_ever.weights_sha256, as_ever.accuracy)
        for measured in (result.train_seconds, result.eval_seconds, result.data_wait_seconds):
            assert 0 <= measured < seconds
        assert result.train_seconds > 0
    assert sum(result.train_seconds + result.eval_seconds for result in found) < seconds


@contextmanager
def clock_set(monkeypatch, days):
    """The machine's clock is so many days off."""

    class Set(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(days=days)

    with monkeypatch.context() as patched:
        patched.setattr(clock, "datetime", Set)
        yield


def test_a_clock_set_back_in_mid_sweep_changes_nothing_of_what_is_recorded(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:

        def tell(event):
            if isinstance(event, StageEnded):
                patched.setattr(clock, "datetime", Yesterday)

        class Yesterday(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.now(tz) - timedelta(days=1)

        began = time.perf_counter()
        request = SweepRequest("smoke", "0.25,0.5", results=tmp_path)
        done = run_request(request, tell, make_executor=lambda *placed: InlineExecutor())
        assert clock.datetime is Yesterday
        seconds = time.perf_counter() - began
    assert done.is_complete
    assert 0 < sum(result.train_seconds for result in done.history.results) < seconds
    check_invariants(tmp_path)


def test_the_last_start_is_the_last_one_in_the_journal_whatever_the_clock_said(tmp_path, monkeypatch):
    def run(price):
        request = SweepRequest("smoke", "0.25", results=tmp_path, price=price)
        return run_request(request, make_executor=lambda *placed: InlineExecutor()).history

    run(1.0)
    with clock_set(monkeypatch, days=-1):
        history = run(2.0)
    assert [start.price for start in history.starts] == [1.0, 2.0]
    first, last = (datetime.fromisoformat(start.started_at) for start in history.starts)
    assert last < first
    assert history.last_start.price == 2.0


def test_of_two_sweeps_the_newest_is_the_one_whose_clock_said_so_and_no_age_is_negative(tmp_path, monkeypatch):
    for name, days in (("a-ahead", 2), ("b-further-ahead", 3), ("c-behind", -2)):
        with clock_set(monkeypatch, days):
            request = SweepRequest("smoke", "0.25", results=tmp_path, name=name)
            run_request(request, make_executor=lambda *placed: InlineExecutor())
    listed = list_sweeps(tmp_path)
    assert [sweep.name for sweep in listed] == ["b-further-ahead", "a-ahead", "c-behind"]
    assert [round(sweep.age_seconds / 86400) for sweep in listed] == [0, 0, 2]
    assert read_sweep(tmp_path, None)[0].name == listed[0].name
    assert datetime.fromisoformat(listed[0].started_at) > datetime.now(UTC)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the clock has another name")
def test_durations_come_from_a_clock_that_stands_still_while_the_machine_sleeps():
    """And that nobody can set."""
    info = time.get_clock_info("perf_counter")
    assert (info.implementation, info.monotonic, info.adjustable) == ("clock_gettime(CLOCK_MONOTONIC)", True, False)
