"""What an import makes of somebody else's options: a recipe's keys, what was left out, and what differs.

Every option ends up as a key (with a remark where its value was translated), or is left out with a reason.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from sweep.errors import Complaints, Problem, RecipeError
from sweep.recipe.check import check_recipe
from sweep.recipe.schema import Recipe
from sweep.recipe.strict_yaml import MAX_BYTES
from sweep.recipe.written import comment, spelled

_WIDTH = 120


@dataclass(frozen=True)
class LeftOut:
    """An option that no key of a recipe stands for; `changes` says whether the training is another one without it."""

    option: str
    reason: str
    changes: bool


@dataclass(frozen=True)
class Imported:
    """A recipe as it was read elsewhere. `values` are in the order of the keys, `remarks` by key."""

    origin: str
    source: str
    values: dict[str, object]
    remarks: dict[str, str]
    left_out: tuple[LeftOut, ...]
    differences: tuple[str, ...]

    @property
    def warnings(self) -> list[str]:
        """What was left out although it changes the training, by its reason."""
        lines = _by_reason(left for left in self.left_out if left.changes)
        return [f"left out, although it changes the training: {line}" for line in lines]

    @property
    def text(self) -> str:
        """The recipe's file."""
        return "\n".join([*map(comment, self._head()), *self._keys(), *self._tail(), ""])

    def _head(self) -> Iterator[str]:
        yield f"{self.values['model']}, imported from {self.origin}"
        yield ""
        yield f"Source:            {self.source}"
        yield "Expected accuracy: not measured by us"

    def _keys(self) -> Iterator[str]:
        for key, value in self.values.items():
            line = f"{key}: {spelled(value)}"
            remark = comment(self.remarks[key]) if key in self.remarks else ""
            if remark and len(line) + len(remark) + 3 > _WIDTH:
                yield remark
            elif remark:
                line = f"{line}   {remark}"
            yield line

    def _tail(self) -> Iterator[str]:
        of_training = (left for left in self.left_out if left.changes)
        of_no_matter = (left for left in self.left_out if not left.changes)
        yield from _section("Left out, although it changes the training:", _by_reason(of_training))
        yield from _section("Left out, and no matter of the training:", _by_reason(of_no_matter))
        yield from _section("What differs all the same:", iter(self.differences))


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    items = [part for line in lines for part in _wrapped(line)]
    if items:
        yield from ("", comment(title), *items)


def _wrapped(line: str) -> list[str]:
    safe = comment(line)[2:]
    return textwrap.wrap(
        safe, _WIDTH, initial_indent="# - ", subsequent_indent="#   ", break_long_words=False, break_on_hyphens=False
    )


def _by_reason(left_out: Iterator[LeftOut]) -> Iterator[str]:
    """A line for each reason, with all that it is the reason of."""
    options: dict[str, list[str]] = {}
    for left in left_out:
        options.setdefault(left.reason, []).append(left.option)
    yield from (f"{', '.join(names)}: {reason}" for reason, names in options.items())


class Draft:
    """An import in the making."""

    def __init__(self, origin: str, source: str) -> None:
        self._origin = origin
        self._source = source
        self._values: dict[str, object] = {}
        self._remarks: dict[str, str] = {}
        self._places: dict[str, str] = {}
        self._left_out: list[LeftOut] = []
        self._differences: list[str] = []
        self.complaints = Complaints()

    def set(self, key: str, value: object, place: str, remark: str | None = None) -> None:
        """`key` has `value`, which came from the option `place`."""
        self._values[key], self._places[key] = value, place
        if remark is not None:
            self._remarks[key] = remark

    def value(self, key: str) -> object:
        """What `key` was set to; None where it was not."""
        return self._values.get(key)

    def leave_out(self, option: str, reason: str, changes: bool = False) -> None:
        """Nothing in a recipe stands for `option`."""
        self._left_out.append(LeftOut(option, reason, changes))

    def differs(self, difference: str) -> None:
        """The training is another one in this, whatever the options say."""
        self._differences.append(difference)

    def refuse(self, message: str, option: str | None = None, fix: str | None = None) -> None:
        """What cannot be imported at all."""
        self.complaints.problems.append(Problem(message, option, fix=fix))

    def finished(self) -> Imported:
        """The recipe, which the loader takes.

        Raises:
            RecipeError: with everything that was refused, and everything that the loader finds wrong.
        """
        values = {key: self._values[key] for key in Recipe.model_fields if key in self._values}
        checked = check_recipe(values, self._places, default_place=self._origin)
        if problems := [*self.complaints.problems, *(checked if isinstance(checked, list) else [])]:
            raise RecipeError(problems)
        left_out, differences = tuple(self._left_out), tuple(self._differences)
        imported = Imported(self._origin, self._source, values, self._remarks, left_out, differences)
        if len(imported.text.encode()) > MAX_BYTES:
            raise RecipeError(
                Problem(f"its recipe would have over {MAX_BYTES} bytes, and is a page of text", self._origin)
            )
        return imported
