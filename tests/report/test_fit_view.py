"""The answer of `sweep fit` as a table."""

from sweep.plan.lengths import measure
from sweep.plan.speed import Interval
from sweep.recipe.duration import Ratio
from sweep.recipe.library import load_recipe, parse_settings
from sweep.report.fit_view import fit_grid


def run_of(ratio, *settings):
    return measure(load_recipe("digits", parse_settings(settings)).recipe, Ratio.parse(ratio), 1442)


def test_it_has_one_row_with_the_time_and_its_interval():
    grid = fit_grid("digits: within 4h", run_of("0.6"), Interval(59, 61.2, 4000), None, ["a note"])
    assert grid.headers == ("ratio", "epochs", "steps", "time", "95 % interval")
    assert grid.rows == (("0.6", "12", "276", "1m 01s", "59.0 s to 1h 07m"),)
    assert (grid.title, grid.notes) == ("digits: within 4h", ("a note",))


def test_with_a_price_it_has_the_dollars():
    grid = fit_grid("", run_of("139/230", "method=steps"), Interval(1, 2, 3), Interval(0.5, 1.2345, 12), [])
    assert grid.rows[0][:3] == ("139/230", "278/23", "278")
    assert grid.rows[0][-1] == "$1.23 ($0.5 to $12)"
