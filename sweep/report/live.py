"""Draws a running sweep's events: bars on a terminal, one plain line a finished trial elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from sweep import events
from sweep.printable import one_line
from sweep.report.cells import duration_text, percent_text


class View(Protocol):
    """A listener that is drawn while its block runs."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __call__(self, event: events.Event) -> None: ...


def make_view(console: Console, quiet: bool) -> View:
    """What suits the console: nothing, bars, or lines."""
    if quiet:
        return SilentView()
    return BarView(console) if console.is_terminal else LineView(console)


class SilentView:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __call__(self, event: events.Event) -> None:
        pass


class LineView(SilentView):
    """A line for each finished trial, and for what should be known."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, event: events.Event) -> None:
        line = _line(event)
        if line is not None:
            self._console.print(Text(one_line(line)), soft_wrap=True)


class BarView:
    """A bar over all steps with the time left, and one for the running trial."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[detail]}"),
            console=console,
            transient=True,
        )
        self._overall: TaskID | None = None
        self._stage: TaskID | None = None
        self._steps_before = 0
        self._stage_steps = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def __call__(self, event: events.Event) -> None:
        line = _line(event)
        if line is not None:
            self._progress.console.print(Text(one_line(line)))
        match event:
            case events.SweepStarted():
                # Cost is proportional to steps, so the time left by steps is right.
                self._overall = self._progress.add_task(escape(one_line(event.name)), total=event.num_steps, detail="")
            case events.StageStarted():
                self._stage_steps = event.num_steps
                self._stage = self._progress.add_task(_title(event), total=event.num_steps, detail="starting")
            case events.Progress():
                self._show(event)
            case events.StageEnded():
                self._end_stage()

    def _show(self, event: events.Progress) -> None:
        if self._overall is not None and self._stage is not None:
            self._progress.update(self._overall, completed=self._steps_before + event.steps_done)
            self._progress.update(self._stage, completed=event.steps_done, detail=_detail(event))

    def _end_stage(self) -> None:
        self._steps_before += self._stage_steps
        if self._overall is not None and self._stage is not None:
            self._progress.update(self._overall, completed=self._steps_before)
            self._progress.remove_task(self._stage)
            self._stage = None


def _title(event: events.StageStarted) -> str:
    return escape(one_line(f"ratio {event.ratio}, seed {event.seed}"))


def _detail(event: events.Progress) -> str:
    parts = [
        f"epoch {event.epoch:.1f}",
        f"loss {event.loss:.3f}" if event.loss is not None else "",
        f"accuracy {percent_text(event.accuracy)}" if event.accuracy is not None else "",
        f"{event.images_per_second:,.0f} images/s",
    ]
    return "  ".join(part for part in parts if part)


def _line(event: events.Event) -> str | None:
    """The event as a line of its own, for those that have one."""
    match event:
        case events.Noticed():
            return event.text
        case events.SweepStarted():
            done = f", {event.num_done} of them done" if event.num_done else ""
            return f"{event.name}: {event.num_trials} trials{done}, {event.num_steps} steps to train"
        case events.StageEnded(train_seconds=None):
            return f"ratio {event.ratio}, seed {event.seed}: {event.reason or event.outcome}"
        case events.StageEnded():
            return (
                f"ratio {event.ratio}, seed {event.seed}: {event.outcome}, "
                f"{duration_text(event.train_seconds)}, accuracy {percent_text(event.accuracy)}"
            )
    return None
