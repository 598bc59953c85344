"""Values and comments as they are written into a recipe file: whatever they hold, the strict reader takes them back."""

from __future__ import annotations

import re

import yaml

from sweep.printable import one_line
from sweep.recipe.duration import Duration

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_WHOLE_EPOCHS = re.compile(r"^([0-9]+)ep$")
# The two that a reader of YAML refuses beside the control characters.
_NO_CHARACTERS = re.compile("[\ufffe\uffff]")


def comment(line: str) -> str:
    """`line` as a comment, and only that."""
    return f"# {_NO_CHARACTERS.sub('?', one_line(line))}".rstrip()


def spelled(value: object) -> str:
    """A value as the strict reader takes it, and any other reader of YAML as well."""
    if isinstance(value, Duration):
        return _WHOLE_EPOCHS.sub(r"\1", str(value))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{spelled(key)}: {spelled(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(spelled, value))}]"
    if isinstance(value, str):
        is_plain = _WORD.fullmatch(value) and yaml.safe_load(value) == value
        return value if is_plain else yaml.safe_dump(value, default_style='"', width=float("inf")).strip()
    # YAML 1.1 takes 5e-05 for a text, and 5.0e-05 for the number that YAML 1.2 takes both for.
    return "null" if value is None else re.sub(r"^(-?\d+)e", r"\1.0e", repr(value).lower())
