"""Where everything is printed: a console that cuts nothing off, and that goes quiet when nobody reads it any more."""

from __future__ import annotations

import os
from typing import Any

from rich.console import Console
from rich.text import Text

# For a terminal that is not UTF-8: what our own texts use beyond ASCII.
_SPELLED = str.maketrans(
    {"±": "+/-", "×": "x", "·": "-", "…": "...", "─": "-"} | dict(zip("▁▂▃▄▅▆▇█", "_.-:=+*#", strict=True))
)


class Screen(Console):
    """A rich console, with rich's own options: standard output, unless they say otherwise."""

    def __init__(self, **options: Any) -> None:
        # rich itself leaves bold and italics on; whoever sets NO_COLOR wants plain text.
        plain = {"color_system": None} if os.environ.get("NO_COLOR") else {}
        super().__init__(highlight=False, **plain | options)

    @property
    def is_animated(self) -> bool:
        """Whether what was drawn can be drawn over."""
        return self.is_terminal and not self.is_dumb_terminal

    def spelled(self, text: str) -> str:
        """`text` in the characters that this terminal has."""
        return text if self.encoding.startswith("utf") else text.translate(_SPELLED)

    def say(self, text: str) -> None:
        """Print a sentence: on a terminal broken between words, elsewhere as one line."""
        self.print(Text(self.spelled(text)), soft_wrap=not self.is_terminal)

    def write(self, text: str) -> None:
        """Print a text as it is, and end its last line."""
        self.out(text.removesuffix("\n"), highlight=False)

    def on_broken_pipe(self) -> None:
        """The reader has had enough (`| head`): the rest is for nobody, and what runs goes on."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())
