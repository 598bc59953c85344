"""Where labels stand beside points without covering anything: what finds no place is left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from rich.cells import cell_len

# Measured: of Helvetica and its kin, digits and small letters on average, as a share of the font's size.
_CHARACTER = 0.56
_LINE = 1.1
# A line is taken as small squares: so far apart, and so wide to either side.
_STEP, _HALF_LINE = 4.0, 1.5


def text_width(text: str, size: float) -> float:
    """About how wide a text is, in pixels."""
    return _CHARACTER * size * cell_len(text)


@dataclass(frozen=True)
class Box:
    """A rectangle, in pixels from the upper left."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        beside = self.right <= other.left or other.right <= self.left
        return not (beside or self.bottom <= other.top or other.bottom <= self.top)

    def lies_in(self, other: Box) -> bool:
        across = other.left <= self.left and self.right <= other.right
        return across and other.top <= self.top and self.bottom <= other.bottom


@dataclass(frozen=True)
class Place:
    """A text's place against its point: by how many pixels it is moved, and which of its ends stands there."""

    dx: float
    dy: float
    align: Literal["left", "right", "center"]

    @property
    def mirrored(self) -> Place:
        """As far below its point as this one is above."""
        return Place(self.dx, -self.dy, self.align)

    def box(self, x: float, y: float, width: float, size: float) -> Box:
        left = x + self.dx - {"left": 0.0, "center": width / 2, "right": width}[self.align]
        middle, half = y + self.dy, _LINE * size / 2
        return Box(left, middle - half, left + width, middle + half)


@dataclass
class Room:
    """A drawing that fills up. `whole` is what nothing may stick out of."""

    whole: Box
    taken: list[Box] = field(default_factory=list)

    def take_point(self, x: float, y: float, radius: float) -> None:
        self.taken.append(Box(x - radius, y - radius, x + radius, y + radius))

    def take_line(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """A straight line from one (x, y) to another."""
        (left, top), (right, bottom) = start, end
        steps = max(int(max(abs(right - left), abs(bottom - top)) / _STEP), 1)
        for step in range(steps + 1):
            share = step / steps
            self.take_point(left + share * (right - left), top + share * (bottom - top), _HALF_LINE)

    def find(self, text: str, size: float, x: float, y: float, places: Iterable[Place]) -> Place | None:
        """The first place that is free, which is taken then; None where none is."""
        for place in places:
            box = place.box(x, y, text_width(text, size), size)
            if box.lies_in(self.whole) and not any(box.overlaps(other) for other in self.taken):
                self.taken.append(box)
                return place
        return None
