"""Where the figures of a command stand: what the recipe key `metrics` means.

- patterns: `{accuracy: 'Acc@1 ([0-9.]+)', train_seconds: '…'}`: one group each, searched line by line in the output;
  the last match counts;
- `json`: a file that holds one JSON object; any other name says under which key of it its figure stands;
- nothing: the last line of the output that is a JSON object.

`scale: percent` says that the accuracy is printed in percent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sweep.recipe.placeholders import Template, parse_path

# Beside what is judged; they may be missing unless the recipe says where they stand.
_ALSO_READ = ("accuracy", "loss", "train_seconds")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./@-]{0,79}")


@dataclass(frozen=True)
class MetricSource:
    """`patterns` by the name of the figure, or else `keys` of a JSON object: in `file`, or without one in the last line
    that holds one. `required` names what has to be there; `judged` is one of them."""

    judged: str = "accuracy"
    patterns: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    file: Template | None = None
    is_percent: bool = False
    required: frozenset[str] = frozenset({"accuracy"})


def parse_metrics(metrics: Mapping[str, str], judged: str) -> MetricSource:
    """Read the recipe's `metrics`, of which the one called `judged` is judged.

    Raises:
        ValueError: with everything that is wrong, a line each.
    """
    problems = [f"{name!r} is no name of a figure" for name in metrics if not _NAME.fullmatch(name)]
    named = {name: text for name, text in metrics.items() if name not in ("json", "scale")}
    file, patterns = None, {}
    if (scale := metrics.get("scale", "percent")) != "percent":
        problems.append(f"scale: {scale!r}: the only one is percent")
    if "json" in metrics:
        file = _file(metrics["json"], problems)
    else:
        patterns = {name: found for name, text in named.items() if (found := _pattern(name, text, problems))}
    if named and "json" not in metrics and judged not in named:
        problems.append(f"{judged}: missing: it is what is judged (metric)")
    if "scale" in metrics and judged != "accuracy" and "accuracy" not in named:
        problems.append(f"scale: it is the accuracy's, and {judged} is judged (metric)")
    if problems:
        raise ValueError("\n".join(problems))
    is_json = not patterns
    keys = {name: name for name in (*_ALSO_READ, judged)} | named if is_json else {}
    return MetricSource(judged, patterns, keys, file, "scale" in metrics, frozenset({judged, *named}))


def _file(text: str, problems: list[str]) -> Template | None:
    try:
        return parse_path(text)
    except ValueError as error:
        problems += [f"json: {line}" for line in str(error).splitlines()]
        return None


def _pattern(name: str, text: str, problems: list[str]) -> re.Pattern[str] | None:
    try:
        pattern = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        problems.append(f"{name}: {text!r} is no regular expression: {error}")
        return None
    if pattern.groups != 1:
        problems.append(
            f"{name}: {text!r} has {pattern.groups} groups: write one, around the number: 'Acc@1 ([0-9.]+)'"
        )
        return None
    return pattern
