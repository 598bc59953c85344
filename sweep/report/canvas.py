"""What all charts have in common: 800 pixels, quality against training time, and the words around them.

Every size is fixed beforehand, so that labels can be placed where there is room. Texts of users are only ever values of
the specification: none is an expression, a field's name or markup.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
from rich.cells import cell_len

from sweep.printable import one_line
from sweep.report.label_places import Box, text_width
from sweep.report.plotted import Limits, Series
from sweep.report.time_axis import tick_text, time_ticks

WIDTH = 800
# Of values that are no percent: plain, or with an exponent.
_NUMBER = ".6~g"
INK, FAINT, GRID = "#222222", "#555555", "#e3e3e3"

_FONT = "Helvetica, Arial, Liberation Sans, sans-serif"
_LEFT, _BOTTOM, _PLOT_HEIGHT = 66, 50, 380
_MIN_RIGHT = 24.0
_TITLE_SIZE, _SMALL_SIZE, LABEL_SIZE = 14, 11, 12
_LINE_FACTOR = 1.25
# Measured: of sentences with a few figures, as a share of the font's size. A wider line ends in `…`.
_CHARACTER = 0.49
_MARGIN = 14
_MAX_LINES = 12
_LEGEND_WIDTH = 170


@dataclass(frozen=True)
class Canvas:
    """Where the plot lies, and the ends of its axes. `right` is the room beside it, in pixels."""

    limits: Limits
    right: float

    @property
    def width(self) -> float:
        return WIDTH - _LEFT - self.right

    @property
    def height(self) -> float:
        return _PLOT_HEIGHT

    @property
    def box(self) -> Box:
        """Where labels may stand: the plot, and the room to its right."""
        return Box(0.0, 0.0, self.width + self.right - 2, self.height)

    def place(self, seconds: float, quality: float) -> tuple[float, float]:
        """Pixels from the plot's left and from its top."""
        ends = self.limits
        across = math.log(seconds / ends.shortest) / math.log(ends.longest / ends.shortest)
        return self.width * across, self.height * ends.down(quality)

    def time(self) -> alt.X:
        """The encoding of a field `seconds`."""
        ends = [self.limits.shortest, self.limits.longest]
        ticks = time_ticks(self.limits.shortest, self.limits.longest)
        # The texts are our own, never a user's.
        texts = f"{[tick_text(tick) for tick in ticks]}[indexof({ticks}, datum.value)]"
        axis = alt.Axis(values=ticks, labelExpr=texts, title="train time")
        return alt.X("seconds:Q", scale=alt.Scale(type="log", domain=ends, nice=False), axis=axis)

    def quality(self, field: str = "quality") -> alt.Y:
        """The encoding of a field that holds heights."""
        ends, metric = [self.limits.lowest, self.limits.highest], self.limits.metric
        title = one_line(metric.axis_title)
        if self.limits.is_logarithmic:
            scale = alt.Scale(type="log", domain=ends, nice=False)
        else:
            scale = alt.Scale(domain=ends, nice=False, zero=False)
        axis = (
            alt.Axis(title=title, tickCount=7)
            if metric.is_share
            else alt.Axis(title=title, tickCount=7, format=_NUMBER)
        )
        return alt.Y(f"{field}:Q", scale=scale, axis=axis)

    def framed(
        self, layers: Iterable[alt.Chart], title: Sequence[str], subtitle: Sequence[str], caption: Sequence[str]
    ) -> alt.LayerChart:
        """The layers with a title above them and a caption below, each broken into lines that fit."""
        titles = _lines(title, _TITLE_SIZE)
        subtitles, captions = _lines(subtitle, _SMALL_SIZE), _lines(["; ".join(caption)], _SMALL_SIZE)
        top = _LINE_FACTOR * (_TITLE_SIZE * len(titles) + _SMALL_SIZE * len(subtitles)) + 2 * _MARGIN
        bottom = _BOTTOM + _LINE_FACTOR * _SMALL_SIZE * len(captions) + _MARGIN / 2
        return alt.LayerChart(
            layer=[*layers, self._caption(captions)],
            width=self.width,
            height=self.height,
            padding={"left": _LEFT, "right": self.right, "top": round(top), "bottom": round(bottom)},
            autosize=alt.AutoSizeParams(type="none"),
            background="white",
            title=alt.TitleParams(text=titles, subtitle=subtitles),
            config=_config(),
        )

    def _caption(self, lines: list[str]) -> alt.Chart:
        line_height = _LINE_FACTOR * _SMALL_SIZE
        mark: dict[str, Any] = {"align": "left", "baseline": "top", "fontSize": _SMALL_SIZE, "lineHeight": line_height}
        place = {"x": alt.value(_MARGIN - _LEFT), "y": alt.value(self.height + _BOTTOM)}
        return encoded(chart_of([{}]).mark_text(text=lines, color=FAINT, **mark), **place)


def chart_of(rows: Sequence[dict[str, Any]]) -> alt.Chart:
    """A chart of rows that stand in its specification."""
    return alt.Chart(alt.InlineData(values=list(rows)))


def encoded(chart: alt.Chart, **channels: Any) -> alt.Chart:
    """`chart.encode`, which has no types of its own."""
    drawn: alt.Chart = chart.encode(**channels)
    return drawn


def margin_for(series: Sequence[Series]) -> float:
    """The room to the right of a plot, in pixels: for the names of several curves, within reason."""
    widest = max(text_width(one.label, LABEL_SIZE) for one in series) if len(series) > 1 else 0.0
    return min(widest + 3 * _MARGIN, 0.3 * WIDTH) if widest else _MIN_RIGHT


def _lines(texts: Sequence[str], size: float) -> list[str]:
    """Each text broken into lines; what is far too long is cut off, with `…`."""
    broken = [line for text in texts for line in textwrap.wrap(text, _characters(text, size))]
    return broken if len(broken) <= _MAX_LINES else [*broken[: _MAX_LINES - 1], "…"]


def _characters(text: str, size: float) -> int:
    """How many of its characters fit into a line: fewer where they are wide ones."""
    fitting = (WIDTH - 2 * _MARGIN) / (_CHARACTER * size)
    return max(int(fitting * len(text) / max(cell_len(text), 1)), 1)


def _config() -> alt.Config:
    small = _LINE_FACTOR * _SMALL_SIZE
    ink = {"domainColor": FAINT, "tickColor": FAINT, "labelColor": INK, "titleColor": INK}
    sizes = {"labelFontSize": LABEL_SIZE, "titleFontSize": LABEL_SIZE, "titleFontWeight": "normal"}
    place = {"anchor": "start", "frame": "group", "dx": _MARGIN - _LEFT, "offset": _MARGIN}
    title = {"fontSize": _TITLE_SIZE, "lineHeight": _LINE_FACTOR * _TITLE_SIZE, "color": INK}
    subtitle = {"subtitleFontSize": _SMALL_SIZE, "subtitleLineHeight": small, "subtitlePadding": 4}
    return alt.Config(
        font=_FONT,
        view={"stroke": None},
        axis={"gridColor": GRID, **ink, **sizes},
        title={**place, **title, **subtitle, "subtitleColor": FAINT, "limit": WIDTH - 2 * _MARGIN},
        legend={"labelFontSize": LABEL_SIZE, "labelLimit": _LEGEND_WIDTH, "title": None},
    )
