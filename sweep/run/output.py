"""What a command has printed, read from the end of its log. Bounded, whatever was printed: binary noise, gigabytes, or
a line without end."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from sweep.printable import one_line

# Chosen: the figures of a run stand near its end; a noisy library may print much after them.
MAX_BYTES = 64 * 1024 * 1024
# What is longer is cut: a pattern is searched in each part.
_LINE_BYTES = 64 * 1024
_BLOCK_BYTES = 256 * 1024
# A progress bar begins its line anew with a carriage return.
_LINE_END = re.compile(rb"[\r\n]")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# What Python puts below a line of a traceback; what no text is decoded from.
_MARKS = re.compile(r"[\^~ ]+")
_NOISE = re.compile("\N{REPLACEMENT CHARACTER}+")
_SHOWN_LINES = 3
_SHOWN_CHARS = 80


class Output:
    """The log of one trial from `start` on, the byte with which an attempt begins."""

    def __init__(self, log: Path, start: int) -> None:
        self._log = log
        self._start = start

    def num_bytes(self) -> int:
        """How much was printed so far."""
        try:
            return max(0, os.path.getsize(self._log) - self._start)
        except OSError:
            return 0

    def lines(self, max_bytes: int = MAX_BYTES) -> Iterator[str]:
        """The lines that are not empty, the last one first, without a terminal's escape sequences: those in the last
        `max_bytes`."""
        try:
            with open(self._log, "rb") as file:
                end = file.seek(0, os.SEEK_END)
                first = max(self._start, end - max_bytes)
                rest = b""
                while end > first:
                    begin = max(first, end - _BLOCK_BYTES)
                    file.seek(begin)
                    rest = file.read(end - begin) + rest
                    end = begin
                    # What stands before the first line's end may go on in the block before.
                    head = _LINE_END.search(rest)
                    keep = head.start() if head else len(rest)
                    if keep > _LINE_BYTES or end == first:
                        keep = 0
                    yield from _texts(rest[keep:])
                    rest = rest[:keep]
        except OSError:
            return

    def ending(self) -> str:
        """The last lines that say something, as one line to be shown; empty where nothing was printed."""
        shown: list[str] = []
        for line in self.lines(_BLOCK_BYTES):
            if not _MARKS.fullmatch(line):
                shown.insert(0, _shortened(line))
            if len(shown) == _SHOWN_LINES:
                break
        return " / ".join(shown)


def _shortened(line: str) -> str:
    text = one_line(_NOISE.sub("\N{REPLACEMENT CHARACTER}", line))
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _texts(block: bytes) -> Iterator[str]:
    for line in reversed(_LINE_END.split(block)):
        for start in range((len(line) - 1) // _LINE_BYTES * _LINE_BYTES, -1, -_LINE_BYTES):
            text = line[start : start + _LINE_BYTES].decode("utf-8", "replace")
            if text := _ESCAPES.sub("", text).strip():
                yield text
