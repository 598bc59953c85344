"""The small charts of the page, as Vega-Lite: every trial's learning curve, and each ratio's rate.

Texts of users are only ever values in them: no field, expression or title is one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from statistics import fmean
from typing import Any

import numpy as np

from sweep.errors import Outcome, Problem, UsageError
from sweep.plan.lengths import measure
from sweep.plan.timeline import Timeline
from sweep.printable import one_line
from sweep.recipe.check import check_recipe
from sweep.recipe.datasets import DATASETS
from sweep.recipe.duration import Ratio
from sweep.recipe.schema import Recipe
from sweep.report.metric import Metric
from sweep.report.reproduce import recipe_keys
from sweep.store.history import History
from sweep.store.records import TrialEntry

Specification = dict[str, Any]

# Chosen: what a browser draws at once, and an eye can tell apart.
_MAX_LINES = 200
_MAX_POINTS = 300
_MAX_NAMES = 24
_HEIGHT = 260
# A rate keeps its value until the next step; its points are there to be pointed at.
_MARKS: dict[str, Specification] = {
    "quality": {"point": {"size": 14}},
    "rate": {"interpolate": "step-after", "point": {"opacity": 0}},
}


def has_curves(history: History) -> bool:
    """Whether any trial has finished that was evaluated on its way too: a command is not."""
    return not history.is_of_a_command and bool(_finished(history))


def learning_curves(history: History, metric: Metric) -> Specification | None:
    """Quality by steps done, a line a trial; of very many trials the mean of each ratio. None where there are none."""
    if not has_curves(history):
        return None
    finished = _finished(history)
    are_many = len(finished) > _MAX_LINES
    rows = _means(history, metric, finished) if are_many else _lines(history, metric, finished)
    what = "mean over the seeds of each ratio" if are_many else "a line a trial"
    title, described = one_line(metric.axis_title), f"{metric.name} after each evaluation: {what}"
    return _chart(rows, ("quality", title), _ratios(finished), described)


def _finished(history: History) -> list[TrialEntry]:
    return [result.entry for result in history.results if result.outcome is Outcome.FINISHED]


def _lines(history: History, metric: Metric, entries: Iterable[TrialEntry]) -> list[Specification]:
    return [
        {"line": place, "ratio": _name(entry), "seed": entry.seed, "steps": step, "quality": metric.per_score * value}
        for place, entry in enumerate(entries)
        for part in history.evaluations(entry)
        for step, value in zip(part.steps, part.column(metric.name), strict=True)
        if value is not None
    ]


def _means(history: History, metric: Metric, entries: Iterable[TrialEntry]) -> list[Specification]:
    at: dict[tuple[str, int], list[float]] = defaultdict(list)
    for row in _lines(history, metric, entries):
        at[row["ratio"], row["steps"]].append(row["quality"])
    places = {ratio: place for place, ratio in enumerate(dict.fromkeys(ratio for ratio, _ in at))}
    return [
        {"line": places[ratio], "ratio": ratio, "seed": None, "steps": step, "quality": fmean(values)}
        for (ratio, step), values in sorted(at.items())
    ]


def rates(timelines: Sequence[Timeline]) -> Specification:
    """The learning rate by steps, a line a ratio."""
    rows = [
        {"line": place, "ratio": _timeline_name(timeline), "seed": None, "steps": step, "rate": rate}
        for place, timeline in enumerate(timelines)
        for step, rate in _thinned(timeline)
    ]
    names = [_timeline_name(timeline) for timeline in timelines]
    return _chart(rows, ("rate", "learning rate"), names, "the rate of each ratio's schedule, step by step")


def _thinned(timeline: Timeline) -> list[tuple[int, float]]:
    """Few enough steps for a browser, with both sides of every jump among them."""
    even = np.linspace(0, timeline.num_steps - 1, min(_MAX_POINTS, timeline.num_steps)).round().astype(np.int64)
    jumps = np.array([*timeline.positions[:_MAX_POINTS], timeline.lengths.warmup_steps], dtype=np.int64)
    around = np.concatenate([jumps - 1, jumps])
    steps = np.unique(np.concatenate([even, around[(around >= 0) & (around < timeline.num_steps)]]))
    return list(zip(steps.tolist(), timeline.rates_at(steps).tolist(), strict=True))


def timelines(history: History) -> list[Timeline]:
    """The schedule of each method and ratio that was planned, compiled anew.

    Raises:
        UsageError: the recipe is no longer one, or the number of its examples is not known.
    """
    recipe, entries = history.starts[-1].recipe, {_name(entry): entry for entry in history.trials}
    num_examples = _num_examples(history)
    return [
        Timeline(checked, measure(checked, Ratio.parse(entry.ratio), num_examples))
        for entry in entries.values()
        for checked in [_checked(recipe | {"method": entry.method})]
    ]


def _num_examples(history: History) -> int:
    """Of the whole training data: that of a known dataset, else what an epoch of all of them has."""
    dataset = DATASETS.get(str(history.starts[-1].recipe.get("dataset")))
    if dataset is not None and dataset.num_train is not None:
        return dataset.num_train
    whole = (
        entry.num_examples for entry in history.trials if entry.method not in ("samples", "subset") or entry.is_baseline
    )
    found = next(whole, None)
    if found is None:
        raise UsageError(Problem("the number of its examples is not known"))
    return found


def _checked(recipe: dict[str, Any]) -> Recipe:
    found = check_recipe(recipe_keys(recipe), {}, "the journal")
    if isinstance(found, list):
        raise UsageError(found)
    return found


def _name(entry: TrialEntry) -> str:
    return f"{entry.ratio} ({entry.method})" if entry.method != "epochs" else entry.ratio


def _timeline_name(timeline: Timeline) -> str:
    ratio, method = timeline.lengths.ratio.text, timeline.recipe.method
    return f"{ratio} ({method})" if method != "epochs" else ratio


def _ratios(entries: Iterable[TrialEntry]) -> list[str]:
    """The names in the order of the lengths."""
    return list(dict.fromkeys(_name(e) for e in sorted(entries, key=lambda e: (e.method, Fraction(e.realised)))))


def _chart(rows: list[Specification], up: tuple[str, str], ratios: list[str], description: str) -> Specification:
    field, title = up
    tooltip = [{"field": name, "type": "nominal"} for name in ("ratio", "seed")]
    tooltip += [{"field": name, "type": "quantitative", "format": ".5~g"} for name in ("steps", field)]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": one_line(description),
        "width": "container",
        "height": _HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "background": None,
        "data": {"values": rows},
        "mark": {"type": "line", "strokeWidth": 1.5} | _MARKS[field],
        "encoding": {
            "x": {"field": "steps", "type": "quantitative", "axis": {"tickCount": 8, "labelOverlap": True}},
            "y": {"field": field, "type": "quantitative", "title": title, "scale": {"zero": field == "rate"}},
            "color": _color(ratios),
            "detail": {"field": "line", "type": "nominal"},
            "tooltip": tooltip,
        },
        "config": {"font": "system-ui, sans-serif", "view": {"stroke": None}, "axis": {"gridOpacity": 0.5}},
    }


def _color(ratios: list[str]) -> Specification:
    """Dark to light with the length; a legend of very many says nothing."""
    legend = {"orient": "top", "columns": 6, "symbolType": "stroke"} if len(ratios) <= _MAX_NAMES else None
    scale = {"domain": ratios, "scheme": "viridis"}
    return {"field": "ratio", "type": "nominal", "scale": scale, "legend": legend}
