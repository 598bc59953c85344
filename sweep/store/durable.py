"""The only file that opens a file for writing.

What is written here survives a crash once the call has returned: data is flushed and fsynced, a file is replaced in one
step or not at all, and a torn last line of a log of records is closed off by the next append.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

from sweep.errors import MachineError, Problem


def append_line(path: Path, line: bytes) -> None:
    """Append `line` (without its newline) and fsync. A torn last line is ended first, so it damages no other.

    Raises:
        MachineError: the disk is full or the file cannot be written.
    """
    with _explained(path):
        is_new = not path.exists()
        with path.open("a+b") as file:
            file.write((b"\n" if _is_torn(file) else b"") + line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            _sync_folder(path.parent)


def _is_torn(file: BinaryIO) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def write_bytes(path: Path, *parts: bytes | memoryview) -> None:
    """Make `path` hold `parts`, one after the other: all of it or, when that fails, what it held before.

    Raises:
        MachineError: the disk is full or the folder cannot be written.
    """
    with replacing(path) as file:
        for part in parts:
            file.buffer.write(part)  # type: ignore[arg-type] # any buffer will do


@contextmanager
def replacing(path: Path) -> Iterator[TextIOWrapper]:
    """A text file that takes the place of `path` in one step when the block ends well, and leaves no trace otherwise.

    Raises:
        MachineError: the disk is full or the folder cannot be written.
    """
    path = Path(os.path.realpath(path))  # a link stays, and what it points to is replaced
    if path.exists() and not path.is_file():
        with _explained(path), path.open("w", encoding="utf-8", newline="") as device:
            yield device  # a device or a pipe is no file to replace
        return
    with _explained(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o666 & ~_umask())  # mkstemp makes files that only their owner reads
            os.replace(name, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(name)
            raise
        _sync_folder(path.parent)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def open_log(path: Path) -> BinaryIO:
    """A log to append to, for a process's output.

    Raises:
        MachineError: it cannot be opened.
    """
    make_folder(path.parent)
    with _explained(path):
        return path.open("ab", buffering=0)


def make_folder(path: Path) -> None:
    """Make `path` and the folders above it.

    Raises:
        MachineError: something else is there, or the disk is full or read-only.
    """
    with _explained(path):
        path.mkdir(parents=True, exist_ok=True)


def remove(path: Path) -> None:
    """Remove a file.

    Raises:
        MachineError: it cannot be removed.
    """
    with _explained(path):
        path.unlink()


def rename(path: Path, target: Path) -> None:
    """Rename a file or folder, durably.

    Raises:
        MachineError: it cannot be renamed.
    """
    with _explained(path):
        os.rename(path, target)
        _sync_folder(target.parent)


def discard_file(path: Path) -> None:
    """Remove what is disposable; where it cannot be removed, it stays."""
    with suppress(OSError):
        path.unlink()


def discard_folder(path: Path) -> None:
    """Remove a folder of what is disposable, with all that is in it; what cannot be removed stays."""
    shutil.rmtree(path, ignore_errors=True)


def _sync_folder(path: Path) -> None:
    """Make a new name in `path` durable: fsync of the file alone does not."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        fixes = {
            errno.ENOSPC: "the disk is full: free some space and run the same command again; nothing recorded is lost",
            errno.EROFS: "the disk is read-only: choose another place for it",
            errno.EACCES: "no permission: choose another place for it",
            errno.ENOTDIR: "a file is in the way: choose another place for it",
            errno.EEXIST: "a file is in the way: choose another place for it",
        }
        fix = fixes.get(error.errno or 0)
        raise MachineError(
            Problem(f"cannot be written: {error.strerror or error}", where=str(path), fix=fix)
        ) from error
