"""`sweep run --mode cyclic` as a user meets it: one run for the whole curve, and a label wherever its figures stand."""

import csv
import io
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_executor import FakeExecutor, run, spans

from sweep import run_sweep
from sweep.errors import UsageError
from sweep.events import Noticed, SweepStarted, TrialEnded

Command = Callable[..., "subprocess.CompletedProcess[str]"]

# The smoke recipe's 184 steps: cycles of 26, 53 and 105.
ENDS = {"1/7": 26, "3/7": 79, "1.0": 184}


@pytest.fixture(scope="module")
def cyclic(sweep: Command, tmp_path_factory: pytest.TempPathFactory) -> "tuple[Path, subprocess.CompletedProcess[str]]":
    results = tmp_path_factory.mktemp("cyclic") / "results"
    return results, sweep("run", "smoke", "--mode", "cyclic", "--results", results)


def rows_of(sweep: Command, results: Path, name: str) -> dict[str, dict[str, str]]:
    table = sweep("report", name, "--results", results, "--format", "csv").stdout
    return {row["ratio_text"]: row for row in csv.DictReader(io.StringIO(table))}


@pytest.mark.slow
def test_one_run_gives_the_whole_curve_and_says_that_it_approximates(sweep: Command, cyclic: Any) -> None:
    results, done = cyclic
    assert done.returncode == 0, done.stderr
    assert "smoke: 3 trials, 184 steps to train (105 more if each were trained alone)" in done.stderr
    for text in (done.stderr, done.stdout):
        assert "approximate: one cyclic run" in text
        assert "its bias where it was measured, on Fashion-MNIST" in text
    rows = rows_of(sweep, results, "smoke")
    assert {ratio: int(row["steps"]) for ratio, row in rows.items()} == ENDS
    assert all(0 < float(row["accuracy"]) <= 1 and row["method"] == "cyclic" for row in rows.values())
    seconds = [float(rows[ratio]["train_seconds"]) for ratio in ENDS]
    assert seconds == sorted(seconds)  # each is a part of the next one


@pytest.mark.slow
def test_the_end_of_the_first_cycle_is_the_scaled_run_bit_for_bit(sweep: Command, cyclic: Any) -> None:
    results, _ = cyclic
    words = ("--method", "steps", "--ratios", "1/7", "--results", results, "--name", "scaled")
    assert sweep("run", "smoke", *words).returncode == 0
    own, scaled = rows_of(sweep, results, "smoke")["1/7"], rows_of(sweep, results, "scaled")["1/7"]
    assert own["weights_sha256"] == scaled["weights_sha256"] != ""
    assert own["accuracy"] == scaled["accuracy"]


@pytest.mark.slow
def test_python_gets_the_same_table_with_a_column_that_says_so(cyclic: Any) -> None:
    results, _ = cyclic
    with pytest.warns(UserWarning, match="the warm-up is 46 % of the run"):
        table = run_sweep("smoke", mode="cyclic", results=results)
    assert dict(zip(table["ratio_text"], table["steps"], strict=True)) == ENDS
    assert table["is_approximate"].all()
    with pytest.raises(UsageError, match=r"^mode: 'half' is no mode"):
        run_sweep("smoke", mode="half", results=results)


@pytest.mark.slow
@pytest.mark.parametrize("output", ["table", "markdown", "latex", "html", "csv", "json"])
def test_every_format_of_the_report_is_labelled(output: str, sweep: Command, cyclic: Any) -> None:
    results, _ = cyclic
    text = sweep("report", "smoke", "--results", results, "--format", output).stdout
    if output == "csv":
        assert {row["is_approximate"] for row in csv.DictReader(io.StringIO(text))} == {"True"}
    elif output == "json":
        report = json.loads(text)
        assert all(part["is_approximate"] for part in (*report["rows"], *report["curves"]))
        assert any(note.startswith("approximate: ") for note in report["notes"])
    else:
        assert len(re.findall(r"cyclic \(approximate\)", text)) >= len(ENDS) + 1  # the rows and the verdict
        assert "approximate: one cyclic run" in text
        assert "Fashion-MNIST" in text


@pytest.mark.slow
def test_pictures_and_comparisons_are_labelled(
    sweep: Command, cyclic: Any, smoke_results: Path, tmp_path: Path
) -> None:
    results, _ = cyclic
    files = [tmp_path / name for name in ("curve.svg", "page.html", "pair.svg")]
    words = ("--results", results, "--plot", files[0], "--html", files[1], "--chart")
    shown = sweep("report", "smoke", *words, "--tensorboard", tmp_path / "events")
    assert shown.returncode == 0, shown.stderr
    assert "cyclic (approximate)" in shown.stdout.splitlines()[-1]  # the key of the chart in the terminal
    other = tmp_path / "scaled.csv"
    other.write_text(sweep("report", "smoke", "--results", smoke_results, "--format", "csv").stdout)
    compared = sweep("compare", other, "smoke", "--results", results, "--allow-mixed", "--plot", files[2])
    assert compared.returncode == 0, compared.stderr
    assert "smoke, cyclic (approximate)" in compared.stdout
    assert "approximate: one cyclic run" in compared.stdout
    for file in files:
        assert "approximate: one cyclic run" in file.read_text()
    assert all("cyclic-approximate" in folder.name for folder in (tmp_path / "events").iterdir())


def test_a_table_that_was_written_is_labelled_when_it_is_read_back(sweep: Command, tmp_path: Path) -> None:
    table = tmp_path / "own.csv"
    table.write_text("method,ratio,train_seconds,accuracy\ncyclic,0.2,10,0.8\ncyclic,1,50,0.9\nsteps,1,50,0.91\n")
    text = sweep("report", table).stdout
    assert "cyclic (approximate)" in text
    assert "approximate: one cyclic run" in text
    rows = csv.DictReader(io.StringIO(sweep("report", table, "--format", "csv").stdout))
    assert [(row["method"], row["is_approximate"]) for row in rows] == [
        ("cyclic", "True"),
        ("cyclic", "True"),
        ("steps", "False"),
    ]


def test_the_plan_is_labelled_and_costs_one_baseline(sweep: Command) -> None:
    shown = sweep("plan", "smoke", "--mode", "cyclic").stdout
    assert "ratios are the ends of cycles" in shown
    assert "approximate: one cyclic run" in shown
    assert "steps: 289 alone, 184 shared" in shown
    document = json.loads(sweep("plan", "smoke", "--mode", "cyclic", "--format", "json").stdout)
    assert document["is_approximate"]
    assert {run["ratio_text"]: run["steps"] for run in document["runs"]} == ENDS
    assert not json.loads(sweep("plan", "smoke", "--format", "json").stdout)["is_approximate"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--mode", "cycle"), "--mode: 'cycle' is no mode (write cyclic, or leave it out)"),
        (("--mode", "cyclic", "--method", "steps"), "--mode: does not go with --method: cyclic is one itself"),
        (("--mode", "cyclic", "--set", "method=steps"), "--set: method: given twice, by --set and by --mode"),
        (("--mode", "cyclic", "--ratios", "0.5,1"), "--ratios: ratio 0.5: no cycle ends there (take some of 1/7,3/7,"),
        (("--mode", "cyclic", "--ratios", "0.25,0.5,1.0"), "--ratios: ratio 0.25: no cycle ends there"),  # the default
        (("--mode", "cyclic", "--set", "epochs=6"), "epochs: no room for 3 cycles: the first would have 0.857 epochs"),
    ],
)
def test_what_makes_no_curve_is_refused(words: tuple[str, ...], message: str, sweep: Command, tmp_path: Path) -> None:
    refused = sweep("run", "smoke", *words, "--results", tmp_path / "results")
    assert refused.returncode == 2
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "results").exists()


def test_a_command_knows_nothing_of_cycles(sweep: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text('command: "train.py --epochs {epochs}"\nepochs: 14\n')
    refused = sweep("plan", "./mine.yaml", "--mode", "cyclic", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--mode: method: a command is scaled by epochs: cyclic is not known to it" in refused.stderr


def test_a_cyclic_sweep_is_a_chain_of_stages_and_is_told_as_what_it_is(tmp_path: Path) -> None:
    events: list[object] = []
    executor = FakeExecutor(capacity=3)
    done = run(tmp_path, executor, events.append, mode="cyclic")
    assert done.is_complete
    assert spans(executor) == [(0, 26), (26, 79), (79, 184)]
    assert any(isinstance(event, Noticed) and event.text.startswith("approximate: ") for event in events)
    [started] = [event for event in events if isinstance(event, SweepStarted)]
    assert (started.num_steps, started.num_shared) == (184, 105)
    # What each end costs is what the run had cost by then: two seconds a Stage.
    ended = {event.ratio: event.train_seconds for event in events if isinstance(event, TrialEnded)}
    assert ended == {"1/7": 2.0, "3/7": 4.0, "1.0": 6.0}
    assert all(result.truncated_quality is None for result in done.history.results)


def test_further_ends_train_only_what_is_missing(tmp_path: Path) -> None:
    run(tmp_path, FakeExecutor(), mode="cyclic", ratios="3/7")
    executor = FakeExecutor()
    assert run(tmp_path, executor, mode="cyclic").is_complete
    assert (79, 184) in spans(executor)
    assert all(stop <= 79 or start == 79 for start, stop in spans(executor))
    again = FakeExecutor()
    assert run(tmp_path, again, mode="cyclic").is_complete
    assert spans(again) == []


def test_scaled_runs_of_the_same_recipe_are_another_curve_of_the_same_sweep(tmp_path: Path) -> None:
    run(tmp_path, FakeExecutor(), mode="cyclic")
    executor = FakeExecutor()
    done = run(tmp_path, executor, method="steps", ratios="3/7,1")
    assert sum(stop - start for start, stop in spans(executor)) == 78 + 184  # none of the cyclic run's
    assert {(result.entry.method, result.entry.ratio) for result in done.history.results} == {
        *(("cyclic", ratio) for ratio in ENDS),
        ("steps", "3/7"),
        ("steps", "1"),
    }
