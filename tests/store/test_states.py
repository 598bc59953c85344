"""Checkpoints on disk: whole or not used, two of them kept, and never another Stage's."""

import errno
import json
import os
import random
from pathlib import Path

import pytest

from sweep.errors import MachineError
from sweep.store import durable
from sweep.store.states import FORMAT, Origin, StageStates, UnusableState, _checksum, all_states

CONTENT = bytes(random.Random(0).randbytes(300))


def origin_of(states: StageStates) -> Origin:
    fields = {"method": "epochs", "ratio": "0.5", "seed": 3, "start_step": 0, "stop_step": 900, "is_end": True}
    return Origin.model_validate({"stage": states.folder.name} | fields)


def write(states: StageStates, step: int, content: bytes | memoryview = CONTENT, kept: tuple[int, ...] = ()) -> None:
    states.write(step, content, origin_of(states), kept)


@pytest.fixture
def states(tmp_path: Path) -> StageStates:
    return StageStates(tmp_path / "states" / "0123456789abcdef")


def path_of(states: StageStates, step: int) -> Path:
    return states.folder / f"{step}.state"


def put(states: StageStates, step: int, content: bytes) -> None:
    """A file as it would be found, whole by its checksum."""
    states.begin()
    path_of(states, step).write_bytes(content)


def whole(header: bytes, content: bytes = CONTENT) -> bytes:
    return _checksum(header, b"\n", content) + b" " + header + b"\n" + content


def test_what_was_written_is_read_back(states: StageStates) -> None:
    assert states.steps() == []
    assert not states.is_begun
    write(states, 400, memoryview(CONTENT))
    assert states.steps() == [400]
    assert bytes(states.read(400)) == CONTENT


def test_the_newest_two_are_kept_by_their_steps_not_by_their_names(states: StageStates) -> None:
    for step in (98, 99, 100, 101):
        write(states, step, CONTENT)
    assert states.steps() == [101, 100]
    assert sorted(path.name for path in states.folder.iterdir()) == ["100.state", "101.state"]


def test_what_a_killed_process_left_half_written_is_no_checkpoint_and_goes_with_the_next(states: StageStates) -> None:
    put(states, 1, b"")
    path_of(states, 1).rename(states.folder / ".2.state.abcdef")
    assert states.steps() == []
    write(states, 3, CONTENT)
    assert [path.name for path in states.folder.iterdir()] == ["3.state"]


def test_a_cut_at_any_byte_is_noticed(states: StageStates) -> None:
    write(states, 400, CONTENT)
    written = path_of(states, 400).read_bytes()
    for cut in range(len(written)):
        path_of(states, 400).write_bytes(written[:cut])
        with pytest.raises(UnusableState, match="damaged"):
            states.read(400)


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80, 0xFF])
def test_a_flipped_byte_anywhere_is_noticed(states: StageStates, mask: int) -> None:
    write(states, 400, CONTENT)
    written = path_of(states, 400).read_bytes()
    for position in range(len(written)):
        flipped = bytearray(written)
        flipped[position] ^= mask
        path_of(states, 400).write_bytes(flipped)
        with pytest.raises(UnusableState, match="damaged"):
            states.read(400)


def test_what_is_appended_is_noticed(states: StageStates) -> None:
    write(states, 400, CONTENT)
    with path_of(states, 400).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(UnusableState, match="damaged"):
        states.read(400)


def test_another_stages_checkpoint_is_refused(states: StageStates, tmp_path: Path) -> None:
    other = StageStates(tmp_path / "states" / "fedcba9876543210")
    write(other, 400, CONTENT)
    put(states, 400, path_of(other, 400).read_bytes())
    with pytest.raises(UnusableState, match="of another stage"):
        states.read(400)


def test_a_checkpoint_under_another_steps_name_is_refused(states: StageStates) -> None:
    write(states, 400, CONTENT)
    path_of(states, 400).rename(path_of(states, 500))
    with pytest.raises(UnusableState, match="of another stage"):
        states.read(500)


@pytest.mark.parametrize("change", [{"format": FORMAT + 1}, {"format": None}, {"more": 1}])
def test_another_versions_checkpoint_is_refused(states: StageStates, change: dict[str, object]) -> None:
    header = {"format": FORMAT, "step": 400, "origin": origin_of(states).model_dump()}
    put(states, 400, whole(json.dumps(header).encode()))
    assert bytes(states.read(400)) == CONTENT
    put(states, 400, whole(json.dumps(header | change).encode()))
    with pytest.raises(UnusableState, match="of another version"):
        states.read(400)


@pytest.mark.parametrize("number", [2, 3])
def test_a_checkpoint_of_a_format_before_is_read(states: StageStates, number: int) -> None:
    header = {"format": number, "step": 400, "origin": origin_of(states).model_dump()}
    put(states, 400, whole(json.dumps(header).encode()))
    assert bytes(states.read(400)) == CONTENT
    assert states.origin(400) == origin_of(states)


@pytest.mark.parametrize("content", [b"", b" ", b"\n", CONTENT, whole(b""), whole(b"[]"), _checksum(b"") + b" "])
def test_whatever_is_found_in_its_place_is_refused(states: StageStates, content: bytes) -> None:
    put(states, 400, content)
    with pytest.raises(UnusableState):
        states.read(400)


def test_a_folder_in_its_place_is_refused_and_other_names_are_no_checkpoints(states: StageStates) -> None:
    path_of(states, 400).mkdir(parents=True)
    for name in ("x.state", "-1.state", "٣.state", "4", "5.state.6"):
        (states.folder / name).touch()
    assert states.steps() == [400]
    with pytest.raises(UnusableState, match="unreadable"):
        states.read(400)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_older_ones_as_they_were(
    states: StageStates, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    write(states, 100, CONTENT)
    write(states, 200, CONTENT)

    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable.os, call, fail)
    with pytest.raises(MachineError, match="disk full: needs about 1 MB in "):
        write(states, 300, CONTENT)
    assert sorted(path.name for path in states.folder.iterdir()) == ["100.state", "200.state"]
    assert bytes(states.read(200)) == CONTENT


def test_a_file_in_the_way_of_the_folder_is_explained(states: StageStates) -> None:
    states.folder.parent.parent.mkdir(exist_ok=True)
    states.folder.parent.write_text("a file")
    assert not states.is_begun
    assert states.steps() == []
    with pytest.raises(MachineError, match="a file is in the way"):
        write(states, 1, CONTENT)


@pytest.mark.parametrize("linked", ["states", "states/0123456789abcdef"])
def test_what_a_link_points_to_outside_is_neither_read_nor_written_nor_removed(tmp_path: Path, linked: str) -> None:
    outside = StageStates(tmp_path / "outside" / "0123456789abcdef")
    write(outside, 400, CONTENT)
    before = path_of(outside, 400).read_bytes()
    link = tmp_path / "sweep" / linked
    link.parent.mkdir(parents=True)
    link.symlink_to(outside.folder.parent if linked == "states" else outside.folder)
    states = StageStates(tmp_path / "sweep" / "states" / "0123456789abcdef")
    assert states.steps() == []
    assert not states.is_begun
    with pytest.raises(MachineError, match="is a link"):
        write(states, 500, CONTENT)
    states.remove_all_but(())
    assert [path.name for path in outside.folder.iterdir()] == ["400.state"]
    assert path_of(outside, 400).read_bytes() == before


def test_a_link_in_the_place_of_a_checkpoint_is_replaced_and_not_what_it_points_to(
    states: StageStates, tmp_path: Path
) -> None:
    (tmp_path / "outside").write_text("as it was")
    states.begin()
    path_of(states, 400).symlink_to(tmp_path / "outside")
    write(states, 400, CONTENT)
    assert bytes(states.read(400)) == CONTENT
    assert not path_of(states, 400).is_symlink()
    assert (tmp_path / "outside").read_text() == "as it was"


def test_a_pipe_in_the_place_of_a_checkpoint_is_not_waited_for(states: StageStates) -> None:
    states.begin()
    os.mkfifo(path_of(states, 400))
    with pytest.raises(UnusableState, match="unreadable"):
        states.read(400)
    write(states, 400)
    assert bytes(states.read(400)) == CONTENT


def test_when_a_stage_is_done_its_folder_goes(states: StageStates) -> None:
    states.remove_all_but(())  # of one that was never begun
    write(states, 400, CONTENT)
    states.remove(400)
    states.remove(400)
    assert states.steps() == []
    write(states, 500, CONTENT)
    states.remove_all_but(())
    assert not states.folder.exists()


def test_states_that_are_asked_for_stay_beside_the_newest_two(states: StageStates) -> None:
    for step in (100, 200, 300, 400, 500):
        write(states, step, kept=(200, 900))
    assert states.steps() == [500, 400, 200]
    states.remove_all_but((200, 900))
    assert states.steps() == [200]
    states.remove_all_but((900,))
    assert not states.folder.exists()


def test_a_state_tells_whose_it_is_without_being_read_whole(states: StageStates) -> None:
    write(states, 400)
    assert states.origin(400) == origin_of(states)
    with path_of(states, 400).open("r+b") as file:
        file.truncate(file.seek(0, os.SEEK_END) - 10)
    assert states.origin(400) == origin_of(states)
    assert states.origin(500) is None
    put(states, 500, path_of(states, 400).read_bytes())
    assert states.origin(500) is None
    put(states, 600, b"\xff" * 10_000)
    assert states.origin(600) is None


def test_every_stages_folder_is_found_and_no_link(states: StageStates, tmp_path: Path) -> None:
    folder = tmp_path / "states"
    assert list(all_states(folder)) == []
    write(states, 400)
    (folder / "a-file").touch()
    (folder / "a-link").symlink_to(tmp_path)
    assert list(all_states(folder)) == [states]
    (tmp_path / "linked").symlink_to(folder)
    assert list(all_states(tmp_path / "linked")) == []
