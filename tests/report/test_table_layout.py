"""Tables keep every cell and every word, whatever the width; where there is no terminal they are never broken."""

import re
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.report.grid import Grid, draw
from sweep.report.screen import Screen

GRID = Grid(
    "mine: what it costs",
    ("ratio", "train time", "accuracy (seeds)", "outcome"),
    (("0.25", "43.2 s", "90.59 ± 0.16 % (3)", "finished"), ("1.0", "", "", "1 of 3 finished; seed 2: it diverged")),
    ("a note below the table that is rather long",),
    texts=frozenset({"outcome"}),
)


def drawn(grid: Grid, width: int, terminal: bool = True, encoding: str = "utf-8") -> str:
    text = StringIO()
    screen = Screen(file=text, width=width, force_terminal=terminal, color_system=None)
    screen.__class__ = type("Spelt", (Screen,), {"encoding": encoding})
    draw(grid, screen)
    return text.getvalue()


def test_with_room_a_row_is_a_line() -> None:
    lines = [line.rstrip() for line in drawn(GRID, 120).splitlines()]
    assert lines[0] == "mine: what it costs"
    assert lines[2].split() == ["ratio", "train", "time", "accuracy", "(seeds)", "outcome"]
    assert set(lines[3]) == {" ", "─"}
    assert lines[4].split() == ["0.25", "43.2", "s", "90.59", "±", "0.16", "%", "(3)", "finished"]
    assert lines[-1] == GRID.notes[0]


def test_with_less_room_headers_and_texts_are_broken_between_words() -> None:
    lines = drawn(GRID, 54).splitlines()
    assert max(map(len, lines)) <= 54
    assert [line.split() for line in lines[1:3]] == [["train"], ["ratio", "time", "accuracy", "(seeds)", "outcome"]]
    assert lines[3].split() == ["0.25", "43.2", "s", "90.59", "±", "0.16", "%", "(3)", "finished"]
    assert lines[4].split() == ["1.0", "1", "of", "3", "finished;", "seed"]


def test_with_little_room_a_row_is_a_paragraph_and_an_empty_cell_is_left_out() -> None:
    text = drawn(GRID, 40)
    assert "\nratio 0.25\n  train time        43.2 s\n  accuracy (seeds)  90.59 ± 0.16 % (3)\n" in re.sub(
        " +\n", "\n", text
    )
    assert "\nratio 1.0\n  outcome  1 of 3 finished; seed 2: it\n" in re.sub(" +\n", "\n", text)
    assert max(map(len, text.splitlines())) <= 40


def test_without_a_terminal_there_is_always_room() -> None:
    assert drawn(GRID, 20, terminal=False) == drawn(GRID, 120, terminal=False)
    assert not re.search(" $", drawn(GRID, 20, terminal=False), flags=re.MULTILINE)


def test_a_grid_without_rows_is_its_headers() -> None:
    empty = Grid("nothing", ("sweep", "state"), ())
    assert "sweep" in drawn(empty, 80)
    assert "sweep" not in drawn(empty, 5)  # no row, no paragraph


WORDS = st.text("abcxyz0189.%", min_size=1, max_size=8)
CELLS = st.lists(WORDS, max_size=4).map(" ".join)


@given(
    st.integers(1, 6).flatmap(
        lambda columns: st.tuples(
            st.lists(WORDS, min_size=columns, max_size=columns, unique=True).map(tuple),
            st.lists(st.tuples(*[CELLS] * columns), min_size=1, max_size=4).map(tuple),
        )
    ),
    st.integers(20, 160),
    st.booleans(),
)
def test_no_width_loses_a_word_or_overflows(table, width, last_is_text):
    headers, rows = table
    grid = Grid("title", headers, rows, texts=frozenset(headers[-1:] if last_is_text else ()))
    text = drawn(grid, width)
    assert {word for row in rows for cell in row for word in cell.split()} <= set(text.split())
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("width", [40, 54, 120])
def test_a_terminal_that_is_not_utf_8_gets_ascii(width: int) -> None:
    text = drawn(GRID, width, encoding="iso-8859-1")
    assert text.isascii()
    assert "90.59 +/- 0.16 % (3)" in text
