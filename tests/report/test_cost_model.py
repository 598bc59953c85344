import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import curve_through, make_frame

from sweep.report.analysis import Curve, make_curves
from sweep.report.cost_model import cost_model

RATIOS = (0.25, 0.5, 1.0, 2.0)


def timed(fixed: float, per_step: float, noise: tuple[float, ...] = (1, 1, 1, 1)) -> Curve:
    """100 steps at ratio 1."""
    return curve_through(
        *((ratio, (fixed + per_step * 100 * ratio) * extra, [0.9]) for ratio, extra in zip(RATIOS, noise, strict=True))
    )


@given(st.floats(0, 100), st.floats(0.001, 10))
def test_a_fixed_part_and_a_part_for_each_step_are_found(fixed: float, per_step: float) -> None:
    model = cost_model(timed(fixed, per_step))
    assert model is not None
    assert model.unit == "a step"
    assert model.fixed_seconds == pytest.approx(fixed, rel=1e-6, abs=1e-6 * per_step)
    assert model.seconds_per_unit == pytest.approx(per_step, rel=1e-6, abs=1e-8 * fixed)
    assert model.largest_residual < 1e-6


def test_cost_that_is_proportional_to_length_is_not_warned_of() -> None:
    model = cost_model(timed(0, 0.1, (1.02, 1, 0.98, 1)))
    assert model is not None
    assert model.is_proportional
    assert model.warning is None


def test_a_fixed_cost_is_given_as_the_reason() -> None:
    model = cost_model(timed(10, 0.1))
    assert model is not None
    assert model.warning == (
        "cost is not proportional to length: a step took 233 % longer at ratio 0.25 than at 2; "
        "a fixed 10.0 s a run explains that"
    )


def test_times_that_no_line_explains_point_to_contention() -> None:
    model = cost_model(timed(0, 0.1, (1, 1.5, 1, 1)))
    assert model is not None
    assert model.largest_residual > 0.1
    assert model.warning is not None
    assert not model.is_fixed_cost
    assert "a step took 50 % longer at ratio 0.5 than at" in model.warning
    assert model.warning.endswith("contention or throttling may have stretched some of the times")


def test_the_sentence_says_what_a_step_takes() -> None:
    model = cost_model(timed(2, 0.1))
    assert model is not None
    assert model.text == "time: 2.00 s a run and 100 ms a step; the means lie at most 0 % off"
    assert (cost_model(timed(0, 0.1)) or model).text.startswith("time: 100 ms a step;")


def test_where_steps_are_not_known_epochs_are_the_length() -> None:
    trials = [{"ratio": r, "train_seconds": 70 + 88 * 50 * r, "accuracy": 0.7, "epochs": 88 * r} for r in RATIOS]
    (curve,) = make_curves(make_frame(*trials))
    model = cost_model(curve)
    assert model is not None
    assert (model.unit, round(model.fixed_seconds), round(model.seconds_per_unit)) == ("an epoch", 70, 50)


def test_trials_of_another_set_up_are_left_out_and_so_are_those_of_no_time() -> None:
    own = [{"ratio": r, "train_seconds": 10 * r, "accuracy": 0.9, "steps": 100 * r} for r in RATIOS]
    other = {"ratio": 0.5, "train_seconds": 500, "accuracy": 0.9, "steps": 50, "seed": 1, "other_set_up": "threads"}
    timeless = {"ratio": 0.5, "train_seconds": 0.0, "accuracy": 0.9, "steps": 50, "seed": 2}
    (curve,) = make_curves(make_frame(*own, other, timeless))
    model = cost_model(curve)
    assert model is not None
    assert model.seconds_per_unit == pytest.approx(0.1)
    assert model.is_proportional


def test_one_length_has_no_model() -> None:
    assert cost_model(curve_through((1, 10, [0.9, 0.91]))) is None


@pytest.mark.parametrize("seconds", [(30, 20, 10), (1, 100, 10000)])
def test_neither_part_is_ever_negative(seconds: tuple[float, ...]) -> None:
    model = cost_model(curve_through(*((ratio, s, [0.9]) for ratio, s in zip((1, 2, 3), seconds, strict=True))))
    assert model is not None
    assert model.fixed_seconds >= 0
    assert model.seconds_per_unit >= 0
