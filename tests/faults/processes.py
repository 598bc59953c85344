"""The processes of a sweep from outside, and what must hold of its journal whatever happened to them."""

import os
import re
from pathlib import Path

from sweep.store.history import read_history
from sweep.store.journal import replay

# What may be in a sweep's folder once it is done; its states are gone.
_KEPT = {"journal.jsonl", "lock", "owner", "logs", "states"}


def left_over(workspace):
    """What nobody needs in the folder of a sweep that is done. States that are kept for later are whole files."""
    inside = [path for path in workspace.iterdir() if path.name not in _KEPT]
    states = [path for path in workspace.glob("states/*/*") if not re.fullmatch(r"[0-9]+\.state", path.name)]
    empty = [path for path in workspace.glob("states/*") if not list(path.iterdir())]
    return [str(path.relative_to(workspace)) for path in (*inside, *states, *empty)]


def kept_states(workspace):
    """The states that a sweep has kept, by the Stage and the step."""
    return sorted(str(path.relative_to(workspace)) for path in workspace.glob("states/*/*.state"))


def workers_of(pid):
    """The process ids of a sweep's Workers."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"sweep.run.worker" in Path(f"/proc/{child}/cmdline").read_bytes()]


def is_alive(pid):
    """Whether a process runs: one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def open_files(pid):
    """What a process has open."""
    links = Path(f"/proc/{pid}/fd").iterdir()
    return {os.readlink(link) for link in links}


def wait_for_line(stream, pattern):
    for line in stream:
        if re.search(pattern, line):
            return line
    raise AssertionError(f"the program ended without printing {pattern}")


def cpu_ticks(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


def check_invariants(results):
    """Done + missing = plan, no trial counted twice, no damaged line, and no measurement without an end."""
    journal = results / "smoke" / "journal.jsonl"
    assert not replay(journal).damaged_lines
    history = read_history(journal)
    keys = [result.entry.key for result in history.results]
    planned = {entry.key for record in history.starts for entry in record.trials}
    assert len(keys) == len(set(keys))
    assert set(keys) == planned
    for result in history.results:
        assert (result.accuracy is not None) == (result.outcome == "finished")
    return history
