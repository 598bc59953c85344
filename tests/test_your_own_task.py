"""The page on tasks of one's own describes what is there, and its example is whole; so is the one that is shipped."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "your-own-task.md").read_text()
SPELLING = ROOT / "examples" / "char_transformer" / "sweep.yaml"


def block(language):
    """The page's first block of code in `language`."""
    return re.search(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL).group(1)


@pytest.fixture
def written(tmp_path):
    """The folder that the page has its reader make."""
    (tmp_path / "my_task.py").write_text(block("python"))
    (tmp_path / "mine.yaml").write_text(block("yaml"))
    return tmp_path


def rows(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["trials"]


def test_the_page_names_every_field_of_a_task():
    import sweep

    named = re.findall(r"^\| `(\w+)` \| ", PAGE, flags=re.MULTILINE)
    assert named == [field.name for field in dataclasses.fields(sweep.Task)]


def test_the_pages_example_can_be_planned(sweep, written):
    plan = sweep("plan", "mine.yaml", cwd=written)
    assert (plan.returncode, plan.stderr) == (0, "")
    assert re.search(r"1\.0 +1\.0 +16 +640 ", plan.stdout)  # 2000 examples in batches of 50


@pytest.mark.slow
def test_the_pages_example_trains_and_longer_training_is_better(sweep, written):
    done = sweep("run", "mine.yaml", "--ratios", "0.125,1", "--seeds", "2", cwd=written)
    assert done.returncode == 0, done.stderr
    found = rows(sweep("report", "mine", "--format", "json", cwd=written))
    accuracy = {(row["ratio"], row["seed"]): row["accuracy"] for row in found}
    assert len(accuracy) == 4
    assert all(row["outcome"] == "finished" for row in found)
    assert all(accuracy[1.0, seed] > accuracy[0.125, seed] > 0.5 for seed in (0, 1)), accuracy


@pytest.mark.slow
def test_the_shipped_transformer_learns_to_spell_at_three_lengths(sweep, tmp_path):
    done = sweep("run", SPELLING, "--ratios", "0.25,0.5,1", "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    journal = tmp_path / "sweep" / "journal.jsonl"
    [start, *records] = [json.loads(line.partition(" ")[2]) for line in journal.read_text().splitlines()]
    assert (start["recipe"]["metric"], start["recipe"]["mode"]) == ("loss", "min")
    # A plateau in common: what it costs to train all three is less than three runs.
    assert sum(record["measurement"]["steps"] for record in records) < sum(t["num_steps"] for t in start["trials"])
    loss = {row["ratio"]: row["loss"] for row in rows(sweep("report", "--results", tmp_path, "--format", "json"))}
    assert 3.0 > loss[0.25] > loss[0.5] > loss[1.0] > 0.5  # guessing among 90 characters is 4.5
