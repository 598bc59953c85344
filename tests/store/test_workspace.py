import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from histories import a_start, a_trial, finished, write_journal

from sweep.errors import MachineError, UsageError
from sweep.store.history import read_history
from sweep.store.workspace import Workspace, list_workspaces, open_workspace

HOLD = """
import sys
from pathlib import Path
from sweep.store.workspace import Workspace
with Workspace(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(workspace: Workspace) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the workspace, until its standard input ends."""
    command = [sys.executable, "-c", HOLD, str(workspace.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


OUTSIDE = ["", ".", "..", "../x", "a/b", "/etc", "a\0b"]
NOT_PLAIN = [
    ".hidden",
    "-x",
    "--fresh",
    "a b",
    "a\n",
    "\x1b[31m",
    "\u202ea",
    "ü",
    "a" * 81,
    "~1",
    "a~",
    "a~b",
    "a~12345",
]


@pytest.mark.parametrize("name", OUTSIDE + NOT_PLAIN)
def test_a_name_that_is_no_plain_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_workspace(tmp_path, name)
    assert caught.value.exit_code == 2
    (problem,) = caught.value.problems
    assert problem.where == "--name"
    assert repr(name) in problem.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["digits", "a..b", "A_1.2+x-y", "digits~1", "_", "a" * 80])
def test_a_plain_name_is_a_folder_of_the_results_and_nothing_is_made_yet(tmp_path: Path, name: str) -> None:
    assert open_workspace(tmp_path, name).folder == tmp_path / name
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["elsewhere", "absent"])
def test_a_folder_that_is_a_link_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "digits").symlink_to(tmp_path / target)
    with pytest.raises(UsageError, match="is a link"):
        open_workspace(tmp_path, "digits")


def test_a_second_process_is_refused_and_told_who_holds_the_sweep(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "digits")
    with holder(workspace) as process:
        with pytest.raises(MachineError) as caught, workspace.locked():
            pass
        assert caught.value.exit_code == 3
        assert str(workspace.folder) in str(caught.value)
        owner = json.loads((workspace.folder / "owner").read_text())
        begun = datetime.fromisoformat(owner["since"]).astimezone()
        assert f"in use by process {process.pid} on {socket.gethostname()} since {begun:%H:%M} " in str(caught.value)
        assert "wait for it, or choose another --name" in str(caught.value)


def test_one_that_has_been_held_since_another_day_is_told_with_the_day(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "digits")
    with holder(workspace):
        begun = datetime.now().astimezone() - timedelta(days=3)
        owner = {"process": 7, "host": "there", "since": begun.isoformat()}
        (workspace.folder / "owner").write_text(json.dumps(owner))
        said = f"in use by process 7 on there since {begun:%Y-%m-%d %H:%M}"
        with pytest.raises(MachineError, match=said), workspace.locked():
            pass


def test_a_folder_that_cannot_be_kept_from_others_is_not_trained_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda descriptor, operation: None)
    with pytest.raises(MachineError, match="choose a --results on a local disk"), Workspace(tmp_path / "a").locked():
        pytest.fail("locked")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["lock"]


def test_the_sweep_is_free_once_its_holder_is_killed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "digits")
    with holder(workspace) as process:
        process.kill()
        process.wait()
        with workspace.locked():
            assert json.loads((workspace.folder / "owner").read_text())["process"] == os.getpid()


def test_the_sweep_is_free_after_the_block_however_it_ends(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "digits")
    with pytest.raises(ZeroDivisionError), workspace.locked():
        _ = 1 / 0
    with holder(workspace):
        assert json.loads((workspace.folder / "owner").read_text())["process"] != os.getpid()


@pytest.mark.parametrize(
    "owner", ["", "{", "[]", "{}", '{"process": 1}', '{"process": 1, "host": "h", "since": "noon"}']
)
def test_an_owner_that_cannot_be_read_is_another_process(tmp_path: Path, owner: str) -> None:
    workspace = Workspace(tmp_path / "digits")
    with holder(workspace):
        (workspace.folder / "owner").write_text(owner)
        with pytest.raises(MachineError, match="in use by another process"), workspace.locked():
            pass


def test_another_sweep_is_not_locked(tmp_path: Path) -> None:
    with Workspace(tmp_path / "one").locked(), Workspace(tmp_path / "two").locked():
        assert (tmp_path / "two" / "owner").is_file()


def test_a_file_in_the_place_of_the_sweep_is_explained(tmp_path: Path) -> None:
    (tmp_path / "digits").touch()
    with pytest.raises(MachineError, match="a file is in the way"), Workspace(tmp_path / "digits").locked():
        pass


def test_a_folder_in_the_place_of_the_lock_is_explained(tmp_path: Path) -> None:
    (tmp_path / "digits" / "lock").mkdir(parents=True)
    with pytest.raises(MachineError, match="lock: is no regular file"), Workspace(tmp_path / "digits").locked():
        pass


def test_old_results_are_set_aside_under_the_first_free_number(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "digits")
    asides = []
    for text in ("first", "second", "third"):
        with workspace.locked():
            workspace.journal.write_text(text)
            asides.append(workspace.set_aside())
    assert [aside.name for aside in asides] == ["digits~1", "digits~2", "digits~3"]
    assert [(aside / "journal.jsonl").read_text() for aside in asides] == ["first", "second", "third"]
    assert not workspace.folder.exists()


def test_a_sweep_that_was_set_aside_can_be_opened_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    aside = Workspace(tmp_path / "digits").set_aside()
    assert open_workspace(tmp_path, aside.name).folder == aside


def test_sweeps_are_the_folders_with_a_journal(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        Workspace(tmp_path / name).journal.touch()
    (tmp_path / "notes").mkdir()
    (tmp_path / "readme.txt").touch()
    assert [workspace.name for workspace in list_workspaces(tmp_path)] == ["a", "b"]
    assert list_workspaces(tmp_path / "absent") == []


def test_a_results_folder_may_be_moved(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "results" / "digits")
    workspace.folder.mkdir(parents=True)
    log = workspace.relative(workspace.log(1))
    trial = a_trial()
    write_journal(workspace.journal, a_start([trial]), finished(trial).model_copy(update={"log": log}))
    before = read_history(workspace.journal).results
    (tmp_path / "results").rename(tmp_path / "moved")
    moved = Workspace(tmp_path / "moved" / "digits")
    assert read_history(moved.journal).results == before
    assert str(tmp_path) not in moved.journal.read_text()
    assert moved.folder / str(before[0].log) == moved.log(1)


def test_a_path_outside_the_workspace_is_never_recorded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not in the subpath"):
        Workspace(tmp_path / "digits").relative(tmp_path / "elsewhere" / "log")
