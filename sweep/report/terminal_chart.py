"""The curve in a terminal: cost against quality in braille, or in plain characters where there is no braille.

The same points, front, intervals and control as in a picture, without seeds and fit, which need finer dots.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from plotille import Canvas
from rich.text import Text

from sweep.printable import one_line
from sweep.report.findings import Findings
from sweep.report.plotted import Limits, Series, limits_of, make_series
from sweep.report.screen import Screen
from sweep.report.time_axis import tick_text, time_ticks

_MARKS = "o+*#@%&"
_COLOURS = ("blue", "red", "green", "magenta", "yellow", "cyan", None)
_TRUNCATED = "x"
_HEIGHT = 16
_MAX_TICKS = 8
_MIN_WIDTH, _MAX_WIDTH = 30, 100
# A character holds 2 x 4 dots.
_ACROSS, _DOWN = 2, 4
_BLANK = chr(0x2800)  # no terminal's font is sure to leave it empty
_DOTS = map(chr, range(0x2801, 0x2900))
_PLAIN = str.maketrans(dict.fromkeys(_DOTS, ".") | dict(zip("│┤└┬─", "|+++-", strict=True)))


def draw_chart(findings: Findings, screen: Screen) -> None:
    """Print it, as wide as the screen and no wider than can be read at a glance; nothing where nothing was measured."""
    series = make_series(findings)
    if not series:
        return
    is_plain = not screen.encoding.startswith("utf")
    for line in chart_lines(series, screen.width, has_colours=screen.color_system is not None):
        drawn = Text.from_ansi(line)
        screen.print(Text(drawn.plain.translate(_PLAIN)) if is_plain else drawn, soft_wrap=True)


def chart_lines(series: Sequence[Series], width: int, has_colours: bool = False) -> list[str]:
    """The lines of the chart in braille, from its heading to the key below it."""
    limits = limits_of(series)
    ticks = quality_ticks(limits)
    texts = [_quality_text(tick, ticks) for tick in ticks]
    margin = max(len(text) for text in texts) + 1
    paper = _Paper(limits, min(max(width, _MIN_WIDTH), _MAX_WIDTH) - margin - 2, has_colours)
    for place, one in enumerate(series):
        paper.draw(one, _MARKS[place % len(_MARKS)], _COLOURS[place % len(_COLOURS)] if len(series) > 1 else None)
    paper.write_ratios(series)
    labels = {paper.row(tick): text for tick, text in zip(ticks, texts, strict=True)}
    rows = [
        f"{labels.get(row, ''):>{margin}} {'┤' if row in labels else '│'}{line}"
        for row, line in enumerate(paper.lines())
    ]
    heading = f"{'':{margin}} {one_line(limits.metric.axis_title)}"
    return ["", heading, *rows, *_time_axis(paper, margin), *_key(series)]


class _Paper:
    """The plot, in dots of braille from the lower left; characters that stand in it cover its dots."""

    def __init__(self, limits: Limits, width: int, has_colours: bool) -> None:
        self._limits, self.width, self._has_colours = limits, width, has_colours
        self._canvas = Canvas(width, _HEIGHT, 0, 0, width * _ACROSS, _HEIGHT * _DOWN)
        self._taken: set[tuple[int, int]] = set()

    def draw(self, one: Series, mark: str, colour: str | None) -> None:
        """Everything of a curve but its labels."""
        colour = colour if self._has_colours else None
        for start, end in pairwise([(point.seconds, point.quality) for point in one.front]):
            self._line(start, end, 1, colour)
        for start, end in pairwise(one.truncated):
            self._line(start, end, 3, colour)
        for point in one.points:
            if point.low is not None and point.high is not None:
                self._line((point.seconds, point.low), (point.seconds, point.high), 2, colour)
        for seconds, quality in one.truncated:
            self._mark(seconds, quality, _TRUNCATED, colour)
        for point in one.points:
            self._mark(point.seconds, point.quality, mark, colour)

    def write_ratios(self, series: Sequence[Series]) -> None:
        """Beside each point, where nothing else stands."""
        for one in series:
            for point in one.points:
                text = one_line(point.row.ratio_text)
                column, row = self.column(point.seconds), self.row(point.quality)
                for place in ((column + 1, row + 1), (column - len(text), row - 1), (column + 2, row)):
                    if self._write(text, *place):
                        break

    def column(self, seconds: float) -> int:
        return min(int(self._across(seconds)) // _ACROSS, self.width - 1)

    def row(self, quality: float) -> int:
        """From the top."""
        return _HEIGHT - 1 - min(int(self._up(quality)) // _DOWN, _HEIGHT - 1)

    @property
    def times(self) -> tuple[float, float]:
        return self._limits.shortest, self._limits.longest

    def lines(self) -> list[str]:
        """From the top."""
        return [line.replace(_BLANK, " ").rstrip() for line in self._canvas.plot(linesep="\n").split("\n")]

    def _across(self, seconds: float) -> float:
        shortest, longest = self.times
        share = math.log(seconds / shortest) / math.log(longest / shortest)
        return round(share * (self.width * _ACROSS - 1))

    def _up(self, quality: float) -> float:
        return round(self._limits.up(quality) * (_HEIGHT * _DOWN - 1))

    def _line(self, start: tuple[float, float], end: tuple[float, float], every: int, colour: str | None) -> None:
        """A line of every dot, or of every so many of them."""
        ends = [(self._across(seconds), self._up(quality)) for seconds, quality in (start, end)]
        (left, low), (right, high) = ends
        steps = int(max(abs(right - left), abs(high - low), 1))
        for step in range(0, steps + 1, every):
            x, y = left + (right - left) * step / steps, low + (high - low) * step / steps
            self._canvas.point(x, y, color=colour)  # nothing is drawn of what lies outside

    def _mark(self, seconds: float, quality: float, mark: str, colour: str | None) -> None:
        self._taken.add((self.column(seconds), self.row(quality)))
        self._canvas.point(self._across(seconds), self._up(quality), color=colour, marker=mark)

    def _write(self, text: str, column: int, row: int) -> bool:
        """Whether there was room for it."""
        cells = {(column + place, row) for place in range(-1, len(text) + 1)}
        is_inside = column >= 0 and column + len(text) <= self.width and 0 <= row < _HEIGHT
        if not is_inside or cells & self._taken:
            return False
        self._taken |= cells
        self._canvas.text(column * _ACROSS, (_HEIGHT - 1 - row) * _DOWN, text)
        return True


def _time_axis(paper: _Paper, margin: int) -> Iterator[str]:
    ruler, labels = ["─"] * paper.width, [" "] * (paper.width + margin)
    end = 0
    for tick in time_ticks(*paper.times, at_most=max(paper.width // 10, 1)):
        text, column = tick_text(tick), paper.column(tick)
        ruler[column] = "┬"
        start = column + margin - len(text) // 2
        if start >= end and start + len(text) <= len(labels):
            labels[start : start + len(text)] = text
            end = start + len(text) + 1
    yield f"{'':{margin}} └{''.join(ruler)}"
    yield f"  {''.join(labels).rstrip()}"
    yield f"{'train time':>{margin + 2 + paper.width}}"


def _key(series: Sequence[Series]) -> Iterator[str]:
    if len(series) > 1 or any(one.curve.is_approximate for one in series):
        yield from (f"{_MARKS[place % len(_MARKS)]} {one.label}" for place, one in enumerate(series))
    if any(one.truncated for one in series):
        yield f"{_TRUNCATED} ratio 1.0, stopped there"


def quality_ticks(limits: Limits) -> list[float]:
    """Round numbers within the limits; on a logarithmic axis 1, 2 and 5 times the powers of ten, or some of those."""
    low, high = limits.lowest, limits.highest
    if not limits.is_logarithmic:
        return percent_ticks(low, high)
    powers = [10.0**decade for decade in range(math.floor(math.log10(low)), math.ceil(math.log10(high)))]
    fine = [digit * power for power in powers for digit in (1, 2, 5) if low <= digit * power <= high]
    coarse = [power for power in powers if low <= power <= high]
    return fine if len(fine) <= _MAX_TICKS else coarse[:: math.ceil(len(coarse) / _MAX_TICKS)]


def percent_ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers from low to high."""
    size = 10.0 ** math.floor(math.log10((high - low) / 3))
    step = next(size * digit for digit in (5, 2, 1) if (high - low) / (size * digit) >= 3)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _quality_text(tick: float, ticks: Sequence[float]) -> str:
    """With as many decimals as any of them needs; very large and very small numbers with an exponent."""
    fitting = (places for places in range(7) if all(abs(round(at, places) - at) < 1e-9 for at in ticks))
    decimals = next(fitting, None)
    is_plain = decimals is not None and max(abs(at) for at in ticks) < 1e7 and any(round(at, 6) for at in ticks)
    return f"{tick:.{decimals}f}" if is_plain else f"{tick:.6g}"
