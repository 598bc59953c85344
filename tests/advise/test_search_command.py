"""`sweep search` as a user meets it: what it prints, where, and its exit codes."""

import re
import shlex
import sys

import pytest


@pytest.fixture(scope="module")
def searched(sweep, tmp_path_factory):
    results = tmp_path_factory.mktemp("searched") / "results"
    return results, sweep("search", "smoke", "--target", "80%", "--ratios", "0.25,0.5,1.0", "--results", results)


def test_a_search_ends_in_the_table_and_the_answer(searched):
    _, run = searched
    assert run.returncode == 0, run.stderr
    assert run.stderr.splitlines()[0] == "next: ratio 0.25, seed 0"
    assert re.search(r"^ratio 0\.25, seed 0: finished, ", run.stderr, flags=re.MULTILINE)
    assert run.stdout.startswith("smoke: what training costs, and what it gives\n")
    answers = [line for line in run.stdout.splitlines() if "is the cheapest ratio that reaches 80 %" in line]
    [answer] = answers
    assert re.search(r"\(probability (over )?0\.\d\d\): 1 run, [\d.]+ s, \d+ % of the full grid's [\d.]+ s$", answer)


def test_the_same_command_again_trains_nothing(sweep, searched):
    results, first = searched
    again = sweep("search", "smoke", "--target", "80%", "--ratios", "0.25,0.5,1.0", "--results", results, "--quiet")
    assert (again.returncode, again.stderr) == (0, "")
    assert "no run was trained for it; 1 run had finished before" in again.stdout
    assert again.stdout.splitlines()[:6] == first.stdout.splitlines()[:6]


def test_a_target_that_nothing_reaches_is_said_and_ends_with_1(sweep, searched):
    results, _ = searched
    run = sweep("search", "smoke", "--target", "100%", "--ratios", "0.25", "--results", results)
    assert run.returncode == 1, run.stderr
    assert "no ratio reaches 100 % (probability " in run.stdout
    assert re.search(r"^100 % is above all that was seen \(\d\d\.\d\d % at 0\.25\)$", run.stdout, flags=re.MULTILINE)


def test_mistakes_are_said_together_and_end_with_2(sweep, tmp_path):
    run = sweep("search", "smoke", "--confidence", "2", "--max-cost", "$5", "--results", tmp_path)
    assert run.returncode == 2
    assert run.stdout == ""
    for text in ("--target: neither a target nor", "--confidence: 2 is not", "--max-cost: dollars need a price"):
        assert text in run.stderr
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_a_command_of_your_own_is_searched_too(sweep, tmp_path):
    (tmp_path / "train.py").write_text("import sys; print('{\"accuracy\": %s}' % (1 - 1 / float(sys.argv[1])))")
    (tmp_path / "own.yaml").write_text(
        f"command: {shlex.quote(sys.executable)} train.py {{epochs}} {{seed}}\nepochs: 20\n"
    )
    run = sweep("search", "./own.yaml", "--within-points", "3", "--ratios", "0.25:1:0.25", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert re.search(r"^0\.75 is the cheapest ratio within 3 points of 1\.0 \(prob", run.stdout, flags=re.MULTILINE)
