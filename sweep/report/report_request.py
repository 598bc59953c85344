"""What is asked of a report, as it was typed, and what its options mean once they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.errors import Complaints, Problem, UsageError
from sweep.recipe.duration import Ratio, parse_ratios
from sweep.report.findings import Findings
from sweep.report.outputs import Outputs
from sweep.report.source import Source
from sweep.report.verdict import check_within

if TYPE_CHECKING:  # at run time only where there is a gate
    from sweep.report.gate import Gate


@dataclass(frozen=True)
class ReportRequest:
    """What is asked of `sweep report`. `output` is how it is printed, and `at` the ratio that the gate looks at."""

    results: Path
    output: str = "table"
    fail_under: str | None = None
    at: str | None = None
    columns: str | None = None
    baseline_epochs: float | None = None
    predict: str | None = None
    within_points: float | None = None
    outputs: Outputs = field(default_factory=Outputs)
    chart: bool = False
    fail_over: str | None = None
    metric: str | None = None
    mode: str | None = None

    def read(self) -> AskedReport:
        """What it means; nothing is read or written yet.

        Raises:
            UsageError: with every mistake in the options.
        """
        complaints = Complaints()
        wanted: tuple[Ratio, ...] = ()
        gate: Gate | None = None
        checks: list[Callable[[], None]] = [lambda: check_within(self.within_points), self.outputs.check, self._check]
        for check in checks:
            with complaints:
                check()
        with complaints:
            wanted = parse_ratios(self.predict, "--predict") if self.predict is not None else ()
        with complaints:
            gate = self._gate()
        complaints.raise_any()
        source = Source(
            self.results, self.columns, self.baseline_epochs, self.within_points, wanted, self.metric, self.mode
        )
        return AskedReport(source, gate)

    def _check(self) -> None:
        problems = []
        if self.chart and self.output != "table":
            problems.append(Problem("goes with --format table alone", where="--chart"))
        if self.predict is not None and self.output == "csv":
            problems.append(Problem("does not go with --format csv, which has no line for it", where="--predict"))
        if self.at is not None and self.fail_under is None and self.fail_over is None:
            problems.append(Problem("goes with --fail-under and --fail-over alone", where="--at"))
        if self.fail_under is not None and self.fail_over is not None:
            problems.append(
                Problem("does not go with --fail-under: a metric is better on one side", where="--fail-over")
            )
        if problems:
            raise UsageError(problems)

    def _gate(self) -> Gate | None:
        given = {"--fail-under": self.fail_under, "--fail-over": self.fail_over}
        asked = next(((option, value) for option, value in given.items() if value is not None), None)
        if asked is None:
            return None
        from sweep.report.gate import Gate

        option, value = asked
        return Gate.parse(value, self.at or "1.0", option)


@dataclass(frozen=True)
class AskedReport:
    """Where the numbers come from, and the gate that they have to pass, if any."""

    source: Source
    gate: Gate | None

    def read(self, name: str | None) -> Findings:
        """The findings of the sweep or the file of that name.

        Raises:
            UsageError: there is no such one, or the gate is none of its metric.
            MachineError: it cannot be read.
        """
        findings = self.source.read(name)
        if self.gate is not None:
            self.gate.check_metric(findings.metric)
        return findings

    def check(self, findings: Findings) -> None:
        """Pass in silence.

        Raises:
            SweepError: the quality is worse than the gate lets pass.
        """
        if self.gate is not None:
            self.gate.check(findings.curves)
