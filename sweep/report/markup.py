"""The tables as Markdown, LaTeX and HTML, to paste into a ticket, a paper or a wiki. No text in them is markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from sweep.report.grid import Grid

_MARKDOWN = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>|&~$"})
_LATEX = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"{\char34}"}
    | {"±": r"\(\pm\)", "×": r"\(\times\)", "…": r"\ldots{}", "[": "{[}", "]": "{]}"}
)

# A hyphen before a number, which is no minus in an ordinary text of LaTeX.
_MINUS = re.compile(r"(?<![\w.])-(?=[0-9])")


def to_markdown(grids: Iterable[Grid]) -> str:
    """GitHub's tables, with the lines below them."""
    return "\n\n".join(_markdown_table(grid) for grid in grids)


def _markdown_table(grid: Grid) -> str:
    header = "| " + " | ".join(name.translate(_MARKDOWN) for name in grid.headers) + " |"
    rule = "|" + "|".join(" --- " if name in grid.texts else " ---: " for name in grid.headers) + "|"
    rows = ["| " + " | ".join(cell.translate(_MARKDOWN) for cell in row) + " |" for row in grid.rows]
    notes = [note.translate(_MARKDOWN) + "  " for note in grid.notes]
    return "\n".join([header, rule, *rows, *([""] if notes else []), *notes])


def to_latex(grids: Iterable[Grid]) -> str:
    """Tables of the package booktabs, each with its title as caption and its lines below it."""
    tables = [_latex_table(grid) for grid in grids]
    return "\n\n".join(["% needs \\usepackage{booktabs}; any engine with UTF-8 input", *tables])


def _latex_table(grid: Grid) -> str:
    columns = "".join("l" if name in grid.texts else "r" for name in grid.headers)
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{grid.title.translate(_LATEX)}}}",
            rf"  \begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            _latex_row(grid.headers),
            r"    \midrule",
            *(_latex_row(row) for row in grid.rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            *(rf"  \par\smallskip\footnotesize {note.translate(_LATEX)}" for note in grid.notes),
            r"\end{table}",
        ]
    )


def _latex_row(cells: Sequence[str]) -> str:
    escaped = (_MINUS.sub(r"\\(-\\)", cell.translate(_LATEX)) for cell in cells)
    return f"    {' & '.join(escaped)} \\\\"


def to_html(grids: Iterable[Grid]) -> str:
    """Plain tables without a style of their own; the page of `--html` is more than these."""
    return "\n".join(_html_table(grid) for grid in grids)


def _html_table(grid: Grid) -> str:
    heads = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in grid.headers)
    rows = [f"<tr>{''.join(_html_cells(grid, row))}</tr>" for row in grid.rows]
    return "\n".join(
        [
            "<table>",
            f"<caption>{html.escape(grid.title)}</caption>",
            f"<thead><tr>{heads}</tr></thead>",
            "<tbody>",
            *rows,
            "</tbody>",
            "</table>",
            *(f"<p>{html.escape(note)}</p>" for note in grid.notes),
        ]
    )


def _html_cells(grid: Grid, row: Sequence[str]) -> Iterable[str]:
    for name, cell in zip(grid.headers, row, strict=True):
        style = "" if name in grid.texts else ' align="right"'
        yield f"<td{style}>{html.escape(cell)}</td>"


MARKUPS = {"markdown": to_markdown, "latex": to_latex, "html": to_html}
