"""A chart holds every number that was measured, and says what it means; text of users is data in it, nothing else."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from tables import make_frame

from sweep.report.canvas import WIDTH
from sweep.report.chart import findings_chart
from sweep.report.comparison import compare_all
from sweep.report.comparison_chart import comparison_chart
from sweep.report.contender import line_up
from sweep.report.findings import Findings
from sweep.report.marks import COLOURS, DASHES, SHAPES
from sweep.report.plotted import limits_of, make_series

HOSTILE = "x[/y] <b> ${} datum.x \x1b[31m</script>"


def findings(*trials: dict[str, Any], name: str = "mine") -> Findings:
    return Findings(name, make_frame(*trials), 0.5)


def trials(recipe: str = "mine", ceiling: float = 0.95, seconds: float = 900, **more: Any) -> Iterator[dict[str, Any]]:
    """Two seeds at four ratios, on a curve with diminishing returns."""
    for ratio in (0.125, 0.25, 0.5, 1.0):
        for seed in (0, 1):
            accuracy = ceiling - 0.02 / ratio + 0.004 * seed
            cost = seconds * ratio * (1 + 0.01 * seed)
            truncated = accuracy - 0.05 if ratio < 1 else math.nan
            yield {
                "recipe": recipe,
                "ratio": ratio,
                "seed": seed,
                "train_seconds": cost,
                "accuracy": accuracy,
                "truncated_accuracy": truncated,
                "epochs": 16 * ratio,
                "steps": 1600 * ratio,
                "dollars": cost / 1000,
                **more,
            }


def specification(shown: Findings) -> dict[str, Any]:
    """As strict JSON has it: no NaN and no infinity."""
    found: dict[str, Any] = json.loads(json.dumps(findings_chart(shown).to_dict(), allow_nan=False))
    return found


def layers(chart: dict[str, Any], mark: str) -> list[dict[str, Any]]:
    return [layer for layer in chart["layer"] if layer["mark"]["type"] == mark]


def rows_of(chart: dict[str, Any], layer: dict[str, Any]) -> list[dict[str, Any]]:
    data = layer.get("data", chart.get("data"))
    rows: list[dict[str, Any]] = chart["datasets"][data["name"]] if "name" in data else data["values"]
    return rows


def places(chart: dict[str, Any], layer: dict[str, Any]) -> set[tuple[float, float]]:
    return {(row["seconds"], row["quality"]) for row in rows_of(chart, layer)}


def texts(chart: dict[str, Any]) -> list[str]:
    return [row["label"] for layer in layers(chart, "text") for row in rows_of(chart, layer) if "label" in row]


def test_every_trial_and_every_mean_is_in_it() -> None:
    shown = findings(*trials())
    chart = specification(shown)
    [seeds] = layers(chart, "circle")
    expected = {(row["train_seconds"], 100 * row["accuracy"]) for row in shown.frame.to_dict("records")}
    assert places(chart, seeds) == expected
    [curve] = shown.curves
    means = {(row.train_seconds, 100 * row.sample.mean) for row in curve.measured}
    *_, points = layers(chart, "point")
    assert places(chart, points) == means
    assert {tooltip["title"] for tooltip in points["encoding"]["tooltip"]} == {
        *("curve", "ratio", "epochs", "steps", "train time", "cost", "accuracy", "seeds", "dollars")
    }
    ends = {(row["low"], row["high"]) for row in rows_of(chart, layers(chart, "rule")[0])}
    halves = [100 * (row.ci95 or math.nan) for row in curve.measured]
    assert ends == {
        (100 * row.sample.mean - half, 100 * row.sample.mean + half)
        for row, half in zip(curve.measured, halves, strict=True)
    }
    assert texts(chart) == ["1", "0.5", "0.25", "0.125"]


def test_the_control_that_was_stopped_is_a_second_line_without_the_baseline() -> None:
    shown = findings(*trials())
    chart = specification(shown)
    expected = {
        (row.train_seconds, 100 * row.truncated_score)
        for row in shown.curves[0].measured
        if row.truncated_score is not None
    }
    dashed = [layer for layer in layers(chart, "line") if "strokeDash" in layer["mark"]]
    assert [places(chart, layer) for layer in dashed] == [expected]
    assert len(expected) == 3
    assert not [
        layer
        for layer in layers(specification(findings(*trials(truncated_accuracy=math.nan))), "line")
        if "strokeDash" in layer["mark"]
    ]


def test_the_fit_has_a_band_from_the_shortest_to_the_longest_length_and_not_beyond() -> None:
    shown = findings(*trials())
    chart = specification(shown)
    [band] = layers(chart, "area")
    rows = rows_of(chart, band)
    costs = [row.train_seconds or 0.0 for row in shown.curves[0].measured]
    assert rows[0]["seconds"] == pytest.approx(costs[0])
    assert rows[-1]["seconds"] == pytest.approx(costs[-1])
    assert all(row["low"] <= row["quality"] <= row["high"] for row in rows)
    two = findings(*(trial for trial in trials() if trial["ratio"] >= 0.5))
    assert not layers(specification(two), "area")


def test_what_is_not_worth_its_cost_is_hollow_and_off_the_front() -> None:
    shown = findings(
        {"ratio": 0.25, "train_seconds": 25.0, "accuracy": 0.90},
        {"ratio": 0.5, "train_seconds": 50.0, "accuracy": 0.89},
        {"ratio": 1.0, "train_seconds": 100.0, "accuracy": 0.95},
    )
    chart = specification(shown)
    hollow, filled = layers(chart, "point")
    assert hollow["mark"]["fill"] == "white"
    assert places(chart, hollow) == {(50.0, 89.0)}
    assert filled["mark"]["filled"]
    *_, front = layers(chart, "line")
    assert places(chart, front) == places(chart, filled) == {(25.0, 90.0), (100.0, 95.0)}


def test_the_title_is_the_verdict_and_below_it_stands_where_the_numbers_come_from() -> None:
    chart = specification(findings(*trials(device="cpu")))
    assert " ".join(chart["title"]["text"]).startswith("no cheaper ratio is within 0.5 points of 1: 0.5, the nearest")
    assert chart["title"]["subtitle"] == ["mine, cpu"]


def test_each_of_several_curves_has_a_colour_a_shape_and_a_dash_of_its_own() -> None:
    chart = specification(findings(*(trial for n in range(9) for trial in trials(f"r{n}", 0.9 + n / 100))))
    *_, points = layers(chart, "point")
    *_, lines = layers(chart, "line")
    names = [f"r{number}" for number in range(9)]
    scales = [
        points["encoding"]["color"]["scale"],
        points["encoding"]["shape"]["scale"],
        lines["encoding"]["strokeDash"]["scale"],
    ]
    assert all(scale["domain"] == names for scale in scales)
    looks = {tuple(map(str, look)) for look in zip(*(scale["range"] for scale in scales), strict=True)}
    assert len(looks) == 9
    assert len(COLOURS) == len(SHAPES) == len(DASHES) == len(set(COLOURS)) == len(set(SHAPES)) == len(set(DASHES))


def test_curves_that_end_apart_are_named_at_their_ends_and_others_in_a_legend() -> None:
    apart = specification(findings(*trials("small", 0.8), *trials("large", 0.95)))
    assert texts(apart)[:2] == ["small", "large"]
    assert all(layer["encoding"]["color"]["legend"] is None for layer in layers(apart, "circle"))
    together = specification(findings(*(trial for n in range(9) for trial in trials(f"r{n}"))))
    assert not {f"r{n}" for n in range(9)} & set(texts(together))
    assert layers(together, "circle")[0]["encoding"]["color"]["legend"]["orient"] == "right"


@pytest.mark.parametrize("num_recipes", [1, 3])
def test_it_is_800_pixels_wide_with_all_that_stands_around_the_plot(num_recipes: int) -> None:
    shown = findings(*(trial for n in range(num_recipes) for trial in trials(f"recipe number {n}", 0.9 + n / 50)))
    chart = specification(shown)
    assert chart["width"] + chart["padding"]["left"] + chart["padding"]["right"] == pytest.approx(WIDTH)
    assert chart["autosize"] == {"type": "none"}


def strings(value: Any) -> Iterator[tuple[str, str]]:
    """Every string of a specification with the key that it stands under."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from ((key, below),) if isinstance(below, str) else strings(below)
    elif isinstance(value, list):
        for below in value:
            yield from (("", below),) if isinstance(below, str) else strings(below)


def test_hostile_names_are_data_and_never_a_field_an_expression_or_a_control_character() -> None:
    chart = specification(findings(*trials(HOSTILE), *trials("datum.x", 0.951), name=HOSTILE))
    where = {key for key, text in strings(chart) if "datum.x" in text}
    # As values of rows (`curve`), and in lists: scales' domains, title and subtitle. Both curves end at one place, so
    # that there is a legend.
    assert where == {"curve", ""}
    assert {text for key, text in strings(chart) if key == "field"} <= {
        *("seconds", "quality", "low", "high", "curve", "label", "seed"),
        *("ratio", "epochs", "steps", "time", "cost", "metric", "seeds", "dollars"),
    }
    assert not any("\x1b" in text for _, text in strings(chart))
    assert not {key for key, _ in strings(chart)} & {"expr", "signal", "url", "href"}


def test_labels_that_are_equal_once_they_can_be_printed_are_numbered() -> None:
    series = make_series(findings(*trials("a\x1b"), *trials("a\\x1b", 0.9)))
    assert [one.label for one in series] == ["a\\x1b", "a\\x1b (2)"]


@pytest.mark.parametrize("seconds", [1e-7, 1.0, 1e10])
@pytest.mark.parametrize("accuracy", [0.0, 0.5, 1.0])
def test_one_length_of_any_time_can_be_drawn(seconds: float, accuracy: float) -> None:
    shown = findings({"ratio": 1.0, "train_seconds": seconds, "accuracy": accuracy})
    limits = limits_of(make_series(shown))
    assert limits.shortest < seconds < limits.longest
    assert limits.lowest < 100 * accuracy < limits.highest
    chart = specification(shown)
    assert places(chart, layers(chart, "point")[0]) == {(seconds, 100 * accuracy)}


def test_equal_accuracies_lie_on_a_level_line_inside_the_plot() -> None:
    limits = limits_of(make_series(findings(*trials(accuracy=1.0, truncated_accuracy=1.0))))
    assert limits.lowest < 99.1 < 100 < limits.highest < 100.1


def test_where_nothing_was_measured_there_are_axes_and_it_says_so() -> None:
    failed = {"ratio": 1.0, "train_seconds": math.nan, "accuracy": math.nan, "outcome": "diverged", "reason": "nan"}
    chart = specification(findings(failed))
    assert chart["title"]["text"] == ["no trial has finished yet"]
    assert all(not rows_of(chart, layer) for layer in layers(chart, "point"))


def test_a_trial_that_failed_is_not_drawn() -> None:
    failed = {"ratio": 2.0, "train_seconds": 9e9, "accuracy": 0.1, "outcome": "diverged", "reason": "nan"}
    chart = specification(findings(*trials(), failed))
    assert all(row["seconds"] < 1e4 for row in rows_of(chart, layers(chart, "circle")[0]))


def test_a_seed_that_is_not_known_is_drawn_and_said() -> None:
    shown = findings({"ratio": 1.0, "train_seconds": 9.0, "accuracy": 0.1, "seed": pd.NA})
    chart = specification(shown)
    assert [row["seed"] for row in rows_of(chart, layers(chart, "circle")[0])] == ["not known"]


def crossing_pair() -> tuple[Findings, Findings]:
    lengths = [(0.25, 0.80, 0.70), (0.5, 0.85, 0.84), (1.0, 0.87, 0.92)]
    old = [
        {"recipe": "old", "ratio": ratio, "train_seconds": 100 * ratio, "accuracy": low} for ratio, low, _ in lengths
    ]
    new = [{"recipe": HOSTILE, "ratio": ratio, "train_seconds": 90 * ratio, "accuracy": at} for ratio, _, at in lengths]
    return findings(*old), findings(*new)


def test_a_comparison_has_a_line_for_each_through_its_points_and_a_ring_at_each_crossing() -> None:
    lineup = line_up(crossing_pair())
    comparisons = compare_all(lineup)
    chart = json.loads(json.dumps(comparison_chart(lineup, comparisons).to_dict(), allow_nan=False))
    [lines] = layers(chart, "line")
    assert {row["curve"] for row in rows_of(chart, lines)} == {"old", HOSTILE.replace("\x1b", "\\x1b")}
    [comparison] = comparisons
    [crossing] = comparison.crossings
    *points, rings = layers(chart, "point")
    assert places(chart, rings) == {(crossing.train_seconds.value, 100 * crossing.score)}
    assert any(text.endswith(" s") for text in texts(chart))
    assert len(set().union(*(places(chart, layer) for layer in points))) == 6
    assert HOSTILE.replace("\x1b", "\\x1b").split()[0] in chart["title"]["text"][0]
