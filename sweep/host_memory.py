"""The host's memory: how much this process may have, how much it has had, and whom the kernel ended for want of it."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

_OWN_GROUPS = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def total_bytes() -> int:
    """What the machine has, or less where a control group (a container, a batch system) or `ulimit -v` says so."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    if address_space != resource.RLIM_INFINITY:
        limits.append(address_space)
    for folder in _folders():
        limits += [int(text) for name in ("memory.max", "memory.limit_in_bytes") if (text := _read(folder / name))]
    return min(limits)


def peak_bytes() -> int:
    """The most that this process has held at a time."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def num_oom_kills() -> int | None:
    """How many processes of our control group the kernel has ended for memory; None where it does not say."""
    for folder in _folders():
        for name in ("memory.events", "memory.oom_control"):
            for key, _, count in (line.partition(" ") for line in _read_lines(folder / name)):
                if key == "oom_kill" and count.isdecimal():
                    return int(count)
    return None


def size_text(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB"


def _folders() -> Iterator[Path]:
    """Of our control group and those around it, by version 2 and by version 1; some may not be there."""
    for line in _read_lines(_OWN_GROUPS):
        _, controllers, path = line.split(":", 2)
        if controllers == "" or "memory" in controllers.split(","):
            root = _GROUPS / ("memory" if controllers else "")
            own = root / path.lstrip("/")
            yield own
            yield from (folder for folder in own.parents if folder.is_relative_to(root))


def _read(path: Path) -> str | None:
    """A number, as its digits; None where there is no such file, or it says "max"."""
    text = "".join(_read_lines(path))
    return text if text.isdecimal() else None


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return []
