"""Cost against quality as one picture, for every kind of file: the means with their intervals, what is worth its cost,
the control that was stopped early, the fit and every seed. The verdict is the title."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from sweep.printable import one_line
from sweep.report.canvas import Canvas, margin_for
from sweep.report.findings import Findings
from sweep.report.labels import Labels
from sweep.report.marks import Marks, Places, Style
from sweep.report.notes import set_up_text
from sweep.report.plotted import Fitted, Point, Series, limits_of, make_series

# Of more verdicts than these none is read.
MAX_VERDICTS = 4


def findings_chart(findings: Findings) -> alt.LayerChart:
    """800 pixels wide; its height is what the title needs. Where nothing was measured, it says so."""
    series = make_series(findings)
    fronts = [_places(one.front) for one in series]
    canvas = Canvas(limits_of(series), margin_for(series))
    fits = [_places(one.fitted) for one in series]
    labels = Labels(canvas, series, [*fronts, *fits, *(one.truncated for one in series)])
    names = labels.names()
    marks = Marks(canvas, Style([one.label for one in series], has_legend=len(series) > 1 and not names), series)
    curves = (*marks.fits(), *marks.truncated(), *marks.lines(fronts))
    points = (*marks.intervals(), *marks.seeds(), *marks.points())
    layers = (*curves, *points, *names, *labels.ratios())
    caption = [*marks.meanings(), *_meanings(series)]
    return canvas.framed(layers, _title(findings), _subtitle(findings), caption)


def _places(drawn: Sequence[Point] | Sequence[Fitted]) -> Places:
    return [(at.seconds, at.quality) for at in drawn]


def _title(findings: Findings) -> list[str]:
    if not 0 < len(findings.verdicts) <= MAX_VERDICTS:
        return [one_line(f"{findings.name}: what training costs, and what it gives")]
    return [one_line(verdict) for verdict in findings.verdicts]


def _subtitle(findings: Findings) -> list[str]:
    devices = ", ".join(dict.fromkeys(device for curve in findings.curves for device in curve.devices))
    where = set_up_text(findings.history) if findings.history is not None else devices
    return [one_line(f"{findings.name}, {where}" if where else findings.name)]


def _meanings(series: Sequence[Series]) -> list[str]:
    parts = {
        "approximate: one cyclic run, no scaled runs": any(one.curve.is_approximate for one in series),
        "crosses, dotted: ratio 1.0, stopped there": any(one.truncated for one in series),
        "band: the fit and its 95 % interval": any(one.fitted for one in series),
    }
    return [part for part, is_there in parts.items() if is_there]
