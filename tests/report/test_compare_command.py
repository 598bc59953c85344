"""`sweep compare` as it is called, over real journals."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from histories import ENVIRONMENT, a_start, a_trial, ended, finished, write_journal

Command = Callable[..., "subprocess.CompletedProcess[str]"]
TRIALS = [a_trial(ratio, seed) for ratio in ("0.25", "0.5", "1.0") for seed in range(3)]
ACCURACY = {"0.25": 0.8, "0.5": 0.85, "1.0": 0.9}


def keep(results: Path, name: str, moved: float = 0.0, pace: float = 0.25, threads: int = 1) -> None:
    """A sweep of three lengths and three seeds; a step takes `pace` seconds."""
    place = ENVIRONMENT.model_copy(update={"threads": threads})
    (results / name).mkdir(parents=True)
    records = [
        finished(trial, ACCURACY[trial.ratio] + moved + 0.002 * (trial.seed - 1), pace * trial.num_steps)
        for trial in TRIALS
    ]
    write_journal(
        results / name / "journal.jsonl",
        a_start(TRIALS, environment=place),
        *(record.model_copy(update={"environment": place}) for record in records),
    )


@pytest.fixture
def compare(sweep: Command, tmp_path: Path) -> Command:
    """compare("a", "b", …) over a folder with a, b (twice as fast), worse (2 points) and threads (two of them)."""
    keep(tmp_path, "a")
    keep(tmp_path, "b", pace=0.125)
    keep(tmp_path, "worse", moved=-0.02)
    keep(tmp_path, "threads", threads=2)
    return lambda *arguments: sweep("compare", *arguments, "--results", tmp_path)


def test_the_table_has_a_row_a_sweep_and_the_verdict_below(compare: Command) -> None:
    run = compare("a", "b", "worse")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("a against b, worse: at equal quality and at equal cost")
    assert "\nb reaches a's 90.00 % 2.00x cheaper (at most " in run.stdout  # its own best is no better
    assert "\nworse never reaches a's 90.00 %: its best is 88.00 %; " in run.stdout


def test_json_and_markdown_say_the_same(compare: Command) -> None:
    (comparison,) = json.loads(compare("a", "b", "--format", "json").stdout)["comparisons"]
    assert comparison["at_equal_quality"]["times_cheaper"]["value"] == pytest.approx(2.0)
    assert comparison["averaged"]["cost_change"]["value"] == pytest.approx(-0.5)
    assert "| recipe | time to 90.00 % |" in compare("a", "b", "--format", "markdown").stdout


@pytest.mark.parametrize(("new", "points", "exit_code"), [("worse", "1", 1), ("worse", "3", 0), ("b", "0", 0)])
def test_fail_if_worse_is_a_gate_after_the_table(compare: Command, new: str, points: str, exit_code: int) -> None:
    run = compare("a", new, "--fail-if-worse", points)
    assert run.returncode == exit_code
    assert f"{new} " in run.stdout
    assert ("worse is worse than a by 2.00 ±" in run.stderr) == bool(exit_code)


def test_a_sweep_of_which_nothing_finished_passes_no_gate_and_is_no_reference(compare: Command, tmp_path: Path) -> None:
    (tmp_path / "crashed").mkdir()
    write_journal(tmp_path / "crashed" / "journal.jsonl", a_start(TRIALS[:1]), ended(TRIALS[0]))
    run = compare("a", "b", "crashed", "--fail-if-worse", "50")
    assert (run.returncode, "nothing of crashed has been measured" in run.stderr) == (1, True)
    assert compare("a", "b", "crashed").returncode == 0
    refused = compare("crashed", "a", "b")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "nothing of crashed has been measured, which is the reference" in refused.stderr


def test_other_threads_are_refused_unless_that_is_allowed(compare: Command) -> None:
    run = compare("a", "threads")
    assert (run.returncode, run.stdout) == (2, "")
    assert "a: cpu (Some CPU), 1 thread; threads: cpu (Some CPU), 2 threads" in run.stderr
    allowed = compare("a", "threads", "--allow-mixed")
    assert allowed.returncode == 0
    assert "different devices" in allowed.stdout


def test_every_sweep_that_is_not_there_is_named_at_once(compare: Command) -> None:
    run = compare("a", "x", "y")
    assert run.returncode == 2
    assert run.stderr.count("there is no sweep") == 2


def test_one_sweep_is_not_enough(compare: Command) -> None:
    run = compare("a")
    assert run.returncode == 2
    assert "two curves are needed to compare; found: a" in run.stderr


def test_a_wrong_number_of_points_is_refused_before_anything_is_shown(compare: Command) -> None:
    run = compare("a", "b", "--fail-if-worse", "101")
    assert (run.returncode, run.stdout) == (2, "")
    assert "'101' is no number of percentage points" in run.stderr
