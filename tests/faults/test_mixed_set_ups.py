"""Other threads than a sweep began with: refused, or marked where that is asked for."""

import csv
import re

import pytest
from processes import check_invariants, wait_for_line

pytestmark = pytest.mark.slow

TWO = ("--threads", "2", "--allow-mixed")


def marks(results):
    return {result.entry.ratio: result.other_set_up for result in check_invariants(results).results}


def test_other_threads_are_refused_unless_they_are_allowed_and_then_marked(sweep, tmp_path):
    def run(*arguments):
        return sweep("run", "smoke", "--results", tmp_path, *arguments)

    assert run("--ratios", "0.25").returncode == 0
    refused = run("--ratios", "0.25,0.5", "--threads", "2")
    assert refused.returncode == 2
    assert re.search(r"on another set-up: threads was 1, now 2 \(.*--allow-mixed", refused.stderr)
    assert marks(tmp_path) == {"0.25": ()}
    allowed = run("--ratios", "0.25,0.5", *TWO)
    assert allowed.returncode == 0, allowed.stderr
    assert "warning: another set-up than this sweep began with (threads was 1, now 2)" in allowed.stderr
    assert "other set-up: seed 0" in allowed.stdout
    assert "other set-up than the first run's (threads was 1, now 2)" in " ".join(allowed.stdout.split())
    kept = run("--ratios", "0.25,0.5,1.0")
    assert kept.returncode == 0, kept.stderr
    assert marks(tmp_path) == {"0.25": (), "0.5": ("threads was 1, now 2",), "1.0": ()}
    rows = csv.DictReader(sweep("report", "--results", tmp_path, "--format", "csv").stdout.splitlines())
    assert [row["other_set_up"] for row in rows] == ["", "threads was 1, now 2", ""]
    assert "complete, mixed set-ups" in " ".join(sweep("list", "--results", tmp_path).stdout.split())


def test_what_goes_on_from_a_checkpoint_of_other_threads_is_marked_although_it_ends_on_the_first_ones(
    sweep, start, tmp_path, wait_until
):
    assert sweep("run", "smoke", "--results", tmp_path, "--ratios", "0.125").returncode == 0
    running = start("--ratios", "0.125,8", *TWO, "--checkpoint-every", "0.05")
    wait_for_line(running.stderr, "steps to train")
    wait_until(lambda: list(tmp_path.glob("smoke/states/*/*.state")))
    running.kill()
    running.communicate(timeout=50)
    begun = {path.parent.name for path in tmp_path.glob("smoke/states/*/*.state")}
    again = sweep("run", "smoke", "--results", tmp_path, "--ratios", "0.125,8")
    assert again.returncode == 0, again.stderr
    results = check_invariants(tmp_path).results
    resumed = {result.entry.ratio for result in results if begun & set(result.entry.stages)}
    assert len(resumed) == 1
    assert {ratio for ratio, mark in marks(tmp_path).items() if mark} >= resumed
    assert marks(tmp_path)["0.125"] == ()
