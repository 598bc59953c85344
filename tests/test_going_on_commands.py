"""Going on with a sweep as a user does: more seeds, more ratios, and the trial that `sweep next` proposes."""

import re
import shlex

import pytest

from sweep.store.history import read_history

ENDED = re.compile(r"^ratio (\S+), seed (\d+): finished", flags=re.MULTILINE)


def trained(run):
    """The ratios and seeds that a run has trained."""
    assert run.returncode == 0, run.stderr
    return sorted(ENDED.findall(run.stderr))


@pytest.fixture(scope="module")
def begun(sweep, tmp_path_factory):
    """`smoke` at two ratios with two seeds, and how to go on with it."""
    results = tmp_path_factory.mktemp("going-on") / "results"

    def run(*words):
        return sweep("run", "smoke", *words, "--results", results)

    assert trained(run("--ratios", "0.25,0.5,1", "--seeds", "2")) == [
        (ratio, seed) for ratio in ("0.25", "0.5", "1") for seed in "01"
    ]
    return results, run


def measured(results):
    found = read_history(results / "smoke" / "journal.jsonl").results
    return {(result.entry.ratio, result.entry.seed): (result.train_seconds, result.weights_sha256) for result in found}


@pytest.mark.slow
def test_more_seeds_train_what_is_missing_at_every_ratio_and_nothing_again(begun):
    results, run = begun
    before = measured(results)
    assert trained(run("--ratios", "0.25,0.5,1", "--seeds", "3")) == [(ratio, "2") for ratio in ("0.25", "0.5", "1")]
    after = measured(results)
    assert {key: after[key] for key in before} == before
    assert trained(run("--ratios", "0.25,0.5,1", "--seeds", "2")) == []  # fewer are there already


@pytest.mark.slow
def test_a_grid_with_one_ratio_more_trains_that_one(begun):
    results, run = begun
    before = measured(results)
    assert trained(run("--ratios", "0.25,0.5,0.75,1", "--seeds", "2")) == [("0.75", "0"), ("0.75", "1")]
    after = measured(results)
    assert {key: after[key] for key in before} == before


@pytest.mark.slow
def test_the_command_that_next_prints_trains_exactly_the_trial_that_it_proposes(begun, sweep):
    results, _ = begun
    before = (results / "smoke" / "journal.jsonl").read_bytes()
    said = sweep("next", "smoke", "--results", results, "--within-points", "1")
    assert said.returncode == 0, said.stderr
    assert (results / "smoke" / "journal.jsonl").read_bytes() == before
    [(ratio, seed)] = re.findall(
        r"^next: ratio (\S+), seed (\d+): [\d.]+ s of training", said.stdout, flags=re.MULTILINE
    )
    [line] = re.findall(r"^train it: (.*)$", said.stdout, flags=re.MULTILINE)
    assert trained(sweep(*shlex.split(line)[1:])) == [(ratio, seed)]
    again = sweep("next", "smoke", "--results", results, "--within-points", "1")
    assert f"next: ratio {ratio}, seed {seed}:" not in again.stdout


@pytest.mark.slow
def test_what_next_says_of_a_changed_recipe_under_another_name_can_be_run(sweep, tmp_path):
    words = ("run", "smoke", "--ratios", "0.5,1", "--set", "label_smoothing=0.1", "--set", "seed=4", "--name", "mine")
    run = sweep(*words, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    said = sweep("next", cwd=tmp_path)
    assert "what seeds do is not known: no ratio has two of them, and two ratios make no curve" in said.stdout
    [line] = re.findall(r"^train it: (.*)$", said.stdout, flags=re.MULTILINE)
    assert trained(sweep(*shlex.split(line)[1:], cwd=tmp_path))[0][1] == "5"
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["mine"]


def test_next_of_no_sweep_and_with_impossible_points_is_refused(sweep, tmp_path):
    nothing = sweep("next", "--results", tmp_path)
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert "there is no sweep in" in nothing.stderr
    wrong = sweep("next", "--results", tmp_path, "--within-points", "-1")
    assert wrong.returncode == 2
    assert "--within-points: -1 is not from 0 to 100 points" in wrong.stderr
