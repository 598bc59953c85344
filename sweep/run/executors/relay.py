"""What stands between a sweep and one Worker on another machine: starts the Worker's process there, and hands on what
the two say to each other. Where that machine does not see the sweep's folder, states travel with it.

Of no engine: whoever has a way to call `hear` and `tell` over there, each from a thread of its own, can use it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory

from sweep.errors import MachineError
from sweep.run.executors.child import SECONDS_TO_LEAVE, Child
from sweep.run.executors.mirror import Change, Mirror
from sweep.store.durable import read_file
from sweep.store.workspace import Workspace

# Chosen: many times what a Worker says between two calls.
_MOST_AT_ONCE = 100


@dataclass(frozen=True)
class Token:
    """A file of the sweep's folder and what it holds: who reads the same there sees the folder."""

    path: Path
    text: str

    @property
    def is_seen(self) -> bool:
        try:
            return read_file(self.path) == self.text.encode()
        except OSError:
            return False


@dataclass(frozen=True)
class Ready:
    """The Worker's process runs on the machine `host`; `scratch` is the folder that stands in for the sweep's there,
    None where that machine sees the sweep's own."""

    host: str
    scratch: str | None


@dataclass(frozen=True)
class Heard:
    """A message of the Worker, as it came."""

    frame: bytes


@dataclass(frozen=True)
class Ended:
    """The Worker is gone; the last that there is to hear."""

    reason: str
    was_for_memory: bool = False


Item = Ready | Heard | Change | Ended


class Relay:
    """One Worker of `threads` threads. `log` is where its output goes, in the folder that `token` tells of; `folder` is
    where the sweep was started."""

    def __init__(self, log: Path, threads: int, token: Token, folder: str) -> None:
        with suppress(OSError):  # paths of a recipe may be relative to it
            os.chdir(folder)
        self._scratch = None if token.is_seen else TemporaryDirectory(prefix="sweep-")
        self._mirror: Mirror | None = None
        if self._scratch is not None:
            workspace = Workspace(Path(self._scratch.name))
            log = workspace.folder / log.name
            self._mirror = Mirror(workspace, log)
        self._leaving, self._to_leave = Pipe(duplex=False)
        self._child: Child | None = None
        self._first: Item
        try:
            # What this cluster does on this machine beside the sweep descends from the same process.
            self._child = Child(log, threads, sweep_pid=os.getppid())
            self._first = Ready(socket.gethostname(), self._scratch.name if self._scratch else None)
        except MachineError as error:
            self._first = Ended(f"crashed ({error})")

    def begin(self) -> list[Item]:
        """What there is to hear first."""
        return [self._first]

    def hear(self) -> list[Item]:
        """What there is to hear next, waited for: files before the messages that rest on them."""
        child = self._child
        assert child is not None, "it has ended"
        wait([child.connection, self._leaving])
        if self._leaving.poll():
            seconds, reason = self._leaving.recv()
            return [self._end(child, seconds, reason)]
        frames, is_gone = _frames(child)
        said: list[Item] = [*(self._mirror.changes() if self._mirror else ()), *map(Heard, frames)]
        return [*said, self._end(child)] if is_gone else said

    def tell(self, frame: bytes, states: Mapping[str, bytes | None] | None = None) -> None:
        """Hand a job on, after the states that it needs, where they travel: see Mirror.fill."""
        assert self._child is not None, "it has ended"
        try:
            if self._mirror is not None and states is not None:
                self._mirror.fill(states)
        except MachineError as error:
            self.leave(0.0, f"crashed (it has no room for states: {error})")
            return
        with suppress(OSError):  # a Worker that is gone is noticed by the one who hears
            self._child.connection.send_bytes(frame)

    def leave(self, seconds_to_leave: float, reason: str | None = None) -> None:
        """End the Worker, which is told to whoever hears; it has so long to leave by itself."""
        self._to_leave.send((seconds_to_leave, reason))

    def _end(self, child: Child, seconds_to_leave: float = SECONDS_TO_LEAVE, reason: str | None = None) -> Ended:
        how = child.end(seconds_to_leave)
        if self._scratch is not None:
            self._scratch.cleanup()
        return Ended(reason or how, child.was_ended_for_memory)


def _frames(child: Child) -> tuple[list[bytes], bool]:
    """What the Worker has said, and whether it is gone."""
    frames: list[bytes] = []
    try:
        while len(frames) < _MOST_AT_ONCE and child.connection.poll(0):
            frames.append(child.connection.recv_bytes())
    except (EOFError, OSError):
        return frames, True
    return frames, False
