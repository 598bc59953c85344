"""The known spelling that is closest to an unknown one, for messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches


def nearest(name: str, known: Mapping[str, object] | Iterator[str] | list[str]) -> str:
    """The known spelling that is closest to `name`, as the tail of a message; empty where none is close."""
    spellings = {_folded(spelling): spelling for spelling in known}
    matches = get_close_matches(_folded(name), list(spellings), n=1, cutoff=0.6)
    return f"; did you mean {spellings[matches[0]]!r}?" if matches else ""


def _folded(spelling: str) -> str:
    return spelling.casefold().replace("-", "_")
