"""A stream that nobody dies of: what a full disk refuses of a log is lost, and the writer goes on."""

from __future__ import annotations

import io
from typing import TextIO


class _LossyFile(io.FileIO):
    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type] # any buffer will do
        except BrokenPipeError:  # not a disk's: who reads has gone
            raise
        except OSError:
            return memoryview(data).nbytes  # type: ignore[arg-type]


def lossy(stream: TextIO) -> TextIO:
    """Another `stream` on the same descriptor, a line at a time, that raises nothing where a line cannot be written."""
    raw = io.BufferedWriter(_LossyFile(stream.fileno(), "w", closefd=False))
    return io.TextIOWrapper(raw, encoding=stream.encoding, errors="backslashreplace", line_buffering=True)
