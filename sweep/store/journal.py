"""Append-only records, one line each: `checksum json`. The truth about a sweep.

An append returns after fsync: one for all the records that it is given. A line that is torn or altered fails its
checksum, is named, and hides no other.
"""

from __future__ import annotations

import errno
import gc
import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from sweep.errors import MachineError, Problem
from sweep.store.durable import append_lines, read_file, write_bytes
from sweep.store.records import FORMAT, AnyRecord, Record

_RECORD: TypeAdapter[Record] = TypeAdapter(AnyRecord)
_CHECKSUM_CHARS = 16
# Not compiled here: only damaged lines need them.
_STAGE = rb'"kind":"stage".{0,40}"stage":"([0-9a-f]{16})"'
_RECORD_START = rb"(?=[0-9a-f]{%d} \{)" % _CHECKSUM_CHARS


class _Header(BaseModel):
    format: int = 0


@dataclass(frozen=True)
class Replay:
    """The records in the order in which they were written, and the numbers (from 1) of the lines that are damaged.

    `damaged_stages` are the Stages whose ids can still be read in these.
    """

    records: tuple[Record, ...]
    damaged_lines: tuple[int, ...]
    damaged_stages: tuple[str, ...] = ()


def append(path: Path, *records: Record) -> None:
    """Write `records` down for good: all of them, or none.

    Raises:
        MachineError: they cannot be written.
    """
    append_lines(path, *map(line_of, records))


def write(path: Path, records: Iterable[Record]) -> None:
    """Make `path` a journal of `records`: of all of them, or it is what it was before.

    Raises:
        MachineError: it cannot be written.
    """
    write_bytes(path, *(line_of(record) + b"\n" for record in records))


def line_of(record: Record) -> bytes:
    """A record as a journal's line, without the newline."""
    body = record.model_dump_json().encode()
    return _checksum(body) + b" " + body


def replay(path: Path) -> Replay:
    """Read every record that is whole.

    Raises:
        MachineError: the file cannot be read, or was made by a newer version.
    """
    try:
        # Not splitlines: a byte that was altered into a carriage return would shift the numbers an editor shows.
        lines = read_file(path).split(b"\n") if path.exists() else []
    except OSError as error:
        fix = "choose a shorter name or path" if error.errno == errno.ENAMETOOLONG else None
        raise MachineError(Problem(f"cannot be read: {error.strerror}", where=str(path), fix=fix)) from error
    with _no_collection():
        return _replayed(lines, path)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Records are kept, and refer to nothing that refers back: to look through all of them for garbage, again and again
    while they become more, is time lost that grows faster than they do."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _replayed(lines: list[bytes], path: Path) -> Replay:
    records: list[Record] = []
    damaged: list[int] = []
    stages: list[str] = []
    for number, line in enumerate(lines, start=1):
        where = f"{path}:{number}"
        if (record := _parse(line, where)) is not None:
            records.append(record)
        elif line:
            damaged.append(number)
            stages += [found.decode("ascii") for found in re.findall(_STAGE, line)]
            records += _joined(line, where)
    return Replay(tuple(records), tuple(damaged), tuple(stages))


def _joined(line: bytes, where: str) -> list[Record]:
    """The whole records of a damaged line: where a newline was altered, two lines are joined by the byte it became."""
    found = (_parse(part, where) or _parse(part[:-1], where) for part in re.split(_RECORD_START, line))
    return [record for record in found if record is not None]


def _parse(line: bytes, where: str) -> Record | None:
    checksum, _, body = line.partition(b" ")
    if _checksum(body) != checksum:
        return None
    try:
        made_by = _Header.model_validate_json(body).format
        if made_by > FORMAT:
            raise MachineError(
                Problem(f"made by a newer version (format {made_by})", where=where, fix="upgrade budget-sweep")
            )
        return _RECORD.validate_json(body)
    except ValidationError:
        return None


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:_CHECKSUM_CHARS].encode()
