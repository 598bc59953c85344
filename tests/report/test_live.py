import json
import re
from contextlib import suppress
from io import StringIO

import pytest

from sweep.errors import Outcome
from sweep.events import Event, Noticed, Progress, StageEnded, StageStarted, SweepEnded, SweepStarted, TrialEnded
from sweep.report.live import BarView, BarViews, JsonView, LineView, PlainViews, SilentView, View, make_view, make_views
from sweep.report.screen import Screen

HOSTILE = "x[/y] [bold]\x1b[31m\nb\r\u202e\x9b"
FINISHED = TrialEnded("0.5", 0, Outcome.FINISHED, None, 12.3, 0.9)
CRASHED = TrialEnded("1.0", 1, Outcome.CRASHED, "crashed (SIGKILL)", None, None)
EVENTS: list[Event] = [
    SweepStarted("mine", 3, 1, 300),
    StageStarted("a", "0.5", 0, 10.0, 100),
    Progress("a", 50, 5.0, 0.5, None, 1000.0),
    Progress("a", 75, 7.5, None, 0.75, 1000.0),
    StageEnded("a", Outcome.FINISHED, None),
    FINISHED,
    StageStarted("b", "1.0", 1, 20.0, 200),
    Progress("b", 50, 5.0, None, None, 1000.0),
    StageEnded("b", Outcome.CRASHED, "crashed (SIGKILL)"),
    CRASHED,
    SweepEnded("mine", 3, 2, None),
]
HOSTILE_EVENTS: list[Event] = [
    SweepStarted(HOSTILE, 1, 0, 100),
    Noticed(HOSTILE),
    StageStarted(HOSTILE, HOSTILE, 0, 10.0, 100),
    Progress(HOSTILE, 50, 5.0, 0.5, 0.5, 1000.0),
    StageEnded(HOSTILE, Outcome.FAILED, HOSTILE),
    TrialEnded(HOSTILE, 0, Outcome.FAILED, HOSTILE, None, None),
]


def a_screen(width: int = 160, terminal: bool = True, encoding: str = "utf-8") -> tuple[Screen, StringIO]:
    text = StringIO()
    screen = Screen(file=text, force_terminal=terminal, width=width, color_system=None)
    screen.__class__ = type("Spelt", (Screen,), {"encoding": encoding})
    return screen, text


def lines(*events: Event, width: int = 40) -> list[str]:
    screen, text = a_screen(width, terminal=False)
    with LineView(screen) as view:
        for event in events:
            view(event)
    return text.getvalue().splitlines()


def bars_after(*events: Event, width: int = 160) -> list[str]:
    """The lines of the bars, as they stand after these events."""
    screen, text = a_screen(width)
    view = BarView(screen)
    for event in events:
        view(event)
    text.seek(0)
    text.truncate()
    screen.print(view.draw())
    return [line.rstrip() for line in text.getvalue().splitlines()]


def rows_of(*events: Event, width: int = 160) -> list[str]:
    """What stays on the screen."""
    screen, text = a_screen(width)
    view = BarView(screen)
    for event in events:
        view(event)
    return [line.rstrip() for line in text.getvalue().splitlines()]


def test_what_suits_the_screen_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(quiet: bool = False, terminal: bool = True) -> type[View]:
        return type(make_view(a_screen(terminal=terminal)[0], quiet=quiet))

    assert (chosen(), chosen(terminal=False), chosen(quiet=True)) == (BarView, LineView, SilentView)
    monkeypatch.setenv("TERM", "dumb")
    assert chosen() is LineView


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
    ended = TrialEnded("1.0", 0, Outcome.INTERRUPTED, None, None, None)
    assert lines(ended) == ["ratio 1.0, seed 0: interrupted"]
    assert rows_of(ended)[-1].split() == ["1.0", "0", "interrupted"]


def test_a_sweep_that_was_interrupted_says_what_is_done() -> None:
    [line] = lines(SweepStarted("mine", 12, 5, 300, num_interrupted=1))
    assert line == "mine: resuming: 5 of 12 done, 1 interrupted, 300 steps to train"


def test_what_was_trained_before_is_no_part_of_the_bar_and_an_attempt_that_was_lost_is_trained_again() -> None:
    begun = [SweepStarted("mine", 1, 0, 60, 1), StageStarted("a", "1.0", 0, 4.0, 100, 40)]

    def percents(*events: Event) -> list[str]:
        return re.findall(r"(\d+) %", "\n".join(bars_after(*begun, *events, width=80)))

    def progress(steps: int) -> Progress:
        return Progress("a", steps, 1.0, None, None, 100.0)

    assert percents() == ["0", "40"]
    assert percents(progress(70)) == ["50", "70"]
    again = StageStarted("a", "1.0", 0, 4.0, 100, 55)
    assert percents(progress(70), again) == ["25", "55"]
    assert percents(progress(70), again, StageEnded("a", Outcome.FINISHED, None)) == ["100"]


SHARED = [
    SweepStarted("mine", 10, 0, 300, num_shared=700),
    StageStarted("s", "1.0", 0, 20.0, 100, num_trials=10),
    Progress("s", 50, 5.0, 0.5, None, 1000.0),
]


def test_a_stage_that_trials_share_is_labelled_by_the_longest_and_how_many_more() -> None:
    bar = bars_after(*SHARED)[1]
    assert bar.startswith("1.0 +9 seed 0 ")
    assert bar.endswith("50 % epoch 5.0 of 20  loss 0.500  1,000 images/s")
    assert bars_after(*SHARED, width=40)[1] == "1.0 +9 seed 0   50 % epoch 5.0 of 20"


def test_a_shared_stage_ends_without_a_row_and_each_trial_has_its_own() -> None:
    ended = [*SHARED, StageEnded("s", Outcome.FINISHED, None)]
    assert len(rows_of(*ended)) == 1  # how the sweep began
    assert len(lines(*ended)) == 1
    assert len(bars_after(*ended)) == 1
    assert " 33 %" in bars_after(*ended)[0]
    both = [
        TrialEnded("0.5", 0, Outcome.FINISHED, None, 12.3, 0.9),
        TrialEnded("1.0", 0, Outcome.FAILED, "no", None, None),
    ]
    assert [row.split()[:2] for row in rows_of(*ended, *both)[2:]] == [["0.5", "0"], ["1.0", "0"]]
    assert lines(*ended, *both)[1:] == [
        "ratio 0.5, seed 0: finished, 12.3 s, accuracy 90.00 %",
        "ratio 1.0, seed 0: no",
    ]


def test_what_sharing_saves_is_said_at_the_start() -> None:
    assert lines(SHARED[0]) == ["mine: 10 trials, 300 steps to train (700 more if each were trained alone)"]


def test_a_notice_is_a_line() -> None:
    assert lines(Noticed("warning: [red] is no markup")) == ["warning: [red] is no markup"]


@pytest.mark.parametrize("event", [*HOSTILE_EVENTS[:2], HOSTILE_EVENTS[-1]])
def test_a_hostile_text_is_one_line_without_control_characters(event: Event) -> None:
    (line,) = lines(event)
    assert re.search("[\x00-\x1f\x7f-\x9f\u202e]", line) is None
    assert "x[/y] [bold]\\x1b[31m b\\x0d\\u202e\\x9b" in line


def test_every_event_is_a_line_of_json_for_a_program() -> None:
    screen, text = a_screen(20, terminal=False)
    with JsonView(screen) as view:
        for event in [*EVENTS, *HOSTILE_EVENTS]:
            view(event)
    documents = [json.loads(line) for line in text.getvalue().splitlines()]
    assert len(documents) == len(EVENTS) + len(HOSTILE_EVENTS)
    assert documents[4] == {"event": "stage_ended", "stage": "a", "outcome": "finished", "reason": None}
    assert documents[5] == {
        "event": "trial_ended",
        "ratio": "0.5",
        "seed": 0,
        "outcome": "finished",
        "reason": None,
        "train_seconds": 12.3,
        "accuracy": 0.9,
        "quality": None,
    }
    assert documents[10] == {
        "event": "sweep_ended",
        "name": "mine",
        "num_trials": 3,
        "num_finished": 2,
        "stopped_by": None,
    }
    assert documents[-1]["reason"] == HOSTILE
    assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text.getvalue()) is None


def test_the_overall_bar_counts_the_steps_of_all_jobs() -> None:
    def percent(num_events: int) -> int:
        [found] = re.findall(r"(\d+) %", bars_after(*EVENTS[:num_events])[0])
        return int(found)

    # Of 300 steps: nothing, 50, 75, the Stage's 100, 50 more, and all of them; a trial that ends adds none.
    assert [percent(number) for number in range(1, 11)] == [0, 0, 16, 25, 33, 33, 33, 50, 100, 100]


def test_the_bar_of_a_trial_goes_with_it_and_two_jobs_have_two() -> None:
    def labels(*events: Event) -> list[str]:
        return [line.split("  ")[0].split(" ━")[0].split(" 0 %")[0].strip() for line in bars_after(*events)]

    assert len(bars_after(*EVENTS[:4])) == 2
    assert len(bars_after(*EVENTS[:5])) == 1
    both = bars_after(*EVENTS[:2], EVENTS[6])
    assert [line.split(" ")[0] for line in both] == ["mine", "0.5", "1.0"]


def test_a_running_trial_shows_what_is_known_and_what_there_is_room_for() -> None:
    assert bars_after(*EVENTS[:2])[1].endswith("starting")
    assert bars_after(*EVENTS[:3])[1].endswith("epoch 5.0 of 10  loss 0.500  1,000 images/s")
    assert bars_after(*EVENTS[:4])[1].endswith("epoch 7.5 of 10  accuracy 75.00 %  1,000 images/s")
    assert bars_after(*EVENTS[:3], width=80)[1].endswith("50 % epoch 5.0 of 10  loss 0.500")
    assert bars_after(*EVENTS[:3], width=40)[1] == "0.5 seed 0   50 % epoch 5.0 of 10"


@pytest.mark.parametrize("width", [20, 40, 60, 80, 119, 120, 160])
def test_a_bar_is_one_line_whatever_the_width(width: int) -> None:
    jobs = [StageStarted(str(number), "0.123456789", number, 1000.0, 100) for number in range(5)]
    told = [Progress(job.stage, 50, 999.9, 0.123, 0.99999, 123_456_789.0) for job in jobs]
    drawn = bars_after(SweepStarted("a-sweep-with-a-long-name" * 4, 5, 0, 500), *jobs, *told, width=width)
    assert len(drawn) == 6
    assert max(map(len, drawn)) <= width


def test_finished_trials_are_rows_of_a_table_at_once() -> None:
    assert rows_of(*EVENTS[:6])[1:] == [
        "   ratio  seed  train time  accuracy",
        "     0.5     0      12.3 s   90.00 %",
    ]
    assert rows_of(*EVENTS)[-1] == "     1.0     1                        crashed (SIGKILL)"


def test_hostile_names_neither_break_the_bars_nor_reach_the_terminal() -> None:
    screen, text = a_screen()
    with BarView(screen) as view:
        for event in HOSTILE_EVENTS:
            view(event)
            screen.print(view.draw())
    assert "x[/y] [bold]\\x1b[31m b" in text.getvalue()
    assert "\x1b[31m b" not in text.getvalue()
    assert "\u202e" not in text.getvalue()
    assert "\x9b" not in text.getvalue()


def test_events_before_the_sweep_has_started_are_no_trouble() -> None:
    assert bars_after(EVENTS[2], FINISHED) == []


def test_the_bars_are_gone_after_an_error() -> None:
    view = BarView(a_screen()[0])
    with suppress(ZeroDivisionError), view:
        view(EVENTS[0])
        _ = 1 / 0
    assert view._live.is_started is False


# Sweeps that train side by side.

OTHERS: list[Event] = [
    SweepStarted("theirs", 2, 0, 200),
    Noticed("warning: of theirs"),
    StageStarted("a", "0.25", 7, 10.0, 100),
    TrialEnded("0.25", 7, Outcome.FINISHED, None, 4.5, 0.8),
]


def test_lines_of_several_sweeps_name_their_own() -> None:
    screen, text = a_screen(40, terminal=False)
    with make_views(screen, quiet=False) as views:
        mine, theirs = views.of("mine"), views.of("theirs")
        for one, other in zip(EVENTS[:6], [*OTHERS, *OTHERS[3:] * 2], strict=True):
            mine(one)
            theirs(other)
    assert text.getvalue().splitlines()[:4] == [
        "mine: 3 trials, 1 of them done, 300 steps to train",
        "theirs: 2 trials, 200 steps to train",
        "theirs: warning: of theirs",
        "theirs: ratio 0.25, seed 7: finished, 4.50 s, accuracy 80.00 %",
    ]
    assert "mine: ratio 0.5, seed 0: finished, 12.3 s, accuracy 90.00 %" in text.getvalue()


def test_rows_of_several_sweeps_have_one_head_and_each_has_its_bars() -> None:
    screen, text = a_screen()
    views = make_views(screen, quiet=False)
    assert isinstance(views, BarViews)
    mine, theirs = views.of("mine"), views.of("theirs")
    for event in EVENTS[:7]:
        mine(event)
    for event in OTHERS:
        theirs(event)
    assert [line.rstrip() for line in text.getvalue().splitlines()] == [
        "mine: 3 trials, 1 of them done, 300 steps to train",
        "sweep      ratio  seed  train time  accuracy",
        "mine         0.5     0      12.3 s   90.00 %",
        "theirs: 2 trials, 200 steps to train",
        "theirs: warning: of theirs",
        "theirs      0.25     7      4.50 s   80.00 %",
    ]
    text.seek(0)
    text.truncate()
    screen.print(views.draw())
    bars = text.getvalue().splitlines()
    assert [line.split()[0] for line in bars] == ["mine", "1.0", "theirs", "0.25"]


def test_the_bars_of_several_sweeps_are_drawn_while_the_block_runs() -> None:
    views = BarViews(a_screen()[0])
    with suppress(ZeroDivisionError), views:
        views.of("mine")(EVENTS[0])
        assert views._live.is_started
        _ = 1 / 0
    assert not views._live.is_started


def test_what_suits_the_screen_is_chosen_for_several_sweeps_too() -> None:
    def chosen(quiet: bool = False, terminal: bool = True) -> type[object]:
        return type(make_views(a_screen(terminal=terminal)[0], quiet=quiet).of("mine"))

    assert (chosen(), chosen(terminal=False), chosen(quiet=True)) == (BarView, LineView, SilentView)


def test_the_json_of_several_sweeps_names_their_own() -> None:
    screen, text = a_screen(terminal=False)
    with PlainViews(lambda sweep: JsonView(screen, sweep)) as views:
        views.of("mine")(OTHERS[1])
    assert json.loads(text.getvalue()) == {"event": "noticed", "sweep": "mine", "text": "warning: of theirs"}
