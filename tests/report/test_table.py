from collections.abc import Callable
from io import StringIO

import pytest
from histories import ENVIRONMENT, a_start, a_trial, ended, finished
from tables import table_of

from sweep.errors import Outcome
from sweep.report.grid import Grid, draw
from sweep.report.screen import Screen
from sweep.store.history import History
from sweep.store.records import ChosenPrecision

Maker = Callable[..., History]
HALVES = [a_trial("0.5", seed) for seed in range(3)]
WHOLE = a_trial("1.0")
HOSTILE = "x[/y] [bold]\x1b[31m=cmd|a\nb\r\u202e"


def column(view: Grid, name: str) -> list[str]:
    return [row[view.headers.index(name)] for row in view.rows]


def note(view: Grid, start: str) -> str:
    """The one note that begins so."""
    (found,) = [note for note in view.notes if note.startswith(start)]
    return found


def drawn(view: Grid, width: int = 200) -> str:
    text = StringIO()
    draw(view, Screen(file=text, width=width))
    return text.getvalue()


def test_a_sweep_is_a_row_a_ratio(history_of: Maker) -> None:
    history = history_of(
        a_start([*HALVES, WHOLE]),
        *(finished(trial, accuracy, 20.0) for trial, accuracy in zip(HALVES, (0.5, 0.75, 1.0), strict=True)),
        finished(WHOLE, 0.875, 80.0, curve={100: 0.625}),
    )
    view = table_of(history)
    assert view.headers == (
        *("ratio", "epochs", "steps", "train time", "cost", "accuracy (seeds)", "sd", "vs 1.0", "truncated"),
    )
    assert view.rows == (
        ("0.5", "10", "100", "20.0 s", "0.25x", "75.00 ± 62.10 % (3)", "25.00", "-12.50", "62.50 %"),
        ("1.0", "20", "200", "1m 20s", "1.00x", "87.50 % (1)", "", "", ""),
    )
    assert view.title == "mine: what training costs, and what it gives"
    assert any("truncated is what ratio 1.0 had reached" in note for note in view.notes)


def test_where_it_was_trained_stands_below(history_of: Maker) -> None:
    there = {"environment": ENVIRONMENT.model_copy(update={"threads": 2})}
    view = table_of(history_of(a_start([WHOLE], **there), finished(WHOLE).model_copy(update=there)))
    assert note(view, "recipe mine (").endswith("cpu (Some CPU), 2 threads, torch 2.6.0")


def test_what_amp_auto_came_to_stands_below(history_of: Maker) -> None:
    chosen = ChosenPrecision(amp="bf16", why="the processor computes in it")
    there = {"environment": ENVIRONMENT.model_copy(update={"precision": chosen})}
    view = table_of(history_of(a_start([WHOLE], **there), finished(WHOLE).model_copy(update=there)))
    assert note(view, "recipe mine (").endswith("cpu (Some CPU), 1 thread, torch 2.6.0, amp: auto is bf16")


def test_a_trial_of_another_set_up_is_marked_and_the_note_says_what_it_is_not_good_for(history_of: Maker) -> None:
    there = {"environment": ENVIRONMENT.model_copy(update={"threads": 2})}
    records = [finished(HALVES[0]), finished(HALVES[1]).model_copy(update=there), ended(HALVES[2])]
    view = table_of(history_of(a_start([*HALVES, WHOLE]), *records, finished(WHOLE).model_copy(update=there)))
    crashed = "seed 2: crashed (SIGSEGV)"
    assert column(view, "outcome") == [
        f"2 of 3 finished; other set-up: seed 1; {crashed}",
        "other set-up: seed 0",
    ]
    assert "cpu (Some CPU), 1 thread, torch" in note(view, "recipe mine")
    said = note(view, "other set-up")
    assert "(threads was 1, now 2)" in said
    assert "need not have the bits" in said
    assert "do not compare" in said


def test_without_another_set_up_nothing_is_marked(history_of: Maker) -> None:
    view = table_of(history_of(a_start([WHOLE]), finished(WHOLE)))
    assert "outcome" not in view.headers
    assert not [note for note in view.notes if "set-up" in note]


def test_several_jobs_and_several_kinds_of_device_stand_there_too(history_of: Maker) -> None:
    def on(name: str) -> dict[str, object]:
        return {"environment": ENVIRONMENT.model_copy(update={"device_name": name})}

    history = history_of(
        a_start([HALVES[0], WHOLE]).model_copy(update={"jobs": 2}),
        finished(HALVES[0]).model_copy(update=on("One GPU")),
        finished(WHOLE).model_copy(update=on("Another")),
        a_start([HALVES[0], WHOLE]),
    )
    assert "(One GPU, Another), 1 thread, torch 2.6.0, up to 2 trials at a time" in note(table_of(history), "recipe")


def test_the_realised_ratio_stands_beside_the_one_that_was_asked_for(history_of: Maker) -> None:
    view = table_of(history_of(a_start([a_trial("0.33"), a_trial("1/2")])))
    assert column(view, "ratio") == ["0.33 (0.3)", "1/2"]


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.FINISHED])
def test_a_trial_that_did_not_finish_stays_in_the_table_with_its_reason(history_of: Maker, outcome: Outcome) -> None:
    records = [] if outcome is Outcome.MISSING else [ended(HALVES[1], outcome, "its reason")]
    history = history_of(a_start(HALVES), finished(HALVES[0]), finished(HALVES[2]), *records)
    (row,) = table_of(history).rows
    reason = "missing" if outcome is Outcome.MISSING else "its reason"
    assert row[-1] == f"2 of 3 finished; seed 1: {reason}"
    assert column(table_of(history), "accuracy (seeds)") == ["90.00 ± 0.00 % (2 of 3)"]


def test_a_ratio_of_which_nothing_finished_shows_no_number(history_of: Maker) -> None:
    view = table_of(history_of(a_start([HALVES[0], WHOLE], price=1.0), ended(HALVES[0]), finished(WHOLE)))
    row = dict(zip(view.headers, view.rows[0], strict=True))
    for name in ("train time", "cost", "dollars", "accuracy (seeds)", "vs 1.0"):
        assert row[name] == "", name
    assert "truncated" not in row  # nor has any other row
    assert (row["ratio"], row["steps"]) == ("0.5", "100")


def test_without_ratio_one_the_relative_columns_are_blank_and_a_note_says_why(history_of: Maker) -> None:
    view = table_of(history_of(a_start([HALVES[0]]), finished(HALVES[0])))
    assert column(view, "cost") + column(view, "vs 1.0") == [""] * 2
    assert note(view, "no trial has ratio 1.0: cost, vs 1.0 and truncated need one")


@pytest.mark.parametrize("failed", [False, True])
def test_a_baseline_that_did_not_finish_is_named_as_the_reason(history_of: Maker, failed: bool) -> None:
    view = table_of(history_of(a_start([HALVES[0], WHOLE]), finished(HALVES[0]), *([ended(WHOLE)] if failed else [])))
    assert column(view, "cost") + column(view, "vs 1.0") == [""] * 4
    assert note(view, "no trial at ratio 1.0 has finished: cost, vs 1.0 and truncated need one")


def test_a_baseline_of_which_one_seed_finished_needs_no_excuse(history_of: Maker) -> None:
    other = a_trial("1.0", seed=1)
    view = table_of(history_of(a_start([HALVES[0], WHOLE, other]), finished(HALVES[0]), finished(WHOLE), ended(other)))
    assert column(view, "cost") == ["0.50x", "1.00x"]
    assert not any("need one" in note for note in view.notes)


def test_dollars_are_shown_only_with_a_price(history_of: Maker) -> None:
    records = (a_start([WHOLE]), finished(WHOLE, seconds=1800.0))
    assert "dollars" not in table_of(history_of(*records)).headers
    priced = table_of(history_of(a_start([WHOLE], price=2.5)))
    assert column(priced, "dollars") == ["$1.25"]


def test_the_method_is_shown_where_there_are_several(history_of: Maker) -> None:
    assert "method" not in table_of(history_of(a_start([WHOLE]))).headers
    view = table_of(history_of(a_start([a_trial("1.0", method="steps")])))
    assert column(view, "method") == ["epochs", "steps"]


@pytest.mark.parametrize(("share", "is_clean"), [(0.02, True), (0.1, True), (0.11, False), (0.9, False)])
def test_contention_is_complained_of_above_ten_percent(history_of: Maker, share: float, is_clean: bool) -> None:
    view = table_of(history_of(a_start([WHOLE]), finished(WHOLE, contention=share)))
    (note,) = (note for note in view.notes if note.startswith("contention"))
    assert f"{100 * share:.0f} %" in note
    assert ("not clean" not in note) == is_clean


def test_contention_that_is_not_known_is_said_to_be(history_of: Maker) -> None:
    view = table_of(history_of(a_start([WHOLE]), finished(WHOLE, contention=None)))
    assert "contention: not known" in view.notes


def test_damaged_records_are_named_by_line(history_of: Maker) -> None:
    history = history_of(a_start([WHOLE]))
    damaged = History(history.starts, history.stages, (2, 5))
    assert "damaged records in the journal were ignored (line 2, 5)" in table_of(damaged).notes


def test_what_was_drawn_holds_every_cell_and_note(history_of: Maker) -> None:
    view = table_of(history_of(a_start([HALVES[0], WHOLE]), finished(WHOLE), ended(HALVES[0])))
    text = drawn(view)
    for part in (view.title, *view.headers, *(cell for row in view.rows for cell in row), *view.notes):
        assert part in text


@pytest.mark.parametrize("width", [20, 40, 200])
def test_hostile_names_and_reasons_come_out_harmless(history_of: Maker, width: int) -> None:
    view = table_of(history_of(a_start([WHOLE], recipe_name=HOSTILE), ended(WHOLE, reason=HOSTILE)))
    for text in (view.title, *view.rows[0], *view.notes):
        assert not {"\x1b", "\n", "\r", "\u202e"} & set(text)
    text = drawn(view, width)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[/y]" in text.replace("\n", "")


def test_a_hostile_reason_is_shown_as_it_is_spelt(history_of: Maker) -> None:
    text = drawn(table_of(history_of(a_start([WHOLE]), ended(WHOLE, reason=HOSTILE))))
    assert "seed 0: x[/y] [bold]\\x1b[31m=cmd|a b\\x0d\\u202e" in text
