"""What a user's own Python asks of a sweep, read into the same request as the command line's options."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from sweep.errors import Complaints, Problem, UsageError
from sweep.recipe.duration import Ratio, parse_ratios
from sweep.recipe.library import LoadedRecipe, Override, load_recipe, loaded_from_keys
from sweep.recipe.schema import Recipe
from sweep.request import SweepRequest, read_request

PathLike = str | os.PathLike[str]
RecipeLike = PathLike | Mapping[str, object]
RatioLike = str | float | Fraction

# An option of one type takes it alone; the recipe checks what becomes a key of it.
_NUMBER_OR_TEXT = (int, float, str)
_KINDS: dict[str, tuple[type, ...]] = {
    "seeds": (int, type(None)),
    "retries": (int,),
    "jobs": (int, str),
    "jobs_per_device": (int,),
    "checkpoint_every": _NUMBER_OR_TEXT,
    "stall_timeout": _NUMBER_OR_TEXT,
    "device": (str,),
    "keep": (str,),
    "name": (str, type(None)),
    "method": (str, type(None)),
    "mode": (str, type(None)),
    "fresh": (bool,),
    "share": (bool,),
    "allow_mixed": (bool,),
    "executor": (str,),
    "address": (str, type(None)),
    "resources": (str, type(None)),
    "slurm": (str, type(None)),
    "detach": (bool,),
    "within": (str, type(None)),
}


def request_of(arguments: Mapping[str, object]) -> SweepRequest:
    """The request that `arguments`, named as its fields, make.

    Raises:
        UsageError: with every mistake in them and in the recipe.
    """
    complaints, values = Complaints(), {}
    for key, value in arguments.items():
        with complaints:
            values[key] = _read(key, value)
    made: Any = SweepRequest(**values)
    with complaints:
        read_request(made)
    complaints.raise_any()
    return SweepRequest(**values)


def _read(key: str, value: object) -> Any:
    if (read := _READERS.get(key)) is not None:
        return read(value)
    kinds = _KINDS.get(key, (object,))
    if isinstance(value, kinds) and not (isinstance(value, bool) and int in kinds):
        return value
    names = " or ".join("None" if kind is type(None) else kind.__name__ for kind in kinds)
    raise UsageError(Problem(f"{value!r} is no {names}", where=key))


def _named_recipe(value: object) -> str | Mapping[str, object]:
    if isinstance(value, str | Mapping):
        return value
    path = Path(_path("recipe", value, "give a name, a path or a dict of keys"))
    return str(path) if path.is_absolute() else os.path.join(".", path)  # read as a path whatever it ends in


def _path(where: str, value: object, fix: str | None = None) -> str:
    if isinstance(value, str | os.PathLike) and isinstance(path := os.fspath(value), str):
        return path
    raise UsageError(Problem(f"{value!r} is no path", where=where, fix=fix))


def _ratios(value: object) -> str | None:
    """One or several, as the command line's text; a text may be a list or a range itself."""
    if value is None:
        return None
    several = [value] if isinstance(value, str | bytes) or not isinstance(value, Iterable) else list(value)
    complaints, texts = Complaints(), []
    for item in several:
        with complaints:
            texts.append(item if isinstance(item, str) else read_ratio(item, "ratios").text)
    if complaints.problems and texts:
        with complaints:
            parse_ratios(",".join(texts), "ratios")
    complaints.raise_any()
    return ",".join(texts)


def _settings(value: object) -> tuple[Override, ...]:
    if not isinstance(value, Mapping | None):
        raise UsageError(Problem(f"{value!r} is no dict", where="settings", fix="for example {'lr': 0.2}"))
    return tuple(Override(str(key), setting, "settings") for key, setting in (value or {}).items())


_READERS: dict[str, Callable[[Any], object]] = {
    "recipe": _named_recipe,
    "ratios": lambda value: None if value is None else _ratios(value),
    "settings": _settings,
    "results": lambda value: Path(_path("results", value)),
    "data_path": lambda value: None if value is None else _path("data_path", value),
}


def read_ratio(value: object, where: str = "ratio") -> Ratio:
    """The ratio that a number, a text or a Fraction is.

    Raises:
        UsageError: it is none.
    """
    try:
        return Ratio.of(value)
    except ValueError as error:
        raise UsageError(Problem(str(error), where=where)) from None


def load_any(recipe: object) -> LoadedRecipe:
    """A recipe by its name, by its path, by its keys, or itself.

    Raises:
        UsageError: with everything that is wrong.
    """
    if isinstance(recipe, LoadedRecipe):
        return recipe
    if isinstance(recipe, Recipe):
        recipe = recipe.model_dump(mode="json", exclude_unset=True)
    named = _named_recipe(recipe)
    return load_recipe(named) if isinstance(named, str) else loaded_from_keys(named)


def as_argument(problem: Problem) -> Problem:
    """The same with the command line's options named as arguments."""
    return replace(problem, where=_renamed(problem.where), fix=_renamed(problem.fix))


def _renamed(text: str | None) -> str | None:
    known = {f"--{field.name.replace('_', '-')}": field.name for field in fields(SweepRequest)}
    known |= {"--set": "settings", "RECIPE": "recipe"}
    return text and re.sub(r"--[a-z][a-z-]*|^RECIPE$", lambda match: known.get(match[0], match[0]), text)
