import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from histories import a_start, ended
from mixed_sweep import HOSTILE, WHOLE, mixed_records
from tables import table_of

from sweep.report.grid import Grid
from sweep.report.markup import to_html, to_latex, to_markdown
from sweep.store.history import History

Maker = Callable[..., History]
ODD = Grid(
    "50 % & more",
    ("a_b", "what"),
    (("-1.5 ± 2", r"x\y~z^$#{}<|>"), ("2", "[b]")),
    ("±: a_note",),
    frozenset({"what"}),
)


@pytest.fixture
def mixed(history_of: Maker) -> Grid:
    return table_of(history_of(*mixed_records()))


def hostile_table(history_of: Maker, text: str) -> Grid:
    return table_of(history_of(a_start([WHOLE], recipe_name=text), ended(WHOLE, reason=text)))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_markdown_is_a_table_with_its_notes_below(mixed: Grid) -> None:
    header, rule, *rows, blank = to_markdown([mixed]).split("\n")[: 3 + len(mixed.rows)]
    assert cells(header) == list(mixed.headers)
    assert all(re.fullmatch("---:?", cell) for cell in cells(rule))
    assert len(cells(rule)) == len(mixed.headers)
    assert [len(cells(row)) for row in rows] == [len(mixed.headers)] * 3
    assert blank == ""
    assert to_markdown([mixed]).count("\n") == 2 + len(mixed.rows) + len(mixed.notes)


def test_two_tables_stand_apart(mixed: Grid) -> None:
    assert to_markdown([mixed, mixed]) == f"{to_markdown([mixed])}\n\n{to_markdown([mixed])}"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_or_reason_leaves_a_markdown_table_whole(history_of: Maker, text: str) -> None:
    grid = hostile_table(history_of, text)
    lines = to_markdown([grid]).split("\n")
    assert len(lines) == 4 + len(grid.notes)
    assert len(cells(lines[2])) == len(grid.headers)
    assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", "".join(lines)) is None


def test_markup_is_escaped_in_markdown(history_of: Maker) -> None:
    text = to_markdown([hostile_table(history_of, "a|b <script> [x](y) `z` *w* _v_ \\")])
    assert r"a\|b \<script\> \[x\](y) \`z\` \*w\* \_v\_ \\" in text


def test_latex_is_a_table_of_booktabs_in_which_nothing_is_a_command() -> None:
    lines = to_latex([ODD]).split("\n")
    assert r"  \caption{50 \% \& more}" in lines
    assert r"  \begin{tabular}{rl}" in lines
    assert r"    a\_b & what \\" in lines
    expected = r"\textbackslash{}y\textasciitilde{}z\textasciicircum{}\$\#\{\}\textless{}\textbar{}\textgreater{}"
    assert rf"    \(-\)1.5 \(\pm\) 2 & x{expected} \\" in lines
    assert r"    2 & {[}b{]} \\" in lines  # a row that begins with [ would be a distance
    assert r"  \par\smallskip\footnotesize \(\pm\): a\_note" in lines


@pytest.mark.parametrize("text", [*HOSTILE, r"\input{x}", "a & b", "50%", "{", "}", "^^M"])
def test_a_hostile_name_or_reason_leaves_a_latex_table_whole(history_of: Maker, text: str) -> None:
    grid = hostile_table(history_of, text)
    output = to_latex([grid])
    rows = [line for line in output.split("\n") if line.endswith(r"\\")]
    assert [len(re.split(r"(?<!\\)&", row)) for row in rows] == [len(grid.headers)] * 2
    body = output.partition(r"\toprule")[2].partition(r"\bottomrule")[0]
    known = {"midrule", "textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater", "textbar"}
    assert set(re.findall(r"\\([a-z]+)", body)) <= known | {"pm", "char", "ldots"}
    bare = re.sub(r"\\[{}]", "", output)
    assert bare.count("{") == bare.count("}")


class Tables(HTMLParser):
    """The tags and the texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_html_holds_every_cell_as_text() -> None:
    page = Tables(to_html([ODD]))
    for cell in (ODD.title, *ODD.headers, *ODD.rows[0], *ODD.rows[1], *ODD.notes):
        assert cell in page.texts
    assert page.tags.count("td") == 4
    assert page.tags.count("th") == 2
    assert set(page.tags) == {"table", "caption", "thead", "tbody", "tr", "th", "td", "p"}


@pytest.mark.parametrize("text", [*HOSTILE, "</table><script>alert(1)</script>", "&lt;b&gt;", "<!--"])
def test_a_hostile_name_or_reason_is_no_tag(history_of: Maker, text: str) -> None:
    page = Tables(to_html([hostile_table(history_of, text)]))
    assert set(page.tags) == {"table", "caption", "thead", "tbody", "tr", "th", "td", "p"}
