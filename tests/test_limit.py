"""A budget where a device has its price."""

import pytest

from sweep.budget import Budget
from sweep.limit import Limit
from sweep.plan.speed import Interval
from sweep.recipe.library import load_recipe, parse_settings


def limit(text, *settings):
    return Limit.of(Budget.parse(text, "--within"), load_recipe("digits", parse_settings(settings)).recipe)


def test_dollars_buy_hours_of_all_devices_of_a_trial():
    assert limit("$6", "price=3").seconds == pytest.approx(7200)
    assert limit("$6", "price=3", "devices_per_trial=4", "sync_bn=true").seconds == pytest.approx(1800)
    assert limit("2h", "price=3").seconds == 7200


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1.0), ("40s", 2.0), ("10m", 30.0), ("4h", 60.0), ("$0.10", 6.0), ("$50", 60.0)]
)
def test_a_pilot_is_a_small_part_of_it(text, seconds):
    assert limit(text, "price=3").pilot_seconds == pytest.approx(seconds)


def test_what_seconds_come_to_is_said_in_what_it_counts():
    assert limit("4h").interval_text(Interval(60, 90, 7200)) == "1m 30s (1m 00s to 2h 00m)"
    assert limit("$5", "price=3600").interval_text(Interval(0.0012, 1.5, 12.345)) == "$1.5 ($0.0012 to $12.3)"
    assert limit("4h").text(-1.0) == "0.00 s"
