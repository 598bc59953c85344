"""The checkpoints of one Stage on disk: `sha256 header`, a newline, and bytes that only the training room can read.

A file is checked before anything in it is used: its checksum, and that it belongs to this Stage and step. Checkpoints
are disposable, so one that is not usable is no error; its reason is for the user.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from sweep.errors import MachineError, Problem
from sweep.store.durable import discard_file, discard_folder, make_folder, write_bytes

FORMAT = 1
# The one before is for the case that the newest is damaged.
_NUM_KEPT = 2
_CHECKSUM_CHARS = 64
_SUFFIX = ".state"


class UnusableState(Exception):
    """A checkpoint that nobody goes on from; the text says why, as in "checkpoint damaged"."""


class _Header(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    stage: str
    step: int


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

    def write(self, step: int, content: bytes | memoryview) -> None:
        """Keep `content` as the checkpoint of `step`, and of the older ones the newest.

        Raises:
            MachineError: it cannot be written; the older ones are as they were.
        """
        self.begin()
        header = _Header(format=FORMAT, stage=self.folder.name, step=step).model_dump_json().encode() + b"\n"
        if self._path(step).is_symlink():
            discard_file(self._path(step))  # else what it points to would be replaced
        write_bytes(self._path(step), _checksum(header, content), b" ", header, content)
        self._remove_all_but(self.steps()[:_NUM_KEPT])

    def read(self, step: int) -> memoryview:
        """The content of the checkpoint of `step`.

        Raises:
            UnusableState: it is damaged, or not of this Stage.
        """
        try:
            whole = self._path(step).read_bytes()
        except OSError as error:
            raise UnusableState(f"unreadable ({error.strerror})") from error
        body = memoryview(whole)[_CHECKSUM_CHARS + 1 :]
        if whole[: _CHECKSUM_CHARS + 1] != _checksum(body) + b" ":
            raise UnusableState("damaged")
        start = whole.find(b"\n", _CHECKSUM_CHARS) + 1
        self._check_header(whole[_CHECKSUM_CHARS + 1 : start], step)
        return memoryview(whole)[start:]

    def remove(self, step: int) -> None:
        """Remove one checkpoint."""
        discard_file(self._path(step))

    def remove_all(self) -> None:
        """Remove every checkpoint, and the folder: the Stage is done."""
        if self.is_begun:
            discard_folder(self.folder)

    def _path(self, step: int) -> Path:
        return self.folder / f"{step}{_SUFFIX}"

    def _check_header(self, line: bytes, step: int) -> None:
        try:
            header = _Header.model_validate_json(line)
        except ValidationError:
            raise UnusableState("of another version") from None
        if header.format != FORMAT:
            raise UnusableState(f"of another version (format {header.format})")
        if (header.stage, header.step) != (self.folder.name, step):
            raise UnusableState("of another stage")

    def _remove_all_but(self, steps: list[int]) -> None:
        """What a killed process was writing has a name of its own, and goes too."""
        kept = {self._path(step) for step in steps}
        for path in self.folder.iterdir():
            if path not in kept:
                discard_file(path)


def _checksum(*parts: bytes | memoryview) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest().encode()
