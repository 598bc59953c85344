from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from histories import a_start, a_trial, ended, finished
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tables import table_of

from sweep.errors import MachineError, SweepError, UsageError
from sweep.report.csv_table import CsvTable, parse_columns, read_table
from sweep.report.export_csv import to_csv
from sweep.report.findings import Findings
from sweep.report.frame import COLUMNS, EXTRA_COLUMNS, JUDGED_COLUMNS, trial_frame
from sweep.report.table import make_tables
from sweep.store.history import History

Maker = Callable[..., History]
# FFCV's published ImageNet results (github.com/libffcv/ffcv-imagenet).
FFCV = Path(__file__).parent / "ffcv_imagenet.csv"
FFCV_COLUMNS = {"recipe": "arch", "accuracy": "top1", "device": "setup"}
GOOD = "ratio,train_seconds,accuracy\n0.5,10,0.9\n1,20,0.95\n"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., CsvTable]:
    """read(text, …): the table in a file that holds it."""

    def read(text: str | bytes, baseline_epochs: float | None = None, **columns: str) -> CsvTable:
        path = tmp_path / "theirs.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_table(path, columns, baseline_epochs)

    return read


def complaints(read: Callable[..., CsvTable], text: str | bytes, *more: object, **columns: str) -> list[str]:
    """What is wrong with a file, each with the file's name, line and column before it."""
    with pytest.raises(UsageError) as caught:
        read(text, *more, **columns)
    assert all("theirs.csv" in str(problem.where) for problem in caught.value.problems)
    return [str(problem).partition("theirs.csv")[2] for problem in caught.value.problems]


def test_a_table_of_others_is_read_by_its_own_names() -> None:
    table = read_table(FFCV, FFCV_COLUMNS, 88)
    frame = table.frame
    assert list(frame.columns) == [*COLUMNS, *JUDGED_COLUMNS, *EXTRA_COLUMNS]
    assert len(frame) == 12
    first = frame.iloc[0]
    assert (first["recipe"], first["ratio"], first["ratio_text"], first["epochs"]) == ("ResNet-50", 1.0, "1.0", 88)
    assert first["is_baseline"]
    assert (first["train_seconds"], first["accuracy"], first["device"]) == (77.2 * 60, 0.784, "8xA100")
    assert frame["ratio"].tolist()[5] == 16 / 88
    assert frame["ratio_text"].tolist()[5] == "16/88"
    assert table.remarks == (
        "accuracy is read as a share of 1",
        "ratio is epochs / 88",
        "columns that were not read: top5",
    )


def test_its_figures_are_those_that_were_published() -> None:
    findings = Findings.of_table(read_table(FFCV, FFCV_COLUMNS, 88), within_points=5)
    large, small = findings.curves
    assert (large.recipe, small.recipe) == ("ResNet-50", "ResNet-18")
    shortest = large.rows[0]
    assert 1 / (shortest.relative_cost or 0) == pytest.approx(5.18, abs=0.005)
    assert shortest.points == pytest.approx(-4.6)
    assert small.rows[0].points == pytest.approx(-5.5)
    notes = make_tables(findings)[-1].notes
    expected = "ResNet-50: 16/88 is the cheapest ratio within 5 points of 1.0: 5.18x cheaper for -4.60 points"
    assert notes[0].startswith(expected)


@pytest.mark.parametrize(
    ("column", "cell", "seconds"), [("train_seconds", "90", 90.0), ("minutes", "1.5", 90.0), ("hours", "0.5", 1800.0)]
)
def test_times_come_in_three_units(read: Callable[..., CsvTable], column: str, cell: str, seconds: float) -> None:
    assert read(f"ratio,{column},accuracy\n1,{cell},0.9\n").frame["train_seconds"].tolist() == [seconds]


@pytest.mark.parametrize(
    ("cells", "accuracies", "read_as"),
    [
        (["0.9", "1"], [0.9, 1.0], "as a share of 1"),
        (["90", "97.5"], [0.9, 0.975], "in percent"),
        (["90%", "97.5 %"], [0.9, 0.975], "in percent"),
        (["0", "12"], [0.0, 0.12], "in percent"),
        (["0.9%", "1%"], [0.009, 0.01], "in percent"),
        (["0.1%", "76.5"], [0.001, 0.765], "in percent"),
    ],
)
def test_accuracy_is_a_share_or_percent_and_it_says_which(
    read: Callable[..., CsvTable], cells: list[str], accuracies: list[float], read_as: str
) -> None:
    table = read(f"ratio,hours,accuracy\n0.5,1,{cells[0]}\n1,2,{cells[1]}\n")
    assert table.frame["accuracy"].tolist() == pytest.approx(accuracies)
    assert table.remarks[0] == f"accuracy is read {read_as}"


def test_a_share_among_percentages_is_refused(read: Callable[..., CsvTable]) -> None:
    [complaint] = complaints(read, "ratio,hours,accuracy\n0.5,1,0.9\n1,2,95\n")
    assert complaint == ":2: accuracy: 0.9 among percentages: is it a share? (write one kind)"


@pytest.mark.parametrize("text", ["1/3", "0.25", "50%", "2"])
def test_a_ratio_is_what_it_is_on_the_command_line(read: Callable[..., CsvTable], text: str) -> None:
    frame = read(f"ratio,hours,accuracy\n{text},1,0.9\n").frame
    assert frame["ratio_text"].tolist() == [text]


def test_a_float_of_many_digits_has_a_short_text(read: Callable[..., CsvTable]) -> None:
    frame = read("ratio,hours,accuracy\n0.3333333333333333,1,0.9\n1e-05,1,0.9\n").frame
    assert frame["ratio_text"].tolist() == ["1/3", "0.00001"]
    assert frame["ratio"].tolist() == [1 / 3, 1e-05]


def test_epochs_that_are_fractions_are_taken_exactly(read: Callable[..., CsvTable]) -> None:
    frame = read("epochs,hours,accuracy\n7.3,1,0.9\n8.8,1,0.9\n88,2,0.95\n", 88.0).frame
    assert frame["ratio"].tolist() == [73 / 880, 0.1, 1.0]
    assert frame["ratio_text"].tolist() == ["73/880", "0.1", "1.0"]
    assert read("epochs,hours,accuracy\n17.6,1,0.9\n", 8.8).frame["ratio"].tolist() == [2.0]


def test_a_column_can_be_only_one_of_ours(read: Callable[..., CsvTable]) -> None:
    with pytest.raises(UsageError, match="accuracy: is given to two columns of ours"):
        read(GOOD, ratio="accuracy", accuracy="accuracy")


def test_epochs_of_the_baseline_say_nothing_where_there_is_a_ratio(read: Callable[..., CsvTable]) -> None:
    [complaint] = complaints(read, GOOD, 88.0)
    assert "--baseline-epochs says nothing more" in complaint


def test_runs_on_several_devices_are_said_not_to_compare(read: Callable[..., CsvTable]) -> None:
    table = read("ratio,hours,accuracy,device\n0.5,1,0.9,cpu\n1,2,0.95,gpu\n")
    assert "trained on cpu and gpu: their times do not compare" in make_tables(Findings.of_table(table))[-1].notes


def test_a_recipe_is_called_as_its_file_unless_a_column_says(read: Callable[..., CsvTable]) -> None:
    assert set(read(GOOD).frame["recipe"]) == {"theirs"}


def test_seeds_that_are_not_given_are_not_known_and_rows_of_one_ratio_are_repetitions(
    read: Callable[..., CsvTable],
) -> None:
    table = read("ratio,hours,accuracy\n0.5,1,0.9\n0.5,1,0.91\n1,2,0.95\n1,2,0.94\n")
    (curve,) = Findings.of_table(table).curves
    assert [len(row.sample) for row in curve.rows] == [2, 2]
    assert curve.rows[0].points_ci95 is not None
    assert not curve.points_between(curve.rows[0], curve.rows[1]).is_paired


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ratio,hours,accuracy\nhalf,1,0.9\n", [":2: ratio: 'half' is not a ratio above 0"]),
        ("ratio,hours,accuracy\n0,1,0.9\n", [":2: ratio: '0' is not a ratio above 0"]),
        ("ratio,hours,accuracy\n1,0,0.9\n", [":2: hours: '0' is not a time above 0"]),
        ("ratio,hours,accuracy\n1,nan,0.9\n", [":2: hours: 'nan' is not a time above 0"]),
        ("ratio,hours,accuracy\n1,-1,0.9\n", [":2: hours: '-1' is not a time above 0"]),
        ("ratio,hours,accuracy\n1,1_0,0.9\n", [":2: hours: '1_0' is not a time above 0"]),
        ("ratio,hours,accuracy\n1,1,101\n", [":2: accuracy: '101' is not an accuracy: 0 to 1, or 0 to 100 percent"]),
        ("ratio,hours,accuracy,seed\n1,1,0.9,1.5\n", [":2: seed: '1.5' is not a whole number"]),
        ("ratio,hours,accuracy\n1,,0.9\n", [":2: hours: is empty (say in a column outcome why)"]),
        ("ratio,hours,accuracy\n,1,0.9\n", [":2: ratio: is empty"]),
        ("ratio,hours,accuracy\n1,1\n", [":2: has 2 cells, and the header 3", ":2: accuracy: is empty (say in"]),
        ("ratio;hours;accuracy\n1;1,5;0.9\n", [":2: hours: '1,5' is not a time above 0 (write a point for"]),
        ("ratio,hours,accuracy\n1,1,5,0.9\n", [":2: has 4 cells, and the header 3"]),
        ("ratio,hours,accuracy\n1e-19,1,0.9\n", [":2: ratio: '1e-19' is not a ratio above 0"]),
        ("ratio,hours,accuracy\n1,1e-320,0.9\n", [":2: hours: '1e-320' is not a time above 0"]),
        ("ratio,hours,accuracy,steps\n1,1,0.9,0\n", [":2: steps: '0' is not a whole number above 0"]),
        ("ratio,hours,accuracy,ratio_text\n1,1,0.9,x\n", [":2: ratio_text: 'x' is not a ratio above 0"]),
        (
            "ratio,hours,accuracy,truncated_accuracy\n1,1,0.9,94\n",
            [":2: truncated_accuracy: is percent, and accuracy is not (write one kind)"],
        ),
        ("ratio,hours,accuracy\n", [":1: there is no row below the header"]),
        ("", [": is empty: a header with the columns' names is missing"]),
        ('ratio,hours,accuracy\n1,"1,0.9\n', [":2: is no CSV: unexpected end of data"]),
        ("ratio,ratio,hours,accuracy\n1,1,1,0.9\n", [":1: ratio: stands twice in the header"]),
        (GOOD.replace("0.9\n", "0.9\n\0"), [":3: holds a NUL byte: this is no CSV file"]),
        (GOOD.encode() + b"\xff", [":4: is not UTF-8 text"]),
        ("ratio,hours,accuracy,outcome\n1,1,0.9,done\n", [":2: outcome: 'done' is not an outcome: finished, diverged"]),
        ("ratio,hours,accuracy,seed\n1,1,.9,0\n1,1,.9,0\n", [":3: seed: the same recipe, ratio and seed as in line 2"]),
    ],
)
def test_what_is_wrong_is_told_with_line_and_column(
    read: Callable[..., CsvTable], text: str | bytes, expected: list[str]
) -> None:
    found = complaints(read, text)
    assert len(found) == len(expected)
    for complaint, start in zip(found, expected, strict=True):
        assert complaint.startswith(start)


def test_every_bad_cell_is_told_at_once_and_lines_are_counted_as_an_editor_does(read: Callable[..., CsvTable]) -> None:
    text = 'recipe,ratio,hours,accuracy\n"two\nlines",x,1,0.9\n\na,1,y,z\n'
    assert [complaint.split(" ")[0] + complaint.split(" ")[1] for complaint in complaints(read, text)] == [
        ":2:ratio:",
        ":5:hours:",
        ":5:accuracy:",
    ]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("hours,accuracy", "there is no column ratio, nor epochs"),
        ("epochs,hours,accuracy", "epochs: there is no column ratio (give --baseline-epochs"),
        ("ratio,accuracy", "there is no column train_seconds, minutes or hours"),
        ("ratio,hours,minutes,accuracy", "there is both minutes and hours"),
        ("ratio,hours,top1", "there is no column accuracy (its columns: ratio, hours, top1) (--columns accuracy=NAME)"),
    ],
)
def test_a_column_that_is_missing_is_named_with_what_helps(
    read: Callable[..., CsvTable], header: str, expected: str
) -> None:
    [complaint] = complaints(read, f"{header}\n1,1,1,1\n")
    assert expected in complaint


def test_a_name_that_the_file_has_not_is_refused_with_those_it_has(read: Callable[..., CsvTable]) -> None:
    [complaint] = complaints(read, GOOD, accuracy="acuracy")
    assert "there is no column 'acuracy' for accuracy; did you mean 'accuracy'?" in complaint
    assert "(its columns: ratio, train_seconds, accuracy)" in complaint


def test_columns_are_read_and_every_mistake_in_them_is_told() -> None:
    assert parse_columns("recipe=arch, accuracy=top1") == {"recipe": "arch", "accuracy": "top1"}
    with pytest.raises(UsageError) as caught:
        parse_columns("accuracy,recipe=a,recipe=b,acuracy=top1")
    assert [problem.message for problem in caught.value.problems] == [
        "'accuracy' names no column: write accuracy=top1",
        "'recipe' is given twice",
        "'acuracy' is no column of ours; did you mean 'accuracy'?",
    ]


def test_a_file_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"none\.csv: No such file"):
        read_table(tmp_path / "none.csv", {})


def test_a_byte_order_mark_and_the_line_ends_of_windows_are_read(read: Callable[..., CsvTable]) -> None:
    assert len(read(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()).frame) == 2


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(alphabet="ratiohoursaccuracy,;\n\"'0123456789.%-=\t\0 é", max_size=200).map(str.encode),
        st.lists(st.text(max_size=8), min_size=3, max_size=9).map(
            lambda cells: ("ratio,hours,accuracy\n" + ",".join(cells)).encode("utf-8", "surrogatepass")
        ),
    )
)
def test_whatever_a_file_holds_it_is_read_or_refused(read: Callable[..., CsvTable], content: bytes) -> None:
    try:
        table = read(content)
    except SweepError:
        return
    assert make_tables(Findings.of_table(table))


HALVES, WHOLES = [a_trial("0.5", seed) for seed in range(3)], [a_trial("1.0", seed) for seed in range(3)]
ODD = '=cmd|"x", [/y] \x1b é'


def sweeps() -> dict[str, list[object]]:
    done = [finished(trial, 0.5 + 0.01 * place) for place, trial in enumerate(HALVES + WHOLES)]
    methods = [a_trial("0.5", method="steps"), a_trial("1.0", method="steps")]
    nearly = a_trial("0.99", method="samples", realised="1", num_steps=200, num_examples=633, stages=("nearly",))
    nearly = nearly.model_copy(update={"key": "nearly"})
    return {
        "seeds": [a_start(HALVES + WHOLES, price=2.5), *done],
        "failures": [a_start(HALVES + WHOLES), *done[:2], ended(HALVES[2], reason=ODD), *done[3:]],
        "an odd name": [a_start(HALVES + WHOLES, recipe_name=ODD), *done],
        "two methods": [a_start([HALVES[0], WHOLES[0], *methods]), done[0], done[3], *map(finished, methods)],
        "examples": [a_start([nearly, a_trial("1.0", method="samples")]), finished(nearly)],
        "no baseline": [a_start([a_trial("1/3"), *HALVES]), finished(a_trial("1/3")), *done[:3]],
        "nothing yet": [a_start(HALVES)],
    }


@pytest.mark.parametrize("name", sweeps())
def test_our_own_export_comes_back_as_the_same_table(history_of: Maker, tmp_path: Path, name: str) -> None:
    history = history_of(*sweeps()[name])
    path = tmp_path / "ours.csv"
    path.write_text(to_csv(Findings.of_history(history)), encoding="utf-8", newline="")
    back = Findings.of_table(read_table(path, {}))
    tables, again = make_tables(Findings.of_history(history)), make_tables(back)
    assert [(grid.headers, grid.rows) for grid in tables] == [(grid.headers, grid.rows) for grid in again]
    assert tables[-1].notes[0] == again[-1].notes[0]
    if name not in ("failures", "an odd name"):  # control characters are written out in a file
        pd.testing.assert_frame_equal(trial_frame(history), back.frame, check_dtype=False)


def test_an_export_of_before_with_fewer_columns_is_read_too(history_of: Maker, tmp_path: Path) -> None:
    history = history_of(*sweeps()["no baseline"])
    frame = trial_frame(history)[list(COLUMNS)]
    frame.to_csv(tmp_path / "old.csv", index=False)
    back = read_table(tmp_path / "old.csv", {}).frame
    assert back["ratio_text"].tolist() == frame["ratio"].map({1 / 3: "1/3", 0.5: "0.5"}).tolist()
    assert np.array_equal(back["accuracy"], frame["accuracy"], equal_nan=True)
    assert table_of(history).rows
