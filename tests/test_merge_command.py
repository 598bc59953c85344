"""Two sweeps of one recipe on other numbers of threads, merged: the example of the page on clusters, as it stands."""

import json
import re
import shlex
from pathlib import Path

import pytest

from sweep.store.history import read_history
from sweep.store.workspace import Workspace

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


def section():
    page = (ROOT / "docs" / "clusters.md").read_text()
    return page.partition("## Two machines' results\n")[2].partition("\n## ")[0]


def blocks(tag):
    return re.findall(rf"^```{tag}\n(.*?)^```$", section(), flags=re.MULTILINE | re.DOTALL)


def shape(text):
    """What a machine's name, its speed and its versions do not change."""
    text = " ".join(re.sub(r"─+", "", text).split())
    return re.sub(r"cpu \(.*?\), (\d) thread(s?), torch [^ ;]+", r"cpu, \1 thread\2", text)


def history_of(results, name):
    return read_history(results / name / "journal.jsonl")


@pytest.fixture(scope="module")
def example(sweep, tmp_path_factory):
    """The folder in which the commands of the example were run, and what each of them printed."""
    folder = tmp_path_factory.mktemp("example")
    [lines] = blocks("sh")
    printed = {}
    for line in lines.splitlines():
        run = sweep(*shlex.split(line)[1:], cwd=folder)
        assert run.returncode == 0, run.stderr
        printed[line] = run.stdout
    return folder, printed


def test_the_example_prints_what_the_page_shows(example):
    _, printed = example
    merge, report = (
        next(text for line, text in printed.items() if f"sweep {word}" in line) for word in ("merge", "report")
    )
    merged, reported = blocks("text")
    assert shape(merge) == shape(merged)
    shown = [line for line in reported.splitlines() if re.match("trained on 2|cost is the share|other set-up", line)]
    assert len(shown) == 3
    for line in shown:
        assert shape(line) in shape(report)
    assert shape(report).partition(" 0.5 ")[0] == shape(reported).partition(" 0.5 ")[0]


def test_each_trial_is_of_one_machine_and_costs_are_by_its_own_ratio_1(example, sweep):
    folder, _ = example
    results = folder / "results"
    laptop, server, both = (history_of(results, name) for name in ("laptop", "server", "both"))
    kept = {result.entry.key: result for history in (server, laptop) for result in history.results}
    assert {result.entry.key for result in both.results} == kept.keys()
    for result in both.results:
        own = kept[result.entry.key]
        assert (result.train_seconds, result.weights_sha256) == (own.train_seconds, own.weights_sha256)
        assert result.environment == own.environment
    document = json.loads(sweep("report", "both", "--format", "json", cwd=folder).stdout)
    costs = {row["ratio_text"]: row["relative_cost"] for row in document["rows"]}
    seconds = {
        (name, result.entry.ratio): result.train_seconds
        for name, history in (("laptop", laptop), ("server", server))
        for result in history.results
    }
    assert costs["0.5"] == pytest.approx(seconds["laptop", "0.5"] / seconds["laptop", "1.0"])
    assert costs["2.0"] == pytest.approx(seconds["server", "2.0"] / seconds["server", "1.0"])


def test_a_merged_sweep_is_listed_compared_and_cleaned_as_any_other(example, sweep):
    folder, _ = example
    assert "complete, mixed set-ups" in " ".join(sweep("list", cwd=folder).stdout.split())
    refused = sweep("compare", "laptop", "both", cwd=folder)
    assert refused.returncode == 2
    assert "trained on different devices" in refused.stderr
    allowed = sweep("compare", "laptop", "both", "--allow-mixed", cwd=folder)
    assert allowed.returncode == 0, allowed.stderr
    assert sweep("clean", "both", cwd=folder).stdout.strip() == "no states to remove"


def test_a_merged_sweep_goes_on_where_its_first_run_was_begun(example, sweep, tmp_path):
    """What both have finished is trained no more; what neither has is, on the set-up of the first named alone."""
    folder, _ = example

    def run(*arguments):
        return sweep("run", "smoke", "--name", "both", *arguments, cwd=folder)

    trained = len(history_of(folder / "results", "both").attempts)
    done = run("--ratios", "0.5,1.0,2.0")
    assert done.returncode == 0, done.stderr
    assert len(history_of(folder / "results", "both").attempts) == trained
    refused = run("--ratios", "0.25", "--threads", "2")
    assert refused.returncode == 2
    assert "threads was 1, now 2" in refused.stderr
    further = run("--ratios", "0.25,0.5,1.0,2.0")
    assert further.returncode == 0, further.stderr
    history = history_of(folder / "results", "both")
    assert [result.entry.ratio for result in history.results] == ["0.25", "0.5", "1.0", "2.0"]
    assert history.results[0].other_set_up == ()
    alone = sweep("run", "smoke", "--ratios", "0.25", "--threads", "1", "--results", tmp_path)
    assert alone.returncode == 0, alone.stderr
    [own] = history_of(tmp_path, "smoke").results
    assert history.results[0].weights_sha256 == own.weights_sha256


def test_mistakes_are_told_with_what_mends_them(example, sweep):
    folder, _ = example

    def refused(exit_code, *arguments):
        run = sweep("merge", *arguments, cwd=folder)
        assert run.returncode == exit_code, run.stderr
        assert "Traceback" not in run.stderr
        return run.stderr

    assert "there is a sweep 'server' already (choose another --name)" in refused(
        2, "laptop", "both", "--name", "server"
    )
    assert "both: holds training that laptop holds too" in refused(2, "laptop", "both", "--name", "new")
    assert "there is no sweep 'nobody'" in refused(2, "laptop", "nobody", "--name", "new")
    assert "--name" in refused(2, "laptop", "server")
    with Workspace(folder / "results" / "server").locked():
        assert "in use by process" in refused(3, "laptop", "server", "--name", "new")
    other = sweep("run", "smoke", "--set", "lr=0.2", "--ratios", "0.25", "--name", "other", cwd=folder)
    assert other.returncode == 0, other.stderr
    assert "other: of another recipe than laptop: lr was 0.1, now 0.2" in refused(2, "laptop", "other", "--name", "new")
    assert not (folder / "results" / "new").exists()
