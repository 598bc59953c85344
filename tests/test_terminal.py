"""The commands on terminals of several widths and kinds, drawn by a terminal emulator and read as a person would."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

import pyte
import pytest

ROWS = 120


@pytest.fixture(scope="session")
def on_terminal(command):
    """on_terminal("run", "smoke", columns=80) -> the screen at the end, and every byte that came."""

    def on_terminal(*arguments, columns, typed="", **environment):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "CI")}
        with subprocess.Popen(
            [command, *map(str, arguments)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=inherited | {"TERM": "xterm-256color"} | environment,
        ) as process:
            os.close(theirs)
            os.write(ours, typed.encode())
            said = b"".join(iter(lambda: read(ours), b""))
        os.close(ours)
        assert process.returncode == 0, said
        screen = pyte.Screen(columns, ROWS)
        pyte.ByteStream(screen).feed(said)
        return [line.rstrip() for line in screen.display], said

    return on_terminal


def read(descriptor):
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux's way to say that the other side is closed
        return b""


@pytest.mark.parametrize(
    "columns", [pytest.param(40, marks=pytest.mark.slow), 80, pytest.param(160, marks=pytest.mark.slow)]
)
def test_a_sweep_leaves_its_rows_and_its_table_and_no_bar(on_terminal, tmp_path, columns):
    ratios = ("--ratios", "0.25,0.5", "--seeds", "2", "--jobs", "2")
    lines, said = on_terminal("run", "smoke", *ratios, "--results", tmp_path, columns=columns)
    text = "\n".join(lines)
    header = [line.split() for line in lines].index(["ratio", "seed", "train", "time", "accuracy"])
    rows = [line.split() for line in lines[header + 1 : header + 5]]
    assert sorted(row[:2] for row in rows) == [["0.25", "0"], ["0.25", "1"], ["0.5", "0"], ["0.5", "1"]]
    assert all(row[3] == "s" and row[5] == "%" for row in rows)
    assert "━" in said.decode() or columns == 40  # there were bars
    assert "━" not in text
    assert "epoch 0" not in text
    for words in ("what training costs", "recipe smoke", "±"):
        assert words in " ".join(text.split())


@pytest.mark.slow
def test_while_it_runs_every_job_has_a_line_of_its_own(on_terminal, tmp_path):
    _, said = on_terminal(
        "run", "smoke", "--ratios", "0.9,1.0", "--jobs", "2", "--set", "epochs=40", "--results", tmp_path, columns=80
    )
    screen = pyte.Screen(80, ROWS)
    stream = pyte.ByteStream(screen)
    seen = 0
    for start in range(0, len(said), 64):
        stream.feed(said[start : start + 64])
        lines = [line.rstrip() for line in screen.display if line.strip()]
        running = [line for line in lines if line.startswith(("0.9 seed 0", "1.0 seed 0"))]
        if len(running) == 2 and all("epoch" in line for line in running):
            seen += 1
            assert sum(line.startswith("smoke ") for line in lines) == 1
            assert running[0].split()[0] != running[1].split()[0]
    assert seen


def test_without_colours_the_screen_is_the_same_and_no_style_is_sent(on_terminal, smoke_results):
    plain, said = on_terminal("report", "--results", smoke_results, columns=120, NO_COLOR="1")
    styled, styled_said = on_terminal("report", "--results", smoke_results, columns=120)
    assert plain == styled
    assert b"\x1b[" in styled_said
    assert b"\x1b" not in said


def test_a_dumb_terminal_gets_lines(on_terminal, tmp_path):
    lines, said = on_terminal("run", "smoke", "--ratios", "0.25", "--results", tmp_path, columns=120, TERM="dumb")
    assert b"\x1b" not in said
    assert any(line.startswith("ratio 0.25, seed 0: finished") for line in lines)


def test_a_terminal_without_utf_8_gets_ascii(on_terminal, tmp_path):
    arguments = ("run", "smoke", "--ratios", "0.25", "--seeds", "2", "--results", tmp_path)
    lines, said = on_terminal(*arguments, columns=120, PYTHONIOENCODING="ascii")
    assert said.isascii()
    assert any("+/-" in line for line in lines)
    assert not any("?" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "columns"),
    [
        *[(["report", "reference-fashion-mnist"], columns) for columns in (20, 40, 60, 80, 100, 160)],
        *[(["plan", "fashion_mnist"], columns) for columns in (20, 40, 80, 160)],
        *[(["list"], columns) for columns in (20, 40, 80)],
        (["recipes", "list"], 40),
        (["doctor"], 40),
    ],
)
def test_no_command_loses_a_word_on_a_narrow_terminal(on_terminal, sweep, arguments, columns, monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)
    lines, _ = on_terminal(*arguments, columns=columns)
    wide = sweep(*arguments).stdout.split()
    text = "".join("".join(lines).split())
    # Sizes and ages differ from one moment to the next.
    words = {word for word in wide if not set(word) <= {"─"} and len(word) < 10 and not re.match(r"\d", word)}
    assert words
    assert not {word for word in words if word not in text}


def test_what_is_to_be_removed_is_asked_first(on_terminal, sweep, tmp_path):
    shared = ("--set", "lr_scheduler=wsd", "--set", "min_shared_steps=1", "--ratios", "0.25,0.5", "--results", tmp_path)
    assert sweep("run", "smoke", *shared).returncode == 0

    def states():
        return list(tmp_path.glob("smoke/states/*/*.state"))

    assert states()
    for typed, is_removed in (("\n", False), ("n\n", False), ("y\n", True)):
        lines, _ = on_terminal("clean", "--results", tmp_path, columns=80, typed=typed)
        assert any(line.startswith("remove them? [y/N]") for line in lines)
        assert any("the next longer or denser grid trains from the beginning" in line for line in lines)
        assert (states() == []) == is_removed == any("smoke: removed" in line for line in lines)


@pytest.mark.parametrize("columns", [40, 80, 160])
def test_a_plan_shows_its_forest_at_any_width(on_terminal, columns):
    shared = ("--set", "lr_scheduler=wsd", "--set", "min_shared_steps=1", "--ratios", "0.25,0.5,1.0")
    lines, _ = on_terminal("plan", "smoke", *shared, columns=columns)
    text = " ".join(" ".join(lines).split())
    assert "3 ratios: 3 trials steps: 322 alone, 209 shared (35 % saved)" in text
    assert "stages of one seed: steps that trials have in common are trained once" in text
    rows = [line.split() for line in lines]
    assert ["1", "0", "38", "1.652", "3"] in rows
    assert ["5", "3", "75", "184", "8", "1", "1.0"] in rows
