"""The only file that opens a file for writing; what is read back is read here too.

What is written here survives a crash once the call has returned: data is flushed and fsynced, a file is replaced in one
step or not at all, and a torn last line of a log of records is closed off by the next append.
"""

from __future__ import annotations

import errno
import glob
import math
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

from sweep.errors import MachineError, Problem

_FULL = {errno.ENOSPC: "disk full", errno.EDQUOT: "disk quota used up"}
_IN_THE_WAY = "a file is in the way: choose another place for it"
_FIXES = {
    errno.EROFS: "the disk is read-only: choose another place for it",
    errno.EACCES: "no permission: choose another place for it",
    errno.EPERM: "no permission: choose another place for it",
    errno.ENOENT: "nothing can be made there: choose another place for it",
    errno.ENAMETOOLONG: "choose a shorter name or path",
    errno.ELOOP: "a link is in the way: remove it, or choose another place",
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.EISDIR: "a folder is in the way: choose another place for it",
}


def append_lines(path: Path, *lines: bytes) -> None:
    """Append `lines` (without their newlines) and fsync once. A torn last line is ended first, so it damages no other.

    Where they do not all get to the disk as a whole, all are taken back.

    Raises:
        MachineError: the disk is full or the file cannot be written.
    """
    with explained(path, sum(map(len, lines))):
        is_new = not path.exists()
        descriptor = _open_itself(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            _append(descriptor, b"".join(line + b"\n" for line in lines))
        finally:
            os.close(descriptor)
        if is_new:
            _sync_folder(path.parent)


def _append(descriptor: int, lines: bytes) -> None:
    end = os.lseek(descriptor, 0, os.SEEK_END)
    is_torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
    rest = memoryview(b"\n" + lines if is_torn else lines)
    try:
        while rest:  # a disk that fills up takes a part
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, end)
        raise


def read_file(path: Path) -> bytes:
    """The content of a regular file; nothing else is waited for or read without end.

    Raises:
        OSError: it cannot be read, or is something else.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read()


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # else it waits for a pipe's other end


def _open_itself(path: str | Path, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, mode=0o666)


def write_bytes(path: Path, *parts: bytes | memoryview) -> None:
    """Make `path` hold `parts`, one after the other: all of it or, when that fails, what it held before.

    Raises:
        MachineError: the disk is full or the folder cannot be written.
    """
    with replacing(path, sum(len(part) for part in parts)) as file:
        for part in parts:
            file.buffer.write(part)  # type: ignore[arg-type] # any buffer will do


def write_own(path: Path, *parts: bytes | memoryview) -> None:
    """As `write_bytes`, where a sweep keeps its own files: what is no file there goes, and no link is followed.

    Raises:
        MachineError: the disk is full or the folder cannot be written.
    """
    if path.is_symlink() or not path.is_file():
        discard_file(path)  # else what a link points to would be replaced, or a pipe be waited for
    write_bytes(path, *parts)


@contextmanager
def replacing(path: Path, num_bytes: int = 0) -> Iterator[TextIOWrapper]:
    """A text file that takes the place of `path` in one step when the block ends well, and leaves no trace otherwise.

    `num_bytes` is what will be written, where that is known: said when the disk is full.

    Raises:
        MachineError: the disk is full or the folder cannot be written.
    """
    path = Path(os.path.realpath(path))  # a link stays, and what it points to is replaced
    if path.exists() and not path.is_file():
        with explained(path), path.open("w", encoding="utf-8", newline="") as device:
            yield device  # a device or a pipe is no file to replace
        return
    with explained(path, num_bytes):
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
    with explained(path):
        return open(path, "ab", buffering=0, opener=_open_itself)


def open_lock(path: Path) -> int:
    """The descriptor of a file to be locked; a program that is started does not inherit it.

    Raises:
        MachineError: it cannot be made or opened.
    """
    with explained(path):
        return _open_itself(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)


def check_appendable(path: Path) -> None:
    """Whether a line could be added to a file, where there is one. Writes nothing.

    Raises:
        MachineError: none could.
    """
    with explained(path), suppress(FileNotFoundError):
        os.close(_open_itself(path, os.O_WRONLY | os.O_APPEND))


def make_folder(path: Path) -> None:
    """Make `path` and the folders above it.

    Raises:
        MachineError: something else is there, or the disk is full or read-only.
    """
    with explained(path):
        path.mkdir(parents=True, exist_ok=True)


def remove(path: Path) -> None:
    """Remove a file.

    Raises:
        MachineError: it cannot be removed.
    """
    with explained(path):
        path.unlink()


def rename(path: Path, target: Path) -> None:
    """Rename a file or folder, durably.

    Raises:
        MachineError: it cannot be renamed.
    """
    with explained(path):
        os.rename(path, target)
        _sync_folder(target.parent)


def discard_file(path: Path) -> None:
    """Remove what is disposable; where it cannot be removed, it stays."""
    with suppress(OSError):
        path.unlink()


def discard_unfinished(path: Path) -> None:
    """Remove what killed processes have left of replacing `path`: only where nobody else can be replacing it now."""
    for unfinished in path.parent.glob(f".{glob.escape(path.name)}.*"):
        discard_file(unfinished)


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
def explained(path: Path, num_bytes: int = 0) -> Iterator[None]:
    """What the system says of writing `path`, as a mistake that a user can mend. `num_bytes` is about what it takes.

    Raises:
        MachineError: instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise MachineError(_problem(path, num_bytes, error)) from error


def _problem(path: Path, num_bytes: int, error: OSError) -> Problem:
    number = error.errno or 0
    if number in _FULL:
        num_megabytes = max(1, math.ceil(num_bytes / 1e6))
        message = f"{_FULL[number]}: needs about {num_megabytes} MB in {path.parent}; nothing lost"
        return Problem(message, where=str(path), fix="free some space and run the same command again")
    leads_nowhere = any(os.path.islink(part) and not os.path.exists(part) for part in path.parents)
    fix = (
        "a link that leads nowhere is in the way: choose another place for it" if leads_nowhere else _FIXES.get(number)
    )
    return Problem(f"cannot be written: {error.strerror or error}", where=str(path), fix=fix)
