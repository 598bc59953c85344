"""What a cell of a CSV of somebody else's runs may hold, column by column."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from sweep.errors import Outcome
from sweep.recipe.duration import Ratio, decimal_text

# In how many seconds each of the columns counts that can hold the time.
TIME_UNITS = {"train_seconds": 1.0, "minutes": 60.0, "hours": 3600.0}
# Seconds, steps, ratios: below this nothing is a run.
_SMALLEST = 1e-9
# Longer ones are floats that a program has written, such as 0.3333333333333333.
_LONGEST_RATIO = 10
# What `sweep report --format csv` puts an apostrophe before.
FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def is_ratio(cell: str) -> bool:
    """Whether it is one on the command line."""
    try:
        Ratio.parse(cell)
    except ValueError:
        return False
    return True


def plain_text(cell: str) -> str:
    """Without the apostrophe that keeps a spreadsheet from computing it."""
    is_guarded = cell.startswith("'") and cell[1:].lstrip().startswith(FORMULA_STARTS)
    return cell[1:] if is_guarded else cell


def _number(cell: str) -> float:
    # float() takes `1_000`, `nan`, `infinity` and the digits of other scripts as well.
    if not set(cell) <= set("0123456789.eE+-"):
        raise ValueError(cell)
    value = float(cell)
    if not 0 <= value <= 1e12:
        raise ValueError(cell)
    return value


def signed_number(cell: str) -> float:
    """A value of any metric."""
    value = _number(cell.removeprefix("-"))
    return -value if cell.startswith("-") else value


def _exact(cell: str) -> Fraction:
    """As it is written: 7.3 is 73/10."""
    _positive(cell)  # before it is a fraction: 1e999999999 has a billion digits
    return Fraction(cell)


def _positive(cell: str) -> float:
    value = _number(cell)
    if value < _SMALLEST:
        raise ValueError(cell)
    return value


def _percentage(cell: str) -> float:
    value = _number(cell.removesuffix("%").rstrip())
    if value > 100:
        raise ValueError(cell)
    return value


def _count(cell: str) -> int:
    return int(_positive(str(_whole_number(cell))))


def _whole_number(cell: str) -> int:
    value = _number(cell)
    if value != int(value):
        raise ValueError(cell)
    return int(value)


def _ratio(cell: str) -> Ratio:
    """As it is typed on the command line; a float of many digits has a shorter text."""
    ratio = Ratio.parse(cell) if is_ratio(cell) else named_ratio(_exact(cell))
    if not _SMALLEST <= ratio.value <= 1 / _SMALLEST:
        raise ValueError(cell)
    return ratio if len(cell) <= _LONGEST_RATIO and is_ratio(cell) else named_ratio(ratio.value)


def named_ratio(value: Fraction) -> Ratio:
    """A ratio with a text that says nearly that, short enough to be read again."""
    return Ratio(value, decimal_text(value.limit_denominator(10_000) or value.limit_denominator(10**9)))


def _ratio_text(cell: str) -> str:
    return Ratio.parse(cell).text


def _truth(cell: str) -> bool:
    return {"true": True, "false": False}[cell.lower()] if cell.lower() in ("true", "false") else _fail(cell)


def _fail(cell: str) -> bool:
    raise ValueError(cell)


# How each column is read (everything else is a text), and what it has to be. Raises ValueError where it is not.
CELLS: dict[str, tuple[Callable[[str], Any], str]] = {
    "ratio": (_ratio, "a ratio above 0"),
    "realised_ratio": (_positive, "a number above 0"),
    "seed": (_whole_number, "a whole number"),
    "ratio_text": (_ratio_text, "a ratio above 0"),
    "steps": (_count, "a whole number above 0"),
    "examples": (_count, "a whole number above 0"),
    "epochs": (_exact, "a number above 0"),
    **dict.fromkeys(TIME_UNITS, (_positive, "a time above 0")),
    "accuracy": (_percentage, "an accuracy: 0 to 1, or 0 to 100 percent"),
    "truncated_accuracy": (_percentage, "an accuracy: 0 to 1, or 0 to 100 percent"),
    **dict.fromkeys(
        ("eval_seconds", "data_wait_seconds", "images_per_second", "loss", "dollars", "joules", "contention"),
        (_number, "a number of 0 or more"),
    ),
    "outcome": (lambda cell: Outcome(cell).value, f"an outcome: {', '.join(Outcome)}"),
    "is_baseline": (_truth, "True or False"),
}
