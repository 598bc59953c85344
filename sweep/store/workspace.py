"""Every path under `results/<sweep>/`, and its lock.

results/digits/journal.jsonl   the truth
               lock, owner     one sweep at a time, and which
               logs/           what workers printed
               states/STAGE/   the states of a Stage that others go on from, or that is not done
               weights/        each trial's final weights, where they are kept
               outputs/TRIAL/  what the command of a trial has written, where a recipe has one
               queue/, outbox/ what was handed to jobs of a cluster, and what these have left (see queue.py)
"""

from __future__ import annotations

import json
import os
import re
import socket
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from sweep.clock import local_text, utc_now
from sweep.errors import MachineError, Problem, UsageError
from sweep.printable import is_unicode
from sweep.store.durable import check_appendable, discard_unfinished, make_folder, read_file, rename, replacing
from sweep.store.lock import LockTaken, hold, is_held

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

    @property
    def is_reference(self) -> bool:
        """Whether it is kept as it is, to be compared with."""
        return self.name.startswith(_KEPT)

    def log(self, worker: int | str) -> Path:
        return self.folder / "logs" / f"worker-{worker}.log"

    def trial_log(self, trial: str) -> Path:
        """What the command of a trial printed."""
        return self.folder / "logs" / f"{trial}.log"

    def output(self, trial: str) -> Path:
        """The folder of a trial's command."""
        return self.folder / "outputs" / trial

    @property
    def states(self) -> Path:
        return self.folder / "states"

    @property
    def queue(self) -> Path:
        return self.folder / "queue"

    @property
    def outbox(self) -> Path:
        return self.folder / "outbox"

    def weights(self, trial: str) -> Path:
        return self.folder / "weights" / f"{trial}.pt"

    def relative(self, path: Path) -> str:
        """`path` as it is recorded: a results folder may be moved."""
        return str(path.relative_to(self.folder))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the sweep for this process; freed by the system when the process ends, however it ends.

        Raises:
            MachineError: another process holds it, it cannot be written, or something foreign is in it.
        """
        make_folder(self.folder)
        self._check_own()
        with ExitStack() as held:
            try:
                held.enter_context(hold(self._lock))
            except LockTaken:
                raise self._in_use("wait for it, or choose another --name") from None
            discard_unfinished(self.folder / "owner")
            with replacing(self.folder / "owner") as file:
                json.dump({"process": os.getpid(), "host": socket.gethostname(), "since": utc_now()}, file)
            check_appendable(self.journal)
            yield

    def is_locked(self) -> bool:
        """Whether a process trains here now. Writes nothing."""
        return is_held(self._lock)

    def check_free(self) -> None:
        """Pass in silence where no process trains here now. Writes nothing.

        Raises:
            MachineError: one does.
        """
        if self.is_locked():
            raise self._in_use("wait for it")

    def _in_use(self, fix: str) -> MachineError:
        return MachineError(Problem(f"in use by {self._owner()}", where=str(self.folder), fix=fix))

    @property
    def _lock(self) -> Path:
        return self.folder / "lock"

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
            if not os.path.lexists(target):
                rename(self.folder, target)
                return target
        raise AssertionError("unreachable")

    def _check_own(self) -> None:
        """Refuse links, and what is no file or folder where one belongs: writing there would write elsewhere, or wait
        for ever."""
        logs = self.folder / "logs"
        files = [self.journal, self.folder / "lock", self.folder / "owner"]
        folders = [logs, self.states, self.queue, self.outbox, self.folder / "weights", self.folder / "outputs"]
        problems = _strange(folders, stat.S_ISDIR, "folder")
        if not problems and logs.exists():
            files += logs.glob("*.log")
        if problems := [*problems, *_strange(files, stat.S_ISREG, "file")]:
            raise MachineError(problems)

    def _owner(self) -> str:
        try:
            owner = json.loads(read_file(self.folder / "owner"))
            return f"process {owner['process']} on {owner['host']} since {local_text(owner['since'])}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"


def _strange(paths: Iterable[Path], is_right: Callable[[int], bool], kind: str) -> list[Problem]:
    """What is there of `paths` and is not what it must be."""
    there = [(path, path.lstat().st_mode) for path in paths if os.path.lexists(path)]
    return [
        Problem(
            "is a link: a sweep writes only into its own folder" if stat.S_ISLNK(mode) else f"is no regular {kind}",
            where=str(path),
            fix="remove it, or choose another --name",
        )
        for path, mode in there
        if not is_right(mode)
    ]


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
    if os.path.islink(folder):  # unlike a Path, it can be asked of a path that is too long
        raise UsageError(Problem(f"{folder} is a link: a sweep writes only into its own folder", where=where))
    return Workspace(folder)


def open_writable(results: Path, name: str, where: str = "--name") -> Workspace:
    """The workspace called `name`, to train in; nothing is made yet.

    Raises:
        UsageError: no name for a sweep, one of those that are kept as they are, or a path that is no text.
    """
    workspace = open_workspace(results, name, where)
    if not is_unicode(str(workspace.folder.absolute())):
        raise UsageError(
            Problem(
                f"{str(workspace.folder.absolute())!r} is not UTF-8: no worker can be told of it",
                where="--results",
                fix="choose another folder",
            )
        )
    if workspace.is_reference:
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
