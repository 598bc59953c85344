"""The figures of a command that has ended: found where its recipe says, and held to what they must be."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.recipe.metrics import MetricSource
from sweep.run.output import MAX_BYTES, Output
from sweep.store.durable import read_file

_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_WHOLE = re.compile(r"[-+]?[0-9]+")
# How a number may go on where a pattern such as `([0-9.]+)` stops: 8.5e-05, or 0,85 in another locale.
_POINT = re.compile(r"[.,][0-9]+")
_EXPONENT = re.compile(r"[eE][-+]?[0-9]+")
# Chosen: a page of figures takes a thousandth of it.
_MAX_FILE_BYTES = 16 * 1024 * 1024
_MAX_SHOWN = 60
# What is looked at while the command still runs.
_LIVE_BYTES = 64 * 1024


class NoFigure(Exception):
    """A figure that is missing, or is none; the text says which, and why."""


@dataclass(frozen=True)
class FileState:
    """Whether a file has been written since: one that was there before a command began is no answer of it."""

    stamp: tuple[int, int, int] | None

    @classmethod
    def of(cls, path: Path | None) -> FileState:
        try:
            found = path.stat() if path is not None else None
        except (OSError, ValueError):
            found = None
        return cls((found.st_mtime_ns, found.st_size, found.st_ino) if found else None)


def read_figures(source: MetricSource, output: Output, file: Path | None, before: FileState) -> dict[str, float]:
    """Every figure that is there, by its name; the accuracy in 0..1.

    Raises:
        NoFigure: one that has to be there is not, is no number, or cannot be.
    """
    if source.patterns:
        found: Mapping[str, Any] = _matches(source, output, MAX_BYTES)
    elif file is not None:
        found = _picked(source, _object_in_file(file, before))
    else:
        found = _picked(source, _last_object(output))
    for name in sorted(source.required - found.keys()):
        raise NoFigure(f"no {name} in {_place(source, file)}")
    figures = {name: _number(name, value) for name, value in found.items()}
    return _checked(source, {name: value for name, value in figures.items() if value is not None})


def live_figure(source: MetricSource, output: Output) -> float | None:
    """What was printed last of what is judged; None where that is not known yet."""
    if source.judged not in source.patterns:
        return None
    found = _matches(source, output, _LIVE_BYTES, (source.judged,))
    try:
        figures = {name: _finite(name, value) for name, value in found.items()}
        return _checked(source, figures).get(source.judged)
    except NoFigure:
        return None


def _matches(source: MetricSource, output: Output, max_bytes: int, names: tuple[str, ...] = ()) -> dict[str, str]:
    """The last match of each pattern."""
    missing = {name: source.patterns[name] for name in names or source.patterns}
    found: dict[str, str] = {}
    for line in output.lines(max_bytes):
        for name in [name for name, pattern in missing.items() if pattern.search(line)]:
            *_, last = missing.pop(name).finditer(line)
            found[name] = _uncut(last)
        if not missing:
            break
    return found


def _uncut(match: re.Match[str]) -> str:
    """What the group holds; a number that it breaks off, with its rest: a part of it would pass for another one."""
    text, end = match[1] or "", match.end(1)
    if end != match.end() or not _NUMBER.fullmatch(text):
        return text
    for rest in (_POINT, _EXPONENT):
        if (rest is _EXPONENT or _WHOLE.fullmatch(text)) and (more := rest.match(match.string, end)):
            text, end = text + more[0], more.end()
    return text


def _picked(source: MetricSource, found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: found[key] for name, key in source.keys.items() if key in found}


def _object_in_file(file: Path, before: FileState) -> Mapping[str, Any]:
    state = FileState.of(file)
    if state.stamp is None:
        raise NoFigure(f"it wrote no {file}")
    if state == before:
        raise NoFigure(f"{file} is as it was before the command began")
    if state.stamp[1] > _MAX_FILE_BYTES:
        raise NoFigure(f"{file} is too long for figures ({state.stamp[1]} bytes)")
    try:
        found = json.loads(read_file(file))
    except (OSError, ValueError, RecursionError) as error:
        raise NoFigure(f"{file} holds no JSON: {getattr(error, 'strerror', None) or error}") from None
    if not isinstance(found, dict):
        raise NoFigure(f"{file} holds no JSON object")
    return found


def _last_object(output: Output) -> Mapping[str, Any]:
    for line in output.lines():
        if line.startswith("{"):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict):
                return found
    raise NoFigure("it printed no line that is a JSON object")


def _place(source: MetricSource, file: Path | None) -> str:
    if source.patterns:
        return "its output"
    return str(file) if file is not None else "the last JSON line that it printed"


def _number(name: str, value: Any) -> float | None:
    """A loss may be none: where training goes on, that is a finding of its own."""
    try:
        return _finite(name, value)
    except NoFigure:
        if name == "loss":
            return None
        raise


def _finite(name: str, value: Any) -> float:
    text = value if isinstance(value, str) else repr(value)
    shown = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number and not (isinstance(value, str) and _NUMBER.fullmatch(value.strip())):
        raise NoFigure(f"{name} {shown!r} is no number" if isinstance(value, str) else f"{name} {shown} is no number")
    try:
        number = float(value)
    except (OverflowError, ValueError):
        number = math.inf
    if not math.isfinite(number):
        raise NoFigure(f"{name} {shown} is not finite")
    return number


def _checked(source: MetricSource, figures: dict[str, float]) -> dict[str, float]:
    accuracy, seconds = figures.get("accuracy"), figures.get("train_seconds")
    if accuracy is not None:
        share = accuracy / 100 if source.is_percent else accuracy
        if not 0 <= share <= 1:
            may_be_percent = not source.is_percent and 1 < share <= 100
            advice = " (is it in percent? metrics: scale: percent)" if may_be_percent else ""
            raise NoFigure(f"accuracy {accuracy:g} is outside 0..{100 if source.is_percent else 1}{advice}")
        figures["accuracy"] = share
    if seconds is not None and not 0 < seconds <= 1e12:
        raise NoFigure(f"train_seconds {seconds:g} is no time")
    return figures
