"""A lock that one process holds, and that is free at once when that process has ended, however it ended.

It is the system's own (flock), on a file. No child inherits it: a program that is started does not get the descriptor,
and a forked process closes it. Where the disk's locks keep nobody out, holding one is refused.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from sweep.clock import Stopwatch
from sweep.errors import MachineError, Problem
from sweep.store.durable import open_lock

# Chosen: who only looks whether a lock is held has it for some microseconds.
_SECONDS_TO_LOCK = 0.2
_SECONDS_BETWEEN_TRIES = 0.01
_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)

_held: set[int] = set()  # descriptors


class LockTaken(Exception):
    """Another process holds it."""


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock of the file `path`, which is made where there is none.

    Raises:
        LockTaken: another process holds it.
        MachineError: the file cannot be written, or locks do not work on its disk.
    """
    descriptor = _acquire(path)
    try:
        if not _is_taken(path):
            raise _unlockable(path, "two processes would hold the same lock")
        yield
    finally:
        if descriptor in _held:  # not in a process that was forked meanwhile
            _close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a process holds it now. Writes nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _TAKEN
    finally:
        os.close(descriptor)
    return False


def _acquire(path: Path) -> int:
    with Stopwatch() as watch:
        while True:
            descriptor = open_lock(path)
            _held.add(descriptor)
            try:
                if _lock(descriptor, path) and _is_at(path, descriptor):
                    return descriptor
            except BaseException:
                _close(descriptor)
                raise
            _close(descriptor)
            if watch.elapsed_seconds > _SECONDS_TO_LOCK:
                raise LockTaken
            Event().wait(_SECONDS_BETWEEN_TRIES)


def _lock(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise _unlockable(path, str(error.strerror)) from error
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether it is still the file of that name: its folder may have been renamed since it was opened."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _is_taken(path: Path) -> bool:
    """Whether somebody who opens the file now is kept out."""
    descriptor = open_lock(path)
    try:
        return not _lock(descriptor, path)
    finally:
        os.close(descriptor)


def _unlockable(path: Path, reason: str) -> MachineError:
    fix = "choose a --results on a local disk"
    return MachineError(Problem(f"locks do not work on this disk: {reason}", where=str(path), fix=fix))


def _close(descriptor: int) -> None:
    _held.discard(descriptor)
    os.close(descriptor)


def _let_go() -> None:
    for descriptor in list(_held):
        _close(descriptor)


os.register_at_fork(after_in_child=_let_go)
