"""`sweep run A B` as a user meets it: what it prints, what it writes, and its exit codes."""

import json
import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from sweep.recipe.library import shipped_recipes
from sweep.store.history import read_history

SMOKE = shipped_recipes()["smoke"].read_text()


@pytest.fixture
def smoothed(tmp_path):
    path = tmp_path / "smoothed.yaml"
    path.write_text(SMOKE + "\nlabel_smoothing: 0.2\n")
    return path


@pytest.fixture(scope="module")
def both(sweep, tmp_path_factory):
    """One real run of two recipes: its results folder and what it printed."""
    folder = tmp_path_factory.mktemp("both")
    (folder / "smoothed.yaml").write_text(SMOKE + "\nlabel_smoothing: 0.2\n")
    words = ["run", "smoke", folder / "smoothed.yaml", "--ratios", "0.5,1.0", "--seeds", "2", "--results", folder / "r"]
    return folder / "r", words, sweep(*words)


@pytest.mark.slow
def test_two_recipes_end_in_their_tables_and_in_which_is_best_at_which_budget(both):
    _, _, run = both
    assert run.returncode == 0, run.stderr
    titles = re.findall(r"^(\w+)(?:: what training costs| against (\w+))", run.stdout, flags=re.MULTILINE)
    assert titles == [("smoke", ""), ("smoothed", ""), ("smoke", "smoothed")]
    assert "\nbest by budget: " in run.stdout  # who it is depends on how busy the machine is
    began = re.findall(r"^(\w+): ratio .*: finished", run.stderr, flags=re.MULTILINE)
    assert sorted(began) == ["smoke"] * 4 + ["smoothed"] * 4
    assert began[:2] == ["smoke", "smoothed"]


@pytest.mark.slow
def test_each_of_them_is_a_sweep_as_any_other_and_the_comparison_is_compares(both, sweep):
    results, words, run = both
    compared = sweep("compare", "smoke", "smoothed", "--results", results)
    assert run.stdout.endswith(compared.stdout)
    assert sweep("report", "smoothed", "--results", results).stdout in run.stdout
    journals = [(results / name / "journal.jsonl") for name in ("smoke", "smoothed")]
    before = [journal.read_bytes() for journal in journals]
    again = sweep(*words)
    assert (again.returncode, again.stdout) == (0, run.stdout)
    assert [journal.read_bytes() for journal in journals] == before


@pytest.mark.slow
def test_beside_another_recipe_a_trial_gives_the_bits_that_it_gives_alone(both, smoke_results):
    def weights(journal):
        found = read_history(journal).results
        return {(result.entry.ratio, result.entry.seed): result.weights_sha256 for result in found}

    assert weights(both[0] / "smoke" / "journal.jsonl") == weights(smoke_results / "smoke" / "journal.jsonl")


@pytest.mark.slow
def test_ctrl_c_stops_both_and_leaves_no_process_and_the_same_command_goes_on(
    command, sweep, smoothed, tmp_path, wait_until
):
    mark = f"side-by-side-{os.getpid()}"
    words = [
        "run",
        "smoke",
        smoothed,
        "--ratios",
        "0.5,1,2",
        "--jobs",
        "2",
        "--threads",
        "1",
        "--results",
        tmp_path / "r",
    ]
    process = subprocess.Popen(
        [command, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"SWEEP_TEST_MARK": mark},
    )
    assert process.stderr is not None
    while "finished" not in (line := process.stderr.readline()):
        assert line, "it ended before any trial had"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "stopped; what is done is kept, and the same command goes on with the rest" in said
    wait_until(lambda: not marked(mark))
    again = sweep(*words)
    assert again.returncode == 0, again.stderr
    assert "best by budget: " in again.stdout


def marked(mark):
    """The processes with `mark` in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            found += [path] if mark.encode() in path.read_bytes() else []
    return found


def test_a_wrong_key_in_one_stops_both(sweep, smoothed, tmp_path):
    smoothed.write_text(smoothed.read_text() + "momentun: 0.9\n")
    run = sweep("run", "smoke", smoothed, "--results", tmp_path / "results")
    assert (run.returncode, run.stdout) == (2, "")
    assert "momentun" in run.stderr
    assert not (tmp_path / "results").exists()


def test_the_same_recipe_twice_and_two_of_one_name_are_refused(sweep, tmp_path):
    (tmp_path / "smoke.yaml").write_text(SMOKE)
    run = sweep("run", "smoke", "smoke", tmp_path / "smoke.yaml", "--results", tmp_path / "results")
    assert run.returncode == 2
    assert "smoke: is given twice" in run.stderr
    assert "are both called smoke, as their sweeps would be (rename one of them)" in run.stderr


def test_a_dry_run_shows_both_plans_and_trains_nothing(sweep, smoothed, tmp_path):
    words = ("run", "smoke", smoothed, "--dry-run", "--results", tmp_path / "results", "--set", "lr=0.05")
    run = sweep(*words)
    assert run.returncode == 0, run.stderr
    assert re.findall(r"^(\w+): cosineannealinglr", run.stdout, flags=re.MULTILINE) == ["smoke", "smoothed"]
    plans = json.loads(sweep(*words, "--json").stdout)
    assert {name: plan["recipe"]["lr"] for name, plan in plans.items()} == {"smoke": 0.05, "smoothed": 0.05}
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_events_name_their_sweep_and_a_failed_trial_leaves_the_rest_and_the_comparison(sweep, smoothed, tmp_path):
    smoothed.write_text(smoothed.read_text().replace("lr: 0.1", "lr: 1e30"))
    words = ("run", "smoke", smoothed, "--ratios", "0.5,1", "--name", "try", "--results", tmp_path / "results")
    run = sweep(*words, "--json")
    events = [json.loads(line) for line in run.stdout.splitlines()]
    assert run.returncode == 1
    assert {event["sweep"] for event in events} == {"try-smoke", "try-smoothed"}
    ended = [(event["sweep"], event["num_finished"]) for event in events if event["event"] == "sweep_ended"]
    assert ended == [("try-smoke", 2), ("try-smoothed", 0)]
    told = sweep(*words)
    assert told.returncode == 1
    assert "no comparison: two curves are needed to compare; found: try-smoke" in told.stderr
