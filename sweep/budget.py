"""What may be spent: time or dollars, as a user types it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from sweep.errors import Problem, UsageError

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
_PART = re.compile(rf"({_NUMBER})\s*([a-z]+)")
_TIME = re.compile(rf"(?:{_NUMBER}\s*[a-z]+\s*)+")
_DOLLARS = re.compile(rf"\$\s*({_NUMBER})")
_FIX = "write 4h, 90m, 1h30m or $50"


@dataclass(frozen=True)
class Budget:
    """`text` is as it was typed; one of `seconds`, of wall clock, and `dollars` is what it says, the other is None."""

    text: str
    seconds: float | None = None
    dollars: float | None = None

    @classmethod
    def parse(cls, text: str, option: str) -> Budget:
        """`4h`, `90m`, `45s`, `2d`, `1h30m`, `$50`; `option` is where it was typed.

        Raises:
            UsageError: it is neither a time nor dollars, or it is nothing.
        """
        typed = text.strip().lower()
        if found := _DOLLARS.fullmatch(typed):
            amount = Fraction(found[1])
            budget = cls(text.strip(), dollars=float(amount))
        elif _TIME.fullmatch(typed):
            amount = _seconds(text, typed, option)
            budget = cls(text.strip(), seconds=float(amount))
        else:
            raise UsageError(Problem(f"{text!r} is neither a time nor dollars", option, fix=_FIX))
        if not amount:
            raise UsageError(Problem(f"{text!r} is nothing to spend", option, fix=_FIX))
        return budget


def _seconds(text: str, typed: str, option: str) -> Fraction:
    parts = _PART.findall(typed)
    if unknown := [unit for _, unit in parts if unit not in _SECONDS]:
        raise UsageError(Problem(f"{text!r}: {unknown[0]!r} is no unit of time", option, fix=f"s, m, h or d: {_FIX}"))
    return sum((Fraction(number) * _SECONDS[unit] for number, unit in parts), Fraction(0))
