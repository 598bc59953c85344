"""What lies around a sweep, to be compared before and after: it writes into its own folder, and nowhere else."""

import os
import stat
from pathlib import Path


def snapshot(folder, apart=None):
    """Names, kinds, sizes, times and content of all that lies below `folder`, but for the folder `apart`."""
    seen = {}
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = [name for name in folders if here / name != apart]
        for path in (here, *(here / name for name in files), *(here / name for name in folders)):
            seen[str(path.relative_to(folder))] = _look(path)
    return seen


def _look(path):
    status = path.lstat()
    content = None
    if stat.S_ISREG(status.st_mode):
        content = path.read_bytes()
    elif stat.S_ISLNK(status.st_mode):
        content = os.readlink(path)
    return status.st_mode, status.st_size, status.st_mtime_ns, status.st_ino, content
