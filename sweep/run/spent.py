"""What all attempts at a command's Trial have taken, kept beside its state: who goes on adds to it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from sweep.errors import MachineError
from sweep.store.durable import read_file, write_own
from sweep.store.states import StageStates


class Spent:
    """The `seconds` of all attempts at a Trial. Their file goes with the Stage's states: once it has ended, and when
    somebody cleans up."""

    def __init__(self, folder: Path) -> None:
        self._states = StageStates(folder)
        self._file = folder / "seconds"
        self._earlier = self._read() or 0.0
        self.seconds = self._earlier

    @property
    def is_begun(self) -> bool:
        """Whether an earlier attempt was begun, and nothing has made that void."""
        return self._states.is_begun and self._read() is not None

    def begin(self) -> None:
        """Begin anew."""
        self._states.begin()
        self._earlier = 0.0
        self.note(0.0)

    def note(self, seconds: float) -> None:
        """Keep what this attempt has taken so far, where that can be written."""
        self.seconds = self._earlier + seconds
        with suppress(MachineError):
            write_own(self._file, repr(self.seconds).encode())

    def _read(self) -> float | None:
        try:
            return max(0.0, float(read_file(self._file)))
        except (OSError, ValueError):
            return None
