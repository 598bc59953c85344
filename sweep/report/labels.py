"""The texts inside a chart: each curve's name at its end, and ratios beside their points, where there is room."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal

import altair as alt

from sweep.printable import one_line
from sweep.report.canvas import INK, LABEL_SIZE, Canvas, chart_of, encoded
from sweep.report.label_places import Place, Room
from sweep.report.marks import Places
from sweep.report.plotted import Point, Series

# To the right and below, since curves come from the left and go on upwards.
_RATIO_PLACES = (Place(7, 12, "left"), Place(-7, -12, "right"), Place(8, -10, "left"), Place(-8, 12, "right"))
_NAME_PLACES = (Place(12, 0, "left"), Place(12, -12, "left"))
_RADIUS, _SEED_RADIUS = 6.0, 3.0


class Labels:
    """Of a chart that has these lines, each through (seconds, quality), beside the curves' points, seeds and bars."""

    def __init__(self, canvas: Canvas, series: Sequence[Series], lines: Iterable[Places]) -> None:
        self._canvas, self._series = canvas, series
        self._room = Room(canvas.box)
        for one in series:
            for seed in one.seeds:
                self._room.take_point(*canvas.place(seed.seconds, seed.quality), _SEED_RADIUS)
            for point in one.points:
                self._room.take_point(*canvas.place(point.seconds, point.quality), _RADIUS)
        for line in (*lines, *(bar for one in series for bar in _bars(one))):
            for start, end in pairwise(line):
                self._room.take_line(canvas.place(*start), canvas.place(*end))

    @property
    def _is_falling(self) -> bool:
        """Whether curves come from above, where less is better."""
        return self._canvas.limits.metric.is_lower_better

    def names(self) -> list[alt.Chart]:
        """Each curve's name at its end; none where there is one curve, or where not all of them find room there."""
        if len(self._series) < 2:
            return []
        ends = [(one.label, one.points[-1]) for one in self._series]
        before = list(self._room.taken)
        found = [(name, end, self._find(name, end, _NAME_PLACES)) for name, end in ends]
        if any(place is None for *_, place in found):
            self._room.taken = before
            return []
        return [self._text(name, (end.seconds, end.quality), at, "bold") for name, end, at in found if at is not None]

    def ratios(self) -> Iterator[alt.Chart]:
        """Of as many points as there is room for; the baselines first, then the dearest ones."""
        points = [point for one in self._series for point in one.points]
        places = [place.mirrored for place in _RATIO_PLACES] if self._is_falling else _RATIO_PLACES
        for point in sorted(points, key=lambda point: (not point.row.is_baseline, -point.seconds)):
            text = one_line(point.row.ratio_text)
            if (place := self._find(text, point, places)) is not None:
                yield self._text(text, (point.seconds, point.quality), place, "normal")

    def beside(self, text: str, at: tuple[float, float], places: Sequence[Place]) -> Iterator[alt.Chart]:
        """A text beside (seconds, quality); none where there is no room."""
        if (place := self._room.find(text, LABEL_SIZE, *self._canvas.place(*at), places)) is not None:
            yield self._text(text, at, place, "normal")

    def _find(self, text: str, point: Point, places: Sequence[Place]) -> Place | None:
        return self._room.find(text, LABEL_SIZE, *self._canvas.place(point.seconds, point.quality), places)

    def _text(self, text: str, at: tuple[float, float], place: Place, weight: Literal["normal", "bold"]) -> alt.Chart:
        mark: dict[str, Any] = {"dx": place.dx, "dy": place.dy, "align": place.align, "baseline": "middle"}
        row = {"seconds": at[0], "quality": at[1], "label": text}
        drawn = chart_of([row]).mark_text(color=INK, fontSize=LABEL_SIZE, fontWeight=weight, **mark)
        return encoded(drawn, x=self._canvas.time(), y=self._canvas.quality(), text=alt.Text("label:N"))


def _bars(one: Series) -> Iterator[list[tuple[float, float]]]:
    for point in one.points:
        if point.low is not None and point.high is not None:
            yield [(point.seconds, point.low), (point.seconds, point.high)]
