"""Where a report's numbers come from: a sweep by its name, or a CSV by its path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.errors import Complaints, Problem, UsageError
from sweep.recipe.duration import Ratio
from sweep.report.findings import Findings
from sweep.report.metric import ACCURACY, Metric
from sweep.store.catalogue import read_sweep


@dataclass(frozen=True)
class Source:
    """How to read what is named. `columns` is a text such as "recipe=arch,accuracy=top1", None where a file's columns
    are called as ours; `metric` and `mode` are what a file is
    judged by, None where it is accuracy or the file says so itself; the rest of it is the options' own."""

    results: Path
    columns: str | None = None
    baseline_epochs: float | None = None
    within_points: float | None = None
    wanted: tuple[Ratio, ...] = ()
    metric: str | None = None
    mode: str | None = None

    def read(self, name: str | None) -> Findings:
        """The sweep of that name (None: the newest), or the file whose name ends in .csv.

        Raises:
            UsageError: there is no such sweep, the file is no such table, or an option is for files alone.
            MachineError: it cannot be read.
        """
        self._check_options([name or ""])
        if name is not None and _is_file(name):
            return self._read_file(Path(name))
        if name is not None and Path(name).is_file():
            raise UsageError(Problem(f"{name} is no table: its name does not end in .csv", fix="give it that ending"))
        _, history = read_sweep(self.results, name)
        return Findings.of_history(history, self.within_points, self.wanted)

    def read_all(self, names: Sequence[str]) -> list[Findings]:
        """Several, each sweep under its own name instead of its recipe's.

        Raises:
            UsageError: with everything that is wrong with any of them.
            MachineError: one cannot be read.
        """
        self._check_options(names)
        complaints, found = Complaints(), []
        for name in names:
            with complaints:
                found.append(self._read_file(Path(name)) if _is_file(name) else self._read_sweep(name))
        complaints.raise_any()
        return found

    def _read_sweep(self, name: str) -> Findings:
        workspace, history = read_sweep(self.results, name)
        return replace(Findings.of_history(history, self.within_points, self.wanted), name=workspace.name)

    def _read_file(self, path: Path) -> Findings:
        from sweep.report.csv_table import parse_columns, read_table

        judged = Metric(self.metric, self.mode == "min") if self.metric is not None else None
        columns = parse_columns(self.columns, judged or ACCURACY) if self.columns is not None else {}
        table = read_table(path, columns, self.baseline_epochs, judged)
        return Findings.of_table(table, self.within_points, self.wanted)

    def _check_options(self, names: Sequence[str]) -> None:
        options = {
            "--columns": self.columns,
            "--baseline-epochs": self.baseline_epochs,
            "--metric": self.metric,
            "--mode": self.mode,
        }
        given = [option for option, value in options.items() if value is not None]
        if given and not any(_is_file(name) for name in names):
            raise UsageError([Problem("goes with a CSV file alone", where=option) for option in given])
        self._check_metric()
        epochs = self.baseline_epochs
        if epochs is not None and not 0 < epochs <= 1e9:
            raise UsageError(Problem(f"{epochs:g} is no number of epochs above 0", where="--baseline-epochs"))

    def _check_metric(self) -> None:
        """A loss that was taken for an accuracy would turn every verdict around: which way is better is always said."""
        problems = []
        if self.metric is None and self.mode is not None:
            problems.append(Problem("goes with --metric alone", where="--mode"))
        if self.metric is not None and self.mode is None and self.metric != ACCURACY.name:
            problems.append(
                Problem(f"which way is {self.metric} better?", where="--metric", fix="add --mode min or max")
            )
        if self.mode not in (None, "min", "max"):
            problems.append(Problem(f"{self.mode!r} is neither min nor max", where="--mode"))
        if (self.metric, self.mode) == (ACCURACY.name, "min"):
            problems.append(Problem("more accuracy is better", where="--mode", fix="leave it out"))
        if self.metric == "":
            problems.append(Problem("is empty", where="--metric", fix="name a column"))
        if problems:
            raise UsageError(problems)


def _is_file(name: str) -> bool:
    return name.lower().endswith(".csv")
