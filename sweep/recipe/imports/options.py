"""The options of a script as its own parser (argparse) reads them from the words of a command line.

Spellings may be shortened as far as they stay the only ones that begin so; of an option given twice the last counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from sweep.errors import Problem
from sweep.recipe.fields import shown
from sweep.recipe.spelling import nearest

_KINDS = {int: "a whole number", float: "a number"}
_NEGATIVE = re.compile(r"-\d+|-\d*\.\d+")
# More words that nobody reads are as many as the first ones say.
_MAX_STRAY = 5


@dataclass(frozen=True)
class Option:
    """An option, by its name with underscores. `kind` is what it takes: int, float, str, or bool for a mere switch.

    What becomes of it: it is the key `key` of a recipe, or is left out for `reason`, or, where neither is there, takes
    more than a table to translate. `changes` says that leaving it out changes the training, unless it has its
    default.
    """

    name: str
    kind: type = str
    default: object = None
    key: str | None = None
    reason: str | None = None
    changes: bool = False
    also: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """As it is typed."""
        return f"--{self.name.replace('_', '-')}"


@dataclass
class Given:
    """The options that were given, by name; the spellings that are none; and everything that is wrong."""

    values: dict[str, object] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_options(words: Sequence[str], options: Sequence[Option]) -> Given:
    """The values of `options` in `words`."""
    return _Reader(words, options).read()


class _Reader:
    """Walks the words once; what follows a mistake is read all the same."""

    def __init__(self, words: Sequence[str], options: Sequence[Option]) -> None:
        self._words = list(words)
        self._spellings = {spelling: option for option in options for spelling in (option.shown, *option.also)}
        self._given = Given()
        self._at = 0

    def read(self) -> Given:
        stray = []
        while self._at < len(self._words):
            word = self._words[self._at]
            self._at += 1
            if word.startswith("-") and word != "-":
                self._read_option(word)
            else:
                stray.append(word)
        if stray:
            self._given.problems.append(_stray(stray))
        return self._given

    def _read_option(self, word: str) -> None:
        spelling, value = _parted(word)
        found = self._find(spelling)
        if len(found) != 1:
            self._given.problems.append(self._unknown(spelling, found))
            self._given.unknown.append(spelling)
            self._pass_over_value(value)
        elif found[0].kind is bool:
            self._switch_on(found[0], value)
        else:
            self._take_value(found[0], value if value is not None else self._next_word())

    def _find(self, spelling: str) -> list[Option]:
        if spelling in self._spellings:
            return [self._spellings[spelling]]
        begun = [self._spellings[known] for known in self._spellings if known.startswith(spelling)]
        return list(dict.fromkeys(begun)) if spelling.startswith("--") and len(spelling) > 2 else []

    def _unknown(self, spelling: str, found: list[Option]) -> Problem:
        if found:
            return Problem(f"could be {', '.join(option.shown for option in found)}", shown(spelling))
        return Problem(f"no option of the script's{nearest(spelling, list(self._spellings))}", shown(spelling))

    def _pass_over_value(self, value: str | None) -> None:
        if value is None and self._at < len(self._words) and not _is_option(self._words[self._at]):
            self._at += 1

    def _next_word(self) -> str | None:
        if self._at == len(self._words) or _is_option(self._words[self._at]):
            return None
        self._at += 1
        return self._words[self._at - 1]

    def _switch_on(self, option: Option, value: str | None) -> None:
        if value is not None:
            self._given.problems.append(Problem("takes no value", option.shown))
        self._given.values[option.name] = True

    def _take_value(self, option: Option, text: str | None) -> None:
        if text is None:
            self._given.problems.append(Problem("its value is missing", option.shown))
            return
        try:
            self._given.values[option.name] = option.kind(text)
        except ValueError:
            self._given.problems.append(Problem(f"{shown(text)} is not {_KINDS[option.kind]}", option.shown))


def _parted(word: str) -> tuple[str, str | None]:
    """The spelling and the value that stands in the same word: `--lr=0.1`, `-b=64`, `-b64`."""
    spelling, equals, value = word.partition("=")
    if not word.startswith("--") and len(spelling) > 2:
        return word[:2], word[2:]
    return spelling, value if equals else None


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-" and not _NEGATIVE.fullmatch(word)


def _stray(words: list[str]) -> Problem:
    more = f" and {len(words) - _MAX_STRAY} more" if len(words) > _MAX_STRAY else ""
    named = ", ".join(map(shown, words[:_MAX_STRAY]))
    return Problem(
        f"belongs to no option: {named}{more}", "the command", fix="leave out what is not the script's, | and > too"
    )


def named(options: Sequence[Option]) -> dict[str, Option]:
    """Options by their names."""
    return {option.name: option for option in options}
