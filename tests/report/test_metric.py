"""How the numbers of a metric are written, and that scores come back as values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import UsageError
from sweep.report.cells import significant_text
from sweep.report.metric import ACCURACY, Metric

LOSS, F1 = Metric("val_loss", is_lower_better=True), Metric("f1")


def test_an_accuracy_is_written_in_percent_and_points() -> None:
    shown = (ACCURACY.value_text(0.98765), ACCURACY.value_text(0.0), ACCURACY.value_text(None))
    assert shown == ("98.77 %", "0.00 %", "")
    assert ACCURACY.value_text(0.9059, 0.0021) == "90.59 ± 0.21 %"
    assert ACCURACY.points_text(-0.294, 0.17) == "-0.29 ± 0.17 points"
    assert (ACCURACY.limit_text(0.5), ACCURACY.amount_text(-0.123)) == ("0.5 points", "0.12")
    assert ACCURACY.range_text(0.5, 0.75) == "50.00 to 75.00 %"
    assert (ACCURACY.heading, ACCURACY.axis_title) == ("accuracy", "accuracy, %")


def test_another_metric_is_written_in_its_own_unit_with_its_own_sign() -> None:
    assert LOSS.value_text(-1.46931) == "1.4693"
    assert LOSS.value_text(-1.46931, 0.0123) == "1.4693 ± 0.0123"
    assert LOSS.points_text(-0.0123, 0.0021) == "+0.0123 ± 0.0021 val_loss"
    assert F1.points_text(-0.0123, 0.0021) == "-0.0123 ± 0.0021 f1"
    assert (LOSS.limit_text(0.0147), LOSS.amount_text(-0.0123)) == ("0.0147 val_loss", "0.0123")
    assert LOSS.range_text(-2.0, -1.5) == "1.5000 to 2.0000"
    assert (LOSS.heading, F1.axis_title) == ("val_loss (lower is better)", "f1 (higher is better)")
    assert (LOSS.value_text(None), LOSS.signed_text(None), LOSS.spread_text(None)) == ("", "", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.0, "0.0000"), (1.46931, "1.4693"), (29.4123, "29.412"), (1234.56, "1234.6"), (123456.7, "123457")),
        *((0.000123456, "0.00012346"), (1.234567e12, "1.2346e+12"), (1.234567e-9, "1.2346e-09"), (-2.5, "-2.5000")),
    ],
)
def test_a_number_has_five_significant_digits(value: float, text: str) -> None:
    assert significant_text(value, 5) == text


@pytest.mark.parametrize("metric", [ACCURACY, LOSS, F1])
@given(st.floats(-1e30, 1e30))
def test_a_score_comes_back_as_the_value_it_was_made_of(metric: Metric, value: float) -> None:
    assert metric.turned(metric.turned(value)) == value
    assert str(metric.turned(0.0)) == "0.0"  # never -0.0


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_of_an_interval_the_lower_value_comes_first(score: float, half: float) -> None:
    for metric in (LOSS, F1):
        low, high = metric.ends(score, half) or (1, 0)
        assert low <= metric.turned(score) <= high
        assert metric.range(score, score + half)[0] <= metric.range(score, score + half)[1]


def test_near_enough_is_half_a_point_or_a_hundredth_unless_it_is_said() -> None:
    assert (ACCURACY.within(None, 0.9), ACCURACY.within(2.0, 0.9)) == (0.5, 2.0)
    assert (LOSS.within(None, -1.5), LOSS.within(0.1, -1.5)) == (0.015, 0.1)
    LOSS.check_within(5000.0)
    with pytest.raises(UsageError, match="101 is not from 0 to 100 points"):
        ACCURACY.check_within(101.0)
