"""The output of a command, read from its end: the same lines as anybody reads, whatever was printed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.run import output
from sweep.run.output import Output

printed = st.lists(
    st.one_of(st.binary(max_size=30), st.sampled_from([b"\n", b"\r\n", b"\x1b[31m", b"\x1b]0;title\x07", b"Acc@1 7"])),
    max_size=30,
).map(b"".join)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("logs") / "trial.log"


def read_plainly(content):
    """The lines that are not empty, the last one first."""
    escapes = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
    lines = [escapes.sub("", line.decode("utf-8", "replace")).strip() for line in re.split(rb"[\r\n]", content)]
    return [line for line in reversed(lines) if line]


@given(printed, printed, st.integers(1, 64))
def test_lines_are_the_same_whatever_the_size_of_a_block(log, before, content, block):
    log.write_bytes(before + content)
    original = output._BLOCK_BYTES
    output._BLOCK_BYTES = block
    try:
        assert list(Output(log, len(before)).lines()) == read_plainly(content)
    finally:
        output._BLOCK_BYTES = original


def test_only_the_end_of_a_long_output_is_read(log):
    log.write_bytes(b"first\n" + b"x\n" * 1000 + b"last\n")
    assert next(iter(Output(log, 0).lines(100))) == "last"
    assert "first" not in list(Output(log, 0).lines(100))
    assert "first" in list(Output(log, 0).lines())


def test_a_line_without_end_is_read_in_parts(log):
    log.write_bytes(b"begin" + b"x" * 1_000_000 + b"end")
    parts = list(Output(log, 0).lines())
    assert parts[0].endswith("end")
    assert parts[-1].startswith("begin")
    assert max(map(len, parts)) <= 64 * 1024
    assert sum(map(len, parts)) == 1_000_008


def test_the_ending_shows_the_last_lines_that_say_something(log):
    log.write_bytes(b"one\ntwo\n    call()\n    ^^^^^^\n\x1b[1mthree\x1b[0m\a\n" + b"y" * 500 + b"\n\xff\xff\xfe\n")
    assert Output(log, 0).ending() == f"three\\x07 / {'y' * 80}… / \N{REPLACEMENT CHARACTER}"
    log.write_bytes(b"\n \n")
    assert Output(log, 0).ending() == ""


def test_a_log_that_is_gone_holds_nothing(tmp_path):
    gone = Output(tmp_path / "gone.log", 0)
    assert (list(gone.lines()), gone.num_bytes(), gone.ending()) == ([], 0, "")
