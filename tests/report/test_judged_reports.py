"""Reports of sweeps that are judged by something else than accuracy, and of sweeps of a command."""

import csv
import json
import math
import re
import subprocess
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
from histories import a_start, finished, write_journal
from judged_sweep import TRIALS, falling, judged_records
from test_live import bars_after, lines
from test_tensorboard import scalars

from sweep.errors import Outcome, SweepError, UsageError
from sweep.events import Progress, StageStarted, SweepStarted, TrialEnded
from sweep.recipe.library import load_recipe
from sweep.report.chart import findings_chart
from sweep.report.contender import line_up
from sweep.report.csv_table import parse_columns, read_table
from sweep.report.export_csv import to_csv
from sweep.report.export_json import to_json
from sweep.report.findings import Findings
from sweep.report.gate import Gate
from sweep.report.grid import draw
from sweep.report.markup import MARKUPS
from sweep.report.metric import ACCURACY, Metric
from sweep.report.page import page
from sweep.report.page_charts import has_curves, learning_curves
from sweep.report.plotted import limits_of, make_series
from sweep.report.reproduce import recipe_file
from sweep.report.screen import Screen
from sweep.report.table import make_tables
from sweep.report.tensorboard import write_events
from sweep.report.terminal_chart import chart_lines
from sweep.store.history import History
from sweep.store.records import StartRecord

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Maker = Callable[..., History]
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text())
LOSS = Metric("val_loss", is_lower_better=True)


@pytest.fixture
def loss(history_of: Maker) -> Findings:
    return Findings.of_history(history_of(*judged_records()))


@pytest.fixture
def of_a_command(history_of: Maker) -> Findings:
    return Findings.of_history(history_of(*judged_records(command="python train.py")))


def keep(results: Path, name: str, *records: object) -> None:
    (results / name).mkdir(parents=True)
    write_journal(results / name / "journal.jsonl", *records)


def test_the_table_and_its_lines_follow_the_metric_and_its_direction(loss: Findings) -> None:
    lengths, gains = make_tables(loss)
    assert lengths.headers[5:] == ("val_loss (seeds)", "sd", "vs 1.0", "truncated")
    assert [row[0] for row in lengths.rows] == ["0.25", "0.5", "1.0", "2.0"]
    assert lengths.rows[2][5].startswith("1.45")
    assert lengths.rows[0][7].startswith("+0.3")  # a higher loss than ratio 1.0
    assert (gains.title, gains.headers[2]) == ("what more training buys, in val_loss", "val_loss")
    assert all(row[2].startswith("-0.") for row in gains.rows)
    verdict, best = gains.notes[:2]
    assert verdict.startswith(
        "no cheaper ratio is within 0.0145 val_loss of 1.0: 0.5, the nearest, is 2.00x cheaper for +"
    )
    assert best.startswith("best: 2.0, -0.0")
    assert any(
        note.startswith("cost and vs 1.0 (val_loss, lower is better) are against ratio 1.0; ") for note in gains.notes
    )
    assert not any("accura" in text or "points" in text for text in (*gains.notes, *lengths.headers, gains.title))


def test_the_front_of_a_loss_is_what_no_cheaper_length_is_below(history_of: Maker) -> None:
    findings = Findings.of_history(history_of(*judged_records(quality=lambda ratio: abs(ratio - 0.6))))
    (curve,) = findings.curves
    assert [row.ratio_text for row in curve.front] == ["0.25", "0.5"]
    assert curve.best is not None
    assert curve.best.ratio_text == "0.5"
    assert any(
        "not worth its cost, since a cheaper ratio is as good: 1.0, 2.0" in note
        for note in make_tables(findings)[-1].notes
    )


def test_a_command_is_asked_for_epochs_and_says_whose_clock_it_was(of_a_command: Findings) -> None:
    lengths, gains = make_tables(of_a_command)
    assert lengths.headers[:4] == ("ratio", "epochs", "train time", "cost")
    assert "truncated" not in lengths.headers
    assert "train time is the command's whole time, its start-up and its evaluations included" in gains.notes
    assert any(note.startswith("time: 5.00 s an epoch") for note in gains.notes)
    assert any(note == "the sweep itself: 18m 45s of training" for note in gains.notes)
    assert not any("truncated" in note or " step" in note for note in gains.notes)
    assert of_a_command.history is not None
    assert not has_curves(of_a_command.history)


def test_csv_names_the_metric_and_comes_back_as_the_same_table(loss: Findings, tmp_path: Path) -> None:
    path = tmp_path / "loss.csv"
    path.write_text(to_csv(loss))
    rows = list(csv.DictReader(StringIO(path.read_text())))
    assert {(row["metric"], row["mode"], row["accuracy"], row["truncated_accuracy"]) for row in rows} == {
        ("val_loss", "min", "", "")
    }
    assert float(rows[0]["val_loss"]) == loss.frame["quality"].iloc[0]
    table = read_table(path, {})
    assert (table.metric, table.remarks) == (LOSS, ("judged by val_loss (lower is better)",))
    pd.testing.assert_frame_equal(table.frame, loss.frame, check_dtype=False)
    assert Findings.of_table(table).verdicts == loss.verdicts


@pytest.mark.parametrize("name", ["steps", "=1+1", "a,b", "loss", "x\ny"])
def test_whatever_a_metric_is_called_its_csv_comes_back(history_of: Maker, tmp_path: Path, name: str) -> None:
    records = judged_records(metric=name)
    if name == "loss":
        records = [records[0], *(finished(trial, 0.5, loss=falling(trial.num_steps / 200)) for trial in TRIALS)]
    findings = Findings.of_history(history_of(*records))
    path = tmp_path / "any.csv"
    path.write_text(to_csv(findings))
    back = read_table(path, {}).frame
    assert back["quality"].tolist() == findings.frame["quality"].tolist()
    assert back["steps"].tolist() == findings.frame["steps"].tolist()
    json.loads(to_json(findings))
    make_tables(findings)


HOSTILE = "x[/y] </script> |_\x1b[31m\n\u202e="


def test_a_hostile_name_is_text_wherever_it_stands(history_of: Maker, tmp_path: Path) -> None:
    findings = Findings.of_history(history_of(*judged_records(metric=HOSTILE)))
    tables = make_tables(findings)
    printed = StringIO()
    for grid in tables:
        draw(grid, Screen(file=printed, width=60, force_terminal=True, color_system=None))
    drawn = "\n".join(chart_lines(make_series(findings), 80))
    specification = json.dumps(findings_chart(findings).to_dict(), ensure_ascii=False)
    for text in (printed.getvalue(), drawn, specification, to_csv(findings), *(to(tables) for to in MARKUPS.values())):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
        assert "x[/y]" in text.replace("\\", "").replace("{[}", "[").replace("{]}", "]")
    assert r"\|\_" in MARKUPS["markdown"](tables)
    assert "</script> |" not in MARKUPS["html"](tables)
    assert "</script> |" not in page(findings)
    write_events(findings, tmp_path / "events")


def test_what_a_csv_says_of_its_metric_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    head = "ratio,train_seconds,val_loss,metric,mode\n1,10,-0.5,val_loss,min\n"
    for more, complaint in (
        ("2,20,0.5,other,min\n", "bad.csv:3: metric: another metric than in the first row"),
        ("2,20,nan,val_loss,min\n", "bad.csv:3: val_loss: 'nan' is not a number"),
        ("2,20,,val_loss,min\n", "bad.csv:3: val_loss: is empty"),
    ):
        path.write_text(head + more)
        with pytest.raises(UsageError, match=complaint):
            read_table(path, {})
    path.write_text(head.replace("min", "up"))
    with pytest.raises(UsageError, match=r"bad.csv:2: mode: 'up' is neither max nor min"):
        read_table(path, {})
    assert parse_columns("val_loss=theirs", LOSS) == {"val_loss": "theirs"}


def test_json_is_as_its_schema_says_and_holds_values_not_scores(loss: Findings) -> None:
    document = json.loads(to_json(loss))
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert (document["metric"], document["within_points"]) == ({"name": "val_loss", "mode": "min"}, None)
    short, *_, longest = document["rows"]
    assert 1.3 < longest["quality"] < short["quality"] < 1.9
    assert short["ci95"][0] < short["quality"] < short["ci95"][1]
    assert short["points"] == pytest.approx(short["quality"] - document["rows"][2]["quality"])
    assert 0 <= document["curves"][0]["fit"]["ceiling"] < longest["quality"]


def test_json_of_a_command_says_what_is_not_known(of_a_command: Findings) -> None:
    document = json.loads(to_json(of_a_command))
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    trial = document["trials"][0]
    assert (trial["train_seconds_source"], trial["steps"], trial["eval_seconds"]) == ("wall", None, None)


@pytest.mark.parametrize("value", ["1.46", "1.453"])
def test_a_loss_that_is_low_enough_passes(loss: Findings, value: str) -> None:
    Gate.parse(value, "1.0", "--fail-over").check(loss.curves)


def test_a_loss_that_is_too_high_fails_with_both_numbers(loss: Findings) -> None:
    with pytest.raises(SweepError, match=r"--fail-over: ratio 0\.5: mean val_loss 1\.58\d* is over 1\.5"):
        Gate.parse("1.5", "0.5", "--fail-over").check(loss.curves)


@pytest.mark.parametrize(
    ("option", "value", "metric", "complaint"),
    [
        ("--fail-under", "1.5", LOSS, r"no value of it is too low \(use --fail-over\)"),
        ("--fail-over", "0.9", ACCURACY, r"no value of it is too high \(use --fail-under\)"),
        ("--fail-under", "90%", Metric("f1"), "f1 is not in percent"),
    ],
)
def test_a_gate_of_another_metric_is_refused(option: str, value: str, metric: Metric, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        Gate.parse(value, "1.0", option).check_metric(metric)


def test_different_metrics_or_directions_do_not_compare(loss: Findings, history_of: Maker, tmp_path: Path) -> None:
    upwards = Findings("other", loss.frame, None, metric=Metric("val_loss"))
    with pytest.raises(UsageError, match="judged by different metrics, which do not compare") as caught:
        line_up([loss, upwards], allow_mixed=True)
    assert "val_loss (lower is better); " in str(caught.value)


def test_a_loss_that_falls_far_has_a_logarithmic_axis(loss: Findings, history_of: Maker, tmp_path: Path) -> None:
    assert not limits_of(make_series(loss)).is_logarithmic
    qualities = {"quality": 10 ** (5 - loss.frame["ratio"]), "truncated_quality": math.nan}
    far = Findings("far", loss.frame.assign(**qualities), None, metric=LOSS)
    limits = limits_of(make_series(far))
    assert limits.is_logarithmic
    assert limits.up(limits.lowest) == 0
    assert limits.up((limits.lowest * limits.highest) ** 0.5) == pytest.approx(0.5)
    assert limits.up(-1.0) == 0  # the end of an interval that is below 0
    drawn = chart_lines(make_series(far), 80)
    assert "val_loss (lower is better)" in drawn[1]
    assert {line.split("┤")[0].strip() for line in drawn if "┤" in line} >= {"1000", "10000"}


def test_a_falling_curve_is_drawn_falling(loss: Findings) -> None:
    drawn = chart_lines(make_series(loss), 80)
    plotted = [re.split("[│┤]", line)[-1] if re.search("[│┤]", line) else "" for line in drawn]
    marks = sorted((line.index("o"), row) for row, line in enumerate(plotted) if "o" in line)
    assert len(marks) == 4
    assert [row for _, row in marks] == sorted(row for _, row in marks)


def test_learning_curves_and_events_are_of_the_metric(loss: Findings, tmp_path: Path) -> None:
    assert loss.history is not None
    chart = learning_curves(loss.history, loss.metric)
    assert chart is not None
    assert chart["encoding"]["y"]["title"] == "val_loss (lower is better)"
    assert {row["steps"] for row in chart["data"]["values"]} == {50, 100, 200, 400}
    write_events(loss, tmp_path / "events")
    run = tmp_path / "events" / "mine-epochs-ratio=1.0-seed=0"
    assert [step for step, *_ in scalars(run, "val_loss")] == [50, 100, 200]
    assert scalars(run, "final/val_loss")[0][1] == pytest.approx(loss.frame["quality"].iloc[6])
    assert not scalars(run, "accuracy")


def test_a_running_sweep_shows_its_metric() -> None:
    started = SweepStarted("mine", 1, 0, 100, metric="val_loss")
    ended = TrialEnded("0.5", 0, Outcome.FINISHED, None, 12.3, None, 1.46931)
    assert lines(started, ended)[1] == "ratio 0.5, seed 0: finished, 12.3 s, val_loss 1.4693"
    told = Progress("a", 50, 5.0, 0.5, None, None, 1.5)
    drawn = "\n".join(bars_after(started, StageStarted("a", "0.5", 0, 10.0, 100), told))
    assert "val_loss 1.5000" in drawn
    assert "images/s" not in drawn  # not known


def test_report_and_compare_as_they_are_called(sweep: Command, tmp_path: Path) -> None:
    keep(tmp_path, "loss", *judged_records())
    keep(tmp_path, "worse", *judged_records(quality=lambda ratio: 1.1 * falling(ratio)))
    keep(tmp_path, "accuracy", a_start(TRIALS), *(finished(trial) for trial in TRIALS))
    files = (tmp_path / "loss.svg", tmp_path / "loss.html")
    options = ("--results", tmp_path, "--plot", files[0], "--html", files[1], "--predict", "0.75,4", "--chart")
    run = sweep("report", "loss", *options, "--fail-over", "1.4", "--within-points", "0.2")
    assert run.returncode == 1
    assert run.stderr.startswith("error: --fail-over: ratio 1.0: mean val_loss 1.45")
    assert "0.5 is the cheapest ratio within 0.2 val_loss of 1.0: 2.00x cheaper for +0.12" in run.stdout
    assert "\nfit: val_loss = 1." in run.stdout
    assert "\nfit at 4: at least 1." in run.stdout
    assert "val_loss (lower is better)" in run.stdout
    for path in files:
        assert "val_loss (lower is better)" in path.read_text()
    refused = sweep("report", "loss", "--results", tmp_path, "--fail-under", "1.4")
    assert (refused.returncode, refused.stdout) == (2, "")
    compared = sweep("compare", "loss", "worse", "--results", tmp_path, "--fail-if-worse", "0.05")
    assert compared.returncode == 1
    assert "worse never reaches loss's 1.45" in compared.stdout or "worse reaches loss's 1.45" in compared.stdout
    assert "val_loss worse (+0.1" in compared.stdout
    assert "is worse than loss by 0.1" in compared.stderr
    mixed = sweep("compare", "loss", "accuracy", "--results", tmp_path, "--allow-mixed")
    assert (mixed.returncode, mixed.stdout) == (2, "")
    assert "judged by different metrics" in mixed.stderr


def test_somebody_elses_losses_are_read_by_their_name(sweep: Command, tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("epochs,hours,nll\n5,1,2.5\n10,2,2.1\n20,4,2.0\n")
    judged = ("--metric", "val_loss", "--mode", "min", "--columns", "val_loss=nll", "--baseline-epochs", "20")
    run = sweep("report", path, *judged, "--within-points", "0.2", "--fail-over", "2.05", "--at", "0.5")
    assert "10/20 is the cheapest ratio within 0.2 val_loss of 1.0: 2.00x cheaper for +0.100 val_loss" in run.stdout
    assert "judged by val_loss (lower is better)" in run.stdout
    assert (run.returncode, run.stderr) == (1, "error: --fail-over: ratio 0.5: mean val_loss 2.1 is over 2.05\n")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--metric", "val_loss"), "--metric: which way is val_loss better? (add --mode min or max)"),
        (("--mode", "min"), "--mode: goes with --metric alone"),
        (("--metric", "a", "--mode", "up"), "--mode: 'up' is neither min nor max"),
        (("--metric", "accuracy", "--mode", "min"), "--mode: more accuracy is better (leave it out)"),
        (("--metric", "", "--mode", "min"), "--metric: is empty (name a column)"),
        (("--metric", "nll", "--mode", "min"), "theirs.csv:1: there is no column nll"),
    ],
)
def test_a_metric_that_a_file_cannot_be_judged_by_is_refused(
    sweep: Command, tmp_path: Path, options: tuple[str, ...], complaint: str
) -> None:
    (tmp_path / "theirs.csv").write_text("ratio,hours,accuracy\n1,1,0.5\n")
    for command in ("report", "compare"):
        run = sweep(command, tmp_path / "theirs.csv", *options)
        assert (run.returncode, run.stdout) == (2, "")
        assert complaint in run.stderr
    of_a_sweep = sweep("report", "mine", "--metric", "a", "--mode", "min", "--results", tmp_path)
    assert "--metric: goes with a CSV file alone" in of_a_sweep.stderr


@pytest.mark.parametrize("own", [{"command": "python t.py {epochs} {lr_step_size}"}, {"task": "mine:make_task"}])
def test_the_page_of_ones_own_training_gives_a_recipe_that_plans_the_same(
    history_of: Maker, tmp_path: Path, own: dict[str, str]
) -> None:
    start, *stages = judged_records()
    assert isinstance(start, StartRecord)
    keys = {"model": None, "dataset": None, "epochs": "20ep", "lr_step_size": "10ep", **own}
    start = start.model_copy(update={"recipe": start.recipe | keys})
    findings = Findings.of_history(history_of(start, *stages))
    assert findings.history is not None
    shown = page(findings)
    assert ('<div id="rates"' in shown) == ("task" in own)
    assert ('<button type="button">steps</button>' in shown) == ("task" in own)
    assert ("{lr_step_size}</th>" in shown) == ("command" in own)
    name, text = recipe_file(findings.history)
    (tmp_path / name).write_text(text)
    recipe = load_recipe(str(tmp_path / name)).recipe
    assert (recipe.metric, recipe.mode, recipe.task, recipe.command) == (
        *("val_loss", "min"),
        *(own.get("task"), own.get("command")),
    )
    assert len(text.splitlines()) < 8
