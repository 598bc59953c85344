"""The rate at every step of a run, in parts or whole."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from sweep.plan.stages import Plan
from sweep.plan.timeline import Timeline
from sweep.recipe.schedule import SCHEDULES

Planner = Callable[..., Plan]


@pytest.fixture
def run(plan: Planner) -> Timeline:
    """A run of 4 epochs of 25 steps and a rest of 7 steps."""
    return plan("1.07", epochs="100ba", method="steps", batch_size=40, lr_scheduler="cosineannealinglr").timelines[0]


def test_the_rates_of_a_span_are_those_of_the_run(run: Timeline) -> None:
    whole = run.rates(0, run.num_steps)
    assert len(whole) == 107
    assert (run.rates(30, 60) == whole[30:60]).all()
    assert (run.rates_at(np.array([106, 3, 3])) == whole[[106, 3, 3]]).all()


def test_the_spans_laid_end_to_end_are_the_run(plan: Planner) -> None:
    run = plan("1", epochs="150000ba", method="steps", lr_scheduler="cosineannealinglr").timelines[0]
    spans = list(run.spans())
    assert [start for start, _ in spans] == [0, 65_536, 131_072]
    assert (np.concatenate([rates for _, rates in spans]) == run.rates(0, run.num_steps)).all()


KEYS = {"lr_step_size": 3, "lr_milestones": "[0.5dur, 0.8dur]", "lr_t_0": "37ba", "lr_gamma": 0.3}


@pytest.mark.parametrize("interval", ["step", "epoch"])
@pytest.mark.parametrize(
    "keys",
    [{}, {"lr_warmup_epochs": "17ba", "lr_warmup_method": "linear"}, {"lr_warmup_epochs": 2, "lr_warmup_decay": 0.9}],
)
@pytest.mark.parametrize("scheduler", SCHEDULES)
def test_the_peak_is_the_highest_rate_of_any_step(
    plan: Planner, scheduler: str, keys: dict[str, Any], interval: str
) -> None:
    if scheduler == "onecyclelr":
        keys = {"lr_div_factor": 0.5} if keys else {"lr_pct_start": 0.37}
    for more in ({}, {"lr_min": 0.04}, {"lr_start_factor": 0.2, "lr_end_factor": 3}):
        for run in plan(
            "0.61,1",
            epochs=10,
            batch_size=90,
            lr=0.1,
            lr_interval=interval,
            lr_scheduler=scheduler,
            **KEYS | keys | more,
        ).timelines:
            assert run.peak == run.rates(0, run.num_steps).max()


def test_a_peak_between_two_steps_of_one_epoch_is_that_of_the_next_epoch(plan: Planner) -> None:
    [run] = plan(
        "1", epochs=10, batch_size=90, lr_interval="epoch", lr_scheduler="onecyclelr", lr_pct_start=0.003
    ).timelines
    assert 0 < run.num_steps * 0.003 < 1 < run.lengths.steps_per_epoch
    assert run.peak == run.rates(0, run.num_steps).max()


def test_a_run_cut_short_ends_its_last_epoch_early(run: Timeline) -> None:
    assert run.epoch_ends == (25, 50, 75, 100, 107)


def test_a_run_of_whole_epochs_ends_with_one(plan: Planner) -> None:
    assert plan(epochs=3, batch_size=40).timelines[0].epoch_ends == (25, 50, 75)


def test_with_lr_interval_epoch_every_epoch_has_the_rate_of_its_first_step(plan: Planner) -> None:
    keys = {"epochs": 4, "batch_size": 40, "lr_scheduler": "cosineannealinglr", "lr_warmup_epochs": "30ba"}
    stepwise = plan(**keys).timelines[0]
    epochwise = plan(**keys, lr_interval="epoch").timelines[0]
    for start in range(0, 100, 25):
        assert (epochwise.rates(start, start + 25) == stepwise.rates(start, start + 1)).all()


def test_with_lr_interval_epoch_an_epoch_is_one_of_the_runs_own(plan: Planner) -> None:
    keys = {"epochs": 4, "batch_size": 40, "method": "samples", "lr_scheduler": "cosineannealinglr"}
    run = plan("0.4", **keys, lr_interval="epoch").timelines[0]
    rates = run.rates(0, run.num_steps)
    changes = [step for step, (before, after) in enumerate(pairwise(rates), start=1) if before != after]
    assert changes == [10, 20, 30]  # 400 examples in batches of 40


def test_the_plateau_is_the_base_rate_itself(plan: Planner) -> None:
    run = plan(epochs=10, lr=0.3, lr_scheduler="wsd", lr_warmup_epochs=1).timelines[0]
    assert set(run.rates(run.lengths.warmup_steps, run.positions[0] + 1)) == {0.3}
