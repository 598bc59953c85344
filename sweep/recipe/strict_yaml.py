"""Bytes -> dict with line numbers: the part of YAML that a flat recipe needs, and nothing else.

Refused: anchors, aliases and tags (a merge-key bomb of 586 bytes hangs `yaml.safe_load`), duplicate keys, several
documents, more than 64 KB, more than a few levels, anything but UTF-8. Numbers are YAML 1.2's, so `1e-3` is a number,
`no` is a text and `010` is not 8. Nothing is ever constructed but str, int, float, bool, None, list and dict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import yaml

from sweep.errors import Problem, RecipeError

MAX_BYTES = 64 * 1024
# A recipe is flat: a key, and at most a list or a small mapping under it.
MAX_DEPTH = 4

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_CONSTANTS = {
    "true": True,
    "True": True,
    "false": False,
    "False": False,
    "null": None,
    "Null": None,
    "~": None,
    "": None,
}
# Longer digit strings are no number that a recipe means, and Python takes quadratic time to read them.
_MAX_NUMBER_CHARS = 40


@dataclass(frozen=True)
class Document:
    """The mapping that a text holds, the line (from 1) of each of its top-level keys, and what was refused in it."""

    values: dict[str, object]
    lines: dict[str, int]
    problems: list[Problem]


def read_mapping(data: bytes, where: str) -> Document:
    """Read one flat YAML mapping. `where` names the text in messages (a path, or an option).

    Raises:
        RecipeError: with everything that is wrong, each with its line.
    """
    document = survey_mapping(data, where)
    if document.problems:
        raise RecipeError(document.problems)
    return document


def survey_mapping(data: bytes, where: str) -> Document:
    """Read as `read_mapping` does, but go on past whatever can be passed over: it is in the document's `problems`.

    Raises:
        RecipeError: where the reading ends early: not UTF-8, not YAML, no mapping, empty, too long or too deep.
    """
    text = _decode(data, where)
    reader = _Reader(where)
    try:
        return reader.read(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        reader.complain(line, f"not YAML: {error.problem or error.context}")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        reader.complain(line, f"not YAML: {chr(error.character)!r} is no printable character")
    raise RecipeError(reader.problems)


def read_value(text: str, where: str, key: str) -> object:
    """Read one value as it would stand behind a key (`0.1`, `[3, 4]`): what `--set key=value` takes.

    Raises:
        RecipeError: as `read_mapping`, with `where` and `key` in place of lines.
    """
    try:
        values = read_mapping(f"value: {text}".encode("utf-8", "surrogateescape"), where).values
    except RecipeError as error:
        raise RecipeError(replace(problem, where=where, key=key) for problem in error.problems) from None
    if values.keys() != {"value"}:
        raise RecipeError(Problem("more than one value", where=where, key=key))
    return values["value"]


def _decode(data: bytes, where: str) -> str:
    if len(data) > MAX_BYTES:
        raise RecipeError(Problem(f"over {MAX_BYTES} bytes; a recipe is a page of text", where=where))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise RecipeError(
            Problem(
                f"not UTF-8: byte 0x{data[error.start]:02x}",
                where=f"{where}:{line}",
                fix="save the file as UTF-8",
            )
        ) from None


class _Reader:
    """Walks the parser's events, so that nothing is built from what is refused."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.problems: list[Problem] = []

    def complain(self, line: int, message: str, key: str | None = None, fix: str | None = None) -> None:
        self.problems.append(Problem(message, where=f"{self.where}:{line}", key=key, fix=fix))

    def read(self, text: str) -> Document:
        events = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        document = Document({}, {}, self.problems)
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if document.lines:
                    self.complain(_line(event), "a second document", fix="a recipe is one mapping; remove the '---'")
                    break
                self._read_root(next(events), events, document)
        if not document.values and not self.problems:
            self.complain(1, "empty", fix="write at least one `key: value`")
            raise RecipeError(self.problems)
        return document

    def _read_root(self, first: yaml.Event, events: Iterator[yaml.Event], document: Document) -> None:
        if isinstance(first, yaml.MappingStartEvent):
            self._check_node(first)
            self._read_pairs(events, document.values, document.lines, depth=1)
        elif not (isinstance(first, yaml.ScalarEvent) and not first.value):
            # The rest is not read: 64 KB of brackets would take minutes.
            self.complain(_line(first), "not a mapping", fix="write `key: value` lines")
            raise RecipeError(self.problems)

    def _read_pairs(
        self, events: Iterator[yaml.Event], values: dict[str, object], lines: dict[str, int], depth: int
    ) -> None:
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                return
            key = self._read_node(event, events, depth + 1)
            value_event = next(events)
            value = self._read_node(value_event, events, depth + 1, key=str(key))
            if not isinstance(event, yaml.ScalarEvent):
                self.complain(_line(event), "a key must be a plain word")
            elif event.value in lines:
                self.complain(
                    _line(event),
                    f"given twice; first on line {lines[event.value]}",
                    event.value,
                    "keep one of them",
                )
            else:
                lines[event.value] = _line(event)
                values[event.value] = value

    def _read_node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int, key: str | None = None) -> object:
        self._check_node(event, key)
        if depth > MAX_DEPTH + 1:
            raise RecipeError([*self.problems, _too_deep(self.where, event, key)])
        if isinstance(event, yaml.ScalarEvent):
            return self._read_scalar(event, key)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._read_items(events, depth)
        if isinstance(event, yaml.MappingStartEvent):
            values: dict[str, object] = {}
            self._read_pairs(events, values, {}, depth)
            return values
        return None  # an alias: already complained of

    def _read_items(self, events: Iterator[yaml.Event], depth: int) -> list[object]:
        items: list[object] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._read_node(event, events, depth + 1))
        return items

    def _check_node(self, event: yaml.Event, key: str | None = None) -> None:
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if isinstance(event, yaml.AliasEvent):
            self.complain(_line(event), f"an alias (*{anchor})", key, "write the value out")
        elif anchor is not None:
            self.complain(_line(event), f"an anchor (&{anchor})", key, "remove it")
        if tag is not None:
            self.complain(_line(event), f"a tag ({tag})", key, "remove it")

    def _read_scalar(self, event: yaml.ScalarEvent, key: str | None) -> object:
        text: str = event.value
        if event.style is not None:  # quoted: a text, whatever it looks like
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        is_int, is_float = _INT.fullmatch(text), _FLOAT.fullmatch(text)
        if (is_int or is_float) and len(text) > _MAX_NUMBER_CHARS:
            self.complain(_line(event), f"a number of {len(text)} characters", key)
            return 0
        if is_int:
            return int(text)
        return float(text.replace(".inf", "inf").replace(".nan", "nan").replace(".NaN", "nan")) if is_float else text


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None  # every event of a parsed text has its place
    return int(event.start_mark.line) + 1


def _too_deep(where: str, event: yaml.Event, key: str | None) -> Problem:
    return Problem(
        f"nested more than {MAX_DEPTH} deep", where=f"{where}:{_line(event)}", key=key, fix="a recipe is flat"
    )
