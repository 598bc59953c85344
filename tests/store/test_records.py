import json
from typing import Any

import numpy as np
import pytest
from histories import ENVIRONMENT, RECIPE, a_measurement, a_pilot, a_start, a_trial, ended, finished
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import BaseModel, ValidationError

from sweep.store.records import Evaluations, Measurement, PilotRecord, PrepareJob, StageJob, decode_rates, encode_rates

RECORDS = [
    ENVIRONMENT,
    a_trial(),
    a_start([a_trial()]),
    a_measurement(200, 0.9, 50.0),
    finished(a_trial()),
    ended(a_trial()),
    a_pilot(),
    Evaluations(steps=(10,), accuracy=(0.5,), loss=(None,)),
    Evaluations(steps=(10, 20), loss=(None, 1.5), metrics={"f1": (0.25, None), "x\n": (-1.0, 2e9)}),
    PrepareJob(recipe=RECIPE.model_dump(mode="json"), device="cpu", threads=1),
    StageJob(
        stage="a",
        recipe=RECIPE.model_dump(mode="json"),
        ratio="1.0",
        seed=0,
        num_examples=640,
        start_step=0,
        stop_step=200,
        eval_steps=(200,),
        rates=encode_rates(np.ones(200)),
    ),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_comes_back_from_json_as_it_was(record: BaseModel) -> None:
    assert type(record).model_validate_json(record.model_dump_json()) == record


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_an_unknown_field_is_refused(record: BaseModel) -> None:
    text = json.dumps(json.loads(record.model_dump_json()) | {"surprise": 1})
    with pytest.raises(ValidationError, match="surprise"):
        type(record).model_validate_json(text)


def test_a_column_is_found_by_its_name() -> None:
    evaluations = Evaluations(steps=(10, 20), loss=(None, 1.5), metrics={"f1": (0.25, None)})
    assert [evaluations.column(name) for name in ("loss", "f1")] == [(None, 1.5), (0.25, None)]
    assert evaluations.column("accuracy") == evaluations.column("never heard of") == (None, None)


@pytest.mark.parametrize(
    "columns",
    [
        {"loss": (1.0,)},
        {"loss": (1.0, 1.0), "accuracy": (0.5,)},
        {"loss": (1.0, 1.0), "metrics": {"f1": (0.5,)}},
        {"loss": (1.0, 1.0), "metrics": {"f1": (0.5, float("inf"))}},
        {"loss": (1.0, 1.0), "metrics": {"accuracy": (0.5, 0.5)}},
        {"loss": (1.0, 1.0), "accuracy": (0.5, 1.5)},
    ],
)
def test_columns_that_do_not_fit_are_refused(columns: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Evaluations(steps=(10, 20), **columns)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("field", ["train_seconds", "contention"])
def test_what_is_not_finite_is_no_measurement(field: str, value: float) -> None:
    values: dict[str, Any] = a_measurement(200, 0.9, 50.0).model_dump() | {field: value}
    with pytest.raises(ValidationError, match=field):
        type(a_measurement(200, 0.9, 50.0)).model_validate(values)


@pytest.mark.parametrize("joules", [0.0, -1.0, float("nan"), float("inf")])
def test_energy_that_was_not_measured_is_never_0(joules: float) -> None:
    values: dict[str, Any] = a_measurement(200, 0.9, 50.0).model_dump()
    assert Measurement.model_validate(values | {"joules": None}).joules is None
    with pytest.raises(ValidationError, match="joules"):
        Measurement.model_validate(values | {"joules": joules})


@given(arrays(np.float64, st.integers(0, 50), elements=st.floats(allow_nan=False)))
def test_rates_travel_bit_for_bit(rates: np.ndarray[Any, Any]) -> None:
    decoded = decode_rates(encode_rates(rates))
    assert np.array(decoded, dtype=np.float64).tobytes() == rates.tobytes()
    assert all(type(rate) is float for rate in decoded)


def test_the_baseline_is_what_realises_one() -> None:
    assert a_trial("1.0").is_baseline
    assert a_trial("1.04").is_baseline  # 20.8 epochs are 20
    assert not a_trial("0.99").is_baseline
    assert not a_trial("2").is_baseline


@pytest.mark.parametrize("method", ["samples", "subset"])
def test_a_share_of_the_examples_that_fills_as_many_batches_is_no_baseline(method: str) -> None:
    assert not a_trial("0.99", method=method, realised="1", num_examples=633, num_steps=200).is_baseline
    assert a_trial("100%", method=method).is_baseline


@pytest.mark.parametrize(
    "changes",
    [
        {"step": (0.3, 0.25, 0.27)},
        {"evaluation": (1.0, 3.5, 3.0)},
        {"worker": (-1.0, 0.0, 1.0)},
        {"stage": (0.0, 1.0)},
        {"step": (0.0, 1.0, 1e13)},
        {"num_steps": 0},
        {"peak_bytes": -1},
        {"total_bytes": 1 << 63},
        {"spread": -0.1},
    ],
)
def test_a_pilot_that_nobody_can_have_measured_is_refused(changes: dict[str, Any]) -> None:
    text = json.dumps(json.loads(a_pilot().model_dump_json()) | changes)
    with pytest.raises(ValidationError):
        PilotRecord.model_validate_json(text)
