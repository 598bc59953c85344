"""The report as one page that needs nothing but a browser: no network, no file beside it.

Every text in it is escaped by the template; data goes into it as JSON in which no text can end its element. The page's
own policy lets only its own scripts run, each known by its hash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from sweep.errors import Problem, SweepError, UsageError
from sweep.plan.timeline import Timeline
from sweep.printable import one_line
from sweep.report.chart import findings_chart
from sweep.report.command_view import told_grid
from sweep.report.findings import Findings
from sweep.report.grid import Grid
from sweep.report.metric import Metric
from sweep.report.notes import further_notes
from sweep.report.page_charts import has_curves, learning_curves, rates, timelines
from sweep.report.picture import script_json, script_policy
from sweep.report.plan_view import scaled_grid
from sweep.report.reproduce import commands, recipe_file
from sweep.report.summary import RatioSummary
from sweep.report.table import make_tables, quality_header
from sweep.store.durable import write_bytes
from sweep.store.history import History, TrialResult

# Pixels above the plot, where the picture has its title.
_TOP = 14
_TEMPLATE = Path(__file__).with_name("page.html.j2")
_SCRIPT = Path(__file__).with_name("page.js")
# What the columns of numbers are sorted by, beside that of quality; the others by their text.
_NUMBERS: dict[str, Callable[[RatioSummary], float | None]] = {
    "ratio": lambda row: row.realised_ratio,
    "epochs": lambda row: row.epochs,
    "steps": lambda row: row.steps,
    "train time": lambda row: row.train_seconds,
    "cost": lambda row: row.relative_cost,
    "dollars": lambda row: row.dollars,
    "energy": lambda row: row.joules,
    "sd": lambda row: row.sd,
}
_JUDGED: dict[str, Callable[[RatioSummary], float | None]] = {
    "vs 1.0": lambda row: row.points,
    "truncated": lambda row: row.truncated_score,
}


@dataclass(frozen=True)
class Cell:
    """A cell's text, and what its column is sorted by: a number, or None for the text."""

    text: str
    number: float | None


def check_page(path: Path) -> None:
    """Pass in silence where `path` can be meant as a page.

    Raises:
        UsageError: it ends in neither .html nor .htm.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(Problem(f"{path} is no page", where="--html", fix="end the name in .html"))


def write_page(findings: Findings, path: Path) -> None:
    """Write the page: the file is replaced as a whole, or left as it was.

    Raises:
        MachineError: the disk is full, or the folder cannot be written.
    """
    write_bytes(path, page(findings).encode())


def page(findings: Findings) -> str:
    """The page's text."""
    schedules = _Schedules.of(findings.history)
    libraries, script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"), _SCRIPT.read_text()
    lengths, *more = make_tables(findings)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_TEMPLATE.read_text()).render(
        title=one_line(findings.name),
        verdicts=[one_line(verdict) for verdict in findings.verdicts],
        lengths=lengths,
        rows=_cells(findings, lengths),
        more=more,
        notes=[one_line(note) for note in further_notes(findings)],
        libraries=Markup(libraries),
        script=Markup(script),
        policy=script_policy(libraries, script),
        charts=Markup(script_json(_charts(findings, schedules))),
        sweep=_of_sweep(findings.history, schedules) if findings.history is not None else None,
    )


def _cells(findings: Findings, grid: Grid) -> list[list[Cell]]:
    summaries = [row for curve in findings.curves for row in curve.rows]
    return [
        [Cell(text, _number(findings.metric, name, row)) for name, text in zip(grid.headers, cells, strict=True)]
        for row, cells in zip(summaries, grid.rows, strict=True)
    ]


def _number(metric: Metric, name: str, row: RatioSummary) -> float | None:
    judged = _JUDGED | {one_line(quality_header(metric)): lambda row: row.score}
    if name in judged:
        return metric.value(judged[name](row))
    return _NUMBERS[name](row) if name in _NUMBERS else None


def _curve(findings: Findings) -> dict[str, Any]:
    """The picture of `--plot` without its title, which is the page's own, and with the page's own background."""
    chart: dict[str, Any] = findings_chart(findings).to_dict()
    padding = chart["padding"] | {"top": _TOP}
    return {key: value for key, value in chart.items() if key != "title"} | {"padding": padding, "background": None}


@dataclass(frozen=True)
class _Schedules:
    """What each ratio makes of the recipe's schedule; or why that cannot be told."""

    timelines: tuple[Timeline, ...]
    problem: str

    @classmethod
    def of(cls, history: History | None) -> _Schedules:
        if history is None:
            return cls((), "")
        try:
            return cls(tuple(timelines(history)), "")
        except SweepError as error:
            return cls((), one_line(str(error)))

    @property
    def are_of_a_command(self) -> bool:
        """Whether nobody knows the rates."""
        return bool(self.timelines) and self.timelines[0].recipe.kind == "command"

    @property
    def grid(self) -> Grid | None:
        """Without the bars, which are a chart here; of a command what it is told."""
        if not self.timelines:
            return None
        if self.are_of_a_command:
            return told_grid(self.timelines)
        grid = scaled_grid(self.timelines)
        return replace(grid, headers=grid.headers[:-1], rows=tuple(row[:-1] for row in grid.rows))


def _charts(findings: Findings, schedules: _Schedules) -> dict[str, Any]:
    """By the id of the element that each is drawn into."""
    learning = learning_curves(findings.history, findings.metric) if findings.history is not None else None
    has_rates = schedules.timelines and not schedules.are_of_a_command
    of_ratios = rates(schedules.timelines) if has_rates else None
    charts = {"curve": _curve(findings), "learning": learning, "rates": of_ratios}
    return {name: chart for name, chart in charts.items() if chart is not None}


def _of_sweep(history: History, schedules: _Schedules) -> dict[str, Any]:
    """What only a sweep's own journal knows."""
    name, text = recipe_file(history)
    return {
        "recipe_name": name,
        "recipe_text": text,
        "fingerprint": history.starts[-1].fingerprint,
        "scaled": schedules.grid,
        "problem": schedules.problem,
        "has_rates": not schedules.are_of_a_command,
        "has_curves": has_curves(history),
        "environment": _environment(history),
        "failures": [_failure(result) for result in history.results if result.outcome.is_failure],
        "commands": commands(history),
    }


def _environment(history: History) -> dict[str, str]:
    """That of the first trial on the sweep's own set-up."""
    environment = history.environment
    known = environment.model_dump(exclude={"precision"})
    if environment.precision:
        known["amp: auto"] = f"{environment.precision.amp}: {environment.precision.why}"
    return {name.replace("_", " "): one_line(str(value)) for name, value in known.items() if value is not None}


def _failure(result: TrialResult) -> list[str]:
    entry = result.entry
    words = (entry.ratio, entry.method, entry.seed, result.outcome, result.reason or "", result.log or "")
    return [one_line(str(word)) for word in words]
