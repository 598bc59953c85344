"""Writes docs/report.schema.json: what `sweep report --format json` prints, key by key.

Run it in this folder after a change: python make_report_schema.py
"""

import json
from pathlib import Path
from typing import Any

from sweep.report.export_json import JSON_FORMAT
from sweep.report.frame import COLUMNS, JUDGED_COLUMNS

PAGE = Path(__file__).parent / "report.schema.json"

Schema = dict[str, Any]


def _number(description: str, **more: Any) -> Schema:
    return {"type": ["number", "null"], "description": description, **more}


def _text(description: str, *, null: bool = False) -> Schema:
    return {"type": ["string", "null"] if null else "string", "description": description}


def _whole(description: str, *, null: bool = False) -> Schema:
    return {"type": ["integer", "null"] if null else "integer", "minimum": 0, "description": description}


def _truth(description: str, *, null: bool = False) -> Schema:
    return {"type": ["boolean", "null"] if null else "boolean", "description": description}


def _interval(description: str) -> Schema:
    ends = {"type": ["array", "null"], "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    return {**ends, "description": f"{description}: [low, high], null where seeds are too few"}


def _object(properties: dict[str, Schema], description: str, *, null: bool = False) -> Schema:
    return {
        "type": ["object", "null"] if null else "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: Schema, description: str) -> Schema:
    return {"type": "array", "items": items, "description": description}


_OF_CURVE = {
    "recipe": _text("the recipe's name"),
    "method": _text("epochs, steps, samples, subset or cyclic; empty in a table of somebody else's"),
    "is_approximate": _truth("whether it stands in for runs that were not trained: the ends of a cyclic run"),
}

ROW = _object(
    {
        **_OF_CURVE,
        "ratio": _number("the length as it was asked for, 1 being the baseline's"),
        "ratio_text": _text("the same as it was typed"),
        "realised_ratio": _number("the length that whole epochs or steps gave"),
        "is_baseline": _truth("whether it is the whole baseline"),
        "epochs": _number("how many epochs that is"),
        "steps": _whole("how many optimizer steps that is", null=True),
        "num_trials": _whole("how many seeds were planned"),
        "num_finished": _whole("how many of them finished; all means are of these"),
        "train_seconds": _number(
            "mean seconds of training, as if each trial were trained alone; null where several set-ups trained it"
        ),
        "relative_cost": _number("that over the baseline's of the same set-up"),
        "dollars": _number("mean dollars, where there is a price"),
        "joules": _number("mean joules, where the GPU has a counter"),
        "quality": _number("mean of the metric, of the final weights"),
        "sd": _number("its standard deviation over seeds, n - 1"),
        "ci95": _interval("95 % interval of the mean"),
        "points": _number("points more than the baseline"),
        "points_ci95": _interval("95 % interval of points"),
        "truncated_quality": _number("what the baseline had reached after as many steps"),
        "pareto": _truth("on the Pareto front: no other length is as cheap and as good, and better in one"),
        "points_per_hour": _number("points over hours, both more than the next shorter length's"),
        "points_per_dollar": _number("the same over dollars"),
        "points_per_doubling": _number("the same over doublings of the time"),
        "points_per_doubling_ci95": _interval("95 % interval of points_per_doubling"),
        "failures": _list({"type": "string"}, "a sentence for each trial that did not finish"),
    },
    "one length of a curve, the shortest first",
)

_VERDICT = _object(
    {
        "text": _text("the sentence below the table"),
        "ratio": _text("ratio_text of the cheapest length within within_points of the reference", null=True),
        "reference": _text("ratio_text of the baseline, or of the best length where there is none", null=True),
        "times_cheaper": _number("the reference's seconds over that length's"),
        "points": _number("points more than the reference"),
        "ci95": _interval("95 % interval of points"),
        "is_tie": _truth("whether 0 is in that interval; null without one", null=True),
        "is_surely_within": _truth("whether the whole interval is within within_points; null without one", null=True),
    },
    "the verdict; all but the text is null where fewer than two lengths were measured",
)

_KNEE = _object(
    {
        "ratio": _text("ratio_text of the length"),
        "is_clear": _truth("whether its height is more than what seeds differ by; null of one seed", null=True),
        "points": _number("how far it lies from the line between the ends of the front, in points"),
        "ci95": _interval("95 % interval of points"),
    },
    "from where on a further doubling buys less than doublings do on average; null where there is none",
    null=True,
)

_COST_MODEL = _object(
    {
        "unit": _text("what a length is counted in: a step, an epoch or a baseline's length"),
        "fixed_seconds": _number("seconds a run takes however short it is"),
        "seconds_per_unit": _number("seconds of each unit"),
        "largest_residual": _number("by which share of its time a length's mean lies off that line at most"),
        "disproportion": _number("by which share the dearest unit costs more than the cheapest"),
        "is_fixed_cost": _truth("whether the fixed part explains most of that"),
        "dearest": _text("ratio_text of the length whose units cost the most"),
        "cheapest": _text("ratio_text of the length whose units cost the least"),
    },
    "time = fixed + per unit x length; null below two lengths",
    null=True,
)

_PREDICTION = _object(
    {
        "ratio": _number("the ratio asked for by --predict"),
        "quality": _number("the metric there; null beyond the longest run, where no gain is claimed"),
        "low": _number("lower end of its 95 % interval; null beyond the longest run, where more is better"),
        "high": _number("upper end; null beyond the longest run, where less is better"),
    },
    "what the fit says of a ratio",
)

_FIT = {
    "description": "quality = ceiling - scale x ratio ^ -exponent (+ scale where less is better), or why there is none",
    "oneOf": [
        _object({"refused": _text("the reason")}, "fewer than three ratios"),
        _object(
            {
                "ceiling": _number("the metric of a run without end"),
                "ceiling_ci95": _interval("its 95 % interval"),
                "scale": _number("what is missing from the ceiling at ratio 1", minimum=0),
                "exponent": _number("how fast that shrinks with the ratio"),
                "exponent_ci95": _interval("its 95 % interval; null where it was not fitted, or the curve is flat"),
                "is_exponent_fitted": _truth("false with three ratios: the exponent is 1"),
                "residual_sd": _number("standard deviation of trials about the curve, in the metric"),
                "degrees_of_freedom": _whole("of residual_sd"),
                "leave_one_out_error": _number("root mean square error of predicting each ratio by the others"),
                "predictions": _list(
                    _PREDICTION, "one for each ratio of --predict that is near enough to those that ran"
                ),
            },
            "the fit",
        ),
    ],
}

CURVE = _object(
    {
        **_OF_CURVE,
        "devices": _list({"type": "string"}, "the kinds of device that its trials ran on"),
        "verdict": _VERDICT,
        "best": _text("ratio_text of the best length, of several the cheapest", null=True),
        "knee": _KNEE,
        "cost_model": _COST_MODEL,
        "fit": _FIT,
    },
    "one recipe and method over its lengths",
)

_TRIAL = {name: {"type": ["string", "number", "null"]} for name in (*COLUMNS, *JUDGED_COLUMNS)}

_METRIC = _object(
    {
        "name": _text("its name; what is called quality is of it"),
        "mode": {"enum": ["max", "min"], "description": "whether more of it is better, or less"},
    },
    "what trials are judged by",
)

_BILL = {
    "type": ["object", "null"],
    "description": "what the sweep itself has cost, beside what its trials would have cost alone",
    "additionalProperties": {"type": ["number", "null"]},
}


def document() -> Schema:
    """The whole schema."""
    open_object = {"type": ["object", "null"]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sweep report --format json",
        **_object(
            {
                "format": {"const": JSON_FORMAT, "description": "goes up when a key changes its meaning or goes"},
                "name": _text("the recipe's name, or the file's"),
                "recipe": {**open_object, "description": "the baseline, every key of it; null for a file"},
                "fingerprint": _text("of the recipe; null for a file", null=True),
                "price": _number("dollars for an hour of one device"),
                "environment": {**open_object, "description": "where it was trained; null for a file"},
                "sweep": _BILL,
                "metric": _METRIC,
                "within_points": _number("points that a shorter run may lose in the verdict; null: 1 % of ratio 1's"),
                "rows": _list(ROW, "one a length, by curve"),
                "curves": _list(CURVE, "one a recipe and method"),
                "trials": _list(_object(_TRIAL, "one trial"), "one a trial, with the columns of CSV"),
                "notes": _list({"type": "string"}, "the lines below the table"),
            },
            "Accuracies are in 0..1. Points are percentage points of an accuracy, else in the metric's own unit and with "
            "the sign of its own difference. Null is not measured, or not to be known.",
        ),
    }


def page() -> str:
    """The file's text."""
    return json.dumps(document(), indent=2) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
