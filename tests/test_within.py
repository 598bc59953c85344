"""Which grid a budget chooses, and what is refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.api import run_request
from sweep.errors import MachineError, UsageError
from sweep.events import Noticed
from sweep.plan.speed import Interval, Speed
from sweep.planning import plan_sweep
from sweep.request import SweepRequest, read_request
from sweep.run.duration import sweep_seconds
from sweep.run.ways import in_turn, ways_to_an_end
from sweep.within import grant, plan_within

SPEED = Speed(Interval(0.5, 1.0, 2.0), Interval.exactly(3.0), Interval.exactly(1.0), Interval(4.0, 5.0, 6.0))


def measure(asked, plan, seconds, tell):
    return SPEED


def granted(within, tell=lambda event: None, **more):
    asked = read_request(SweepRequest(**{"recipe": "digits", "within": within, **more}))
    given = grant(asked, tell, measure)
    return [ratio.text for ratio in given.asked.ratios], given.asked.seeds, given.plan, given.allowance


EIGHT = ["0.15", "0.2", "0.25", "0.35", "0.45", "0.6", "0.75", "1.0"]


def test_a_budget_chooses_ratios_and_seeds(tmp_path):
    chosen = [granted(within, results=tmp_path)[:2] for within in ("1000s", "30m", "1h", "10h", "4d")]
    assert chosen == [
        (["0.15", "0.3", "0.55"], 1),
        (["0.15", "0.4", "1.0"], 1),
        (EIGHT, 1),
        (EIGHT, 3),
        (EIGHT, 3),
    ]


@settings(max_examples=30)
@given(st.integers(300, 20_000), st.sampled_from(["epochs", "steps"]), st.integers(1, 3))
def test_by_the_high_end_of_the_speed_all_of_it_comes_in_time(seconds, method, jobs):
    _, _, plan, _ = granted(f"{seconds}s", method=method, jobs=jobs)
    order = in_turn(plan, ways_to_an_end(plan))
    assert sweep_seconds(plan, SPEED, jobs, order).high <= seconds


@given(st.floats(0.2, 20))
def test_dollars_count_training_and_nothing_beside(dollars):
    _, _, plan, _ = granted(f"${dollars:.6f}", price=3.6)
    assert 2.0 * plan.num_steps * 3.6 / 3600 <= dollars


def test_seeds_that_were_asked_for_are_kept(tmp_path):
    assert granted("1h", seeds=2, results=tmp_path)[:2] == (["0.15", "0.4", "1.0"], 2)


def test_ratios_that_were_asked_for_are_kept_and_only_what_fits_begins(tmp_path):
    ratios, seeds, _, allowance = granted("10m", ratios="0.3,1.0,2.0", results=tmp_path)
    assert (ratios, seeds) == (["0.3", "1.0", "2.0"], 1)
    assert allowance is not None


def test_it_says_what_was_chosen_how_long_it_takes_and_that_the_baseline_does_not_fit(tmp_path):
    events = []
    granted("1000s", events.append, results=tmp_path)
    assert [event.text for event in events] == [
        "--within 1000s: ratios 0.15, 0.3, 0.55, about 8m 48s (4m 57s to 16m 29s)",
        "--within 1000s: a grid up to ratio 1.0 does not fit",
    ]
    granted("$0.7", events.append, price=3.6, results=tmp_path)
    assert events[2] == Noticed("--within $0.7: ratios 0.15, 0.25, 0.35, about $0.345 ($0.173 to $0.69)")


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"within": "2m"}, "2m is too little: the shortest run, ratio 0.15, takes about 1m 24s (48.5 s to 2m 34s)"),
        ({"within": "5m", "seeds": 3}, "the shortest run, ratio 0.15 with 3 seeds, takes about 4m 02s"),
        ({"within": "5m", "ratios": "0.5,1.0"}, "5m is too little: the shortest run, ratio 0.5, takes about 4m 26s"),
        ({"within": "$0.05", "price": 3.6}, "$0.05 is too little: the shortest run, ratio 0.15, takes about $0.069"),
    ],
)
def test_too_little_is_refused_with_what_the_shortest_run_would_take(tmp_path, request_, said):
    with pytest.raises(UsageError) as refused:
        granted(results=tmp_path, **request_)
    assert said in str(refused.value)
    assert str(refused.value).endswith("is left of it")


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"within": "4 fortnights"}, "'fortnights' is no unit of time"),
        ({"within": "$50"}, "--within: $50 buys hours of a device, and there is no price (give --price"),
        ({"within": "$50", "price": 0.0}, "there is no price"),
        ({"within": "4h", "executor": "ray"}, "--within: is not for --executor ray"),
        ({"within": "4h", "seeds": 0}, "0 is not a number of seeds"),
        ({"within": "4h", "recipe": "fashion_mnist", "settings": ("lr_warmup_epochs=16",)}, "fills the run of 7504"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_tried_out(tmp_path, request_, said):
    def never(*asked):
        raise AssertionError("a pilot was trained")

    with pytest.raises(UsageError) as refused:
        grant(read_request(SweepRequest(**{"results": tmp_path, **request_})), lambda event: None, never)
    assert said in str(refused.value)


def test_the_pilot_is_a_small_part_of_the_budget(tmp_path):
    told = []

    def measured(asked, plan, seconds, tell):
        told.append((seconds, [timeline.lengths.ratio.text for timeline in plan.timelines]))
        return SPEED

    for within in ("1000s", "4h"):
        plan_within(SweepRequest(results=tmp_path, within=within), lambda event: None, measured)
    assert told == [(50.0, ["1.0"]), (60.0, ["1.0"])]


def test_without_a_budget_it_is_the_grid_of_old():
    assert [ratio.text for ratio in read_request(SweepRequest()).ratios] == ["0.25", "0.5", "1.0"]
    assert len(plan_sweep(SweepRequest()).trials) == 3
    assert grant(read_request(SweepRequest()), lambda event: None, measure).allowance is None


@pytest.mark.slow
def test_the_command_says_what_it_would_train_within_a_budget_and_trains_it(sweep, tmp_path):
    words = ("run", "smoke", "--within", "100s", "--threads", "1", "--seeds", "1", "--results", tmp_path)
    dry = sweep(*words, "--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    assert "estimate: the recipe is tried out, for 5 s at most" in dry.stderr
    ratios = [run["ratio_text"] for run in json.loads(dry.stdout)["runs"]]
    assert ratios == ["0.25", "0.375", "0.5", "0.75", "1.0"]
    run = sweep(*words)
    assert run.returncode == 0, run.stderr
    assert f"--within 100s: ratios {', '.join(ratios)}, about " in run.stderr
    finished = [line.split(",")[0] for line in run.stderr.splitlines() if ": finished" in line]
    assert finished == [f"ratio {ratio}" for ratio in ratios]
    again = sweep(*words)
    assert again.returncode == 0
    assert again.stderr == f"--within 100s: ratios {', '.join(ratios)}, as chosen before\n"
    assert again.stdout == run.stdout


def test_a_budget_is_not_spent_on_trying_out_what_cannot_be_trained(tmp_path):
    asked = SweepRequest("fashion_mnist", within="1h", data_path=str(tmp_path / "nothing"), results=tmp_path)
    with pytest.raises(MachineError, match="dataset FashionMNIST is absent"):
        run_request(asked, measure=lambda *asked: pytest.fail("it was tried out"))
