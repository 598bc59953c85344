"""The lock keeps others out, is free at once when its holder has ended, and is refused where it keeps nobody out."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.errors import MachineError
from sweep.store.lock import LockTaken, hold, is_held

# Prints the process ids of children that outlive it: a program that inherits every descriptor there is to inherit, and
# two forked processes, one of them from a thread.
HOLD_WITH_CHILDREN = """
import os, subprocess, sys, threading
from pathlib import Path
from sweep.store.lock import hold

def fork():
    pid = os.fork()
    if pid == 0:
        threading.Event().wait()
    children.append(pid)

with hold(Path(sys.argv[1])):
    children = [subprocess.Popen(["sleep", "1000"], close_fds=False, start_new_session=True).pid]
    fork()
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
    print(*children, flush=True)
    sys.stdin.read()
"""


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_no_child_of_a_killed_holder_keeps_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD_WITH_CHILDREN, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        children = [int(word) for word in holder.stdout.readline().split()]
        assert len(children) == 3
        try:
            with pytest.raises(LockTaken), hold(path):
                pass
            holder.kill()
            holder.wait()
            assert all(is_alive(child) for child in children)
            assert not is_held(path)
            with hold(path):
                assert is_held(path)
        finally:
            for child in children:
                os.kill(child, signal.SIGKILL)


def test_a_forked_child_that_ends_leaves_its_parents_lock_alone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    script = """
import os, sys
from pathlib import Path
from sweep.store.lock import hold, is_held
path = Path(sys.argv[1])
with hold(path):
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        assert is_held(path)
        print("still held")
    else:
        assert is_held(path)
"""
    run = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "still held\n"), run.stderr
    assert not is_held(path)


def test_the_lock_is_free_after_the_block_however_it_ends(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), hold(tmp_path / "lock"):
            _ = 1 / (not is_held(tmp_path / "lock"))
        assert not is_held(tmp_path / "lock")
    with hold(tmp_path / "lock"):
        for _ in range(3):
            with pytest.raises(LockTaken), hold(tmp_path / "lock"):
                pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_lock_whose_file_was_replaced_meanwhile_is_not_the_one_that_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the folder was set aside and made anew between opening the file and locking it."""
    flock, calls = fcntl.flock, []

    def replaced_before(descriptor: int, operation: int) -> None:
        calls.append(operation)
        if len(calls) == 1:
            (tmp_path / "new").touch()
            (tmp_path / "new").rename(tmp_path / "lock")
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", replaced_before)
    with hold(tmp_path / "lock"):
        assert len(calls) > 2
        assert is_held(tmp_path / "lock")


def refusing(number: int) -> object:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    return flock


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL])
def test_a_disk_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    with pytest.raises(MachineError, match="locks do not work on this disk: ") as refused, hold(tmp_path / "lock"):
        pass
    assert os.strerror(number) in str(refused.value)
    assert str(tmp_path) in str(refused.value)
    assert "choose a --results on a local disk" in str(refused.value)
    assert not is_held(tmp_path / "lock")  # as far as anybody can know


def test_a_disk_whose_locks_keep_nobody_out_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda descriptor, operation: None)
    said = "two processes would hold the same lock"
    with pytest.raises(MachineError, match=said) as refused, hold(tmp_path / "lock"):
        pytest.fail("held")
    assert refused.value.exit_code == 3


@pytest.mark.parametrize("number", [errno.EWOULDBLOCK, errno.EACCES])
def test_a_lock_that_is_taken_is_known_by_either_of_its_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / "lock").touch()
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    assert is_held(tmp_path / "lock")
    with pytest.raises(LockTaken), hold(tmp_path / "lock"):
        pass


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MachineError, match="a link is in the way"), hold(tmp_path / "lock"):
        pass
    assert not (tmp_path / "elsewhere").exists()
