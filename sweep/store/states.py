"""The states of one Stage on disk: `sha256 header`, a newline, and bytes that only the training room can read.

A file is checked before anything in it is used: its checksum, and that it belongs to this Stage and step. Checkpoints
are disposable, so one that is not usable is no error; its reason is for the user.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from sweep.errors import MachineError, Problem
from sweep.store.durable import discard_file, discard_folder, make_folder, read_file, write_own

FORMAT = 4
_READABLE = (2, 3, FORMAT)
# The one before is for the case that the newest is damaged.
_NUM_KEPT = 2
CHECKSUM_CHARS = 64
_MAX_HEADER_BYTES = 4096
_SUFFIX = ".state"


class UnusableState(Exception):
    """A checkpoint that nobody goes on from; the text says why, as in "checkpoint damaged"."""


class Origin(BaseModel):
    """The Stage that a state is of: its steps, and the longest run that it is part of. Enough to tell which other runs
    come the same way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    method: str
    ratio: str
    seed: int
    start_step: int
    stop_step: int
    is_end: bool


class _Header(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    step: int
    origin: Origin


@dataclass(frozen=True)
class StageStates:
    """The folder of one Stage's checkpoints; its name is the Stage's id."""

    folder: Path

    def begin(self) -> None:
        """Make the folder: it says that the Stage was begun.

        Raises:
            MachineError: it cannot be made, or is a link.
        """
        if self._is_link:
            raise MachineError(Problem("is a link: a sweep writes only into its own folder", where=str(self.folder)))
        make_folder(self.folder)

    @property
    def is_begun(self) -> bool:
        return self.folder.is_dir() and not self._is_link

    @property
    def _is_link(self) -> bool:
        return self.folder.is_symlink() or self.folder.parent.is_symlink()

    def steps(self) -> list[int]:
        """The steps that there is a checkpoint of, the newest first."""
        names = [path.stem for path in self.folder.glob(f"*{_SUFFIX}")] if self.is_begun else []
        return sorted((int(name) for name in names if name.isascii() and name.isdecimal()), reverse=True)

    def num_bytes(self) -> int:
        """The size of all files in the folder."""
        sizes = 0
        for path in self.folder.iterdir() if self.is_begun else ():
            with suppress(FileNotFoundError):  # a sweep that runs removes its own
                sizes += path.lstat().st_size
        return sizes

    def write(self, step: int, content: bytes | memoryview, origin: Origin, kept: Collection[int] = ()) -> None:
        """Keep `content` as the checkpoint of `step`; of the older ones the newest stays, and those of `kept` steps.

        Raises:
            MachineError: it cannot be written; the older ones are as they were.
        """
        self.begin()
        header = _Header(format=FORMAT, step=step, origin=origin).model_dump_json().encode() + b"\n"
        write_own(self.path(step), _checksum(header, content), b" ", header, content)
        newest = [other for other in self.steps() if other not in kept][:_NUM_KEPT]
        self.remove_all_but([step, *newest, *kept])

    def read(self, step: int) -> memoryview:
        """The content of the checkpoint of `step`.

        Raises:
            UnusableState: it is damaged, or not of this Stage.
        """
        try:
            whole = read_file(self.path(step))
        except OSError as error:
            raise UnusableState(f"unreadable ({error.strerror})") from error
        body = memoryview(whole)[CHECKSUM_CHARS + 1 :]
        if whole[: CHECKSUM_CHARS + 1] != _checksum(body) + b" ":
            raise UnusableState("damaged")
        start = whole.find(b"\n", CHECKSUM_CHARS) + 1
        self._check_header(whole[CHECKSUM_CHARS + 1 : start], step)
        return memoryview(whole)[start:]

    def origin(self, step: int) -> Origin | None:
        """What the checkpoint of `step` says of itself; None where that cannot be told. The rest is not looked at."""
        try:
            with self.path(step).open("rb") as file:
                line = file.readline(_MAX_HEADER_BYTES)
            return self._check_header(line[CHECKSUM_CHARS + 1 :], step)
        except (OSError, UnusableState):
            return None

    def remove(self, step: int) -> None:
        """Remove one checkpoint."""
        discard_file(self.path(step))

    def path(self, step: int) -> Path:
        """Of the checkpoint of `step`, whether there is one or not."""
        return self.folder / f"{step}{_SUFFIX}"

    def _check_header(self, line: bytes, step: int) -> Origin:
        try:
            header = _Header.model_validate_json(line)
        except ValidationError:
            raise UnusableState("of another version") from None
        if header.format not in _READABLE:
            raise UnusableState(f"of another version (format {header.format})")
        if (header.origin.stage, header.step) != (self.folder.name, step):
            raise UnusableState("of another stage")
        return header.origin

    def remove_all_but(self, steps: Collection[int]) -> None:
        """Remove all checkpoints but those of `steps`, and the folder where none is left. What a killed process was
        writing has a name of its own, and goes too."""
        if not self.is_begun:
            return
        kept = {self.path(step) for step in steps}
        left = False
        for path in self.folder.iterdir():
            if path in kept:
                left = True
            else:
                discard_file(path)
        if not left:
            discard_folder(self.folder)


def _checksum(*parts: bytes | memoryview) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest().encode()


def all_states(folder: Path) -> Iterator[StageStates]:
    """Every Stage that has a folder under a sweep's `states`."""
    if folder.is_dir() and not folder.is_symlink():
        yield from (StageStates(path) for path in sorted(folder.iterdir()) if path.is_dir() and not path.is_symlink())
