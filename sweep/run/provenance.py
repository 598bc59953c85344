"""Which code was run: the git commit of the folder that a sweep is started in."""

from __future__ import annotations

import subprocess


def git_commit() -> str | None:
    """The commit's hash, with `-dirty` where files differ from it; None outside a repository."""
    try:
        described = subprocess.run(
            ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None
