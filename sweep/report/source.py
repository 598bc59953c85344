"""Where a report's numbers come from: a sweep by its name, or a CSV by its path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.errors import Complaints, Problem, UsageError
from sweep.recipe.duration import Ratio
from sweep.report.findings import Findings
from sweep.report.verdict import WITHIN_POINTS
from sweep.store.catalogue import read_sweep


@dataclass(frozen=True)
class Source:
    """How to read what is named. `columns` is a text such as "recipe=arch,accuracy=top1", None where a file's columns
    are called as ours; the rest of it is the options' own."""

    results: Path
    columns: str | None = None
    baseline_epochs: float | None = None
    within_points: float = WITHIN_POINTS
    wanted: tuple[Ratio, ...] = ()

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

        columns = parse_columns(self.columns) if self.columns is not None else {}
        return Findings.of_table(read_table(path, columns, self.baseline_epochs), self.within_points, self.wanted)

    def _check_options(self, names: Sequence[str]) -> None:
        options = {"--columns": self.columns, "--baseline-epochs": self.baseline_epochs}
        given = [option for option, value in options.items() if value is not None]
        if given and not any(_is_file(name) for name in names):
            raise UsageError([Problem("goes with a CSV file alone", where=option) for option in given])
        epochs = self.baseline_epochs
        if epochs is not None and not 0 < epochs <= 1e9:
            raise UsageError(Problem(f"{epochs:g} is no number of epochs above 0", where="--baseline-epochs"))


def _is_file(name: str) -> bool:
    return name.lower().endswith(".csv")
