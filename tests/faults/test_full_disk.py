"""A full disk ends a sweep with a sentence and exit code 3, or costs a checkpoint; nothing recorded is lost."""

import json
import os
import re
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import pytest
from processes import check_invariants, wait_for_line
from toy_full_disk import NO_MOUNT

from sweep.lossy import lossy

TRIALS = ("--set", "epochs=8", "--ratios", "0.25,0.5,0.75,1.0", "--seeds", "2")


@pytest.mark.parametrize(
    ("mode", "refused", "went_on"),
    [("once", 20, 20), pytest.param("for-good", 50, 0, marks=pytest.mark.slow), ("pages", 1, 5), ("files", 3, 2)],
)
def test_a_sweep_whose_disk_is_full_at_any_operation_loses_nothing(tmp_path, mode, refused, went_on):
    """Whichever operation fails, once or for good; and on real disks of every size that is too small."""
    script = Path(__file__).with_name("toy_full_disk.py")
    done = subprocess.run([sys.executable, script, tmp_path, mode], capture_output=True, text=True)
    if done.returncode == NO_MOUNT:
        pytest.skip("needs to mount a tmpfs, as root may")
    assert done.returncode == 0, done.stderr
    counted = json.loads(done.stdout)
    assert counted["refused"] >= refused
    assert counted["went_on"] >= went_on


@pytest.fixture
def disk(tmp_path):
    """A real disk of 256 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]
    if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("needs to mount a tmpfs, as root may")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk):
    """Leave not a byte free; returns what to remove to have room again."""
    filling = disk / "filling"
    with filling.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert os.statvfs(disk).f_bfree == 0
    return filling


def weights(results):
    return {result.entry.key: result.weights_sha256 for result in check_invariants(results).results}


def test_a_disk_that_is_full_from_the_start_is_told_before_anything_trains(sweep, disk):
    filling = fill(disk)
    refused = sweep("run", "smoke", "--results", disk, "--ratios", "0.5")
    assert refused.returncode == 3
    assert f"disk full: needs about 1 MB in {disk / 'smoke'}; nothing lost (free some space and run" in refused.stderr
    assert refused.stdout == ""
    assert not (disk / "smoke" / "logs").exists()
    assert "Traceback" not in refused.stderr
    filling.unlink()
    assert sweep("run", "smoke", "--results", disk, "--ratios", "0.5").returncode == 0


@pytest.mark.slow
def test_a_disk_that_fills_up_in_mid_sweep_loses_no_result_that_was_told(command, sweep, disk, tmp_path):
    """Of checkpoints it is a warning; of the journal it is the end."""
    words = [command, "run", "smoke", "--results", disk, *TRIALS, "--checkpoint-every", "0.01"]
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_line(running.stderr, ": finished, ")
    filling = fill(disk)
    stdout, stderr = running.communicate(timeout=100)
    assert running.returncode == 3
    assert f"disk full: needs about 1 MB in {disk / 'smoke'}; nothing lost (free some space and run" in stderr
    assert re.search(
        r"warning: no checkpoint can be written, and training goes on until one can: .*: disk full", stderr
    )
    assert "Traceback" not in stdout + stderr
    before = check_invariants(disk).results
    num_told = 1 + stderr.count(": finished, ")
    assert num_told <= sum(result.outcome == "finished" for result in before) < 8
    filling.unlink()
    again = sweep("run", "smoke", "--results", disk, *TRIALS)
    assert again.returncode == 0, again.stderr
    assert sweep("run", "smoke", "--results", tmp_path / "roomy", *TRIALS).returncode == 0
    assert weights(disk) == weights(tmp_path / "roomy")
    after = {result.entry.key: result.train_seconds for result in check_invariants(disk).results}
    assert all(after[result.entry.key] == result.train_seconds for result in before if result.outcome == "finished")


def test_a_sweep_that_can_say_nothing_trains_on(command, tmp_path):
    with open("/dev/full", "w") as full:
        words = [command, "run", "smoke", "--ratios", "0.25,0.5", "--results", tmp_path]
        run = subprocess.run(words, stderr=full, stdout=subprocess.PIPE, text=True)
    assert run.returncode == 0
    assert "recipe smoke" in run.stdout


def test_a_result_that_cannot_be_printed_is_an_error_and_kept(command, sweep, tmp_path):
    with open("/dev/full", "w") as full:
        words = [command, "run", "smoke", "--ratios", "0.25", "--results", tmp_path]
        run = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert run.returncode == 3
    assert "error: No space left on device" in run.stderr
    assert sweep("report", "--results", tmp_path).returncode == 0


def test_a_worker_whose_log_is_full_trains_on_whatever_is_printed(sweep, tmp_path):
    """Its output goes to a device that is always full. It prints little of itself, so it is made to."""
    talkative = tmp_path / "code"
    talkative.mkdir()
    (talkative / "sitecustomize.py").write_text(TALKATIVE)
    path = os.pathsep.join([str(talkative), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    words = [sys.executable, "-m", "sweep", "run", "smoke", "--ratios", "0.25,0.5", "--results", tmp_path / "results"]
    run = subprocess.run(words, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert run.returncode == 1, run.stderr
    assert "RuntimeError: talked 1000 times" in run.stderr
    assert [r.outcome.value for r in check_invariants(tmp_path / "results").results] == ["failed", "finished"]


# A worker talks while it trains, and one of its Stages raises: the traceback has no room either.
TALKATIVE = """
import os, sys, warnings
if "sweep.run.worker" in sys.orig_argv:
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, 1)
    os.dup2(full, 2)
    import sweep.train.loop
    train_stage = sweep.train.loop.train_stage
    def talk(job, *rest):
        for number in range(1000):
            print("talk " * 50)
            print("talk " * 50, file=sys.stderr)
            warnings.warn(f"talk {number}")
        if job.stop_step == 46:
            raise RuntimeError("talked 1000 times")
        return train_stage(job, *rest)
    sweep.train.loop.train_stage = talk
"""


def test_what_a_full_disk_refuses_of_a_log_is_lost_and_later_lines_are_not(tmp_path):
    with open("/dev/full", "w") as full, warnings.catch_warnings():
        stream = lossy(full)
        for _ in range(3):
            print("x" * 100_000, file=stream)
        stream.flush()
    with open(tmp_path / "log", "w") as file:
        print("a line", file=lossy(file))
    assert (tmp_path / "log").read_text() == "a line\n"


def test_a_reader_that_is_gone_is_no_full_disk():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe, pytest.raises(BrokenPipeError):
        print("a line", file=lossy(pipe))


@pytest.mark.parametrize(
    "option",
    [("--plot", "curve.svg"), ("--html", "report.html"), ("--tensorboard", "events")],
    ids=lambda option: option[0],
)
def test_a_report_whose_files_find_no_room_is_printed_and_ends_with_a_sentence(sweep, smoke_results, disk, option):
    fill(disk)
    run = sweep("report", "smoke", "--results", smoke_results, option[0], disk / option[1])
    assert run.returncode == 3
    assert "what training costs, and what it gives" in run.stdout
    [line] = run.stderr.splitlines()
    assert line.startswith("error: ")
    assert "o space left on device" in line or "disk full" in line
