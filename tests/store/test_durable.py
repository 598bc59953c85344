import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import MachineError
from sweep.store import durable
from sweep.store.durable import append_lines, make_folder, open_log, rename, replacing, write_bytes


def failing(number: int) -> Callable[..., Any]:
    def fail(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_replaced_file_holds_what_was_written(tmp_path: Path) -> None:
    with replacing(tmp_path / "owner") as file:
        file.write("first\n")
    with replacing(tmp_path / "owner") as file:
        file.write("second\n")
    assert (tmp_path / "owner").read_bytes() == b"second\n"
    assert [path.name for path in tmp_path.iterdir()] == ["owner"]


def test_an_exception_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "owner"
    path.write_text("old")
    with suppress(KeyboardInterrupt), replacing(path) as file:
        file.write("half of the n")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_readers_see_the_old_file_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "owner"
    path.write_text("old")
    with replacing(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_a_replaced_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    with replacing(tmp_path / "ours"):
        pass
    assert (tmp_path / "ours").stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fills_up_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "owner"
    path.write_text("old")
    monkeypatch.setattr(durable.os, call, failing(errno.ENOSPC))
    with (
        pytest.raises(MachineError, match=r"disk full: needs about 1 MB in .*; nothing lost \(free some space"),
        replacing(path) as file,
    ):
        file.write("new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_lines_are_appended_in_order(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    append_lines(path, b"one")
    append_lines(path, b"two")
    assert path.read_bytes() == b"one\ntwo\n"


def test_lines_that_are_appended_together_cost_one_fsync_and_are_all_taken_back_where_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    append_lines(path, b"one")
    synced: list[bytes] = []
    with monkeypatch.context() as patched:
        patched.setattr(durable.os, "fsync", lambda descriptor: synced.append(path.read_bytes()))
        append_lines(path, b"two", b"three")
    assert synced == [b"one\ntwo\nthree\n"]
    with monkeypatch.context() as patched:
        patched.setattr(durable.os, "fsync", failing(errno.ENOSPC))
        with pytest.raises(MachineError, match="disk full"):
            append_lines(path, b"four", b"five")
    assert path.read_bytes() == b"one\ntwo\nthree\n"


def test_a_torn_last_line_is_ended_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"one\ntw")
    append_lines(path, b"three")
    assert path.read_bytes() == b"one\ntw\nthree\n"


def test_an_append_is_synced_before_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    on_disk: list[tuple[bool, bytes]] = []
    synced = os.fsync

    def fsync(descriptor: int) -> None:
        is_file = os.path.samestat(os.fstat(descriptor), path.stat())
        on_disk.append((is_file, path.read_bytes()))
        synced(descriptor)

    monkeypatch.setattr(durable.os, "fsync", fsync)
    append_lines(path, b"one")
    assert on_disk == [(True, b"one\n"), (False, b"one\n")]  # the file, and its new name in the folder
    append_lines(path, b"two")
    assert on_disk[2:] == [(True, b"one\ntwo\n")]


def test_a_full_disk_loses_no_line_that_was_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    append_lines(path, b"one")
    with monkeypatch.context() as patched:
        patched.setattr(durable.os, "fsync", failing(errno.ENOSPC))
        with pytest.raises(MachineError) as caught:
            append_lines(path, b"two")
    assert caught.value.exit_code == 3
    assert str(path) in str(caught.value)
    assert f"disk full: needs about 1 MB in {tmp_path}; nothing lost" in str(caught.value)
    assert path.read_bytes() == b"one\n"
    append_lines(path, b"three")
    assert path.read_bytes() == b"one\nthree\n"


def test_a_write_that_the_disk_refuses_is_explained() -> None:
    with pytest.raises(MachineError, match=r"/dev/full: disk full: needs about 1 MB in /dev; nothing lost"):
        append_lines(Path("/dev/full"), b"one")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize(("num_bytes", "said"), [(10, "1 MB"), (1_000_000, "1 MB"), (1_000_001, "2 MB")])
def test_what_a_full_disk_needs_is_what_was_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, num_bytes: int, said: str
) -> None:
    monkeypatch.setattr(durable.os, "fsync", failing(number))
    what = {errno.ENOSPC: "disk full", errno.EDQUOT: "disk quota used up"}[number]
    for write in (
        lambda: write_bytes(tmp_path / "a", bytes(num_bytes)),
        lambda: append_lines(tmp_path / "b", bytes(num_bytes)),
    ):
        with pytest.raises(MachineError, match=f"{what}: needs about {said} in {tmp_path}; nothing lost"):
            write()
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "b").read_bytes() == b""


def test_a_part_of_a_line_that_a_disk_still_takes_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"one\ntw")
    written = os.write

    def write(descriptor: int, data: bytes) -> int:
        if len(path.read_bytes()) >= 9:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written(descriptor, data[:1])

    with monkeypatch.context() as patched:
        patched.setattr(durable.os, "write", write)
        with pytest.raises(MachineError, match="disk full"):
            append_lines(path, b"three")
    assert path.read_bytes() == b"one\ntw"
    append_lines(path, b"three")
    assert path.read_bytes() == b"one\ntw\nthree\n"


@pytest.mark.parametrize(
    "write",
    [
        lambda path: append_lines(path / "journal", b"one"),
        lambda path: make_folder(path),
        lambda path: make_folder(path / "below"),
        lambda path: open_log(path / "logs" / "worker.log"),
        lambda path: replacing(path / "owner").__enter__(),
    ],
)
def test_a_file_in_the_way_of_a_folder_is_explained(tmp_path: Path, write: Callable[[Path], object]) -> None:
    path = tmp_path / "results"
    path.write_text("a file")
    with pytest.raises(MachineError) as caught:
        write(path)
    (problem,) = caught.value.problems
    assert problem.where is not None
    assert problem.where.startswith(str(path))
    assert problem.fix == "a file is in the way: choose another place for it"
    assert path.read_text() == "a file"


def test_a_log_is_appended_to(tmp_path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        with open_log(tmp_path / "logs" / "worker.log") as log:
            log.write(text)
    assert (tmp_path / "logs" / "worker.log").read_bytes() == b"one\ntwo\n"


def test_a_folder_that_is_there_already_is_well(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_what_cannot_be_renamed_is_explained(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"absent.*No such file"):
        rename(tmp_path / "absent", tmp_path / "there")
