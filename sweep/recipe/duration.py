"""Exact ratios and durations, and the only rounding.

A `Ratio` is the fraction that was typed: "0.7" is 7/10, so 0.7 of 90 epochs is 63 and not `int(62.999…)`. A `Duration`
is an amount with a unit: epochs (`90ep`, `22/3ep`), optimizer steps (`5000ba`, Composer's "batches") or a fraction of
the run (`0.5dur`). Positions stay fractions until `round_half_up` turns them into a step, once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import floor, isfinite
from numbers import Rational, Real

from sweep.errors import Problem, UsageError

# `Fraction` itself takes "1e999999999" (and hangs), "1_000" and Arabic digits; so texts are checked first.
_MAX_CHARS = 20
# 36 digits over 36: a decimal of 18 characters, dilated and turned into epochs in runs of up to 10^8 steps.
_MAX_FRACTION_CHARS = 80
_DECIMAL = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_RATIO = re.compile(rf"(?P<decimal>{_DECIMAL})(?P<percent>%)?|(?P<over>[0-9]+)/(?P<under>[0-9]+)")
_FRACTION = r"[0-9]+/[0-9]+"
_DURATION = re.compile(rf"(?P<amount>{_DECIMAL}|(?P<fraction>{_FRACTION}))(?P<unit>ep|ba|dur)")
# The same for a JSON Schema, whose regular expressions name no groups.
DURATION_PATTERN = rf"^\s*(?:{_DECIMAL}|{_FRACTION})(?:ep|ba|dur)\s*$"
# Chosen: a hundred times the longest grid anybody has published; a range with a tiny step ends here, not in memory.
MAX_RATIOS = 10_000


def round_half_up(position: Fraction) -> int:
    """The step at `position`: the nearest whole number, halves upwards. Exact."""
    return floor(position + Fraction(1, 2))


def exact(number: Real | float) -> Fraction:
    """The number as it was typed: of a float, the decimal that it shows."""
    return Fraction(number) if isinstance(number, Rational) else Fraction(repr(float(number)))


@dataclass(frozen=True)
class Ratio:
    """A scale of training length: 1 is the baseline, 0.5 trains half as long. `text` is how it was typed."""

    value: Fraction
    text: str

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> Ratio:
        """Read `0.7`, `7/10` or `70%`.

        Raises:
            ValueError: not such a text, longer than 20 characters, or not above zero.
        """
        text = text.strip()
        match = _RATIO.fullmatch(text) if len(text) <= _MAX_CHARS else None
        if match is None:
            raise ValueError(f"{_shown(text)} is not a ratio: write 0.7, 7/10 or 70%, in at most 20 characters")
        if match["decimal"]:
            value = Fraction(match["decimal"]) / (100 if match["percent"] else 1)
        elif int(match["under"]) == 0:
            raise ValueError(f"{_shown(text)} divides by zero")
        else:
            value = Fraction(int(match["over"]), int(match["under"]))
        if value <= 0:
            raise ValueError(f"{_shown(text)} is not above zero: a run of no length trains nothing")
        return cls(value, text)

    @classmethod
    def of(cls, value: object) -> Ratio:
        """A ratio from Python: a text as `parse` reads it, a number or a Fraction; of a float, the decimal it shows.

        Raises:
            ValueError: anything else, or not above zero.
        """
        if isinstance(value, Ratio):
            return value
        if isinstance(value, str):
            return cls.parse(value)
        if isinstance(value, bool) or not isinstance(value, Real) or not _is_finite(value):
            raise ValueError(f"{_shown(repr(value))} is not a ratio: give 0.7, '7/10' or Fraction(7, 10)")
        fraction = exact(value)
        if fraction <= 0:
            raise ValueError(f"{_shown(str(value))} is not above zero: a run of no length trains nothing")
        return cls(fraction, decimal_text(fraction))


def parse_ratios(text: str, where: str = "--ratios") -> tuple[Ratio, ...]:
    """Read a comma-separated list of ratios and ranges `start:stop:step` (stop included when it is met exactly).

    Returns the ratios in ascending order.

    Raises:
        UsageError: with every ratio that is wrong, and every ratio that is given twice.
    """
    ratios: dict[Fraction, Ratio] = {}
    problems = []
    for item in text.split(","):
        try:
            for ratio in _expand(item.strip()):
                first = ratios.setdefault(ratio.value, ratio)
                if first is not ratio:
                    raise ValueError(f"{_shown(ratio.text)} is given twice (as {first.text} and {ratio.text})")
                if len(ratios) > MAX_RATIOS:
                    raise ValueError(f"more than {MAX_RATIOS} ratios")
        except ValueError as error:
            problems.append(Problem(str(error), where=where, ratio=_shown(item.strip())))
    if problems:
        raise UsageError(problems)
    return tuple(sorted(ratios.values(), key=lambda ratio: ratio.value))


def _expand(item: str) -> Iterator[Ratio]:
    if not item:
        raise ValueError("empty: write ratios as 0.25,0.5,1.0")
    if ":" not in item:
        yield Ratio.parse(item)
        return
    ends = item.split(":")
    if len(ends) != 3:
        raise ValueError(f"{_shown(item)} is not a range: write start:stop:step, for example 0.1:1:0.1")
    start, stop, step = (Ratio.parse(end).value for end in ends)
    if stop < start:
        raise ValueError(f"{_shown(item)} is an empty range: it ends before it starts")
    for index in range(min(MAX_RATIOS + 1, (stop - start) // step + 1)):
        yield Ratio.parse(decimal_text(start + index * step))


def decimal_text(value: Fraction, places: int = 6) -> str:
    """`value` as a decimal where it is one of at most `places` places ("0.7"), else as a fraction ("1/3")."""
    scaled = value * 10**places
    if scaled.denominator != 1:
        return f"{value.numerator}/{value.denominator}"
    whole, rest = divmod(scaled.numerator, 10**places)
    decimals = f"{rest:0{places}d}".rstrip("0")
    return f"{whole}.{decimals or '0'}"


class Unit(StrEnum):
    """What a duration counts, in Composer's abbreviations."""

    EPOCH = "ep"
    STEP = "ba"
    RUN = "dur"


@dataclass(frozen=True)
class Duration:
    """An exact, non-negative amount of training: epochs, optimizer steps, or a fraction of the run."""

    amount: Fraction
    unit: Unit = Unit.EPOCH

    def __str__(self) -> str:
        """A text that `parse` reads back: a decimal where it is a short one, else a fraction."""
        decimal = f"{decimal_text(self.amount, _MAX_CHARS).removesuffix('.0')}{self.unit}"
        fraction = f"{self.amount.numerator}/{self.amount.denominator}{self.unit}"
        return decimal if _is_short(decimal) else fraction

    @classmethod
    def parse(cls, value: object) -> Duration:
        """Read a plain number of epochs, or a text such as `90ep`, `22/3ep`, `5000ba` or `0.5dur`.

        Raises:
            ValueError: anything else; a part of a step; more than the whole run.
        """
        if isinstance(value, Duration):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            # repr gives back the decimal that was typed, for up to 15 digits, and Decimal spells out its exponent.
            text = f"{Decimal(repr(value)):f}ep"
        elif isinstance(value, Fraction):
            text = f"{value.numerator}/{value.denominator}ep"
        else:
            text = str(value).strip()
        match = _DURATION.fullmatch(text) if len(text) <= _MAX_FRACTION_CHARS else None
        if match is None or not (match["fraction"] or _is_short(text)):
            raise ValueError(
                f"{_shown(str(value))} is not a duration: write 5 or '5ep' (epochs), '400ba' (steps) or '0.2dur' "
                f"(run), in at most {_MAX_CHARS} characters, or a fraction such as '22/3ep', in at most "
                f"{_MAX_FRACTION_CHARS}"
            )
        if match["fraction"] and int(match["fraction"].partition("/")[2]) == 0:
            raise ValueError(f"{_shown(text)} divides by zero")
        duration = cls(Fraction(match["amount"]), Unit(match["unit"]))
        if duration.unit is Unit.STEP and duration.amount.denominator != 1:
            raise ValueError(f"{_shown(text)} is not a whole number of steps")
        if duration.unit is Unit.RUN and duration.amount > 1:
            raise ValueError(f"{_shown(text)} is more than the whole run")
        return duration


def _is_short(text: str) -> bool:
    # `.12` may be as long as the `0.12` that it is written back as.
    return len(text.removeprefix("0")) <= _MAX_CHARS


def _is_finite(value: Real) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # a whole number or a fraction beyond every float
        return False


def _shown(text: str) -> str:
    return repr(text if len(text) <= 2 * _MAX_CHARS else f"{text[: 2 * _MAX_CHARS]}…")
