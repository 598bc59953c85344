"""The frame as CSV: one row a trial, numbers exact, and empty what was not measured. `csv_table.py` reads it back.

Where trials are judged by something else than accuracy, that has a column of its own name, and `metric` and `mode` say
which; of a command's trials `train_seconds_source` says whose clock it was. Where there are cyclic runs
`is_approximate` says which trials are theirs.

Control characters are written out (`\\x1b`). A text that a spreadsheet would compute (`=…`, `+…`, `-…`, `@…`) has an
apostrophe before it, as OWASP advises: that changes the text, but only that of a name which somebody chose so.
"""

from __future__ import annotations

from sweep.printable import one_line
from sweep.report.csv_cells import FORMULA_STARTS
from sweep.report.findings import Findings
from sweep.report.frame import COLUMNS, EXTRA_COLUMNS, quality_columns, with_approximations


def to_csv(findings: Findings) -> str:
    """Every trial, with all that the table is made of."""
    frame = with_approximations(findings.frame[[*COLUMNS, *EXTRA_COLUMNS]].copy())
    if not findings.metric.is_share:
        quality, truncated = quality_columns(findings.metric)
        frame["metric"], frame["mode"] = findings.metric.name, findings.metric.mode
        frame[quality], frame[truncated] = findings.frame["quality"], findings.frame["truncated_quality"]
    sources = findings.frame["train_seconds_source"]
    if sources.notna().any():
        frame["train_seconds_source"] = sources
    for column in frame.select_dtypes(exclude="number"):
        frame[column] = frame[column].map(_text, na_action="ignore")
    header = [_text(name) for name in frame.columns]
    text: str = frame.to_csv(index=False, lineterminator="\n", header=header)
    return text


def _text(value: object) -> str:
    text = one_line(str(value))
    return f"'{text}" if text.lstrip().startswith(FORMULA_STARTS) else text
