"""The bytes of a CSV file -> its header and its rows, each with the line that it begins in."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import MachineError, Problem, UsageError
from sweep.report.csv_cells import plain_text

# A table of a million trials; pandas and its texts take ten times that in memory.
_MAX_BYTES = 100_000_000


@dataclass(frozen=True)
class Row:
    """A row's cells, and the line that it begins in."""

    line: int
    cells: list[str]


def read_rows(path: Path) -> tuple[list[str], Iterator[Row]]:
    """The header's names, and the rows below it that hold anything.

    Raises:
        UsageError: it is no CSV file, also while the rows are read.
        MachineError: it cannot be read.
    """
    return _split(path, _read(path))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise MachineError(Problem(error.strerror or str(error), where=str(path))) from None
    if len(content) > _MAX_BYTES:
        raise UsageError(Problem(f"is larger than {_MAX_BYTES // 1_000_000} MB", where=str(path)))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UsageError(Problem("is not UTF-8 text", where=f"{path}:{line}")) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise UsageError(Problem("holds a NUL byte: this is no CSV file", where=f"{path}:{line}"))
    return text


def _split(path: Path, text: str) -> tuple[list[str], Iterator[Row]]:
    first = text.partition("\n")[0]
    delimiter = next((char for char in ",;\t" if char in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)

    def read() -> Iterator[Row]:
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise UsageError(Problem(f"is no CSV: {error}", where=f"{path}:{line}")) from None
            if any(cell.strip() for cell in cells):
                yield Row(line, cells)

    rows = read()
    header = next(rows, None)
    if header is None:
        raise UsageError(Problem("is empty: a header with the columns' names is missing", where=str(path)))
    return [plain_text(cell.strip()) for cell in header.cells], rows
