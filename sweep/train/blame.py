"""What went wrong in a user's own code, as one line: the error, and the place in their files."""

from __future__ import annotations

import re
import sysconfig
import traceback
from pathlib import Path

from sweep.printable import one_line
from sweep.recipe.library import shown_path

_NOT_THEIRS = tuple({str(Path(__file__).resolve().parent.parent), *sysconfig.get_paths().values()})
# How a DataLoader's process tells of an error: its message holds the whole traceback.
_OF_A_PROCESS = re.compile(r"^Caught \w+ in DataLoader worker process")
# How torch tells of one that was ended from without; it raises that wherever the training happens to be.
_LOST_PROCESS = re.compile(r"DataLoader worker \(pid(?:\(s\))? [0-9, ]+\) (.+)")
_FRAME = re.compile(r'^ *File "([^"]+)", line ([0-9]+)', re.MULTILINE)
_MAX_CHARS = 300


def blame(error: BaseException) -> str:
    """`ValueError: no such split (my_task.py:12)`: the last line of their own files that the error came through."""
    text = str(error).strip()
    if _OF_A_PROCESS.match(text):
        return _with_place(text.splitlines()[-1], [(file, int(line)) for file, line in _FRAME.findall(text)])
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return _with_place(f"{type(error).__name__}: {error.msg}", [(error.filename, error.lineno)])
    first = text.partition("\n")[0]
    said = f"{type(error).__name__}: {first}" if first else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    return _with_place(said, [(frame.filename, frame.lineno or 0) for frame in frames])


def lost_process(error: BaseException | None) -> str | None:
    """That a process which loads data was ended, by the kernel for instance; None for any other error.

    Without its number, so that losses of one kind are known for it.
    """
    lost = None
    while error is not None:  # the first cause knows most
        lost = _lost(error) or lost
        error = error.__cause__
    if lost is None:
        return None
    memory = " (perhaps out of host memory)" if lost.endswith("Killed") else ""
    return one_line(f"a process that loads data {lost}{memory}")


def _lost(error: BaseException) -> str | None:
    if isinstance(error, RuntimeError) and (found := _LOST_PROCESS.match(str(error))):
        return found[1].strip().rstrip(".")
    # Or what it was just sending breaks off, before torch knows that it is gone.
    breaks_off = isinstance(error, OSError | EOFError)
    frames = traceback.extract_tb(error.__traceback__) if breaks_off else []
    return "is gone" if any(frame.name == "_try_get_data" for frame in frames) else None


def _with_place(said: str, frames: list[tuple[str, int]]) -> str:
    said = one_line(said)
    said = said if len(said) <= _MAX_CHARS else f"{said[: _MAX_CHARS - 1]}…"
    theirs = [(file, line) for file, line in frames if is_theirs(file)]
    return f"{said} ({shown_path(Path(theirs[-1][0]))}:{theirs[-1][1]})" if theirs else said


def is_theirs(file: str) -> bool:
    """Whether a file is neither Python's, nor installed, nor ours."""
    return not file.startswith(("<", *_NOT_THEIRS)) and "site-packages" not in file
