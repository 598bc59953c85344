"""Append-only records, one line each: `checksum json`. The truth about a sweep.

An append returns after fsync. A line that is torn or altered fails its checksum, is named, and hides no other.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from sweep.errors import MachineError, Problem
from sweep.store.durable import append_line
from sweep.store.records import FORMAT, Record, StageRecord, StartRecord

_RECORD: TypeAdapter[StartRecord | StageRecord] = TypeAdapter(Record)
_CHECKSUM_CHARS = 16


@dataclass(frozen=True)
class Replay:
    """The records in the order in which they were written, and the numbers (from 1) of the lines that are damaged."""

    records: tuple[StartRecord | StageRecord, ...]
    damaged_lines: tuple[int, ...]


def append(path: Path, record: StartRecord | StageRecord) -> None:
    """Write `record` down for good.

    Raises:
        MachineError: it cannot be written.
    """
    body = record.model_dump_json().encode()
    append_line(path, _checksum(body) + b" " + body)


def replay(path: Path) -> Replay:
    """Read every record that is whole.

    Raises:
        MachineError: the file cannot be read, or was made by a newer version.
    """
    try:
        lines = path.read_bytes().splitlines() if path.exists() else []
    except OSError as error:
        raise MachineError(Problem(f"cannot be read: {error.strerror}", where=str(path))) from error
    records, damaged = [], []
    for number, line in enumerate(lines, start=1):
        record = _parse(line, f"{path}:{number}")
        if record is not None:
            records.append(record)
        elif line:
            damaged.append(number)
    return Replay(tuple(records), tuple(damaged))


def _parse(line: bytes, where: str) -> StartRecord | StageRecord | None:
    checksum, _, body = line.partition(b" ")
    if _checksum(body) != checksum:
        return None
    made_by = json.loads(body).get("format", 0)
    if made_by > FORMAT:
        raise MachineError(
            Problem(f"made by a newer version (format {made_by})", where=where, fix="upgrade budget-sweep")
        )
    try:
        return _RECORD.validate_json(body)
    except ValidationError:
        return None


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:_CHECKSUM_CHARS].encode()
