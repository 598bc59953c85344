"""A dataset's files as they were published: which, with which checksum, and what is wrong with those that are there."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataFile:
    """A file by its path under the dataset's root, with a checksum of its content (unpacked, where it is a .gz).

    `num_bytes` is of the content too; `packed_md5` is that of a .gz as it is. What its publisher did not publish is
    None; one checksum there is.
    """

    path: str
    num_bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    packed_md5: str | None = None

    def __post_init__(self) -> None:
        assert self.sha256 or self.md5 or self.packed_md5, f"{self.path} has no checksum"

    def problem(self, root: Path) -> str | None:
        """What is wrong with the file below `root`: absent, damaged, truncated or altered."""
        path = root / self.path
        if not os.path.isfile(path):
            return "the file is absent"
        try:
            packed = path.read_bytes()
            content = _unpacked(packed, path)
        except (OSError, EOFError, zlib.error) as error:
            return f"the file is damaged ({error})"
        if self.packed_md5 is not None and _md5(packed) != self.packed_md5:
            return "the file is not the published one (its md5 differs)"
        return self.content_problem(content)

    def content_problem(self, content: bytes) -> str | None:
        """Why `content` is not this file's."""
        if self.num_bytes is not None and len(content) < self.num_bytes:
            return f"the file is truncated ({len(content)} of {self.num_bytes} bytes)"
        if self.sha256 is not None and hashlib.sha256(content).hexdigest() != self.sha256:
            return "the file was altered (its sha256 differs)"
        if self.md5 is not None and _md5(content) != self.md5:
            return "the file is not whole (its md5 differs)"
        return None


@dataclass(frozen=True)
class SystemPackage:
    """A package of the operating system that keeps a dataset's files, gzipped, in `folder`."""

    name: str
    folder: Path


def read_content(path: Path) -> bytes:
    """A file's content, unpacked: an archive packed by somebody else has other bytes around the same content."""
    return _unpacked(path.read_bytes(), path)


def _unpacked(data: bytes, path: Path) -> bytes:
    return gzip.decompress(data) if path.suffix == ".gz" else data


def _md5(data: bytes) -> str:
    # Against damage, not against an attacker: it is all that most publishers give.
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
