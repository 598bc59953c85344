"""Text from outside reaches a terminal without a byte that could steer it."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.printable import one_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b2J", r"\x9b2J"),
        ("\x00\x07\x7f", r"\x00\x07\x7f"),
        ("over\rwritten", r"over\x0dwritten"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("line\u2028break", r"line\u2028break"),
        ("\udcff is no character", r"\udcff is no character"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_control_and_formatting_characters_are_written_out(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize("text", ["", "lr: 0.1\nepochs: 5", "Ångström ± 日本 ½ ▁▇ …", r"a \x1b that was typed"])
def test_ordinary_text_and_line_ends_stay_as_they_are(text):
    assert printable(text) == text


@settings(deadline=None)
@given(st.text(st.characters(codec=None)))
def test_whatever_comes_can_be_encoded_and_steers_nothing(text):
    shown = printable(text)
    shown.encode("utf-8")
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in shown.replace("\n", ""))
    assert printable(shown) == shown


def test_a_text_from_outside_becomes_one_line_without_control_characters() -> None:
    assert one_line("a\nb\r\tc\x1b[31m\x9b\u202e\u2028\u2066") == "a b\\x0d\\x09c\\x1b[31m\\x9b\\u202e\\u2028\\u2066"
    assert one_line("größer 97 % … ±") == "größer 97 % … ±"
