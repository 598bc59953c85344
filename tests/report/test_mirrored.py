"""Less of a metric being better is the mirror image of more of its negative: every number of a report follows."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import make_frame

from sweep.recipe.duration import Ratio
from sweep.report.comparison import compare_all
from sweep.report.comparison_json import comparison_to_json
from sweep.report.contender import line_up
from sweep.report.export_json import to_json
from sweep.report.findings import Findings
from sweep.report.metric import Metric
from sweep.report.plotted import make_series

RATIOS = (0.25, 0.5, 1.0, 2.0)
MORE, LESS = Metric("m"), Metric("m", is_lower_better=True)
Table = Sequence[Sequence[float]]
# Above 0, so that the mirror image of a loss is no loss, which would have a floor.
TABLES = st.lists(st.lists(st.floats(0.125, 2.0, width=32), min_size=2, max_size=2), min_size=4, max_size=4)

# What changes its sign, and what is an interval or has its ends.
_SIGNED = ("quality", "truncated_quality", "old_quality", "new_quality", "points", "ceiling")
_SIGNED_ALSO = ("points_per_hour", "points_per_dollar", "points_per_doubling")
_ENDS = ("ci95", "points_ci95", "points_per_doubling_ci95", "ceiling_ci95", "qualities")
_WORDS = ("text", "notes", "metric", "is_clear")


def findings(table: Table, metric: Metric, name: str = "mine", pace: float = 10.0) -> Findings:
    """A row of `table` for each ratio, a value a seed; of less being better their negatives."""
    sign = -1.0 if metric.is_lower_better else 1.0
    rows = [
        {
            "recipe": name,
            "ratio": ratio,
            "train_seconds": pace * ratio,
            "quality": sign * value,
            "seed": seed,
            "steps": 1,
        }
        for ratio, values in zip(RATIOS, table, strict=True)
        for seed, value in enumerate(values)
    ]
    wanted = (Ratio.parse("0.75"), Ratio.parse("3"))
    return Findings(name, make_frame(*rows), None, wanted=wanted, metric=metric)


def mirrored(value: Any, key: str = "") -> Any:
    """A document as that of the other direction has to be."""
    if isinstance(value, dict) and "low" in value:
        ends = {"low": _negative(value["high"]), "high": _negative(value["low"])}
        if key in ("points", "predictions"):
            return {name: ends[name] if name in ends else mirrored_number(name, one) for name, one in value.items()}
        return value  # of costs
    if isinstance(value, dict):
        return {name: mirrored(one, name) for name, one in value.items() if name not in _WORDS}
    if isinstance(value, list) and key in _ENDS:
        return [_negative(end) for end in reversed(value)]
    if isinstance(value, list):
        return [mirrored(one, key) for one in value]
    return mirrored_number(key, value)


def mirrored_number(key: str, value: Any) -> Any:
    return _negative(value) if key in (*_SIGNED, *_SIGNED_ALSO, "value") else value


def _negative(value: float | None) -> float | None:
    return None if value is None else 0.0 - value


def without_words(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_words(one) for name, one in value.items() if name not in _WORDS}
    return [without_words(one) for one in value] if isinstance(value, list) else value


@settings(max_examples=40)
@given(TABLES)
def test_every_number_of_a_report_is_mirrored(table: Table) -> None:
    """Means, intervals, front, verdict, knee, gains, fit and predictions."""
    more, less = (json.loads(to_json(findings(table, metric))) for metric in (MORE, LESS))
    assert without_words(less) == mirrored(more)
    assert [note.count("±") for note in less["notes"]] == [note.count("±") for note in more["notes"]]


@settings(max_examples=10)
@given(TABLES, TABLES)
def test_every_number_of_a_comparison_is_mirrored(one: Table, other: Table) -> None:
    documents = []
    for metric in (MORE, LESS):
        lineup = line_up([findings(one, metric, "a"), findings(other, metric, "b", pace=7.0)])
        documents.append(json.loads(comparison_to_json(lineup, compare_all(lineup))))
    more, less = documents
    assert without_words(less) == mirrored(more)


@settings(max_examples=20)
@given(TABLES)
def test_a_picture_is_mirrored(table: Table) -> None:
    [more], [less] = (make_series(findings(table, metric)) for metric in (MORE, LESS))
    assert [(at.seconds, at.quality, at.low, at.high) for at in less.points] == [
        (at.seconds, -at.quality, _negative(at.high), _negative(at.low)) for at in more.points
    ]
    assert [(at.quality, at.low, at.high) for at in less.fitted] == [
        (-at.quality, -at.high, -at.low) for at in more.fitted
    ]
    assert [at.row.ratio for at in less.front] == [at.row.ratio for at in more.front]


def test_a_mirror_shows_what_is_not_mirrored() -> None:
    table = [[0.5, 0.625], [0.75, 0.75], [0.875, 1.0], [1.0, 1.0]]
    more = json.loads(to_json(findings(table, MORE)))
    assert mirrored(more) != without_words(more)
    assert more["rows"][0]["points"] == pytest.approx(-0.375)
