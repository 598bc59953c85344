"""A results folder that cannot be written is refused before anything trains, and read where it can be read."""

import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from sweep.api import run_request
from sweep.errors import MachineError
from sweep.request import SweepRequest


def mounted(*options):
    return subprocess.run(["mount", *options], stderr=subprocess.DEVNULL).returncode == 0


@contextmanager
def read_only(path):
    """`path`, a folder or a file, as it is, and for the time of the block on a disk that is read-only."""
    if not mounted("--bind", path, path):
        pytest.skip("needs to mount, as root may")
    try:
        assert mounted("-o", "remount,ro,bind", path)
        yield
    finally:
        subprocess.run(["umount", path], check=True)


@pytest.fixture
def results(sweep, tmp_path):
    """A results folder with a sweep in it."""
    assert sweep("run", "smoke", "--ratios", "0.25", "--results", tmp_path / "results").returncode == 0
    return tmp_path / "results"


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_refused(run, where, fix):
    assert run.returncode == 3
    assert run.stdout == ""
    [line] = run.stderr.splitlines()
    assert line.startswith(f"error: {where}")
    assert line.endswith(f"({fix})")


def test_a_read_only_folder_is_reported_and_listed_and_not_trained_in(sweep, results):
    def reports():
        runs = [sweep(*words, "--results", results) for words in (["report"], ["report", "--format", "csv"], ["list"])]
        assert [(run.returncode, run.stderr) for run in runs] == [(0, "")] * 3
        return [run.stdout for run in runs]

    before, files = reports(), contents(results)
    with read_only(results):
        assert reports() == before
        for options in ([], ["--fresh"], ["--name", "another"]):
            run = sweep("run", "smoke", "--ratios", "0.25,0.5", "--results", results, *options)
            assert_refused(run, results, "the disk is read-only: choose another place for it")
    assert contents(results) == files
    assert sweep("run", "smoke", "--ratios", "0.25,0.5", "--results", results).returncode == 0


def test_a_journal_that_is_read_only_alone_is_noticed_before_anything_trains_too(sweep, results):
    journal = results / "smoke" / "journal.jsonl"
    with read_only(journal):
        run = sweep("run", "smoke", "--ratios", "0.25,0.5", "--results", results)
        assert_refused(run, journal, "the disk is read-only: choose another place for it")


def places(tmp_path):
    """Where no results can be kept, and what is said of each."""
    (tmp_path / "file").write_text("a file")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "at all")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    another = "choose another place for it"
    return {
        Path("/proc"): f"nothing can be made there: {another}",
        Path("/dev/null"): f"a file is in the way: {another}",
        tmp_path / "file": f"a file is in the way: {another}",
        tmp_path / "file" / "below": f"a file is in the way: {another}",
        tmp_path / ("long" * 100): "choose a shorter name or path",
        tmp_path / "dangling": f"a link that leads nowhere is in the way: {another}",
        tmp_path / "dangling" / "below": f"a link that leads nowhere is in the way: {another}",
    }


def test_an_impossible_folder_is_refused_with_what_is_in_the_way(sweep, tmp_path):
    for place, fix in places(tmp_path).items():
        assert_refused(sweep("run", "smoke", "--results", place), place, fix)
    assert (tmp_path / "file").read_text() == "a file"
    assert not (tmp_path / "nowhere").exists()


def test_an_impossible_folder_is_refused_before_a_worker_starts(tmp_path):
    for place in [*places(tmp_path), tmp_path / "circle"]:
        with pytest.raises(MachineError, match=str(place)):
            run_request(SweepRequest("smoke", results=place), make_executor=lambda *placed: pytest.fail("started"))


def test_an_impossible_folder_holds_no_sweeps_or_cannot_be_read(sweep, tmp_path):
    for place in places(tmp_path):
        run = sweep("list", "--results", place)
        assert run.returncode == 3 or (run.returncode == 0 and run.stdout.startswith("there is no sweep in"))
        assert sweep("report", "--results", place).returncode in (2, 3)
        assert "Traceback" not in run.stdout + run.stderr
        assert "internal error" not in run.stderr
