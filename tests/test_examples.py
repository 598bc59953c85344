"""The example scripts, each trained for real at three ratios by its recipe."""

import json
import os
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
# What each reaches at ratio 1, with room for other processors: chance is 0.1, and 0.25 for the last.
OF_COMMANDS = {"plain_pytorch": 0.92, "lightning": 0.92, "hugging_face": 0.85}


@pytest.fixture
def python_on_the_path(monkeypatch):
    """`python` is what a user has there: here the one that runs the tests."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


@pytest.mark.parametrize("name", OF_COMMANDS)
def test_an_examples_recipe_can_be_planned_and_nothing_in_it_is_odd(sweep, name):
    plan = sweep("plan", "./sweep.yaml", "--seeds", "2", cwd=EXAMPLES / name)
    assert plan.returncode == 0, plan.stderr
    assert "warning" not in plan.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_COMMANDS)
def test_an_example_is_trained_at_three_ratios(sweep, python_on_the_path, tmp_path, name):
    options = ("--ratios", "0.25,0.5,1", "--device", "cpu", "--results", tmp_path)
    run = sweep("run", "./sweep.yaml", *options, cwd=EXAMPLES / name)
    assert run.returncode == 0, run.stdout + run.stderr
    report = sweep("report", "--format", "json", "--results", tmp_path)
    trials = json.loads(report.stdout)["trials"]
    assert [trial["ratio"] for trial in trials] == [0.25, 0.5, 1]
    accuracies = [trial["accuracy"] for trial in trials]
    assert accuracies[-1] == max(accuracies) >= OF_COMMANDS[name]
    assert all(trial["train_seconds"] > 0 for trial in trials)
