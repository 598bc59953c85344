"""Draws a running sweep's events: on a terminal the finished trials as rows, and below them a line for each running
one; elsewhere a plain line for each finished trial; for programs a line of JSON for each event.

Of sweeps that train side by side each has a view of its own, and all that it says names it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.console import RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweep import events
from sweep.clock import Stopwatch
from sweep.errors import Outcome
from sweep.printable import one_line
from sweep.report.cells import clock_text, duration_text
from sweep.report.metric import Metric
from sweep.report.screen import Screen

# Chosen by looking at terminals of 40, 80 and 160 columns.
_WIDE, _MEDIUM = 120, 60
_LABEL_WIDTH = 22
_ROW = "{ratio:>8}  {seed:>4}  {time:>10}  {quality:>8}  {outcome}"


class View(Protocol):
    """A listener that is drawn while its block runs."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __call__(self, event: events.Event) -> None: ...


def make_view(screen: Screen, quiet: bool) -> View:
    """What suits the screen: nothing, rows and bars, or lines."""
    if quiet:
        return SilentView()
    return BarView(screen) if screen.is_animated else LineView(screen)


class Views(Protocol):
    """The views of sweeps that train side by side, which are drawn while the block runs."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def of(self, sweep: str) -> events.Listener:
        """What is to be told of the sweep of that name."""
        ...


def make_views(screen: Screen, quiet: bool) -> Views:
    """As `make_view`, for several sweeps."""
    if quiet or not screen.is_animated:
        return PlainViews(lambda sweep: SilentView() if quiet else LineView(screen, sweep))
    return BarViews(screen)


class SilentView:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __call__(self, event: events.Event) -> None:
        pass


class JsonView(SilentView):
    """A line of JSON for each event: its name as `event`, where there are several sweeps the name of its own as
    `sweep`, and its fields."""

    def __init__(self, screen: Screen, sweep: str | None = None) -> None:
        self._screen = screen
        self._own = {} if sweep is None else {"sweep": sweep}

    def __call__(self, event: events.Event) -> None:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
        self._screen.write(json.dumps({"event": name} | self._own | asdict(event), allow_nan=False))


class LineView(SilentView):
    """A line for each finished trial, and for what should be known; with the sweep's name where there are several."""

    def __init__(self, screen: Screen, sweep: str | None = None) -> None:
        self._screen = screen
        self._begin = "" if sweep is None else f"{sweep}: "
        self._metric = Metric()

    def __call__(self, event: events.Event) -> None:
        if isinstance(event, events.SweepStarted):
            self._metric = Metric(event.metric)
        match event:
            case events.TrialEnded(train_seconds=None):
                self._say(f"ratio {event.ratio}, seed {event.seed}: {event.reason or event.outcome}")
            case events.TrialEnded():
                self._say(
                    f"ratio {event.ratio}, seed {event.seed}: {event.outcome}, "
                    f"{duration_text(event.train_seconds)}, {_quality_text(self._metric, event)}"
                )
            case events.Noticed():
                self._say(event.text)
            case events.SweepStarted():
                self._screen.say(one_line(_headline(event)))

    def _say(self, line: str) -> None:
        self._screen.say(one_line(self._begin + line))


class PlainViews(SilentView):
    """Views that need nobody to draw them; `make` makes one for a sweep's name."""

    def __init__(self, make: Callable[[str], events.Listener]) -> None:
        self._make = make

    def of(self, sweep: str) -> events.Listener:
        return self._make(sweep)


@dataclass
class _Job:
    """A Stage that is being trained. `steps_before` were done before this run of the sweep."""

    started: events.StageStarted
    steps_before: int
    progress: events.Progress | None = None

    @property
    def steps_done(self) -> int:
        return self.progress.steps_done if self.progress else self.started.steps_done


class _Rows:
    """A row for each trial that has ended, below one head; with its sweep's name where there are several."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._has_head = False
        self.sweeps: list[str] = []

    def end(self, sweep: str, metric: Metric, event: events.TrialEnded) -> None:
        if not self._has_head:
            self._row("sweep", "ratio", "seed", "train time", metric.name, "")
            self._has_head = True
        said = "" if event.outcome is Outcome.FINISHED else event.reason or event.outcome
        quality, seconds = metric.value_text(_quality(metric, event)), duration_text(event.train_seconds)
        self._row(sweep, event.ratio, str(event.seed), seconds, quality, said)

    def _row(self, sweep: str, ratio: str, seed: str, time: str, quality: str, outcome: str) -> None:
        line = _ROW.format(ratio=ratio, seed=seed, time=time, quality=quality, outcome=outcome)
        if self.sweeps:
            line = f"{sweep:<{max(map(len, self.sweeps))}}  {line}"
        self._screen.say(one_line(line.rstrip()))


class BarView:
    """A row for each finished trial, at once and for good; below them a bar over all steps, and one for each job."""

    def __init__(self, screen: Screen, rows: _Rows | None = None, sweep: str = "") -> None:
        self._screen = screen
        self._rows = rows or _Rows(screen)
        self._sweep = sweep
        self._started: events.SweepStarted | None = None
        self._metric = Metric()
        self._clock = Stopwatch()
        self._jobs: dict[str, _Job] = {}
        self._steps_before = 0  # of the Stages that have ended
        self._live = _live(screen, self.draw)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.Noticed():
                self._screen.say(one_line(f"{self._sweep}: {event.text}" if self._sweep else event.text))
            case events.SweepStarted():
                self._screen.say(one_line(_headline(event)))
                self._started, self._metric = event, Metric(event.metric)
                self._clock = Stopwatch().__enter__()  # the start-up is no part of a trial's time
                self._jobs, self._steps_before = {}, 0  # a search tells of one after the other
            case events.StageStarted():
                earlier = self._jobs.get(event.stage)  # an attempt whose worker was lost
                self._jobs[event.stage] = _Job(event, earlier.steps_before if earlier else event.steps_done)
            case events.Progress():
                if event.stage in self._jobs:
                    self._jobs[event.stage].progress = event
            case events.StageEnded():
                job = self._jobs.pop(event.stage, None)
                self._steps_before += job.started.num_steps - job.steps_before if job else 0
            case events.TrialEnded():
                self._rows.end(self._sweep, self._metric, event)

    def draw(self) -> RenderableType:
        """The bars as they stand; in as much detail as the screen is wide."""
        table = _bars()
        self.add_to(table)
        return table

    def add_to(self, table: Table) -> None:
        if self._started is None:
            return
        jobs = list(self._jobs.values())
        done = self._steps_before + sum(job.steps_done - job.steps_before for job in jobs)
        self._add_bar(table, self._started.name, done, self._started.num_steps, self._times(done))
        for job in jobs:
            others = f" +{job.started.num_trials - 1}" if job.started.num_trials > 1 else ""
            label = f"{job.started.ratio}{others} seed {job.started.seed}"
            self._add_bar(table, label, job.steps_done, job.started.num_steps, self._detail(job))

    def _add_bar(self, table: Table, label: str, done: int, total: int, detail: str) -> None:
        width = self._screen.width
        bar = ProgressBar(total=max(total, 1), completed=done, width=24 if width >= _WIDE else 12)
        percent = f"{100 * done // max(total, 1):>3} %"
        # Without a bar where there is no room for one.
        cells = [Text(one_line(label)[:_LABEL_WIDTH]), bar if width >= _MEDIUM else Text(""), Text(percent)]
        table.add_row(*cells, Text(self._screen.spelled(detail)))

    def _times(self, done: int) -> str:
        assert self._started is not None
        elapsed = self._clock.elapsed_seconds
        if not done:
            return clock_text(elapsed)
        # Cost is proportional to steps, so the time left by steps is right.
        left = clock_text(elapsed * (self._started.num_steps - done) / done)
        return f"{clock_text(elapsed)}, {left} left" if self._screen.width >= _MEDIUM else f"{left} left"

    def _detail(self, job: _Job) -> str:
        progress = job.progress
        if progress is None:
            return "starting"
        if progress.elapsed_seconds is not None:
            parts = [f"{job.started.epochs:.4g} epochs, {clock_text(progress.elapsed_seconds)} so far"]
        else:
            parts = [f"epoch {progress.epoch:.1f} of {job.started.epochs:.4g}"]
        if self._screen.width >= _MEDIUM and progress.loss is not None:
            parts.append(f"loss {progress.loss:.3f}")
        if self._screen.width >= _WIDE:
            parts += [_quality_text(self._metric, progress)] if _quality(self._metric, progress) is not None else []
            if progress.images_per_second is not None:
                parts.append(f"{progress.images_per_second:,.0f} images/s")
        return one_line("  ".join(parts))


class BarViews:
    """The rows of several sweeps, and below them each one's bars."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._rows = _Rows(screen)
        self._bars: list[BarView] = []
        self._live = _live(screen, self.draw)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def of(self, sweep: str) -> events.Listener:
        self._rows.sweeps.append(sweep)
        self._bars.append(BarView(self._screen, self._rows, sweep))
        return self._bars[-1]

    def draw(self) -> RenderableType:
        table = _bars()
        for each in self._bars:
            each.add_to(table)
        return table


def _live(screen: Screen, draw: Callable[[], RenderableType]) -> Live:
    return Live(get_renderable=draw, console=screen, transient=True, refresh_per_second=8)


def _bars() -> Table:
    table = Table.grid(padding=(0, 1))
    for is_number in (False, False, True, False):
        table.add_column(justify="right" if is_number else "left", no_wrap=True, overflow="crop")
    return table


def _quality(metric: Metric, event: events.Progress | events.TrialEnded) -> float | None:
    return event.accuracy if metric.is_share else event.quality


def _quality_text(metric: Metric, event: events.Progress | events.TrialEnded) -> str:
    """`accuracy 97.18 %`."""
    return f"{metric.name} {metric.value_text(_quality(metric, event))}"


def _headline(event: events.SweepStarted) -> str:
    begun = f"{event.num_trials} trials" + (f", {event.num_done} of them done" if event.num_done else "")
    if event.num_interrupted:
        begun = f"resuming: {event.num_done} of {event.num_trials} done, {event.num_interrupted} interrupted"
    shared = f" ({event.num_shared} more if each were trained alone)" if event.num_shared else ""
    return f"{event.name}: {begun}, {event.num_steps} {event.unit} to train{shared}"
