import csv
import json
import re
from collections.abc import Callable
from io import StringIO

import pandas as pd
import pytest
from histories import ENVIRONMENT, RECIPE, a_start, a_trial, ended, finished

from sweep.errors import Outcome
from sweep.report.export import to_csv, to_json, to_markdown
from sweep.report.frame import COLUMNS, trial_frame
from sweep.report.table import make_table
from sweep.store.history import History

Maker = Callable[..., History]
HALF, WHOLE, TWICE = a_trial("0.5"), a_trial("1.0"), a_trial("2.0")
HOSTILE = [
    "x[/y]",
    "\x1b[31mred",
    "=cmd()",
    "+1",
    "-1",
    "@x",
    "\t=cmd",
    "\n=cmd",
    "a|b",
    "a\nb\r\nc",
    "a,b",
    '"a',
    "\u202ea",
]
MEASURED = (
    *("train_seconds", "eval_seconds", "data_wait_seconds", "images_per_second", "accuracy", "loss"),
    *("truncated_accuracy", "dollars", "weights_sha256", "other_set_up"),
)


def csv_rows(history: History) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(to_csv(history))))


@pytest.fixture
def mixed(history_of: Maker) -> History:
    """One trial finished, on another set-up than the first run's; one crashed, one missing."""
    done = finished(WHOLE, 1 / 3, 1 / 7, loss=None)
    elsewhere = done.model_copy(update={"environment": ENVIRONMENT.model_copy(update={"threads": 2, "torch": "2.7.0"})})
    return history_of(a_start([HALF, WHOLE, TWICE]), elsewhere, ended(HALF))


def test_csv_has_the_stable_columns_and_a_row_a_trial(mixed: History) -> None:
    lines = to_csv(mixed).splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert len(lines) == 4


def test_what_was_not_measured_is_empty_in_csv(mixed: History) -> None:
    half, whole, twice = csv_rows(mixed)
    for name in MEASURED:
        assert half[name] == "", name
        assert twice[name] == "", name
    assert [row["outcome"] for row in (half, whole, twice)] == ["crashed", "finished", "missing"]
    assert (whole["loss"], whole["dollars"], whole["truncated_accuracy"]) == ("", "", "")
    assert whole["accuracy"] == repr(1 / 3)
    assert whole["other_set_up"] == "threads was 1, now 2; torch was 2.6.0, now 2.7.0"


def test_json_says_where_the_sweep_was_trained_but_for_the_marked_trials(mixed: History) -> None:
    document = json.loads(to_json(mixed))
    assert (document["environment"]["threads"], document["environment"]["torch"]) == (1, "2.6.0")
    marked = ["threads was 1, now 2; torch was 2.6.0, now 2.7.0"]
    assert [row["other_set_up"] for row in document["rows"]] == [None, *marked, None]


def test_csv_reads_back_to_equal_values(mixed: History) -> None:
    back = pd.read_csv(StringIO(to_csv(mixed)))
    expected = trial_frame(mixed)[list(COLUMNS)]
    pd.testing.assert_frame_equal(
        back, expected, rtol=1e-14, atol=0, check_dtype=False
    )  # older pandas reads a few ulps off
    assert back["seed"].dtype == back["steps"].dtype == "int64"


def test_every_digit_of_a_number_is_in_csv(mixed: History) -> None:
    for row, (_, expected) in zip(csv_rows(mixed), trial_frame(mixed).iterrows(), strict=True):
        for name in ("ratio", "epochs", "train_seconds", "eval_seconds", "accuracy", "images_per_second"):
            assert row[name] == "" if pd.isna(expected[name]) else float(row[name]) == expected[name], name


def test_json_has_a_row_a_trial_with_the_stable_columns(mixed: History) -> None:
    rows = json.loads(to_json(mixed))["rows"]
    assert [list(row) for row in rows] == [list(COLUMNS)] * 3
    assert [row["outcome"] for row in rows] == ["crashed", "finished", "missing"]


def test_what_was_not_measured_is_null_in_json(mixed: History) -> None:
    half, whole, twice = json.loads(to_json(mixed))["rows"]
    for name in MEASURED:
        assert half[name] is None, name
        assert twice[name] is None, name
    assert (whole["loss"], whole["dollars"]) == (None, None)
    assert whole["accuracy"] == 1 / 3


def test_numbers_keep_their_kind_in_json(mixed: History) -> None:
    row = json.loads(to_json(mixed))["rows"][1]
    assert (type(row["seed"]), type(row["steps"]), type(row["ratio"]), type(row["epochs"])) == (int, int, float, float)


def test_json_says_of_what_and_where(history_of: Maker) -> None:
    elsewhere = ENVIRONMENT.model_copy(update={"device_name": "Another CPU"})
    record = finished(WHOLE).model_copy(update={"environment": elsewhere})
    document = json.loads(to_json(history_of(a_start([WHOLE], price=2.5), record)))
    assert document["format"] == 1
    assert document["recipe"] == RECIPE.model_dump(mode="json")
    assert (document["fingerprint"], document["price"]) == (RECIPE.fingerprint, 2.5)
    assert document["environment"] == elsewhere.model_dump()


def test_json_holds_nothing_that_is_not_json(history_of: Maker) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    for outcome in (Outcome.CRASHED, Outcome.DIVERGED):
        json.loads(to_json(history_of(a_start([HALF]), ended(HALF, outcome))), parse_constant=refuse)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_harmless_in_csv(history_of: Maker, name: str) -> None:
    text = to_csv(history_of(a_start([WHOLE], recipe_name=name)))
    assert len(text.splitlines()) == 2
    assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text) is None
    (row,) = csv.DictReader(StringIO(text))
    assert not row["recipe"].lstrip().startswith(("=", "+", "-", "@"))
    assert row["seed"] == "0"


def test_a_plain_name_is_unchanged_in_csv(history_of: Maker) -> None:
    (row,) = csv_rows(history_of(a_start([WHOLE], recipe_name="größe 1.0-x")))
    assert row["recipe"] == "größe 1.0-x"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_the_same_name_in_json(history_of: Maker, name: str) -> None:
    text = to_json(history_of(a_start([WHOLE], recipe_name=name)))
    assert text.isascii()
    assert re.search("[\x00-\x09\x0b-\x1f\x7f]", text) is None
    assert json.loads(text)["rows"][0]["recipe"] == name


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_markdown_is_a_table_with_its_notes_below(mixed: History) -> None:
    view = make_table(mixed)
    header, rule, *rows, blank = to_markdown(view).split("\n")[: 3 + len(view.rows)]
    assert cells(header) == list(view.headers)
    assert all(re.fullmatch("---:?", cell) for cell in cells(rule))
    assert len(cells(rule)) == len(view.headers)
    assert [len(cells(row)) for row in rows] == [len(view.headers)] * 3
    assert blank == ""
    assert to_markdown(view).count("\n") == 2 + len(view.rows) + len(view.notes)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_or_reason_leaves_a_markdown_table_whole(history_of: Maker, text: str) -> None:
    view = make_table(history_of(a_start([WHOLE], recipe_name=text), ended(WHOLE, reason=text)))
    lines = to_markdown(view).split("\n")
    assert len(lines) == 4 + len(view.notes)
    assert len(cells(lines[2])) == len(view.headers)
    assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", "".join(lines)) is None


def test_markup_is_escaped_in_markdown(history_of: Maker) -> None:
    reason = "a|b <script> [x](y) `z` *w* _v_ \\"
    text = to_markdown(make_table(history_of(a_start([WHOLE]), ended(WHOLE, reason=reason))))
    assert r"a\|b \<script\> \[x\](y) \`z\` \*w\* \_v\_ \\" in text
