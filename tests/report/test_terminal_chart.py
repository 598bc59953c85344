"""The curve in a terminal: the same points and ticks in braille and in plain characters, and in any width."""

from io import StringIO
from typing import Any

import pytest
from tables import make_frame

from sweep.report.findings import Findings
from sweep.report.screen import Screen
from sweep.report.terminal_chart import draw_chart, percent_ticks

BRAILLE = {chr(code) for code in range(0x2800, 0x2900)}


def findings(*recipes: str, **more: Any) -> Findings:
    rows = [
        {"recipe": recipe, "ratio": ratio, "train_seconds": 60 * ratio, "accuracy": at + 0.01 * place, **more}
        for place, recipe in enumerate(recipes)
        for ratio, at in ((0.1, 0.80), (0.25, 0.90), (0.5, 0.93), (1.0, 0.94))
    ]
    return Findings("mine", make_frame(*rows), 0.5)


def drawn(shown: Findings, width: int = 80, encoding: str = "utf-8", terminal: bool = True) -> str:
    text = StringIO()
    screen = Screen(file=text, width=width, force_terminal=terminal, color_system=None)
    screen.__class__ = type("Spelt", (Screen,), {"encoding": encoding})
    draw_chart(shown, screen)
    return text.getvalue()


def test_it_is_drawn_in_braille_with_its_points_ratios_and_ticks() -> None:
    text = drawn(findings("mine"))
    assert BRAILLE & set(text)
    assert text.count("o") == 4
    for label in ("0.1", "0.25", "0.5", "1", "accuracy, %", "train time", "80 ┤", "90 ┤", "10 s", "1 min"):
        assert label in text
    assert max(map(len, text.splitlines())) <= 80
    assert chr(0x2800) not in text  # fonts draw it as anything but a blank
    assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_a_better_length_stands_higher_and_a_dearer_one_further_right() -> None:
    lines = drawn(findings("mine")).splitlines()
    marks = [(column, -row) for row, line in enumerate(lines) for column, sign in enumerate(line) if sign == "o"]
    assert len(marks) == 4
    by_cost = sorted(marks)
    assert [row for _, row in by_cost] == sorted(row for _, row in marks)


def test_a_terminal_without_utf_8_gets_the_same_picture_in_plain_characters() -> None:
    shown = findings("mine", truncated_accuracy=0.7)
    braille, plain = drawn(shown), drawn(shown, encoding="ascii")
    assert plain.isascii()
    translated = braille.translate(dict.fromkeys(map(ord, BRAILLE), "."))
    for sign, spelled in zip("│┤└┬─", "|+++-", strict=True):
        translated = translated.replace(sign, spelled)
    assert plain == translated
    assert "x ratio 1.0, stopped there" in plain


def test_several_curves_have_marks_of_their_own_and_a_key() -> None:
    text = drawn(findings("one", "x[/y] \x1b[31m"))
    assert "o one\n" in text
    assert "+ x[/y] \\x1b[31m\n" in text
    assert "\x1b" not in text
    assert text.count("o one") == 1
    assert text.count("+") >= 4


@pytest.mark.parametrize("width", [30, 47, 80, 250])
def test_it_is_no_wider_than_the_terminal_nor_than_a_glance(width: int) -> None:
    assert max(map(len, drawn(findings("mine"), width).splitlines())) <= min(width, 100)


def test_nothing_is_drawn_where_nothing_was_measured() -> None:
    nothing = make_frame({"ratio": 1.0, "train_seconds": float("nan"), "accuracy": float("nan"), "outcome": "crashed"})
    assert drawn(Findings("mine", nothing, 0.5)) == ""


@pytest.mark.parametrize("seconds", [1e-7, 1.0, 1e10])
@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_one_length_of_any_time_and_accuracy_is_drawn(seconds: float, accuracy: float) -> None:
    shown = Findings("mine", make_frame({"ratio": 1.0, "train_seconds": seconds, "accuracy": accuracy}), 0.5)
    assert drawn(shown).count("o") == 1


def test_without_colours_no_escape_sequence_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = StringIO()
    draw_chart(findings("one", "two"), Screen(file=text, width=80, force_terminal=True))
    assert "\x1b" not in text.getvalue()
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    text = StringIO()
    draw_chart(findings("one", "two"), Screen(file=text, width=80, force_terminal=True, color_system="standard"))
    assert "\x1b[" in text.getvalue()


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (98.1, 99.3, [98.2, 98.4, 98.6, 98.8, 99.0, 99.2]),
        (84.6, 93.1, [86, 88, 90, 92]),
    ],
)
def test_ticks_are_few_and_round(low: float, high: float, ticks: list[float]) -> None:
    assert percent_ticks(low, high) == pytest.approx(ticks)
