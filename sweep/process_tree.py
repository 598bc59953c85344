"""The processes below one, as Linux lists them in /proc; elsewhere none are known."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
# Of /proc/PID/stat, behind the name: state and parent, then user and system time, its own and its ended children's.
_STATE, _PARENT = 0, 1
_TIMES = slice(11, 15)
_ENDED = (b"Z", b"X")


@dataclass(frozen=True)
class _Entry:
    pid: int
    parent: int
    is_ended: bool
    ticks: int


def descendants(root: int) -> list[int]:
    """The living processes that `root` has started, directly or not; those that have ended and that nobody has waited
    for are none."""
    return [entry.pid for entry in _family(root, _PROC) if entry.pid != root and not entry.is_ended]


def family_ticks(root: int, proc: Path = _PROC) -> int:
    """CPU time of `root` and its descendants, in the kernel's ticks. One that has ended is in the time of the parent
    that waited for it.

    Raises:
        OSError, ValueError, IndexError: the system does not tell.
    """
    return sum(entry.ticks for entry in _family(root, proc))


def _family(root: int, proc: Path) -> Iterator[_Entry]:
    entries = {entry.pid: entry for entry in _entries(proc)}
    children: dict[int, list[int]] = {}
    for entry in entries.values():
        children.setdefault(entry.parent, []).append(entry.pid)
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        if pid in entries:
            yield entries[pid]
        waiting += children.get(pid, [])


def _entries(proc: Path) -> Iterator[_Entry]:
    # By plain system calls: every Stage asks, and a machine has hundreds of processes.
    for name in os.listdir(proc):
        if name.isdigit():
            try:
                with open(f"{proc}/{name}/stat", "rb", buffering=0) as file:
                    line = file.read()
            except OSError:  # it has ended meanwhile
                continue
            # The name stands in parentheses, and may hold anything.
            fields = line.rpartition(b")")[2].split()
            yield _Entry(int(name), int(fields[_PARENT]), fields[_STATE] in _ENDED, sum(map(int, fields[_TIMES])))
