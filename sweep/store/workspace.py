"""Every path under `results/<sweep>/`, and its lock.

results/digits/journal.jsonl   the truth
               lock, owner     one sweep at a time, and which
               logs/           what workers printed
               states/STAGE/   the checkpoints of a Stage that is not done
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from sweep.clock import utc_now
from sweep.errors import MachineError, Problem, UsageError
from sweep.store.durable import make_folder, rename, replacing

# Chosen: who only looks whether a sweep is running holds its lock for some microseconds.
_SECONDS_TO_LOCK = 0.2
# What is kept in git to be compared with: nothing trains there.
_KEPT = "reference-"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,79}(~[0-9]{1,4})*")


@dataclass(frozen=True)
class Workspace:
    """The folder of one sweep."""

    folder: Path

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    @property
    def name(self) -> str:
        return self.folder.name

    def log(self, worker: int) -> Path:
        return self.folder / "logs" / f"worker-{worker}.log"

    def states(self, stage: str) -> Path:
        return self.folder / "states" / stage

    def relative(self, path: Path) -> str:
        """`path` as it is recorded: a results folder may be moved."""
        return str(path.relative_to(self.folder))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the sweep for this process; freed by the system when the process ends, however it ends.

        Raises:
            MachineError: another process holds it, or the folder cannot be written.
        """
        make_folder(self.folder)
        lock = FileLock(self.folder / "lock", timeout=_SECONDS_TO_LOCK)
        try:
            lock.acquire()
        except Timeout:
            raise MachineError(Problem(f"in use by {self._owner()}", where=str(self.folder))) from None
        except OSError as error:
            raise MachineError(Problem(f"cannot be locked: {error.strerror}", where=str(self.folder))) from error
        try:
            with replacing(self.folder / "owner") as file:
                json.dump({"process": os.getpid(), "host": socket.gethostname(), "since": utc_now()}, file)
            yield
        finally:
            lock.release()

    def is_locked(self) -> bool:
        """Whether a process trains here now. Writes nothing."""
        try:
            descriptor = os.open(self.folder / "lock", os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def num_bytes(self) -> int:
        """The size of all its files."""
        sizes = []
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with suppress(FileNotFoundError):  # a sweep that runs replaces its files
                    sizes.append(os.lstat(os.path.join(folder, name)).st_size)
        return sum(sizes)

    def set_aside(self) -> Path:
        """Rename the folder to the first free NAME~1, NAME~2, …; returns its new path."""
        for number in count(1):
            target = self.folder.with_name(f"{self.folder.name}~{number}")
            if not target.exists():
                rename(self.folder, target)
                return target
        raise AssertionError("unreachable")

    def _owner(self) -> str:
        try:
            owner = json.loads((self.folder / "owner").read_text(encoding="utf-8"))
            return f"process {owner['process']} on {owner['host']} since {owner['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"


def open_workspace(results: Path, name: str, where: str = "--name") -> Workspace:
    """The workspace called `name`; nothing is made yet.

    Raises:
        UsageError: the name could leave the results folder or is no plain file name.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            Problem(
                f"{name!r} is no name for a sweep",
                where=where,
                fix="letters, digits and . _ + -, not starting with a dot or dash, at most 80",
            )
        )
    folder = results / name
    if folder.is_symlink():
        raise UsageError(Problem(f"{folder} is a link: a sweep writes only into its own folder", where=where))
    return Workspace(folder)


def open_writable(results: Path, name: str, where: str = "--name") -> Workspace:
    """The workspace called `name`, to train in; nothing is made yet.

    Raises:
        UsageError: no name for a sweep, or one of those that are kept as they are.
    """
    workspace = open_workspace(results, name, where)
    if name.startswith(_KEPT):
        raise UsageError(
            Problem(
                f"{name!r} is read-only: sweeps whose name begins with {_KEPT} are kept as references",
                where=where,
                fix="choose another --name; sweep report shows it",
            )
        )
    return workspace


def list_workspaces(results: Path) -> list[Workspace]:
    """Every sweep under `results`, by name."""
    folders = sorted(results.iterdir()) if results.is_dir() else []
    return [Workspace(folder) for folder in folders if (folder / "journal.jsonl").is_file()]
