"""The frame as CSV and JSON, the table as Markdown. Numbers are exact; what was not measured is empty or null.

JSON holds every text to the letter. In the others control characters are written out (`\\x1b`), and nothing is markup.
In CSV a text that a spreadsheet would compute (`=…`, `+…`, `-…`, `@…`) has an apostrophe before it, as OWASP advises.
That changes the text, but only that of a name which somebody chose so: no number has one, nor any text of ours.
"""

from __future__ import annotations

import json
from dataclasses import asdict

import pandas as pd

from sweep.printable import one_line
from sweep.report.bill import make_bill
from sweep.report.frame import COLUMNS, trial_frame
from sweep.report.grid import Grid
from sweep.store.history import History

JSON_FORMAT = 1
# A spreadsheet reads a text that starts with one of these as a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # spreadsheets take the wide forms too
_MARKDOWN_SPECIAL = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>|&~"})


def to_csv(history: History) -> str:
    """One row a trial, with the stable columns."""
    frame = trial_frame(history)[list(COLUMNS)]
    for column in frame.select_dtypes(exclude="number"):
        frame[column] = frame[column].map(_csv_text, na_action="ignore")
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text


def _csv_text(value: object) -> str:
    text = one_line(str(value))
    return f"'{text}" if text.lstrip().startswith(_FORMULA_STARTS) else text


def to_json(history: History) -> str:
    """`rows`, one a trial, with the stable columns; beside them the recipe, where it was trained, and as `sweep` the
    sweep's own bill."""
    start = history.starts[-1]
    own = (result.environment for result in history.results if result.environment and not result.other_set_up)
    environment = next(own, history.starts[0].environment)
    bill = make_bill(history)
    document = {
        "format": JSON_FORMAT,
        "recipe": start.recipe,
        "fingerprint": start.fingerprint,
        "price": start.price,
        "environment": environment.model_dump(),
        "sweep": asdict(bill) if bill is not None else None,
        "rows": [_json_row(row) for _, row in trial_frame(history)[list(COLUMNS)].iterrows()],
    }
    return json.dumps(document, indent=2, allow_nan=False)


def _json_row(row: pd.Series) -> dict[str, object]:
    return {str(name): None if pd.isna(value) else _plain(value) for name, value in row.items()}


def _plain(value: object) -> object:
    return value.item() if hasattr(value, "item") else value


def to_markdown(view: Grid) -> str:
    """The table of the terminal, with its lines below it."""
    header = "| " + " | ".join(view.headers) + " |"
    rule = "|" + "|".join(" --- " if name in view.texts else " ---: " for name in view.headers) + "|"
    rows = ["| " + " | ".join(_markdown_text(cell) for cell in row) + " |" for row in view.rows]
    notes = [_markdown_text(note) + "  " for note in view.notes]
    return "\n".join([header, rule, *rows, "", *notes])


def _markdown_text(text: str) -> str:
    return text.translate(_MARKDOWN_SPECIAL)
