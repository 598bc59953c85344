"""A CSV of somebody else's runs, or one that `sweep report --format csv` has written -> the frame, one row a trial.

Columns: `ratio`, or `epochs` and how many the baseline has; `train_seconds`, `minutes` or `hours`; `accuracy` as a
share or in percent, or another metric by its name; and whatever else the frame holds. What is wrong with a file is told
all at once, cell by cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from sweep.errors import Outcome, Problem, UsageError
from sweep.recipe.duration import Ratio, exact
from sweep.recipe.spelling import nearest
from sweep.report.csv_cells import CELLS, TIME_UNITS, is_ratio, named_ratio, plain_text, signed_number
from sweep.report.csv_file import Row, read_rows
from sweep.report.frame import COLUMNS, EXTRA_COLUMNS, JUDGED_COLUMNS, quality_columns, typed
from sweep.report.metric import ACCURACY, Metric

_NAMES = tuple(dict.fromkeys((*COLUMNS, *EXTRA_COLUMNS, *TIME_UNITS, "train_seconds_source")))
# How a file of `sweep report --format csv` says what it is judged by, where that is no accuracy.
_OWN_METRIC = ("metric", "mode")


@dataclass(frozen=True)
class CsvTable:
    """`frame` has the columns of a sweep's own, a row a trial; `remarks` say how the file was read."""

    source: str
    frame: pd.DataFrame
    remarks: tuple[str, ...]
    metric: Metric = ACCURACY


def parse_columns(text: str, metric: Metric = ACCURACY) -> dict[str, str]:
    """Read `recipe=arch,accuracy=top1`: our name and the file's.

    Raises:
        UsageError: with every mistake in it.
    """
    names: dict[str, str] = {}
    problems, known = [], _names(metric)
    for item in text.split(","):
        ours, equals, theirs = (part.strip() for part in item.partition("="))
        if not (ours and equals and theirs):
            problems.append(f"{item.strip()!r} names no column: write accuracy=top1")
        elif ours not in known:
            problems.append(f"{ours!r} is no column of ours{nearest(ours, known)}")
        elif ours in names:
            problems.append(f"{ours!r} is given twice")
        names.setdefault(ours, theirs)
    if problems:
        raise UsageError([Problem(problem, where="--columns") for problem in problems])
    return names


def _names(metric: Metric) -> list[str]:
    return list(dict.fromkeys((*_NAMES, *quality_columns(metric))))


def read_table(
    path: Path, columns: Mapping[str, str], baseline_epochs: float | None = None, metric: Metric | None = None
) -> CsvTable:
    """The trials of a file. `columns` holds the file's names of columns that are not called as ours; `metric` what they
    are judged by (None: what the file itself says, or else accuracy).

    Raises:
        UsageError: with every cell that is wrong, or a column that is missing.
        MachineError: the file cannot be read.
    """
    header, found = read_rows(path)
    rows = list(found)
    metric = metric or _own_metric(path, header, rows)
    reading = _Reading(path, header, _places(path, header, columns, metric), baseline_epochs, metric)
    reading.check_columns()
    trials = [reading.trial(row) for row in rows]
    if not trials:
        reading.complain(1, "", "there is no row below the header")
    reading.check_accuracies(trials)
    reading.check_twice(trials)
    reading.raise_any()
    return CsvTable(path.name, reading.frame(trials), tuple(reading.remarks()), metric)


def _own_metric(path: Path, header: list[str], rows: list[Row]) -> Metric:
    """What a file of `sweep report --format csv` was judged by: its columns `metric` and `mode`, where it has both."""
    if not set(_OWN_METRIC) <= set(header) or not rows:
        return ACCURACY
    places = [header.index(name) for name in _OWN_METRIC]
    first, *others = {tuple(plain_text(cell.strip()) for cell in _cells_at(row, places)): row for row in rows}.items()
    (name, mode), row = first
    where = f"{path}:{row.line}"
    if others:
        problem = Problem("another metric than in the first row", f"{path}:{others[0][1].line}", key="metric")
        raise UsageError(problem)
    if not name or mode not in ("max", "min"):
        raise UsageError(Problem(f"{mode!r} is neither max nor min" if name else "is empty", where, key="mode"))
    return Metric(name, mode == "min")


def _cells_at(row: Row, places: list[int]) -> list[str]:
    return [row.cells[place] if place < len(row.cells) else "" for place in places]


def _places(path: Path, header: list[str], columns: Mapping[str, str], metric: Metric) -> dict[str, int]:
    """In which cell of a row each of our columns stands."""
    where = f"{path}:1"
    twice = [name for place, name in enumerate(header) if name in header[:place] and name]
    problems = [Problem("stands twice in the header", where, key=name) for name in dict.fromkeys(twice)]
    for ours, theirs in columns.items():
        if theirs not in header:
            fix = f"its columns: {', '.join(name for name in header if name)}"
            problems.append(
                Problem(f"there is no column {theirs!r} for {ours}{nearest(theirs, header)}", where, fix=fix)
            )
    shared = [theirs for theirs in dict.fromkeys(columns.values()) if list(columns.values()).count(theirs) > 1]
    problems += [Problem("is given to two columns of ours", "--columns", key=theirs) for theirs in shared]
    if problems:
        raise UsageError(problems)
    taken = set(columns.values())
    names = {name: name for name in _names(metric) if name in header and name not in taken} | dict(columns)
    return dict(sorted(((ours, header.index(theirs)) for ours, theirs in names.items()), key=lambda place: place[1]))


@dataclass
class _Reading:
    """Reads cell after cell, and keeps what is wrong with them."""

    path: Path
    header: list[str]
    places: dict[str, int]
    baseline_epochs: float | None
    metric: Metric
    problems: list[Problem] = field(default_factory=list)
    is_percent: bool = False

    def complain(self, line: int, column: str, message: str, fix: str | None = None) -> None:
        self.problems.append(Problem(message, where=f"{self.path}:{line}", key=column or None, fix=fix))

    def raise_any(self) -> None:
        if self.problems:
            raise UsageError(self.problems)

    @property
    def quality_column(self) -> str:
        return quality_columns(self.metric)[0]

    @property
    def time_column(self) -> str:
        return next(name for name in TIME_UNITS if name in self.places)

    def check_columns(self) -> None:
        """Raise where a column is missing, or two say the same."""
        known = ", ".join(name for name in self.header if name) or "none"
        if "ratio" not in self.places and "epochs" not in self.places:
            self.complain(1, "", f"there is no column ratio, nor epochs (its columns: {known})", "--columns ratio=NAME")
        if "ratio" not in self.places and "epochs" in self.places and self.baseline_epochs is None:
            self.complain(1, "epochs", "there is no column ratio", "give --baseline-epochs, the epochs of ratio 1")
        if "ratio" in self.places and self.baseline_epochs is not None:
            self.complain(1, "ratio", "there is this column: --baseline-epochs says nothing more", "leave it out")
        times = [name for name in TIME_UNITS if name in self.places]
        if len(times) != 1:
            found = f"both {' and '.join(times)}" if times else "no column train_seconds, minutes or hours"
            self.complain(1, "", f"there is {found} (its columns: {known})", "--columns minutes=NAME")
        if (quality := self.quality_column) not in self.places:
            self.complain(1, "", f"there is no column {quality} (its columns: {known})", f"--columns {quality}=NAME")
        self.raise_any()

    def trial(self, row: Row) -> dict[str, Any]:
        """One row by our names, with its line as `line`; what a cell lacks or gets wrong is None."""
        num_before = len(self.problems)
        needed = max(self.places.values()) + 1
        if len(row.cells) < needed or any(cell.strip() for cell in row.cells[len(self.header) :]):
            self.complain(row.line, "", f"has {len(row.cells)} cells, and the header {len(self.header)}")
        values: dict[str, Any] = {"line": row.line, "is_signed": False}
        for name, place in self.places.items():
            cell = row.cells[place].strip() if place < len(row.cells) else ""
            values[name] = self._value(row.line, name, cell) if cell else None
            values["is_signed"] |= name == "accuracy" and cell.endswith("%")
        return self._whole(values, {problem.key for problem in self.problems[num_before:]})

    def _value(self, line: int, name: str, cell: str) -> Any:
        parse, expected = CELLS.get(name, (plain_text, "a text"))
        if name in quality_columns(self.metric) and not self.metric.is_share:
            parse, expected = signed_number, "a number"
        try:
            return parse(cell)
        except (ValueError, ZeroDivisionError):
            fix = "write a point for the decimals" if "," in cell and parse is not plain_text else None
            self.complain(line, name, f"{cell!r} is not {expected}", fix)
            return None

    def _whole(self, values: dict[str, Any], bad: set[str | None]) -> dict[str, Any]:
        """With all that follows from what the row says. `bad` are the columns that were complained of."""
        line = values["line"]
        outcome = values.setdefault("outcome", None) or Outcome.FINISHED.value
        finished = outcome == Outcome.FINISHED
        needed = ["ratio" if "ratio" in self.places else "epochs"]
        needed += [self.time_column, self.quality_column] if finished else []
        for name in needed:
            if values[name] is None and name not in bad:
                self.complain(line, name, "is empty", None if name == "ratio" else "say in a column outcome why")
        seconds = values[self.time_column]
        ratio = self._ratio(values)
        values |= {
            "outcome": outcome,
            "recipe": values.get("recipe") or self.path.stem,
            "method": values.get("method") or "",
            "train_seconds": seconds * TIME_UNITS[self.time_column] if seconds is not None else None,
            "ratio": ratio.value if ratio else None,
            "ratio_text": values.get("ratio_text") or (ratio.text if ratio else None),
        }
        if values.get("realised_ratio") is None:
            values["realised_ratio"] = values["ratio"]
        if values.get("is_baseline") is None:
            values["is_baseline"] = values["ratio"] == 1
        return values

    def _ratio(self, values: dict[str, Any]) -> Ratio | None:
        if "ratio" in self.places:
            given: Ratio | None = values["ratio"]
            return given
        epochs = values["epochs"]
        if epochs is None or self.baseline_epochs is None:
            return None
        baseline = exact(self.baseline_epochs)  # 7.3 is 73/10
        text = "1.0" if epochs == baseline else f"{epochs}/{baseline}"
        return Ratio(epochs / baseline, text) if is_ratio(text) else named_ratio(epochs / baseline)

    def check_accuracies(self, trials: list[dict[str, Any]]) -> None:
        """Take the column as percent where a value is over 1 or says so: then no other one can be a share."""
        known = [trial for trial in trials if trial.get("accuracy") is not None]
        self.is_percent = any(trial["accuracy"] > 1 or trial["is_signed"] for trial in known)
        for trial in trials if not self.is_percent else []:
            if (trial.get("truncated_accuracy") or 0.0) > 1:
                self.complain(trial["line"], "truncated_accuracy", "is percent, and accuracy is not", "write one kind")
        for trial in known if self.is_percent else []:
            if 0 < trial["accuracy"] <= 1 and not trial["is_signed"]:
                shown = f"{trial['accuracy']:g}"
                self.complain(trial["line"], "accuracy", f"{shown} among percentages: is it a share?", "write one kind")

    def check_twice(self, trials: list[dict[str, Any]]) -> None:
        """Refuse two trials of the same seed. Without seeds, rows of one ratio are repetitions."""
        first: dict[tuple[Any, ...], int] = {}
        for trial in trials:
            key = (trial["recipe"], trial["method"], trial["ratio"], trial.get("examples"), trial.get("seed"))
            if trial.get("seed") is None or trial["ratio"] is None:
                continue
            if key in first:
                message = f"the same recipe, ratio and seed as in line {first[key]}"
                self.complain(trial["line"], "seed", message)
            first.setdefault(key, trial["line"])

    def frame(self, trials: list[dict[str, Any]]) -> pd.DataFrame:
        """The frame of trials without a mistake."""
        for trial in trials:
            if self.is_percent:
                shares = {name: trial.get(name) for name in ("accuracy", "truncated_accuracy")}
                trial |= {name: None if share is None else share / 100 for name, share in shares.items()}
            quality, truncated = quality_columns(self.metric)
            trial |= {"quality": trial.get(quality), "truncated_quality": trial.get(truncated)}
            trial.setdefault("train_seconds_source", None)
            exact = (name for name in ("ratio", "realised_ratio", "epochs") if trial.get(name) is not None)
            trial |= {name: float(trial[name]) for name in exact}
        return typed(pd.DataFrame(trials, columns=[*COLUMNS, *JUDGED_COLUMNS, *EXTRA_COLUMNS]))

    def remarks(self) -> Iterator[str]:
        """How it was read, where that could be otherwise."""
        yield self._quality_remark()
        if "ratio" not in self.places:
            yield f"ratio is epochs / {self.baseline_epochs:g}"
        read = set(self.places.values()) | {
            place for place, name in enumerate(self.header) if name in _OWN_METRIC and not self.metric.is_share
        }
        # Whether it is approximate, its method says.
        names = (name for place, name in enumerate(self.header) if place not in read)
        if ignored := [name for name in names if name not in ("", "is_approximate")]:
            yield f"columns that were not read: {', '.join(ignored)}"

    def _quality_remark(self) -> str:
        if self.metric.is_share:
            return f"accuracy is read {'in percent' if self.is_percent else 'as a share of 1'}"
        return f"judged by {self.metric.heading}"
