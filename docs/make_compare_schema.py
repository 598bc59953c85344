"""Writes docs/compare.schema.json: what `sweep compare --format json` prints, key by key.

Run it in this folder after a change: python make_compare_schema.py
"""

import json
from pathlib import Path
from typing import Any

from sweep.report.comparison_json import JSON_FORMAT

PAGE = Path(__file__).parent / "compare.schema.json"

Schema = dict[str, Any]


def _number(description: str, *, null: bool = False, **more: Any) -> Schema:
    return {"type": ["number", "null"] if null else "number", "description": description, **more}


def _seconds(description: str, *, null: bool = False) -> Schema:
    return _number(description, null=null, exclusiveMinimum=0)


def _quality(description: str, *, null: bool = False) -> Schema:
    return _number(description, null=null)


def _text(description: str, *, null: bool = False) -> Schema:
    return {"type": ["string", "null"] if null else "string", "description": description}


def _texts(description: str) -> Schema:
    return {"type": "array", "items": {"type": "string"}, "description": description}


def _truth(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def _object(properties: dict[str, Schema], description: str, *, null: bool = False) -> Schema:
    return {
        "type": ["object", "null"] if null else "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: Schema, description: str, **more: Any) -> Schema:
    return {"type": "array", "items": items, "description": description, **more}


def _range(description: str, of: Schema) -> Schema:
    ends = {"type": ["array", "null"], "items": of, "minItems": 2, "maxItems": 2}
    return {**ends, "description": f"{description}: [low, high], null where they have none in common"}


def _interval(description: str, *, null: bool = True) -> Schema:
    return _object(
        {
            "value": _number("by the means"),
            "low": _number(
                "lower end of its 95 % interval; null where there is none, or it has no such end", null=True
            ),
            "high": _number("upper end; null likewise", null=True),
        },
        description,
        null=null,
    )


_POINTS = "points that the new curve has more"
_TIMES = "by how many times the new curve is cheaper: old seconds over new seconds"

CONTENDER = _object(
    {
        "name": _text("what it is called in all of this document; no two are called the same"),
        "recipe": _text("the recipe's name"),
        "method": _text("epochs, steps, samples, subset or cyclic; empty in a table of somebody else's"),
        "is_approximate": _truth("whether it stands in for runs that were not trained: the ends of a cyclic run"),
        "devices": _texts("where its trials finished, as exactly as is known; empty where it is not"),
        "dataset": _text("what it was trained on; null where that is not known", null=True),
        "lengths": _list(
            _object(
                {
                    "ratio": _text("the length as it was typed, 1 being the baseline's"),
                    "train_seconds": _seconds("mean seconds of training"),
                    "quality": _quality("mean of the metric, of the final weights"),
                    "num_seeds": {"type": "integer", "minimum": 1, "description": "how many trials these are means of"},
                },
                "one measured length",
            ),
            "the measured lengths, the cheapest first; of two of equal cost the better one",
            minItems=1,
        ),
        "line": _list(
            _object(
                {
                    "train_seconds": _seconds("seconds of training"),
                    "quality": _quality("the metric there"),
                },
                "one place of the curve",
            ),
            "the monotone cubic through the lengths, evenly by the logarithm of seconds",
            minItems=1,
        ),
    },
    "one curve",
)

_AT_QUALITY = _object(
    {
        "ratio": _text("the old curve's length whose quality and cost both are compared at"),
        "is_baseline": _truth("whether that is its whole baseline; else it is its best length"),
        "quality": _quality("its quality"),
        "old_train_seconds": _seconds("seconds in which the old curve first has it"),
        "new_train_seconds": _seconds(
            "seconds in which the new curve first has it; null where none is known", null=True
        ),
        "times_cheaper": _interval(
            f"{_TIMES}; null where the new curve never has it, or with its cheapest length already"
        ),
    },
    "how much cheaper, at the quality of one of the old curve's lengths",
)

_AT_COST = _object(
    {
        "train_seconds": _seconds("that length's seconds of training"),
        "old_quality": _quality("its quality"),
        "new_quality": _quality("the new curve's; null where it does not reach from below that cost to it", null=True),
        "points": _interval(f"{_POINTS}; null likewise"),
    },
    "how much better, at the cost of the same length",
)

_AVERAGED = _object(
    {
        "qualities": _range("the qualities that both curves' Pareto fronts span", {"type": "number"}),
        "cost_change": _interval(
            "mean change of cost over these, as a share: -0.3 is 30 % cheaper; null without a range"
        ),
        "train_seconds": _range("the seconds that both curves span", {"type": "number", "exclusiveMinimum": 0}),
        "points": _interval(f"{_POINTS}, averaged over the logarithms of these seconds; null without a range"),
    },
    "Bjøntegaard's deltas",
)

_CROSSING = _object(
    {
        "train_seconds": _interval("seconds of training where they cross", null=False),
        "quality": _quality("the metric of both there"),
        "ahead": _text("the name of the curve that is the better one from there on"),
    },
    "where one curve overtakes the other",
)

_COST = _object(
    {
        "train_seconds": _seconds("seconds of training"),
        "points": _interval(_POINTS, null=False),
        "simultaneous_ci95": _number(
            "half the width, in points, in which the differences at all costs of by_cost lie at once "
            "in 95 of 100 cases; null where seeds are too few",
            null=True,
            minimum=0,
        ),
    },
    "one cost that both curves span",
)

_COMMON_QUALITY = _object(
    {"quality": _quality("of the metric"), "times_cheaper": _interval(_TIMES, null=False)},
    "one quality that both curves' Pareto fronts span",
)

COMPARISON = _object(
    {
        "old": _text("the name of the first contender, the reference"),
        "new": _text("the name of the one that is compared with it"),
        "at_equal_quality": _AT_QUALITY,
        "at_equal_cost": _AT_COST,
        "averaged": _AVERAGED,
        "crossings": _list(_CROSSING, "by cost"),
        "measured_costs": _list(_COST, "the entries of by_cost at which one of the two was measured"),
        "by_cost": _list(_COST, "the whole range of common costs, the cheapest first; empty where there is none"),
        "by_quality": _list(
            _COMMON_QUALITY, "the whole range of common qualities, the worst first; empty where there is none"
        ),
    },
    "one contender beside the reference",
)


LEAD = _object(
    {
        "best": _text("the contender whose mean is the highest of all at these costs"),
        "from_seconds": _interval("where that begins: of the first the least common cost, else a crossing", null=False),
        "to_seconds": _seconds("where it ends"),
        "is_sure": {
            "type": ["boolean", "null"],
            "description": "whether it is ahead of all others at one of these costs by more than seeds do at all common "
            "costs at once; null where noise is not known",
        },
    },
    "a range of costs over which one contender is the best",
)


def document() -> Schema:
    """The whole schema."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sweep compare --format json",
        **_object(
            {
                "format": {"const": JSON_FORMAT, "description": "goes up when a key changes its meaning or goes"},
                "metric": _object(
                    {
                        "name": _text("its name; what is called quality is of it"),
                        "mode": {"enum": ["max", "min"], "description": "whether more of it is better, or less"},
                    },
                    "what all of them are judged by",
                ),
                "contenders": _list(CONTENDER, "one a curve, the reference first", minItems=2),
                "comparisons": _list(COMPARISON, "one for each contender but the first", minItems=1),
                "leads": _list(LEAD, "by cost; empty where there is no range of costs that all of them span"),
                "notes": _texts("the lines below the table"),
            },
            "Accuracies are in 0..1. Points are percentage points of an accuracy, else in the metric's own unit and with "
            "the sign of its own difference. Costs are seconds of training.",
        ),
    }


def page() -> str:
    """The file's text."""
    return json.dumps(document(), indent=2) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
