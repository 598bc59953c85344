"""What is drawn of curves, a layer of the chart each. All of a curve has its colour, and its points have its shape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import altair as alt

from sweep.printable import one_line
from sweep.report.canvas import Canvas, chart_of, encoded
from sweep.report.cells import duration_text, number_text, ratio_text
from sweep.report.metric import Metric
from sweep.report.plotted import Fitted, Point, Series

# Okabe and Ito's colours, without the yellow that nobody sees on white; each goes with a shape and a dash of its own,
# so that nothing is told by colour alone.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right")
DASHES = ((1, 0), (9, 3), (12, 3, 3, 3), (5, 2), (16, 4), (9, 3, 2, 3, 2, 3), (20, 3, 5, 3))
_SAINT_ANDREWS_CROSS = "M-1,-1L1,1M-1,1L1,-1"
# The tooltip's lines: a field, and what it is called.
_FIELDS = {
    "curve": "curve",
    "ratio": "ratio",
    "epochs": "epochs",
    "steps": "steps",
    "time": "train time",
    "cost": "cost",
    "metric": "",  # by the metric's name
    "seeds": "seeds",
    "dollars": "dollars",
}

Places = Sequence[tuple[float, float]]


class Style:
    """How curves are told apart: by colour, shape and dash at once, in this order."""

    def __init__(self, labels: Sequence[str], has_legend: bool) -> None:
        self._labels = list(labels)
        legend = alt.Legend(orient="right", offset=12, symbolSize=90, symbolStrokeWidth=2, symbolOpacity=1)
        self._legend = legend if has_legend else None

    def colour(self) -> alt.Color:
        return alt.Color("curve:N", scale=self._scale(COLOURS), legend=self._legend)

    def shape(self) -> alt.Shape:
        # Shifted with every round through the colours.
        shapes = [SHAPES[(place + place // len(SHAPES)) % len(SHAPES)] for place in range(len(self._labels))]
        return alt.Shape("curve:N", scale=self._scale(shapes), legend=self._legend)

    def dash(self) -> alt.StrokeDash:
        return alt.StrokeDash("curve:N", scale=self._scale([list(dash) for dash in DASHES]), legend=self._legend)

    def _scale(self, values: Sequence[Any]) -> alt.Scale:
        repeated = [values[place % len(values)] for place in range(len(self._labels))]
        return alt.Scale(domain=self._labels, range=repeated)


@dataclass(frozen=True)
class Marks:
    """The layers of some curves. Where there is nothing to draw, there is no layer."""

    canvas: Canvas
    style: Style
    series: Sequence[Series]

    @property
    def metric(self) -> Metric:
        """What is drawn upwards."""
        return self.canvas.limits.metric

    def _ends(self, at: Point | Fitted) -> dict[str, float]:
        ends = {"low": at.low, "high": at.high}
        return {name: self.canvas.limits.drawable(end) for name, end in ends.items() if end is not None}

    def fits(self) -> Iterator[alt.Chart]:
        """A thin line with a light band around it."""
        rows = [{"curve": one.label, **asdict(at), **self._ends(at)} for one in self.series for at in one.fitted]
        if rows:
            band = chart_of(rows).mark_area(opacity=0.13, clip=True)
            yield self._drawn(band, y=self.canvas.quality("low"), y2="high:Q")
            yield self._drawn(chart_of(rows).mark_line(strokeWidth=1, opacity=0.8, clip=True))

    def truncated(self) -> Iterator[alt.Chart]:
        """The full-length run, stopped at each length: a dotted line with crosses."""
        rows = [row for one in self.series for row in _rows(one, one.truncated)]
        if rows:
            yield self._drawn(chart_of(rows).mark_line(strokeWidth=1.5, strokeDash=[3, 3]))
            yield self._drawn(
                chart_of(rows).mark_point(shape=_SAINT_ANDREWS_CROSS, size=40, strokeWidth=1.5, opacity=1)
            )

    def lines(self, lines: Iterable[Places]) -> Iterator[alt.Chart]:
        """A line through (seconds, quality) for each curve, in its dash."""
        rows = [row for one, places in zip(self.series, lines, strict=True) for row in _rows(one, places)]
        yield self._drawn(chart_of(rows).mark_line(strokeWidth=2), strokeDash=self.style.dash())

    def intervals(self) -> Iterator[alt.Chart]:
        points = [(one, point) for one in self.series for point in one.points if point.low is not None]
        rows = [{"curve": one.label, "seconds": at.seconds, **self._ends(at)} for one, at in points]
        if rows:
            bar = chart_of(rows).mark_rule(strokeWidth=1.3, clip=True)
            yield self._drawn(bar, y=self.canvas.quality("low"), y2="high:Q")
            for end in ("low", "high"):
                tick = chart_of(rows).mark_tick(size=9, thickness=1.3, orient="horizontal", clip=True)
                yield self._drawn(tick, y=self.canvas.quality(end))

    def seeds(self) -> Iterator[alt.Chart]:
        """Faint dots."""
        rows = [{"curve": one.label, **asdict(seed)} for one in self.series for seed in one.seeds]
        tooltip = [
            alt.Tooltip("ratio:N"),
            alt.Tooltip("seed:N"),
            alt.Tooltip("quality:Q", title=one_line(self.metric.axis_title)),
        ]
        yield self._drawn(chart_of(rows).mark_circle(size=22, opacity=0.4), tooltip=tooltip)

    def points(self) -> Iterator[alt.Chart]:
        """The means: those worth their cost filled, the others hollow."""
        points = [(one, point) for one in self.series for point in one.points]
        hollow = [pair for pair in points if not pair[1].row.is_on_front]
        if hollow:
            yield self._points(hollow, fill="white", strokeWidth=1.8)
        yield self._points([pair for pair in points if pair[1].row.is_on_front], filled=True)

    def meanings(self) -> list[str]:
        """What points, bars and dots say: of those that are there."""
        points = [point for one in self.series for point in one.points]
        has_seeds = sum(len(one.seeds) for one in self.series) > len(points)
        parts = {
            one_line(f"points: {self.metric.name} by ratio"): bool(points),
            "bars: 95 % intervals": any(point.low is not None for point in points),
            "small dots: single seeds": has_seeds,
            f"hollow: a cheaper ratio is {self.metric.as_good}": not all(point.row.is_on_front for point in points),
        }
        return [part for part, is_there in parts.items() if is_there]

    def _points(self, points: Sequence[tuple[Series, Point]], **mark: Any) -> alt.Chart:
        rows = [
            {"curve": one.label, "seconds": at.seconds, "quality": at.quality, **_texts(self.metric, at)}
            for one, at in points
        ]
        drawn = chart_of(rows).mark_point(size=85, opacity=1, **mark)
        return self._drawn(drawn, shape=self.style.shape(), tooltip=_tooltip(self.metric, rows))

    def _drawn(self, chart: alt.Chart, **channels: Any) -> alt.Chart:
        usual = {"x": self.canvas.time(), "y": self.canvas.quality(), "color": self.style.colour()}
        return encoded(chart, **usual | channels)


def _rows(one: Series, places: Places) -> list[dict[str, Any]]:
    return [{"curve": one.label, "seconds": seconds, "quality": quality} for seconds, quality in places]


def _texts(metric: Metric, point: Point) -> dict[str, str]:
    """What the tooltip says of a mean."""
    row = point.row
    return {
        "ratio": one_line(ratio_text(row.ratio_text, row.realised_ratio)),
        "epochs": number_text(row.epochs, "{:.4g}"),
        "steps": number_text(row.steps, "{:,}"),
        "time": duration_text(row.train_seconds),
        "cost": number_text(row.relative_cost, "{:.2f}x"),
        "metric": metric.value_text(row.score, row.ci95 or None),
        "seeds": str(row.num_finished),
        "dollars": number_text(row.dollars, "${:.4g}"),
    }


def _tooltip(metric: Metric, rows: Sequence[dict[str, Any]]) -> list[alt.Tooltip]:
    """Of what is known of any of them."""
    titles = _FIELDS | {"metric": one_line(metric.name)}
    return [alt.Tooltip(f"{name}:N", title=title) for name, title in titles.items() if any(row[name] for row in rows)]
