"""`sweep plan --estimate` as a user meets it: what it prints, what it keeps, what it refuses."""

import json
import os
import re
import subprocess

import pytest

from sweep.store.history import read_history

SHORT = ("--estimate", "--pilot-seconds", "1", "--threads", "1")
TASK = """
import torch
from sweep import Task

def make(recipe):
    random = torch.Generator().manual_seed(0)
    inputs = torch.randn(640, 4, generator=random)
    targets = (inputs.sum(1) > 0).long()
    return Task(
        model=lambda: torch.nn.Linear(4, 2),
        train_data=(inputs, targets),
        eval_data=(inputs, targets),
        loss={loss},
        metrics={{"accuracy": lambda outputs, targets: (outputs.argmax(1) == targets).float().mean()}},
    )
"""
RECIPE = "task: mine:make\nepochs: 4\nbatch_size: 64\nlr: 0.1\n"


def pilots(results, name="smoke"):
    return read_history(results / name / "journal.jsonl").pilots


@pytest.fixture(scope="module")
def estimated(sweep, tmp_path_factory):
    """A results folder in which smoke was estimated, and what was printed."""
    results = tmp_path_factory.mktemp("estimated") / "results"
    return results, sweep("plan", "smoke", *SHORT, "--price", "3.6", "--results", results)


@pytest.fixture
def results(estimated, tmp_path):
    """A copy of it."""
    journal = tmp_path / "smoke" / "journal.jsonl"
    journal.parent.mkdir()
    journal.write_bytes((estimated[0] / "smoke" / "journal.jsonl").read_bytes())
    return tmp_path


def test_the_plan_is_followed_by_what_it_will_take(estimated):
    results, done = estimated
    assert done.returncode == 0, done.stderr
    assert done.stderr == "estimate: the recipe is tried out, for 1 s at most\n"
    plan, _, below = done.stdout.partition("estimate: what training at each ratio takes")
    assert "3 ratios: 3 trials" in plan
    ratios, _, jobs = below.partition("estimate: what the whole sweep takes, ")
    row = r"^ +{} +\d+ +[^ ]+ [^ ]+ \(.*? to .*?\) +\$[0-9.e-]+ \(.*?\) +\d[^ ]* [MG]B of [^ ]+ GB$"
    for ratio in ("0.25", "0.5", "1.0"):
        assert re.search(row.format(ratio), ratios, flags=re.MULTILINE), ratios
    assert re.search(r"^ +1 +1 +[^ ]+ s \([^ ]+ s to [^ ]+ s\) +\$", jobs, flags=re.MULTILINE), jobs
    assert "measured: " in jobs
    assert len(pilots(results)) == 1


def test_a_kept_pilot_is_taken_again_and_nothing_is_written(sweep, results):
    before = (results / "smoke" / "journal.jsonl").read_bytes()
    done = sweep("plan", "smoke", *SHORT, "--ratios", "0.5,2", "--results", results)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        r"estimate: by the pilot of (just now|\d+ min ago) \(sweep plan --estimate --fresh makes a new one\)\n",
        done.stderr,
    )
    assert (results / "smoke" / "journal.jsonl").read_bytes() == before
    assert "$" not in done.stdout  # the price is this command's


@pytest.mark.slow
@pytest.mark.parametrize("change", [["--fresh"], ["--set", "batch_size=32"], ["--set", "workers=2"]])
def test_another_recipe_or_the_wish_for_a_new_one_makes_another_pilot(sweep, results, change):
    done = sweep("plan", "smoke", *SHORT, *change, "--results", results)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "estimate: the recipe is tried out, for 1 s at most\n"
    assert len(pilots(results)) == 2


def test_without_it_the_plan_writes_nothing_and_says_no_time(sweep, tmp_path):
    done = sweep("plan", "smoke", "--results", tmp_path / "results")
    assert (done.returncode, done.stderr) == (0, "")
    assert "estimate" not in done.stdout
    assert not (tmp_path / "results").exists()


def test_a_request_to_terminate_leaves_nothing_of_a_pilot(command, tmp_path, wait_until):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    words = ["plan", "smoke", "--estimate", "--pilot-seconds", "600", "--results", tmp_path / "r", "--threads", "1"]
    asked = subprocess.Popen([command, *map(str, words)], env={**os.environ, "TMPDIR": str(scratch)})
    wait_until(lambda: list(scratch.glob("sweep-*/worker.log")))
    asked.terminate()
    assert asked.wait(timeout=50) == 143
    assert list(scratch.iterdir()) == []


def test_a_program_gets_it_as_json(sweep, results):
    done = sweep("plan", "smoke", *SHORT, "--price", "3.6", "--results", results, "--format", "json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    estimate = document["estimate"]
    assert estimate["is_reused"]
    assert [run["ratio_text"] for run in estimate["runs"]] == ["0.25", "0.5", "1.0"]
    for run, planned in zip(estimate["runs"], document["runs"], strict=True):
        seconds = run["train_seconds"]
        assert 0 <= seconds["low"] <= seconds["value"] <= seconds["high"]
        assert seconds["value"] == pytest.approx(planned["steps"] * estimate["pilot"]["step"]["value"])
        assert run["dollars"]["value"] == pytest.approx(seconds["value"] / 1000)  # 3.6 an hour
        assert run["peak_bytes"] > 10**8
    assert estimate["sweep"][0]["jobs"] == 1
    assert estimate["sweep"][0]["seconds"]["value"] > sum(run["train_seconds"]["value"] for run in estimate["runs"])
    plain = json.loads(sweep("plan", "smoke", "--results", results, "--threads", "1", "--format", "json").stdout)
    assert plain == {key: value for key, value in document.items() if key != "estimate"} | {"recipe": plain["recipe"]}


def test_the_jobs_that_fit_are_compared(sweep, results):
    done = sweep("plan", "smoke", *SHORT, "--jobs", "4", "--results", results, "--format", "json")
    jobs = {each["jobs"]: each for each in json.loads(done.stdout)["estimate"]["sweep"]}
    assert {1, 4} <= jobs.keys()
    assert jobs[4]["seconds"]["value"] <= jobs[1]["seconds"]["value"]
    assert jobs[4]["devices"] == 4


@pytest.mark.slow
def test_where_a_known_dataset_is_missing_the_data_is_made_up_until_it_is_there(sweep, fashion_mnist, tmp_path):
    estimate = ("plan", "fashion_mnist", "--ratios", "1", *SHORT, "--results", tmp_path)
    done = sweep(*estimate, "--data-path", tmp_path / "nowhere")
    assert done.returncode == 0, done.stderr
    assert "on made-up data: the dataset is not there" in done.stdout
    assert not (tmp_path / "nowhere").exists()
    again = sweep(*estimate, "--data-path", tmp_path / "nowhere")
    assert "by the pilot of" in again.stderr
    there = sweep(*estimate, "--data-path", fashion_mnist)
    assert "the recipe is tried out" in there.stderr
    assert "made-up" not in there.stdout
    assert [pilot.is_made_up for pilot in pilots(tmp_path, "fashion_mnist")] == [True, False]


def test_own_folders_that_are_missing_are_an_error_of_the_machine(sweep, tmp_path):
    keys = ("--set", "dataset=ImageFolder", "--set", "model=resnet18", "--set", "random_crop_padding=0")
    done = sweep("plan", "smoke", *SHORT, *keys, "--data-path", tmp_path / "nowhere", "--results", tmp_path / "results")
    assert done.returncode == 3
    assert "dataset ImageFolder is absent" in done.stderr
    assert not (tmp_path / "results").exists()


def test_seconds_without_an_estimate_are_refused(sweep, tmp_path):
    done = sweep("plan", "smoke", "--pilot-seconds", "5", "--results", tmp_path / "results")
    assert done.returncode == 2
    assert done.stderr == "error: --pilot-seconds: goes with --estimate\n"


@pytest.mark.parametrize("seconds", ["0", "0.5", "-1", "3601", "nan", "inf"])
def test_seconds_out_of_range_are_refused_with_all_other_mistakes(sweep, tmp_path, seconds):
    done = sweep(
        "plan", "smoke", "--estimate", "--pilot-seconds", seconds, "--jobs", "none", "--results", tmp_path / "r"
    )
    assert done.returncode == 2
    assert f"error: --pilot-seconds: {float(seconds):g} is not a number of seconds from 1 to 3600" in done.stderr
    assert "--jobs" in done.stderr
    assert not (tmp_path / "r").exists()


def test_a_command_cannot_be_tried_out(sweep, tmp_path):
    (tmp_path / "mine.yaml").write_text("command: python train.py {epochs}\nepochs: 4\n")
    done = sweep("plan", "./mine.yaml", "--estimate", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: mine.yaml:1: command: a command has no steps that could be tried out (")
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_a_task_is_tried_out_on_its_own_data(sweep, tmp_path):
    (tmp_path / "mine.py").write_text(TASK.format(loss="torch.nn.functional.cross_entropy"))
    (tmp_path / "mine.yaml").write_text(RECIPE)
    done = sweep("plan", "./mine.yaml", *SHORT, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "made-up" not in done.stdout
    again = sweep("plan", "./mine.yaml", *SHORT, cwd=tmp_path)
    assert "by the pilot of" in again.stderr
    (tmp_path / "mine.py").write_text("# other code\n" + TASK.format(loss="torch.nn.functional.cross_entropy"))
    changed = sweep("plan", "./mine.yaml", *SHORT, cwd=tmp_path)
    assert "the recipe is tried out" in changed.stderr
    assert len(pilots(tmp_path / "results", "mine")) == 2


@pytest.mark.slow
def test_a_task_that_fails_after_its_first_steps_is_an_error_in_a_line(sweep, tmp_path):
    loss = "lambda outputs, targets: 1 / 0 if calls.append(1) or len(calls) > 20 else outputs.sum()"
    (tmp_path / "mine.py").write_text("calls = []\n" + TASK.format(loss=loss))
    (tmp_path / "mine.yaml").write_text(RECIPE)
    done = sweep("plan", "./mine.yaml", *SHORT, cwd=tmp_path)
    assert done.returncode == 3
    assert re.search(
        r"^error: mine: the recipe cannot be tried out here: .*ZeroDivisionError", done.stderr, re.MULTILINE
    )
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results" / "mine" / "journal.jsonl").exists()


def test_what_is_estimated_only_is_listed_and_no_sweep_yet(sweep, results):
    listed = sweep("list", "--results", results)
    assert re.search(r"smoke +estimated only +0 of 0", listed.stdout)
    for command in (["report", "smoke"], ["compare", "smoke", "smoke"], ["merge", "smoke", "other", "--name", "both"]):
        done = sweep(*command, "--results", results)
        assert done.returncode == 2
        assert "'smoke' was estimated, and nothing of it is trained yet" in done.stderr
    assert "there is no sweep in" in sweep("report", "--results", results).stderr
    assert sweep("clean", "--results", results).stdout == "no states to remove\n"


@pytest.mark.slow
def test_the_report_says_how_far_the_estimate_was_off(sweep, results):
    run = sweep("run", "smoke", "--threads", "1", "--fresh", "--ratios", "0.5,1", "--results", results)
    assert run.returncode == 0, run.stderr
    assert "set the old results aside" not in run.stderr  # there were none
    note = r"^estimate: \S+ \S+ a step \(.*? to .*?\); the runs took \S+ \S+: \S+ % (longer|shorter) than estimated, "
    assert re.search(note + "(in|out)side its interval$", run.stdout, re.MULTILINE), run.stdout
    again = sweep("run", "smoke", "--threads", "1", "--fresh", "--ratios", "0.5", "--results", results)
    assert "set the old results aside" in again.stderr
    assert re.search(note, again.stdout, re.MULTILINE)  # the pilot is no result, and has come along
    assert len(pilots(results)) == 1


def test_one_that_is_trained_at_this_moment_is_not_tried_out_beside_it(sweep, results):
    from sweep.store.workspace import Workspace

    with Workspace(results / "smoke").locked():
        done = sweep("plan", "smoke", *SHORT, "--fresh", "--results", results)
        kept = sweep("plan", "smoke", *SHORT, "--results", results)
    assert done.returncode == 3
    assert "in use by process" in done.stderr
    assert kept.returncode == 0, kept.stderr
