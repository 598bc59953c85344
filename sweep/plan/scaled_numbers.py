"""The numbers of a schedule -> the same at a ratio, for a loop of one's own that has no recipe. Exact: whole ones are
integers, all others Fractions.

The rules are a recipe's (sweep/recipe/schedule.py): the run is floor(length x ratio) long, a warm-up keeps its length,
steps and milestones count from the start, everything else from the end of the warm-up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import floor, isfinite
from numbers import Real

from sweep.errors import Problem, UsageError
from sweep.recipe.duration import Ratio, exact
from sweep.recipe.schedule import SCHEDULES
from sweep.recipe.schema import Recipe
from sweep.recipe.spelling import nearest

LENGTHS = ("epochs", "max_epochs", "num_train_epochs", "total_steps", "max_steps")
WARMUPS = ("lr_warmup_epochs", "warmup_epochs", "warmup_steps")
FROM_START = ("lr_step_size", "step_size", "lr_milestones", "milestones")
FROM_WARMUP = ("lr_t_0", "T_0", "T_max", "total_iters", "lr_cooldown")
GAMMAS = ("lr_gamma", "gamma")
# Of torch's schedulers and of recipes; nothing else of a recipe changes with the ratio, but for the times of methods.
UNCHANGED = ("T_mult", "eta_min", "power", "start_factor", "end_factor", "steps_per_epoch")
# What decides how the others are scaled.
_DECIDING: dict[str, tuple[object, ...]] = {
    "lr_scheduler": tuple(SCHEDULES),
    "lr_step_origin": ("start", "warmup"),
    "scale_warmup": (True, False),
}
_OF_RECIPES = tuple(key for key in Recipe.model_fields if key.startswith("lr_") or key in ("lr", "scale_warmup"))
_KNOWN = [*LENGTHS, *WARMUPS, *FROM_START, *FROM_WARMUP, *GAMMAS, *UNCHANGED, *_OF_RECIPES]


@dataclass(frozen=True)
class _Stretch:
    """How far what is counted from the start is stretched, what is counted from the warm-up's end, and the warm-up."""

    start: Fraction
    rest: Fraction
    warmup: Fraction


def scale_numbers(values: Mapping[str, object], ratio: Ratio) -> dict[str, object]:
    """`values` at `ratio`, every key of them.

    Raises:
        UsageError: with every key that is not known, every value that is no number, and what cannot be scaled.
    """
    if problems := [*_unknown(values), *_no_numbers(values), *_no_choices(values), *_lengths(values)]:
        raise UsageError(problems)
    stretch = _stretch(values, ratio)
    return {key: _scaled(key, value, values, stretch) for key, value in values.items()}


def _unknown(values: Mapping[str, object]) -> Iterator[Problem]:
    for key in values:
        if key not in _KNOWN:
            hint = nearest(key, _KNOWN) if isinstance(key, str) else ""
            yield Problem(f"unknown{hint}", key=str(key), fix="to scale a whole recipe, name its model and dataset too")


def _no_numbers(values: Mapping[str, object]) -> Iterator[Problem]:
    for key in (*LENGTHS, *WARMUPS, *FROM_START, *FROM_WARMUP):
        items = values.get(key, 0)
        for item in items if isinstance(items, list | tuple) and key.endswith("milestones") else [items]:
            if isinstance(item, bool) or not isinstance(item, Real) or not isfinite(item) or item < 0:
                yield Problem(f"{item!r} is no number of epochs or steps", key=key)


def _no_choices(values: Mapping[str, object]) -> Iterator[Problem]:
    for key, choices in _DECIDING.items():
        value = values.get(key, choices[0])
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            yield Problem(f"{value!r} is not known", key=key, fix=f"take {', '.join(map(str, choices))}")


def _lengths(values: Mapping[str, object]) -> Iterator[Problem]:
    for keys, what in ((LENGTHS, "length of the run"), (WARMUPS, "warm-up")):
        if len(given := [key for key in keys if key in values]) > 1:
            yield Problem(f"one {what}, not {' and '.join(given)}: scale one of them at a time", key=given[1])


def _stretch(values: Mapping[str, object], ratio: Ratio) -> _Stretch:
    length_key, warmup_key = (next((key for key in keys if key in values), None) for keys in (LENGTHS, WARMUPS))
    warmup = _exact(values[warmup_key]) if warmup_key else Fraction(0)
    scales_warmup = values.get("scale_warmup") is True
    if length_key is None:
        if warmup and not scales_warmup:
            message = "a warm-up keeps its length: how far the rest is stretched depends on the length of the run"
            raise UsageError(Problem(message, key=warmup_key, fix="give epochs or total_steps as well"))
        return _Stretch(ratio.value, ratio.value, ratio.value)
    length = _exact(values[length_key])
    scaled = floor(length * ratio.value)
    if scaled == 0:
        raise UsageError(Problem(f"of {values[length_key]} that is none", key=length_key, ratio=ratio.text))
    realised = scaled / length
    scaled_warmup = warmup * realised if scales_warmup else warmup
    if scaled_warmup >= scaled or warmup >= length:
        message = f"the warm-up of {float(scaled_warmup):g} fills the run of {min(scaled, length)}"
        fix = "shorten it, set scale_warmup, or take a larger ratio"
        raise UsageError(Problem(message, key=warmup_key, ratio=ratio.text, fix=fix))
    rest = (scaled - scaled_warmup) / (length - warmup)
    return _Stretch(realised, rest, realised if scales_warmup else Fraction(1))


def _scaled(key: str, value: object, values: Mapping[str, object], stretch: _Stretch) -> object:
    if isinstance(value, list | tuple):
        return [_scaled(key, item, values, stretch) for item in value]
    if key in GAMMAS and values.get("lr_scheduler") == "exponentiallr" and isinstance(value, int | float):
        return value ** float(1 / stretch.rest)
    if key in WARMUPS:
        return _number(_exact(value) * stretch.warmup)
    if key in FROM_START and values.get("lr_step_origin") != "warmup":
        return _number(_exact(value) * stretch.start)
    if key in FROM_START or key in FROM_WARMUP:
        return _number(_exact(value) * stretch.rest)
    return _number(_exact(value) * stretch.start) if key in LENGTHS else value


def _exact(value: object) -> Fraction:
    assert isinstance(value, Real)
    return exact(value)


def _number(value: Fraction) -> int | Fraction:
    return int(value) if value.denominator == 1 else value
