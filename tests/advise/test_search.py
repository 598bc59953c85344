"""Searches through `run_request` and the journal, with an executor that answers from a table."""

import os
import signal

import pytest
from table_executor import TableExecutor, find, request_of, rising, runs

from sweep.advise.goal import read_search
from sweep.advise.sentence import sentences
from sweep.api import run_request
from sweep.errors import Outcome, SweepError, UsageError
from sweep.events import Noticed, TrialEnded
from sweep.report.cells import dollars_text
from sweep.request import SweepRequest
from sweep.store.history import read_history


def answer(found):
    place = found.verdict.place
    return None if place is None else found.trained.ratio_text(place)


def journal(tmp_path):
    return read_history(tmp_path / "smoke" / "journal.jsonl")


def test_the_cheapest_ratio_is_named_and_the_journal_has_what_was_trained(tmp_path):
    executor = TableExecutor(rising)
    found = find(tmp_path, executor, target="95.8%")
    assert (answer(found), found.verdict.is_known, found.exit_code) == ("0.5", True, 0)
    assert runs(executor)[0] == (2, 0)
    finished = [result for result in journal(tmp_path).results if result.outcome is Outcome.FINISHED]
    assert sorted((result.entry.num_steps // 23, result.entry.seed) for result in finished) == sorted(runs(executor))
    assert found.seconds == sum(epochs for epochs, _ in runs(executor)) == sum(r.train_seconds for r in finished)
    assert (found.num_before, found.num_trained) == (0, len(finished))
    [said] = [text for text in sentences(found) if text.startswith("0.5 is")]
    share = round(100 * found.seconds / (2 + 3 + 4 + 5 + 6 + 7 + 8))
    assert said.startswith("0.5 is the cheapest ratio that reaches 95.8 % (probability ")
    assert f"{share} % of the full grid's 35.0 s" in said


@pytest.mark.parametrize("target", ["93%", "0.955", "97.4%", "96.6%"])
def test_every_answer_was_trained_and_is_right_up_to_a_seed(target, tmp_path):
    executor = TableExecutor(rising)
    found = find(tmp_path, executor, target=target)
    epochs, goal = round(8 * float(answer(found))), read_search(request_of(tmp_path, target=target))[1]
    assert epochs in {trained for trained, _ in runs(executor)}
    tie = goal.seed_sd(0.96)
    assert rising(epochs, 1) >= goal.target - tie
    assert all(rising(cheaper, 1) < goal.target + tie for cheaper in range(2, epochs))


def test_a_search_again_trains_nothing_and_says_the_same(tmp_path):
    first = find(tmp_path, TableExecutor(rising), target="95.8%")
    before = (tmp_path / "smoke" / "journal.jsonl").read_bytes()
    executor = TableExecutor(rising)
    again = find(tmp_path, executor, target="95.8%")
    assert runs(executor) == []
    assert (again.verdict, again.num_before) == (first.verdict, first.num_trained)
    assert (tmp_path / "smoke" / "journal.jsonl").read_bytes() == before
    assert f"no run was trained for it; {first.num_trained} runs had finished before" in sentences(again)[0]


def test_what_a_sweep_has_trained_counts(tmp_path):
    asked = SweepRequest("smoke", "0.25,3/8,0.5,1.0", 2, results=tmp_path)
    run_request(asked, make_executor=lambda *placed: TableExecutor(rising))
    executor = TableExecutor(rising)
    found = find(tmp_path, executor, target="95.8%")
    assert (answer(found), runs(executor), found.num_before) == ("0.5", [], 8)


def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path):
    whole = TableExecutor(rising)
    expected = find(tmp_path / "whole", whole, within_points=0.5)

    def stop_it(event):
        if isinstance(event, TrialEnded):
            os.kill(os.getpid(), signal.SIGINT)

    broken, trained = tmp_path / "broken", []
    for _ in range(expected.num_trained):
        executor = TableExecutor(rising)
        found = find(broken, executor, stop_it, within_points=0.5)
        assert (found.stopped_by, found.exit_code, found.verdict) == (signal.SIGINT, 130, None)
        assert sentences(found) == []
        trained += runs(executor)
    assert trained == runs(whole)
    rest = TableExecutor(rising)
    assert find(broken, rest, within_points=0.5).verdict == expected.verdict
    assert runs(rest) == []


def test_within_points_holds_the_ratios_against_a_baseline_that_was_trained(tmp_path):
    executor = TableExecutor(rising)
    found = find(tmp_path, executor, within_points=0.5)
    assert (8, 0) in runs(executor)
    assert answer(found) in ("0.75", "0.875")
    assert f"{answer(found)} is the cheapest ratio within 0.5 points of 1.0 (prob" in sentences(found)[0]


def test_where_nothing_cheaper_is_within_points_the_baseline_is_the_answer(tmp_path):
    found = find(tmp_path, TableExecutor(lambda epochs, seed: 0.1 * epochs), within_points=0.5)
    assert (answer(found), found.exit_code) == ("1.0", 0)
    assert sentences(found)[0].startswith("no ratio cheaper than 1.0 is within 0.5 points of it (probability ")


def test_a_target_above_all_that_can_be_is_said_with_the_ceiling(tmp_path):
    executor = TableExecutor(rising)
    found = find(tmp_path, executor, target="99.9%")
    assert (answer(found), found.exit_code) == (None, 1)
    assert 8 in {epochs for epochs, _ in runs(executor)}  # nothing is said of a length beyond the longest run
    first, beyond, *_ = sentences(found)
    assert first.startswith("no ratio reaches 99.9 % (probability ")
    assert beyond.startswith("99.9 % is above all that was seen (97.")
    assert "at 1.0" in beyond


def test_a_metric_of_which_less_is_better_is_searched_downwards(tmp_path):
    executor = TableExecutor(lambda epochs, seed: 0.2 + 0.8 / epochs + 0.001 * seed, figure="loss")
    asked = {"settings": ("metric=loss", "mode=min")}
    found = find(tmp_path, executor, target="0.41", **asked)
    assert answer(found) == "0.5"
    assert sentences(found)[0].startswith("0.5 is the cheapest ratio that reaches 0.41 (probability ")
    none = find(tmp_path, executor, target="0.01", **asked)
    assert answer(none) is None
    assert "0.01 is below all that was seen (0.3" in sentences(none)[1]
    assert "the fit's floor is " in sentences(none)[1]


def test_seeds_are_counted_from_the_recipes_own(tmp_path):
    noisy = TableExecutor(lambda epochs, seed: 0.96 + (0.004 if seed % 2 else -0.004))
    find(tmp_path, noisy, target="96.4%", ratios="0.25,0.5", settings=("seed=5",))
    seeds = [seed for epochs, seed in runs(noisy) if epochs == 2]
    assert len(seeds) > 1
    assert seeds == list(range(5, 5 + len(seeds)))


def test_whether_seeds_were_seen_to_differ_is_said(tmp_path):
    said = "no ratio has two seeds: they are taken to differ by about 0.20 points (sd)"
    assert sentences(find(tmp_path / "one", TableExecutor(rising), target="90%"))[-1] == said
    asked = SweepRequest("smoke", "0.25", 2, results=tmp_path / "two")
    run_request(asked, make_executor=lambda *placed: TableExecutor(rising))
    assert said not in sentences(find(tmp_path / "two", TableExecutor(rising), target="90%"))


def test_what_cannot_be_known_for_the_cost_is_said_with_what_is_likely(tmp_path):
    executor = TableExecutor(rising)
    found = find(tmp_path, executor, target="96.8%", max_cost="6s")
    assert (found.verdict.is_known, found.exit_code) == (False, 1)
    assert found.seconds <= 6
    assert "the cheapest ratio that reaches 96.8 % cannot be known within 6s: most likely " in sentences(found)[0]
    more = TableExecutor(rising)
    found = find(tmp_path, more, target="96.8%", max_cost="60s")
    assert found.verdict.is_known
    assert not set(runs(executor)) & set(runs(more))


def test_dollars_are_what_the_training_costs(tmp_path):
    executor = TableExecutor(rising)
    found = find(tmp_path, executor, target="96.8%", max_cost="$0.10", price=60.0)  # a cent buys 0.6 seconds
    assert found.seconds <= 6
    assert not found.verdict.is_known
    assert f"({dollars_text(found.seconds / 60)})" in sentences(found)[0]


def test_a_ratio_at_which_a_run_has_diverged_is_passed_over(tmp_path):
    executor = TableExecutor(rising, endings={(4 * 23, 0): Outcome.DIVERGED})
    found = find(tmp_path, executor, target="95.8%")
    assert answer(found) == "0.625"
    assert runs(executor).count((4, 0)) == 1
    assert sentences(found)[1] == "passed over, since a run of it has diverged: 0.5"
    ended = [record for record in found.trained.history.attempts if record.outcome.is_final]
    assert found.num_trained == len(ended)


def test_a_baseline_that_has_diverged_leaves_nothing_to_be_within_points_of(tmp_path):
    executor = TableExecutor(rising, endings={(8 * 23, 0): Outcome.DIVERGED})
    with pytest.raises(SweepError, match="ratio 1 has diverged"):
        find(tmp_path, executor, within_points=0.5)


def test_a_run_that_crashes_ends_the_search_which_then_goes_on_from_there(tmp_path):
    executor = TableExecutor(rising, endings={(2 * 23, 0): Outcome.FAILED})
    found = find(tmp_path, executor, target="95.8%")
    assert (found.exit_code, runs(executor)) == (1, [(2, 0)])
    assert sentences(found) == ["the search has stopped: ratio 0.25, seed 0: failed for a test"]
    again = TableExecutor(rising)
    assert answer(find(tmp_path, again, target="95.8%")) == "0.5"
    assert runs(again)[0] == (2, 0)


def test_fresh_sets_old_results_aside_once(tmp_path):
    find(tmp_path, TableExecutor(rising), target="95.8%")
    executor = TableExecutor(rising)
    found = find(tmp_path, executor, target="95.8%", fresh=True)
    assert found.num_before == 0
    assert found.num_trained == len(runs(executor)) == len(journal(tmp_path).results)
    assert sorted(folder.name for folder in tmp_path.iterdir() if folder.is_dir()) == ["smoke", "smoke~1"]


def test_results_of_another_recipe_answer_nothing(tmp_path):
    find(tmp_path, TableExecutor(rising), target="95.8%")
    with pytest.raises(UsageError, match="another recipe: lr was"):
        find(tmp_path, TableExecutor(rising), target="95.8%", settings=("lr=0.2",))


def test_a_warning_of_the_plan_is_told_once(tmp_path):
    told = []
    find(tmp_path, TableExecutor(rising), told.append, target="97%", settings=("lr_warmup_epochs=1.5",))
    notices = [event.text for event in told if isinstance(event, Noticed)]
    assert len(notices) == len(set(notices))
    assert any(text.startswith("warning: ") for text in notices)


@pytest.mark.parametrize(
    ("asked", "texts"),
    [
        ({}, ["--target: neither"]),
        ({"target": "90%", "within_points": 0.5}, ["--target: both"]),
        ({"target": "lots"}, ["'lots' is no value"]),
        ({"target": "92"}, ["'92' is no accuracy to reach"]),
        ({"target": "0"}, ["'0' is no accuracy to reach"]),
        ({"target": "40%", "settings": ("metric=loss", "mode=min")}, ["loss is not in percent"]),
        ({"target": "90%", "confidence": 1.0}, ["--confidence: 1 is not between 0.5 and 1"]),
        ({"target": "90%", "confidence": float("nan")}, ["--confidence: nan is not"]),
        ({"target": "90%", "max_cost": "0h"}, ["'0h' is nothing to spend"]),
        ({"target": "90%", "max_cost": "3x"}, ["'x' is no unit of time"]),
        ({"target": "90%", "max_cost": "$5"}, ["--max-cost: dollars need a price"]),
        ({"within_points": 0.5, "ratios": "0.25,0.5"}, ["--ratios: ratio 1, against"]),
        ({"within_points": 101.0}, ["101 is not from 0 to 100 points"]),
        ({"within_points": -1.0}, ["-1 is not from 0 to 100 points"]),
        ({"target": "90%", "ratios": "0.01:1:0.01"}, ["--ratios: 100 are more than 50"]),
        ({"target": "a lot", "confidence": 0.2, "max_cost": "soon"}, ["'a lot'", "0.2 is not", "'soon'"]),
        ({"target": "a lot", "recipe": "nonsense"}, ["'a lot'", "no recipe 'nonsense'"]),
    ],
)
def test_every_mistake_is_said_at_once_before_anything_trains(asked, texts, tmp_path):
    executor = TableExecutor(rising)
    with pytest.raises(UsageError) as caught:
        find(tmp_path, executor, **asked)
    for text in texts:
        assert text in str(caught.value)
    assert runs(executor) == []
    assert not (tmp_path / "smoke").exists()
