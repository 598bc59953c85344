import csv
import re
from collections.abc import Callable
from io import StringIO

import pandas as pd
import pytest
from histories import a_start
from mixed_sweep import HOSTILE, MEASURED, WHOLE, mixed_records

from sweep.report.export_csv import to_csv
from sweep.report.findings import Findings
from sweep.report.frame import COLUMNS, EXTRA_COLUMNS, trial_frame
from sweep.store.history import History

Maker = Callable[..., History]


def csv_rows(history: History) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(to_csv(Findings.of_history(history)))))


@pytest.fixture
def mixed(history_of: Maker) -> History:
    return history_of(*mixed_records())


def test_csv_has_the_stable_columns_and_a_row_a_trial(mixed: History) -> None:
    lines = to_csv(Findings.of_history(mixed)).splitlines()
    assert lines[0] == ",".join([*COLUMNS, *EXTRA_COLUMNS])
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


def test_csv_reads_back_to_equal_values(mixed: History) -> None:
    back = pd.read_csv(StringIO(to_csv(Findings.of_history(mixed))), dtype={"ratio_text": str})
    expected = trial_frame(mixed)[[*COLUMNS, *EXTRA_COLUMNS]]
    pd.testing.assert_frame_equal(
        back, expected, rtol=1e-14, atol=0, check_dtype=False
    )  # older pandas reads a few ulps off
    assert back["seed"].dtype == back["steps"].dtype == "int64"


def test_every_digit_of_a_number_is_in_csv(mixed: History) -> None:
    for row, (_, expected) in zip(csv_rows(mixed), trial_frame(mixed).iterrows(), strict=True):
        for name in ("ratio", "epochs", "train_seconds", "eval_seconds", "accuracy", "images_per_second"):
            assert row[name] == "" if pd.isna(expected[name]) else float(row[name]) == expected[name], name


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_harmless_in_csv(history_of: Maker, name: str) -> None:
    text = to_csv(Findings.of_history(history_of(a_start([WHOLE], recipe_name=name))))
    assert len(text.splitlines()) == 2
    assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text) is None
    (row,) = csv.DictReader(StringIO(text))
    assert not row["recipe"].lstrip().startswith(("=", "+", "-", "@"))
    assert row["seed"] == "0"


def test_a_plain_name_is_unchanged_in_csv(history_of: Maker) -> None:
    (row,) = csv_rows(history_of(a_start([WHOLE], recipe_name="größe 1.0-x")))
    assert row["recipe"] == "größe 1.0-x"
