"""Sweeps killed at random moments, over and over, come to what a sweep comes to that nobody killed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ledger import Ledger
from running import RealSweeps, ToySweeps

from sweep.api import plan_sweep
from sweep.errors import Outcome
from sweep.request import SweepRequest
from sweep.store.journal import append
from sweep.store.records import Evaluations, Measurement, StageRecord

STORM = Path(__file__).with_name("storm.py")
TOLD = {"event": "stage_ended", "outcome": "finished", "reason": None, "train_seconds": 1.0, "accuracy": 0.5}


def break_over(folder, kills, real, seed=0):
    """What a storm has counted."""
    command = [sys.executable, STORM, folder, *map(str, (kills, real, seed))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["kills"] >= kills
    assert counts["records acknowledged"] > 0
    assert counts["records lost"] == 0
    return counts


@pytest.mark.slow
def test_a_storm_over_toys_loses_nothing(tmp_path):
    counts = break_over(tmp_path, kills=25, real=0)
    assert counts["kills of sweeps"] > 0
    assert counts["kills of workers"] > 0
    assert counts["hashes compared"] == len(plan_sweep(ToySweeps.request).stages) * counts["sweeps"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])  # side by side
def test_a_storm_over_real_training_loses_nothing_and_changes_no_weight(tmp_path, seed):
    counts = break_over(tmp_path, kills=10, real=10, seed=seed)
    plan = plan_sweep(SweepRequest("smoke", "0.25,0.5,1.0", settings=RealSweeps.settings))
    assert counts["hashes compared"] == len(plan.stages) * counts["sweeps"]


@pytest.fixture
def ledger(tmp_path):
    """Of a journal with two stages that were told of, and seen."""
    ledger = Ledger(tmp_path / "journal.jsonl")
    for stage in ("a", "b"):
        append(ledger.journal, finished(stage))
    ledger.untouched = ledger.measured()
    ledger.note(b"".join(json.dumps(TOLD | {"stage": stage}).encode() + b"\n" for stage in ("a", "b")))
    ledger.check()
    assert (ledger.lost, ledger.troubles) == (0, [])
    return ledger


def finished(stage, sha256="ab"):
    measurement = Measurement(
        steps=1, images=1, train_seconds=1.0, data_wait_seconds=0.0, eval_seconds=0.0, startup_seconds=0.0,
        contention=None, evaluations=Evaluations(steps=(1,), accuracy=(0.5,), loss=(1.0,)), weights_sha256=sha256,
    )  # fmt: skip
    return StageRecord(stage=stage, attempt=1, outcome=Outcome.FINISHED, measurement=measurement)


def test_the_storm_notices_a_record_that_is_gone(ledger):
    lines = ledger.journal.read_bytes().splitlines(keepends=True)
    ledger.journal.write_bytes(lines[0])
    ledger.check()
    assert ledger.lost == 2  # seen, and acknowledged
    assert ledger.troubles


def test_the_storm_notices_what_was_told_and_never_written(ledger):
    ledger.note(json.dumps(TOLD | {"stage": "c"}).encode() + b"\n" + b'{"event": "stage_en')
    ledger.check()
    assert (ledger.lost, ledger.troubles) == (1, ["1 records that were acknowledged are lost"])


@pytest.mark.parametrize(
    ("record", "trouble"),
    [
        (finished("a"), "a stage has finished twice"),
        (finished("c"), "stage c has come to something else"),
        (finished("b", "cd"), "stage b has come to something else"),
        (StageRecord(stage="a", attempt=2, outcome=Outcome.FAILED, reason="no"), "stage a: no"),
    ],
)
def test_the_storm_notices_what_is_invented_or_differs(ledger, record, trouble):
    append(ledger.journal, record)
    ledger.check()
    assert any(trouble in said for said in ledger.troubles)


def test_the_storm_notices_a_record_that_is_damaged(ledger):
    content = bytearray(ledger.journal.read_bytes())
    content[30] ^= 1
    ledger.journal.write_bytes(bytes(content))
    ledger.check()
    assert ledger.lost == 2
