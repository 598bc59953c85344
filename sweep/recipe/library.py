"""A name or a path -> a Recipe, and where each of its keys came from.

Names are those of the recipes that are shipped; anything that looks like a path (a folder in it, or `.yaml` at its end)
is read as one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import PydanticSerializationError

from sweep.errors import Complaints, Problem, RecipeError, UsageError
from sweep.printable import is_unicode, printable
from sweep.recipe.check import check_recipe
from sweep.recipe.schema import Recipe
from sweep.recipe.spelling import nearest
from sweep.recipe.strict_yaml import MAX_BYTES, read_value, survey_mapping

_PACKAGE = Path(__file__).resolve().parent.parent
_SUFFIXES = (".yaml", ".yml")
# The name, and the place in messages, of a recipe that has no file.
_IN_PYTHON = "recipe"


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe with its name, its file, and the place of each key that was given (`file:line`, or an option)."""

    recipe: Recipe
    name: str
    path: Path
    places: Mapping[str, str]

    def place(self, key: str) -> str:
        """Where `key` was given; the file itself for a key that was left at its default."""
        return self.places.get(key, shown_path(self.path))


@dataclass(frozen=True)
class Override:
    """A key that an option sets: `place` names the option in messages."""

    key: str
    value: object
    place: str


def load_recipe(name_or_path: str, overrides: tuple[Override, ...] = ()) -> LoadedRecipe:
    """Read a recipe, and put `overrides` over its keys.

    Raises:
        RecipeError: with everything that is wrong, each with its place.
    """
    path = find_recipe(name_or_path)
    document = survey_mapping(read_bytes(path), shown_path(path))
    values = document.values | {override.key: override.value for override in overrides}
    places = {key: f"{shown_path(path)}:{line}" for key, line in document.lines.items()}
    places |= {override.key: override.place for override in overrides}
    if not is_path(name_or_path):
        _refuse_code(values, places)
    checked = check_recipe(values, places, default_place=shown_path(path))
    if isinstance(checked, list) or document.problems:
        # What was refused while it was read has no value that could be wrong as well.
        refused = {problem.key for problem in document.problems} - {override.key for override in overrides}
        wrong = checked if isinstance(checked, list) else []
        raise RecipeError([*document.problems, *(problem for problem in wrong if problem.key not in refused)])
    return LoadedRecipe(checked, printable(path.stem), path, places)


def _refuse_code(values: Mapping[str, object], places: Mapping[str, str]) -> None:
    """A path that was typed is the consent to run what the recipe names."""
    message = "code of one's own runs only from a recipe that is given by its path"
    problems = [
        Problem(message, where=places[key], key=key, fix=f"write a recipe with this {key}, and give its path")
        for key in ("task", "command")
        if values.get(key) is not None
    ]
    if problems:
        raise RecipeError(problems)


def loaded_from_keys(values: Mapping[str, object], overrides: tuple[Override, ...] = ()) -> LoadedRecipe:
    """A recipe that has no file: its keys, from Python, with `overrides` over them. It is called `recipe`.

    Raises:
        RecipeError: with everything that is wrong.
    """
    if wrong := [key for key in values if not isinstance(key, str)]:
        raise RecipeError(Problem(f"{key!r} is no key of a recipe", where=_IN_PYTHON) for key in wrong)
    places = dict.fromkeys(values, _IN_PYTHON) | {override.key: override.place for override in overrides}
    checked = check_recipe(
        {**values, **{override.key: override.value for override in overrides}}, places, default_place=_IN_PYTHON
    )
    if isinstance(checked, list):
        raise RecipeError(checked)
    try:
        checked.model_dump(mode="json")
    except PydanticSerializationError as error:
        raise RecipeError(Problem(f"cannot be written down: {error}", where=_IN_PYTHON)) from None
    return LoadedRecipe(checked, _IN_PYTHON, Path(_IN_PYTHON), places)


def parse_settings(settings: tuple[str | Override, ...]) -> tuple[Override, ...]:
    """Read `key=value` texts, as `--set` takes them; the value is written as in a recipe. What is read already stays.

    Raises:
        UsageError: with every setting that is wrong.
    """
    overrides: dict[str, Override] = {}
    complaints = Complaints()
    for setting in settings:
        with complaints:
            override = _parse_setting(setting) if isinstance(setting, str) else setting
            if override.key in overrides:
                raise UsageError(Problem("given twice", where="--set", key=override.key))
            overrides[override.key] = override
    complaints.raise_any()
    return tuple(overrides.values())


def _parse_setting(setting: str) -> Override:
    if not is_unicode(setting):
        raise UsageError(Problem(f"{setting!r} is not UTF-8", where="--set"))
    key, equals, value = setting.partition("=")
    if not equals or not key.strip():
        raise UsageError(Problem(f"{setting!r} is not key=value", where="--set", fix="for example --set lr=0.2"))
    key = key.strip()
    return Override(key, read_value(value.strip(), "--set", key), "--set")


def shipped_folder() -> Path:
    """Where the shipped recipes lie: inside the package once installed, beside it in a checkout."""
    installed = _PACKAGE / "recipes"
    return installed if installed.is_dir() else _PACKAGE.parent / "recipes"


def shipped_recipes() -> dict[str, Path]:
    """The shipped recipes' files by name, in alphabetical order."""
    return {path.stem: path for path in sorted(shipped_folder().glob("*.yaml"))}


def summary_line(path: Path) -> str:
    """What a shipped recipe is: the first line of its head comment, without the name."""
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    return first.lstrip("# ").partition(": ")[2]


def is_path(name_or_path: str) -> bool:
    """Whether it is a path rather than the name of a shipped recipe: only who gives that lets code in it run."""
    return os.sep in name_or_path or name_or_path.endswith(_SUFFIXES)


def find_recipe(name_or_path: str) -> Path:
    """The file of a shipped recipe's name or of a path.

    Raises:
        RecipeError: there is none.
    """
    if "\0" in name_or_path:
        raise RecipeError(Problem(f"{name_or_path!r} is no path", where="RECIPE"))
    if is_path(name_or_path):
        path = Path(name_or_path)
        if os.path.isfile(path):
            return path
        message = "not a regular file" if os.path.exists(path) else "there is no such file"
        raise RecipeError(Problem(message, where=name_or_path, fix="sweep recipes list shows the shipped ones"))
    shipped = shipped_recipes()
    if name_or_path not in shipped:
        hint = nearest(name_or_path, list(shipped))
        raise RecipeError(
            Problem(
                f"there is no recipe {name_or_path!r}{hint}",
                where="RECIPE",
                fix=f"shipped: {', '.join(shipped)}; or give the path of a .yaml file",
            )
        )
    return shipped[name_or_path]


def read_bytes(path: Path) -> bytes:
    """Reads without waiting: a pipe that has come into the file's place meanwhile, or the kernel's log, is empty."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            return file.read(MAX_BYTES + 1) or b""
    except OSError as error:
        raise RecipeError(Problem(f"cannot be read: {error.strerror}", where=shown_path(path))) from None


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def shown_path(path: Path) -> str:
    """`path` as a reader knows it: relative, where it lies below the current folder."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
