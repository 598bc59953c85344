"""A results folder is moved, or copied while a sweep runs in it: the copy is read, and trained further on its own."""

import os
import re
import shutil

import pytest
from processes import check_invariants, is_alive, workers_of

from sweep.store.history import read_history

pytestmark = pytest.mark.slow

ARGUMENTS = ("--set", "epochs=60", "--ratios", "0.1,0.5,1.0", "--checkpoint-every", "0.05")


def copied(source, target):
    """As `cp -r` copies a folder that is being written to: a file at a time, and some are gone when it gets there."""
    for folder, _, names in os.walk(source):
        there = target / os.path.relpath(folder, source)
        there.mkdir(parents=True)
        for name in names:
            try:
                shutil.copyfile(os.path.join(folder, name), there / name)
            except FileNotFoundError:
                continue


def has_checkpoints(results):
    return any(results.glob("smoke/states/*/*.state"))


def weights(results):
    return {result.entry.key: result.weights_sha256 for result in read_history(journal(results)).results}


def journal(results):
    return results / "smoke" / "journal.jsonl"


def test_no_file_of_a_sweep_says_where_it_lies(start, tmp_path, wait_until):
    """With checkpoints, logs, an owner and a lock there."""
    running = start(*ARGUMENTS)
    wait_until(lambda: has_checkpoints(tmp_path) and read_history(journal(tmp_path)).stages)
    running.kill()
    running.communicate(timeout=50)
    names = set()
    for folder, _, files in os.walk(tmp_path):
        for name in files:
            with open(os.path.join(folder, name), "rb") as file:
                assert os.fsencode(tmp_path) not in file.read(), name
            names.add(name)
    assert names >= {"journal.jsonl", "lock", "owner", "worker-1.log"}
    assert any(name.endswith(".state") for name in names)


def test_a_folder_that_was_moved_goes_on_from_its_checkpoints(start, sweep, tmp_path, wait_until):
    running = start(*ARGUMENTS)
    wait_until(lambda: has_checkpoints(tmp_path))
    workers = workers_of(running.pid)
    running.kill()
    running.communicate(timeout=50)
    wait_until(lambda: not any(map(is_alive, workers)))
    moved = tmp_path / "moved" / "further"
    moved.mkdir(parents=True)
    (tmp_path / "smoke").rename(moved / "smoke")
    again = sweep("run", "smoke", "--results", moved, *ARGUMENTS)
    assert again.returncode == 0, again.stderr
    assert re.search(r"resuming: \d of 3 done, 1 interrupted", again.stderr)
    stages = check_invariants(moved).stages.values()
    assert [len(record.measurement.resumed_at) for record in stages].count(1) == 1
    assert not (tmp_path / "smoke").exists()


def test_a_copy_made_while_a_sweep_runs_is_read_and_trained_further_on_its_own(start, sweep, tmp_path, wait_until):
    """Its journal is torn in the middle of a record."""
    copy = tmp_path / "copy"
    running = start(*ARGUMENTS)
    wait_until(lambda: has_checkpoints(tmp_path) and read_history(journal(tmp_path)).stages)
    copied(tmp_path / "smoke", copy / "smoke")
    assert running.poll() is None
    whole = journal(copy).read_bytes()
    journal(copy).write_bytes(whole[:-40])
    lines = whole.count(b"\n")

    report = sweep("report", "--results", copy)
    assert report.returncode == 0, report.stderr
    assert f"damaged records in the journal were ignored (line {lines})" in " ".join(report.stdout.split())
    assert "running" not in sweep("list", "--results", copy).stdout

    again = sweep("run", "smoke", "--results", copy, *ARGUMENTS)
    assert again.returncode == 0, again.stderr
    assert re.search(rf"ignored 1 damaged record \({journal(copy)}:{lines}\); .* runs again", again.stderr)
    _, stderr = running.communicate(timeout=100)
    assert running.returncode == 0, stderr
    check_invariants(tmp_path)
    assert weights(copy) == weights(tmp_path)
    assert None not in weights(copy).values()
