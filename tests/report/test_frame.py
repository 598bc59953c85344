from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from histories import a_start, a_trial, ended, finished

from sweep.errors import Outcome
from sweep.report.frame import COLUMNS, trial_frame
from sweep.store.history import History

Maker = Callable[..., History]
HALF, WHOLE = a_trial("0.5"), a_trial("1.0")
NOT_MEASURED = [
    "train_seconds",
    "eval_seconds",
    "data_wait_seconds",
    "images_per_second",
    "accuracy",
    "loss",
    "truncated_accuracy",
    "dollars",
    "joules",
    "contention",
]


def test_the_columns_are_stable() -> None:
    assert ",".join(COLUMNS) == (
        "recipe,ratio,realised_ratio,seed,method,epochs,steps,train_seconds,eval_seconds,data_wait_seconds,"
        "images_per_second,accuracy,loss,truncated_accuracy,dollars,joules,outcome,device,weights_sha256,other_set_up,"
        "set_up"
    )


def test_a_finished_trial_is_a_row_of_what_it_measured(history_of: Maker) -> None:
    asked = a_trial("0.52", seed=3, realised="1/2", num_steps=100, num_epochs="10")
    baseline = a_trial("1.0", seed=3)
    history = history_of(
        a_start([asked, baseline], price=36.0),
        finished(asked, 0.75, 50.0, loss=0.5, joules=12_500.0),
        finished(baseline, curve={100: 0.625}),
    )
    row = trial_frame(history)[list(COLUMNS)].iloc[0].to_dict()
    assert row == {
        "recipe": "mine",
        "ratio": 0.52,
        "realised_ratio": 0.5,
        "seed": 3,
        "method": "epochs",
        "epochs": 10.0,
        "steps": 100,
        "train_seconds": 50.0,
        "eval_seconds": 12.5,
        "data_wait_seconds": 6.25,
        "images_per_second": 128.0,
        "accuracy": 0.75,
        "loss": 0.5,
        "truncated_accuracy": 0.625,
        "dollars": 0.5,
        "joules": 12_500.0,
        "outcome": "finished",
        "device": "cpu",
        "weights_sha256": "ab" * 32,
        "other_set_up": None,
        "set_up": "cpu (Some CPU), 1 thread, torch 2.6.0",
    }


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.FINISHED])
def test_a_trial_that_did_not_finish_is_a_row_without_measurements(history_of: Maker, outcome: Outcome) -> None:
    records = [] if outcome is Outcome.MISSING else [ended(HALF, outcome, "why")]
    frame = trial_frame(history_of(a_start([HALF], price=2.0), *records))
    assert len(frame) == 1
    assert frame.loc[0, NOT_MEASURED].isna().all()
    assert pd.isna(frame.loc[0, "weights_sha256"])
    assert (frame.loc[0, "outcome"], frame.loc[0, "steps"]) == (outcome.value, 100)


def test_a_loss_that_was_not_finite_is_missing_and_its_accuracy_is_not(history_of: Maker) -> None:
    frame = trial_frame(history_of(a_start([HALF]), finished(HALF, 0.5, loss=None)))
    assert pd.isna(frame.loc[0, "loss"])
    assert frame.loc[0, "accuracy"] == 0.5


def test_dollars_need_a_price(history_of: Maker) -> None:
    frame = trial_frame(history_of(a_start([WHOLE]), finished(WHOLE, seconds=1800.0)))
    assert frame["dollars"].isna().all()


@pytest.mark.parametrize(
    ("recorded", "devices"), [({}, 1), ({"devices_per_trial": 8}, 8), ({"devices_per_trial": "8"}, 1)]
)
def test_dollars_are_of_all_the_devices_of_a_trial(history_of: Maker, recorded: dict[str, Any], devices: int) -> None:
    frame = trial_frame(history_of(a_start([WHOLE], price=2.0, recipe=recorded), finished(WHOLE, seconds=1800.0)))
    assert frame["dollars"].tolist() == [1.0 * devices]
    assert frame["train_seconds"].tolist() == [1800.0]


def test_joules_need_a_counter(history_of: Maker) -> None:
    frame = trial_frame(history_of(a_start([HALF, WHOLE]), finished(HALF), finished(WHOLE)))
    assert frame["joules"].isna().all()
    assert frame["joules"].dtype == "float64"


def test_a_price_of_nothing_is_a_price(history_of: Maker) -> None:
    frame = trial_frame(history_of(a_start([WHOLE], price=0.0), finished(WHOLE, seconds=1800.0)))
    assert frame["dollars"].tolist() == [0.0]


def test_a_later_runs_price_replaces_the_first(history_of: Maker) -> None:
    history = history_of(a_start([WHOLE], price=2.0), finished(WHOLE, seconds=1800.0), a_start([WHOLE], price=3.0))
    assert trial_frame(history)["dollars"].tolist() == [1.5]


def test_rows_stand_by_method_length_and_seed(history_of: Maker) -> None:
    trials = [a_trial(ratio, seed, method) for method in ("steps", "epochs") for seed in (1, 0) for ratio in ("2", "1")]
    frame = trial_frame(history_of(a_start(trials)))
    rows = list(zip(frame["method"], frame["realised_ratio"], frame["seed"], strict=True))
    assert rows == sorted(rows)
    assert len(rows) == 8


def test_a_sweep_in_which_nothing_was_measured_has_a_frame(history_of: Maker) -> None:
    frame = trial_frame(history_of(a_start([HALF, WHOLE])))
    assert frame["accuracy"].isna().all()
    assert frame["accuracy"].dtype == "float64"
