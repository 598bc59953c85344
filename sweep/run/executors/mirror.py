"""A folder that stands in for a sweep's own, on a machine that does not see that one. It holds the states that a Stage
needs; what a Worker writes and removes there is told, so that the sweep's own folder follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from sweep.store.durable import discard_file, make_folder, read_file, write_bytes
from sweep.store.workspace import Workspace

_STATES, _WEIGHTS = "states/*/*.state", "weights/*.pt"
# By which a file is told from what it was: its inode, its nanoseconds and its bytes.
_Mark = tuple[int, int, int]


@dataclass(frozen=True)
class Written:
    """A file holds this now; `path` is relative to the sweep's folder."""

    path: str
    content: bytes


@dataclass(frozen=True)
class Removed:
    """A file is gone."""

    path: str


@dataclass(frozen=True)
class Printed:
    """So much has been added to the Worker's log."""

    content: bytes


Change = Written | Removed | Printed


class Mirror:
    """Over `workspace`, a folder on this machine, and the `log` of the one Worker that uses it."""

    def __init__(self, workspace: Workspace, log: Path) -> None:
        self._folder = workspace.folder
        self._log = log
        self._num_printed = 0
        self._seen: dict[str, _Mark] = {}
        self._lock = Lock()  # what is filled in is no change

    def fill(self, states: Mapping[str, bytes | None]) -> None:
        """Hold these states and no others, by their paths; of None what is there stays.

        Raises:
            MachineError: the disk is full or cannot be written.
        """
        with self._lock:
            for path in self._look().keys() - states.keys():
                discard_file(self._folder / path)
            for path, content in states.items():
                if content is not None:
                    make_folder((self._folder / path).parent)
                    write_bytes(self._folder / path, content)
            self._seen = self._look()

    def changes(self) -> list[Change]:
        """What is other than it was when this was asked last."""
        with self._lock:
            before, self._seen = self._seen, self._look()
            written = [path for path, mark in self._seen.items() if before.get(path) != mark]
            changes: list[Change] = [*self._printed(), *map(Removed, sorted(before.keys() - self._seen.keys()))]
            for path in written:
                try:
                    changes.insert(0, Written(path, read_file(self._folder / path)))
                except OSError:  # the Worker has removed it meanwhile
                    del self._seen[path]
            return changes

    def _look(self) -> dict[str, _Mark]:
        found = {}
        for path in (*self._folder.glob(_STATES), *self._folder.glob(_WEIGHTS)):
            with suppress(OSError):
                status = path.stat()
                found[str(path.relative_to(self._folder))] = (status.st_ino, status.st_mtime_ns, status.st_size)
        return found

    def _printed(self) -> list[Change]:
        try:
            with self._log.open("rb") as file:
                file.seek(self._num_printed)
                content = file.read()
        except OSError:  # nothing has been printed
            return []
        self._num_printed += len(content)
        return [Printed(content)] if content else []
