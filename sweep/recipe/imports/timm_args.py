"""The arguments that an args.yaml of timm's train.py holds, each of its kind."""

from __future__ import annotations

from math import isfinite

from sweep.errors import Problem
from sweep.recipe.fields import shown
from sweep.recipe.imports.options import Option, named
from sweep.recipe.imports.timm_options import OPTIONS
from sweep.recipe.strict_yaml import Document

BY_NAME = named(OPTIONS)
_KINDS = {int: "a whole number", float: "a finite number", str: "a text", bool: "true or false", list: "a list"}


def _is_of(kind: type, value: object) -> bool:
    if isinstance(value, bool):
        return kind in (bool, object)
    if kind is float:
        return isinstance(value, int | float) and isfinite(value)
    return isinstance(value, kind)


class Args:
    """The arguments by name: one that is absent, or of the wrong kind and so one of `problems`, has its default.

    `values` holds those that are there, the unknown ones too. `where` names the file.
    """

    def __init__(self, document: Document, where: str) -> None:
        self.values = document.values
        self.problems = list(document.problems)
        self._places = {name: f"{where}:{line}" for name, line in document.lines.items()}
        self._where = where
        self._checked = {name: self._check(option) for name, option in BY_NAME.items()}

    def __getitem__(self, name: str) -> object:
        return self._checked[name]

    def number(self, name: str) -> float:
        """One that is never without a value."""
        value = self._checked[name]
        assert isinstance(value, int | float), name
        return value

    def place(self, name: str) -> str:
        """Where it was given."""
        return self._places.get(name, self._where)

    def _check(self, option: Option) -> object:
        value = self.values.get(option.name)
        if value is None:
            return option.default
        if _is_of(option.kind, value):
            return value
        message = f"{shown(value)} is not {_KINDS[option.kind]}"
        self.problems.append(Problem(message, self.place(option.name), option.name))
        return option.default
