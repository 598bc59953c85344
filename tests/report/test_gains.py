import pytest
from tables import curve_through, make_frame

from sweep.report.findings import Findings
from sweep.report.gains import make_gains
from sweep.report.grid import Grid


def gains(*trials: dict[str, object]) -> Grid | None:
    return make_gains(Findings("mine", make_frame(*trials), 0.5))


def lengths(seconds: float, **more: object) -> list[dict[str, object]]:
    """A run of so many seconds, and one half as long."""
    return [
        {"ratio": ratio, "train_seconds": ratio * seconds, "accuracy": accuracy, **more}
        for ratio, accuracy in ((0.5, 0.875), (1, 0.9))
    ]


@pytest.mark.parametrize(
    ("seconds", "unit", "gain"), [(7200, "hour", "+2.5"), (120, "minute", "+2.5"), (20, "second", "+0.25")]
)
def test_what_more_buys_is_told_in_a_unit_that_the_longest_run_fills(seconds: float, unit: str, gain: str) -> None:
    grid = gains(*lengths(seconds))
    assert grid is not None
    assert grid.headers == ("ratio", "further time", "points", "per doubling", f"per {unit}")
    assert grid.rows[0][0] == "0.5 to 1"
    assert grid.rows[0][2:] == ("+2.50", "+2.50", gain)


def test_a_dollar_buys_points_too_where_there_is_a_price() -> None:
    priced = [{**trial, "dollars": 2 * trial["ratio"]} for trial in lengths(7200)]  # type: ignore[operator]
    grid = gains(*priced)
    assert grid is not None
    assert dict(zip(grid.headers, grid.rows[0], strict=True))["per dollar"] == "+2.5"


def test_several_recipes_are_named() -> None:
    grid = gains(*lengths(10, recipe="a"), *lengths(20, recipe="b"))
    assert grid is not None
    assert [row[0] for row in grid.rows] == ["a", "b"]


def test_a_length_that_failed_is_stepped_over_and_one_length_buys_nothing() -> None:
    failed = {"ratio": 0.75, "train_seconds": None, "accuracy": None, "outcome": "crashed"}
    grid = gains(*lengths(10), failed)
    assert grid is not None
    assert [row[0] for row in grid.rows] == ["0.5 to 1"]
    assert gains(lengths(10)[0]) is None


def test_the_cells_are_those_of_the_curve() -> None:
    curve = curve_through((0.5, 10, [0.5, 0.625]), (1, 20, [0.875, 0.9]))
    grid = make_gains(Findings("mine", curve.trials, 0.5))
    gain = curve.points_between(curve.rows[1], curve.rows[0])
    assert grid is not None
    assert grid.rows[0][2] == f"{gain.value:+.2f} ± {gain.ci95:.2f}"
