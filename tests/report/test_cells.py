from fractions import Fraction

import pytest

from sweep.report.cells import duration_text, number_text, ratio_text, realised_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.123, "0.12 s"),
        (9.994, "9.99 s"),
        (9.996, "10.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1m 00s"),
        (123.4, "2m 03s"),
        (3599.4, "59m 59s"),
        (3599.6, "1h 00m"),
        (3720.0, "1h 02m"),
        (360_000.0, "100h 00m"),
    ],
)
def test_seconds_are_shown_in_the_unit_that_suits_them(seconds: float | None, text: str) -> None:
    assert duration_text(seconds) == text


def test_a_number_that_was_not_measured_is_no_text() -> None:
    assert (number_text(None, "{:.2f}x"), number_text(0.0, "{:.2f}x")) == ("", "0.00x")


@pytest.mark.parametrize(
    ("asked", "realised", "text"),
    [
        ("0.5", 0.5, "0.5"),
        ("50%", 0.5, "50%"),
        ("1/3", 1 / 3, "1/3"),
        ("0.33", 0.3, "0.33 (0.3)"),
        ("0.33", Fraction(6, 20), "0.33 (0.3)"),
        ("1/3", 0.3, "1/3 (0.3)"),
        ("0.5", 0.4999123, "0.5 (0.4999)"),
    ],
)
def test_the_realised_ratio_is_shown_where_it_differs(asked: str, realised: Fraction | float, text: str) -> None:
    assert ratio_text(asked, realised) == text


def test_a_realised_ratio_is_exact_where_it_is_short() -> None:
    assert realised_text(Fraction(7, 20)) == "0.35"
    assert realised_text(Fraction("12.3456")) == "12.3456"
    assert realised_text(Fraction(1, 3)) == "0.3333"
    assert realised_text(Fraction(1)) == "1.0"
