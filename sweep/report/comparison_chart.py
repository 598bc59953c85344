"""Compared curves in one picture: their interpolated lines, their means, and where one overtakes another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import altair as alt

from sweep.printable import one_line
from sweep.report.canvas import INK, Canvas, chart_of, encoded, margin_for
from sweep.report.cells import duration_text
from sweep.report.chart import MAX_VERDICTS
from sweep.report.comparison import Comparison, sampled_line
from sweep.report.comparison_notes import verdict_text
from sweep.report.contender import Contender, Lineup
from sweep.report.label_places import Place
from sweep.report.labels import Labels
from sweep.report.marks import Marks, Places, Style
from sweep.report.plotted import Series, limits_of

_CROSSING_PLACES = (Place(-14, -16, "right"), Place(14, 20, "left"), Place(-14, -32, "right"), Place(14, 36, "left"))


def comparison_chart(lineup: Lineup, comparisons: Sequence[Comparison]) -> alt.LayerChart:
    """800 pixels wide; a curve for each contender, and a ring at each crossing with the reference."""
    series = [Series(one_line(contender.name), contender.curve) for contender in lineup.contenders]
    lines = [_line(contender) for contender in lineup.contenders]
    canvas = Canvas(limits_of(series), margin_for(series))
    labels = Labels(canvas, series, lines)
    names = labels.names()
    marks = Marks(canvas, Style([one.label for one in series], has_legend=not names), series)
    curves = (*marks.lines(lines), *marks.intervals(), *marks.seeds(), *marks.points())
    layers = (*curves, *names, *_crossings(canvas, labels, comparisons), *labels.ratios())
    approximate = ["approximate: one cyclic run, no scaled runs"] * lineup.is_approximate
    caption = [*marks.meanings(), "lines: monotone cubics (PCHIP)", *approximate, *_meanings(comparisons)]
    return canvas.framed(layers, _title(lineup, comparisons), [_subtitle(lineup)], caption)


def _line(contender: Contender) -> Places:
    return [(seconds, contender.curve.metric.shown(score)) for seconds, score in sampled_line(contender)]


def _crossings(canvas: Canvas, labels: Labels, comparisons: Sequence[Comparison]) -> Iterator[alt.Chart]:
    places = [
        (crossing.train_seconds.value, comparison.metric.shown(crossing.score))
        for comparison in comparisons
        for crossing in comparison.crossings
    ]
    if places:
        rings = chart_of([{"seconds": seconds, "quality": quality} for seconds, quality in places])
        drawn = rings.mark_point(shape="circle", size=420, color=INK, strokeWidth=1.2, opacity=1)
        yield encoded(drawn, x=canvas.time(), y=canvas.quality())
    for seconds, quality in places:
        yield from labels.beside(duration_text(seconds), (seconds, quality), _CROSSING_PLACES)


def _title(lineup: Lineup, comparisons: Sequence[Comparison]) -> list[str]:
    if len(comparisons) > MAX_VERDICTS:
        return [
            one_line(f"{lineup.reference.name} and {len(comparisons)} others: what training costs, and what it gives")
        ]
    return [one_line(verdict_text(comparison)) for comparison in comparisons]


def _subtitle(lineup: Lineup) -> str:
    places = dict.fromkeys(contender.place for contender in lineup.contenders)
    return one_line(f"trained on: {'; '.join(places)}")


def _meanings(comparisons: Sequence[Comparison]) -> list[str]:
    has_crossings = any(comparison.crossings for comparison in comparisons)
    return ["rings: where one overtakes the other, with the time"] if has_crossings else []
