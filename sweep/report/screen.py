"""Where everything is printed: a console that cuts nothing off, and that goes quiet when nobody reads it any more."""

from __future__ import annotations

import os
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

# Wider than any table: rich measures against it.
_UNLIMITED = 10_000


class Screen(Console):
    """A rich console, with rich's own options: standard output, unless they say otherwise."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, **options)

    def draw(self, table: Table) -> None:
        """Print a table in its full width: on a narrow terminal its lines wrap, and no cell is cut short."""
        natural = Measurement.get(self, self.options.update(max_width=_UNLIMITED), table).maximum
        self.width = max(self.width, natural)
        self.print(table)

    def write(self, text: str) -> None:
        """Print a text as it is, and end its last line."""
        self.out(text.removesuffix("\n"), highlight=False)

    def on_broken_pipe(self) -> None:
        """The reader has had enough (`| head`): the rest is for nobody, and what runs goes on."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())
