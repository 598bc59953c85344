"""The types of a recipe's keys: times, numbers, lists."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, PlainValidator, WithJsonSchema

from sweep.recipe.duration import DURATION_PATTERN, Duration, Unit


def not_zero(duration: Duration) -> Duration:
    if duration.amount == 0:
        raise ValueError("must be above zero")
    return duration


def whole(duration: Duration) -> Duration:
    if duration.unit is Unit.RUN:
        raise ValueError("the baseline's length cannot be a fraction of the run: write epochs (20) or steps ('5000ba')")
    if duration.amount.denominator != 1:
        raise ValueError("the baseline trains whole epochs; for parts of one write steps ('5000ba')")
    return duration


def as_tuple(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise ValueError("write a list, for example [30, 60]")
    return tuple(value)


def as_float(value: object) -> object:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def shown(value: object) -> str:
    """A value as a message repeats it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def names_schema(names: Iterable[str], pattern: str | None = None) -> WithJsonSchema:
    """Of a text that is one of `names`, or matches `pattern`."""
    known = {"type": "string", "enum": list(names)}
    either = {"anyOf": [known, {"type": "string", "pattern": pattern}]} if pattern else known
    return WithJsonSchema(either, mode="validation")


def _time_schema(minimum: str) -> WithJsonSchema:
    text = {"type": "string", "pattern": DURATION_PATTERN}
    return WithJsonSchema({"anyOf": [{"type": "number", minimum: 0}, text]}, mode="validation")


AnyDuration = Annotated[
    Duration,
    PlainValidator(Duration.parse),
    PlainSerializer(str, return_type=str),
    _time_schema("minimum"),
]
Length = Annotated[AnyDuration, AfterValidator(not_zero), _time_schema("exclusiveMinimum")]
Number = Annotated[float, BeforeValidator(as_float)]


def all_finite(value: dict[str, Any]) -> dict[str, Any]:
    """A recipe is kept as JSON, where infinity and nan would become none.

    Raises:
        ValueError: there is one, however deep.
    """
    waiting: list[object] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError(f"{item} is no finite number: write it as a text, '{item}'")
        waiting += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return value
