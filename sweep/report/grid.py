"""A table as plain cells, and how it is laid out: in full width where there is room, else closer, else row by row.

No cell is ever cut short: what does not fit is broken between words, or stands below its heading.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from sweep.report.screen import Screen

# Wider than any table: rich measures against it.
_UNLIMITED = 10_000
# A column of texts is broken into lines no shorter than this.
_MIN_TEXT_WIDTH = 12


@dataclass(frozen=True)
class Grid:
    """Headers, rows of as many cells, and the lines below. `texts` are the headers of columns that hold words and
    stand to the left. Nothing in it is markup or a control character."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    texts: frozenset[str] = frozenset()


def draw(grid: Grid, screen: Screen) -> None:
    """Print the table with its lines below it. Where there is no terminal, there is always room."""
    grid = _spelled(grid, screen)
    table = _roomy(grid)
    natural = _width(table, screen)
    if natural <= screen.width or not screen.is_terminal:
        _print_wide(table, natural, screen)
    elif (closer := _close(grid, screen.width)) is not None:
        _print_wide(closer, screen.width, screen)
        screen.print()
    else:
        _print_row_by_row(grid, screen)
    for note in grid.notes:
        screen.say(note)


def _spelled(grid: Grid, screen: Screen) -> Grid:
    rows = tuple(tuple(screen.spelled(cell) for cell in row) for row in grid.rows)
    return replace(grid, title=screen.spelled(grid.title), rows=rows)


def _print_wide(table: Table, width: int, screen: Screen) -> None:
    screen.width = max(screen.width, width)
    if screen.is_terminal:
        screen.print(table)
        return
    with screen.capture() as drawn:  # in a file, what fills a line up is only in the way
        screen.print(table)
    screen.write("".join(f"{line.rstrip()}\n" for line in drawn.get().splitlines()))


def _width(table: Table, screen: Screen) -> int:
    return Measurement.get(screen, screen.options.update(max_width=_UNLIMITED), table).maximum


def _justify(grid: Grid, header: str) -> Literal["left", "right"]:
    return "left" if header in grid.texts else "right"


def _add_rows(table: Table, grid: Grid) -> Table:
    for row in grid.rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _roomy(grid: Grid) -> Table:
    """Every column as wide as its widest cell; said here, since rich would measure them all whenever it is asked."""
    table = Table(title=Text(grid.title), title_justify="left", box=box.SIMPLE_HEAD)
    for header, *cells in zip(grid.headers, *grid.rows, strict=True):
        table.add_column(Text(header), justify=_justify(grid, header), width=max(map(cell_len, (header, *cells))))
    return _add_rows(table, grid)


def _close(grid: Grid, room: int) -> Table | None:
    """One space between columns, headers and texts broken into lines; None where even that is too wide."""
    table = Table(title=Text(grid.title), title_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    widths = [_close_width(grid, index) for index in range(len(grid.headers))]
    spare = room - sum(widths) - len(widths) + 1
    if spare < 0:
        return None
    for header, width, natural in zip(grid.headers, widths, _natural_widths(grid), strict=True):
        if header in grid.texts:
            wider = min(spare, max(natural - width, 0))
            width, spare = width + wider, spare - wider
        table.add_column(Text(header), justify=_justify(grid, header), width=width, overflow="fold")
    return _add_rows(table, grid)


def _natural_widths(grid: Grid) -> list[int]:
    return [max(len(row[index]) for row in grid.rows) if grid.rows else 0 for index in range(len(grid.headers))]


def _close_width(grid: Grid, index: int) -> int:
    header = grid.headers[index]
    longest_word = max(len(word) for word in header.split())
    natural = _natural_widths(grid)[index]
    return max(longest_word, min(natural, _MIN_TEXT_WIDTH) if header in grid.texts else natural)


def _print_row_by_row(grid: Grid, screen: Screen) -> None:
    """Each row as a paragraph: its first cell as the heading, then a line for each other cell that says something."""
    screen.say(grid.title)
    for row in grid.rows:
        screen.print()
        screen.say(f"{grid.headers[0]} {row[0]}")
        cells = [(header, cell) for header, cell in zip(grid.headers[1:], row[1:], strict=True) if cell]
        _print_cells(cells, screen)
    screen.print()


def _print_cells(cells: list[tuple[str, str]], screen: Screen) -> None:
    """One below the other, lined up where there is room for that."""
    widest_header = max((len(header) for header, _ in cells), default=0)
    longest_word = max((len(word) for _, cell in cells for word in cell.split()), default=0)
    if widest_header + 4 + longest_word > screen.width:
        for header, cell in cells:
            screen.say(f"  {header}: {cell}")
        return
    lines = Table.grid(padding=(0, 2, 0, 0))
    for header, cell in cells:
        lines.add_row(Text(f"  {header}"), Text(cell))
    screen.print(lines)
