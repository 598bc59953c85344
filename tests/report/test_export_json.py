import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from histories import ENVIRONMENT, RECIPE, a_start, a_trial, ended, finished
from mixed_sweep import HALF, HOSTILE, MEASURED, WHOLE, mixed_records
from tables import make_frame

from sweep.errors import Outcome
from sweep.recipe.duration import Ratio
from sweep.report.export_json import to_json
from sweep.report.findings import Findings
from sweep.report.frame import COLUMNS, JUDGED_COLUMNS
from sweep.report.verdict import verdict_text
from sweep.store.history import History

Maker = Callable[..., History]
DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json.loads((DOCS / "report.schema.json").read_text())
SEEDS = [a_trial(ratio, seed) for ratio in ("0.25", "0.5", "1.0", "2.0") for seed in range(3)]


def refuse(name: str) -> None:
    raise AssertionError(name)


def document_of(source: History | Findings) -> dict[str, Any]:
    """The document, held to its schema and to JSON's own numbers."""
    findings = source if isinstance(source, Findings) else Findings.of_history(source)
    document = json.loads(to_json(findings), parse_constant=refuse)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return document


@pytest.fixture
def mixed(history_of: Maker) -> History:
    return history_of(*mixed_records())


@pytest.fixture
def whole(history_of: Maker) -> History:
    """Four lengths of three seeds; the longest gains nothing."""
    accuracies = [0.80, 0.82, 0.81, 0.87, 0.88, 0.86, 0.90, 0.91, 0.90, 0.90, 0.90, 0.89]
    records = [
        finished(trial, accuracy, seconds=0.5 * trial.num_steps)
        for trial, accuracy in zip(SEEDS, accuracies, strict=True)
    ]
    return history_of(a_start(SEEDS, price=3.6), *records)


def test_the_schema_is_itself_a_schema_and_up_to_date() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    script = "import make_report_schema as made; print(made.PAGE.read_text() == made.page())"
    run = subprocess.run([sys.executable, "-c", script], cwd=DOCS, capture_output=True, text=True, check=True)
    assert run.stdout == "True\n", "run: cd docs; python make_report_schema.py"


def test_a_row_a_length_has_its_statistics(whole: History) -> None:
    findings = Findings.of_history(whole)
    rows = document_of(whole)["rows"]
    (curve,) = findings.curves
    assert [row["ratio_text"] for row in rows] == ["0.25", "0.5", "1.0", "2.0"]
    assert [row["pareto"] for row in rows] == [True, True, True, False]
    for shown, row in zip(rows, curve.rows, strict=True):
        assert shown["quality"] == row.score
        assert shown["ci95"] == [row.score - row.ci95, row.score + row.ci95]
        assert (shown["sd"], shown["points"]) == (row.sd, row.points)
        assert shown["points_per_hour"] == row.points_per_hour
        assert (shown["num_trials"], shown["num_finished"]) == (3, 3)


def test_a_curve_has_a_verdict_in_words_and_in_numbers(whole: History) -> None:
    [curve] = document_of(whole)["curves"]
    (own,) = Findings.of_history(whole).curves
    verdict = curve["verdict"]
    assert verdict["text"] == verdict_text(own)
    assert (verdict["ratio"], verdict["reference"], verdict["times_cheaper"]) == ("1.0", "1.0", 1.0)
    [generous] = document_of(Findings.of_history(whole, within_points=4))["curves"]
    verdict = generous["verdict"]
    assert (verdict["ratio"], verdict["reference"], verdict["times_cheaper"]) == ("0.5", "1.0", 2.0)
    assert verdict["points"] == pytest.approx(-10 / 3)
    assert verdict["ci95"][0] < verdict["points"] < verdict["ci95"][1]
    assert (curve["best"], curve["devices"]) == ("1.0", ["cpu"])
    assert curve["cost_model"]["unit"] == "a step"


def test_a_fit_has_its_parameters_and_predictions(whole: History) -> None:
    findings = Findings.of_history(whole, wanted=(Ratio.parse("0.75"), Ratio.parse("3"), Ratio.parse("30")))
    [curve] = document_of(findings)["curves"]
    fit = curve["fit"]
    assert fit["ceiling_ci95"][0] <= fit["ceiling"] <= fit["ceiling_ci95"][1]
    within, beyond = fit["predictions"]
    assert within["low"] <= within["quality"] <= within["high"]
    assert (beyond["ratio"], beyond["quality"], beyond["low"]) == (3.0, None, None)


def test_without_a_fit_the_reason_is_told(history_of: Maker) -> None:
    [curve] = document_of(history_of(a_start([WHOLE]), finished(WHOLE)))["curves"]
    assert curve["fit"] == {"refused": "a curve is fitted through three ratios or more: there are 1"}
    assert curve["verdict"]["ratio"] is None


def test_json_says_where_the_sweep_was_trained_but_for_the_marked_trials(mixed: History) -> None:
    document = document_of(mixed)
    assert (document["environment"]["threads"], document["environment"]["torch"]) == (1, "2.6.0")
    marked = ["threads was 1, now 2; torch was 2.6.0, now 2.7.0"]
    assert [row["other_set_up"] for row in document["trials"]] == [None, *marked, None]


def test_json_has_every_trial_with_the_stable_columns(mixed: History) -> None:
    trials = document_of(mixed)["trials"]
    assert [list(row) for row in trials] == [[*COLUMNS, *JUDGED_COLUMNS]] * 3
    assert [row["outcome"] for row in trials] == ["crashed", "finished", "missing"]


def test_what_was_not_measured_is_null_in_json(mixed: History) -> None:
    half, done, twice = document_of(mixed)["trials"]
    for name in MEASURED:
        assert half[name] is None, name
        assert twice[name] is None, name
    assert (done["loss"], done["dollars"]) == (None, None)
    assert done["accuracy"] == 1 / 3


def test_numbers_keep_their_kind_in_json(mixed: History) -> None:
    row = document_of(mixed)["trials"][1]
    assert (type(row["seed"]), type(row["steps"]), type(row["ratio"]), type(row["epochs"])) == (int, int, float, float)


def test_json_says_of_what_and_where(history_of: Maker) -> None:
    elsewhere = ENVIRONMENT.model_copy(update={"device_name": "Another CPU"})
    record = finished(WHOLE).model_copy(update={"environment": elsewhere})
    document = document_of(history_of(a_start([WHOLE], price=2.5), record))
    assert (document["format"], document["name"], document["within_points"]) == (3, "mine", 0.5)
    assert document["recipe"] == RECIPE.model_dump(mode="json")
    assert (document["fingerprint"], document["price"]) == (RECIPE.fingerprint, 2.5)
    assert document["environment"] == elsewhere.model_dump()


def test_a_table_of_somebody_elses_has_no_recipe_nor_environment() -> None:
    trials = [{"ratio": ratio, "train_seconds": 10 * ratio, "accuracy": 0.9, "seed": None} for ratio in (0.5, 1, 1)]
    document = document_of(Findings("theirs.csv", make_frame(*trials), 0.5))
    assert [document[key] for key in ("recipe", "fingerprint", "environment", "sweep")] == [None] * 4
    assert [trial["seed"] for trial in document["trials"]] == [None] * 3
    assert [row["steps"] for row in document["rows"]] == [None, None]


@pytest.mark.parametrize("outcome", [Outcome.CRASHED, Outcome.DIVERGED])
def test_a_sweep_of_which_nothing_finished_is_valid_too(history_of: Maker, outcome: Outcome) -> None:
    document = document_of(history_of(a_start([HALF]), ended(HALF, outcome)))
    assert document["rows"][0]["failures"]
    assert document["curves"][0]["fit"] == {"refused": "a curve is fitted through three ratios or more: there are 0"}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_the_same_name_in_json(history_of: Maker, name: str) -> None:
    text = to_json(Findings.of_history(history_of(a_start([WHOLE], recipe_name=name))))
    assert text.isascii()
    assert re.search("[\x00-\x09\x0b-\x1f\x7f]", text) is None
    assert json.loads(text)["rows"][0]["recipe"] == name
