import re
from contextlib import suppress
from io import StringIO

import pytest
from rich.console import Console
from rich.progress import Progress as Bars

from sweep.errors import Outcome
from sweep.events import Event, Noticed, Progress, StageEnded, StageStarted, SweepStarted
from sweep.report.live import BarView, LineView, SilentView, make_view

HOSTILE = "x[/y] [bold]\x1b[31m\nb\r\u202e\x9b"
FINISHED = StageEnded("a", "0.5", 0, Outcome.FINISHED, None, 12.3, 0.9)
CRASHED = StageEnded("b", "1.0", 1, Outcome.CRASHED, "crashed (SIGKILL)", None, None)
EVENTS: list[Event] = [
    SweepStarted("mine", 3, 1, 300),
    StageStarted("a", "0.5", 0, 10.0, 100),
    Progress("a", 50, 5.0, 0.5, None, 1000.0),
    Progress("a", 75, 7.5, None, 0.75, 1000.0),
    FINISHED,
    StageStarted("b", "1.0", 1, 20.0, 200),
    Progress("b", 50, 5.0, None, None, 1000.0),
    CRASHED,
]
HOSTILE_EVENTS: list[Event] = [
    SweepStarted(HOSTILE, 1, 0, 100),
    Noticed(HOSTILE),
    StageStarted(HOSTILE, HOSTILE, 0, 10.0, 100),
    Progress(HOSTILE, 50, 5.0, 0.5, 0.5, 1000.0),
    StageEnded(HOSTILE, HOSTILE, 0, Outcome.FAILED, HOSTILE, None, None),
]


def terminal() -> tuple[Console, StringIO]:
    text = StringIO()
    return Console(file=text, force_terminal=True, width=160), text


def lines(*events: Event, width: int = 40) -> list[str]:
    text = StringIO()
    with LineView(Console(file=text, width=width)) as view:
        for event in events:
            view(event)
    return text.getvalue().splitlines()


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bars]:
    """The progress bars that a view has made."""
    made: list[Bars] = []
    start = Bars.start

    def remember(self: Bars) -> None:
        made.append(self)
        start(self)

    monkeypatch.setattr(Bars, "start", remember)
    return made


def test_what_suits_the_console_is_chosen() -> None:
    assert isinstance(make_view(terminal()[0], quiet=False), BarView)
    assert isinstance(make_view(Console(file=StringIO()), quiet=False), LineView)
    assert type(make_view(terminal()[0], quiet=True)) is SilentView


def test_a_silent_view_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with SilentView() as view:
        for event in [*EVENTS, *HOSTILE_EVENTS]:
            view(event)
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_each_trial_is_one_line() -> None:
    assert lines(*EVENTS) == [
        "mine: 3 trials, 1 of them done, 300 steps to train",
        "ratio 0.5, seed 0: finished, 12.3 s, accuracy 90.00 %",
        "ratio 1.0, seed 1: crashed (SIGKILL)",
    ]


def test_a_failure_without_a_reason_says_how_it_ended() -> None:
    ended = StageEnded("a", "1.0", 0, Outcome.INTERRUPTED, None, None, None)
    assert lines(ended) == ["ratio 1.0, seed 0: interrupted"]


def test_a_notice_is_a_line() -> None:
    assert lines(Noticed("warning: [red] is no markup")) == ["warning: [red] is no markup"]


@pytest.mark.parametrize("event", HOSTILE_EVENTS[:2] + HOSTILE_EVENTS[-1:])
def test_a_hostile_text_is_one_line_without_control_characters(event: Event) -> None:
    (line,) = lines(event)
    assert re.search("[\x00-\x1f\x7f-\x9f\u202e]", line) is None
    assert "x[/y] [bold]\\x1b[31m b\\x0d\\u202e\\x9b" in line


def test_the_overall_bar_counts_steps(bars: list[Bars]) -> None:
    percentages = []
    with BarView(terminal()[0]) as view:
        for event in EVENTS:
            view(event)
            percentages.append(round(bars[0].tasks[0].percentage, 1))
    # Of 300 steps: nothing, 50, 75, the Stage's 100, 50 more, and all of them.
    assert percentages == [0.0, 0.0, 16.7, 25.0, 33.3, 33.3, 50.0, 100.0]


def test_the_bar_of_a_trial_goes_with_it(bars: list[Bars]) -> None:
    shown = []
    with BarView(terminal()[0]) as view:
        for event in EVENTS:
            view(event)
            shown.append([task.description for task in bars[0].tasks])
    assert shown[1] == ["mine", "ratio 0.5, seed 0"]
    assert shown[4] == ["mine"]
    assert shown[5] == ["mine", "ratio 1.0, seed 1"]
    assert shown[7] == ["mine"]


def test_the_running_trial_shows_what_is_known(bars: list[Bars]) -> None:
    details = []
    with BarView(terminal()[0]) as view:
        for event in EVENTS[:4]:
            view(event)
            details.append(bars[0].tasks[-1].fields["detail"])
    assert details[1:] == [
        "starting",
        "epoch 5.0  loss 0.500  1,000 images/s",
        "epoch 7.5  accuracy 75.00 %  1,000 images/s",
    ]


def test_a_finished_trial_is_a_line_above_the_bars() -> None:
    console, text = terminal()
    with BarView(console) as view:
        for event in EVENTS:
            view(event)
    assert "ratio 0.5, seed 0: finished, 12.3 s, accuracy 90.00 %" in text.getvalue()


def test_hostile_names_neither_break_the_bars_nor_reach_the_terminal(bars: list[Bars]) -> None:
    console, text = terminal()
    with BarView(console) as view:
        for event in HOSTILE_EVENTS:
            view(event)
            bars[0].refresh()
    assert "x[/y] [bold]\\x1b[31m b" in text.getvalue()
    assert "\x1b[31m b" not in text.getvalue()
    assert "\u202e" not in text.getvalue()
    assert "\x9b" not in text.getvalue()


def test_events_before_the_sweep_has_started_are_no_trouble() -> None:
    with BarView(terminal()[0]) as view:
        view(EVENTS[2])
        view(FINISHED)
    assert not view._progress.tasks


def test_the_bars_are_gone_after_an_error(bars: list[Bars]) -> None:
    with suppress(ZeroDivisionError), BarView(terminal()[0]) as view:
        view(EVENTS[0])
        _ = 1 / 0
    assert bars[0].live.is_started is False
