"""Names and reasons from outside (a file's name, an exception's text, somebody else's journal) are shown as they are
in every format there is: nothing is markup, a formula or a control character."""

import csv
import json
import re
import unicodedata
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from histories import ENVIRONMENT, a_start, a_trial, ended, make_history, write_journal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tables import table_of

from sweep import events
from sweep.errors import Outcome
from sweep.plan.stages import make_plan
from sweep.printable import one_line
from sweep.recipe.duration import parse_ratios
from sweep.recipe.library import load_recipe
from sweep.report.export_csv import to_csv
from sweep.report.export_json import to_json
from sweep.report.findings import Findings
from sweep.report.grid import draw
from sweep.report.listing import findings_grid, sweeps_grid
from sweep.report.live import BarView, JsonView, LineView
from sweep.report.markup import to_markdown
from sweep.report.plan_view import plan_grid, plan_to_json
from sweep.report.screen import Screen
from sweep.store.catalogue import list_sweeps
from sweep.store.history import History

TEXTS = [
    "[bold]x[/bold]",
    "x[/]",
    "[/x] [link=file:///etc]y[/link]",
    ":smile: \\[x]",
    "\x1b[31mred\x1b]8;;http://x\x07",
    "\x9b2J\x00\x7f\x08",
    "=cmd|' /C calc'!A1",
    "＝1+1",
    "@SUM(1)",
    "-1+1",
    "\t=1",
    '"=1","',
    "<script>alert(1)</script> &lt;b&gt; <!--",
    "a|b ~~c~~ `d` *e* _f_ ![g](h)",
    "\u202egpj.exe\u2066",
    "two\nlines\r\nand\u2028three",
    "a,b;c'd\"e",
    "日本 ½ é ﷽",
]
ANY = st.one_of(st.sampled_from(TEXTS), st.text(max_size=40))
hostile = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def history_of(folder: Path, text: str) -> History:
    """A sweep that says `text` wherever it can."""
    trial = a_trial()
    where = ENVIRONMENT.model_copy(update={"device_name": text, "torch": text})
    folder.mkdir(exist_ok=True)
    journal = folder / "journal.jsonl"
    journal.unlink(missing_ok=True)
    return make_history(journal, a_start([trial], recipe_name=text, environment=where), ended(trial, reason=text))


def drawn(print_to: Callable[[Screen], object], **options: object) -> str:
    file = StringIO()
    print_to(Screen(file=file, **options))
    return file.getvalue()


def assert_shown(text: str, output: str) -> None:
    """`text` stands in `output` as it is, on one line, and no control character does."""
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in output.replace("\n", ""))
    # A table's cell ends without the blanks that a name may end with.
    assert one_line(text).strip() in output


def as_file_name(text: str) -> str:
    """What can be none in a name: a slash and a NUL."""
    return text.replace("/", "∕").replace("\0", "")


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


@hostile
@given(ANY)
def test_the_table_shows_it_as_it_is(tmp_path: Path, text: str) -> None:
    table = table_of(history_of(tmp_path, text))
    assert_shown(text, drawn(lambda screen: draw(table, screen)))
    for width in (30, 60, 100):
        assert_shown("", drawn(lambda screen: draw(table, screen), force_terminal=True, color_system=None, width=width))


@pytest.mark.parametrize("text", TEXTS)
def test_a_narrow_table_loses_nothing_of_it(tmp_path: Path, text: str) -> None:
    table = table_of(history_of(tmp_path, text))
    narrow = drawn(lambda screen: draw(table, screen), force_terminal=True, color_system=None, width=40)
    assert squeezed(one_line(text)) in squeezed(narrow)


@hostile
@given(ANY)
def test_markdown_shows_it_as_it_is(tmp_path: Path, text: str) -> None:
    output = to_markdown([table_of(history_of(tmp_path, text))])
    assert not re.search(r"(?<!\\)(\\\\)*[<>`*\[\]&~$]", output)
    assert_shown(text, re.sub(r"\\([\\`*_\[\]<>|&~$])", r"\1", output))


@hostile
@given(ANY)
def test_csv_holds_it_and_no_formula(tmp_path: Path, text: str) -> None:
    output = to_csv(Findings.of_history(history_of(tmp_path, text)))
    [row] = csv.DictReader(StringIO(output, newline=""))
    assert_shown(text, output.replace('""', '"'))
    assert row["recipe"] in (one_line(text), "'" + one_line(text))
    assert not row["recipe"].lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
    assert (row["recipe"] == one_line(text)) == (one_line(text).lstrip()[:1] not in tuple("=+-@＝＋－＠"))


@hostile
@given(ANY)
def test_json_holds_the_very_text(tmp_path: Path, text: str) -> None:
    output = to_json(Findings.of_history(history_of(tmp_path, text)))
    document = json.loads(output)
    assert_shown("", output)
    assert document["rows"][0]["recipe"] == document["environment"]["torch"] == text


@hostile
@given(ANY)
def test_the_list_of_sweeps_shows_it_as_it_is(tmp_path: Path, text: str) -> None:
    history_of(tmp_path / "smoke", text)
    found = list_sweeps(tmp_path)
    assert_shown(text, drawn(lambda screen: draw(sweeps_grid(found, tmp_path), screen)))


@pytest.mark.parametrize("text", TEXTS)
def test_a_folder_of_any_name_is_listed_as_it_is(tmp_path: Path, text: str) -> None:
    folder = tmp_path / as_file_name(text)
    folder.mkdir()
    write_journal(folder / "journal.jsonl", a_start([a_trial()]))
    assert_shown(folder.name, drawn(lambda screen: draw(sweeps_grid(list_sweeps(tmp_path), tmp_path), screen)))


@hostile
@given(ANY)
def test_the_doctor_shows_it_as_it_is(text: str) -> None:
    assert_shown(text, drawn(lambda screen: draw(findings_grid([(text, text, text, text)]), screen)))


def everything_that_can_be_told(text: str) -> list[events.Event]:
    return [
        events.Noticed(text),
        events.SweepStarted(text, 1, 0, 5),
        events.StageStarted("a", text, 0, 1.0, 5),
        events.Progress("a", 1, 0.5, None, None, 3.0),
        events.StageEnded("a", Outcome.CRASHED, text),
        events.TrialEnded(text, 0, Outcome.CRASHED, text, None, None),
        events.SweepEnded(text, 1, 0, None),
    ]


@hostile
@given(ANY)
def test_lines_of_a_running_sweep_show_it_as_it_is(text: str) -> None:
    output = drawn(lambda screen: [LineView(screen)(event) for event in everything_that_can_be_told(text)])
    assert_shown(text, output)
    assert output.count("\n") == 3


@hostile
@given(ANY)
def test_bars_of_a_running_sweep_show_it_as_it_is(text: str) -> None:
    def show(screen: Screen) -> None:
        view = BarView(screen)
        for event in everything_that_can_be_told(text):
            view(event)
            screen.print(view.draw())

    assert_shown(text, drawn(show, force_terminal=True, color_system=None, width=400))


@hostile
@given(ANY)
def test_events_for_a_program_hold_the_very_text(text: str) -> None:
    output = drawn(lambda screen: [JsonView(screen)(event) for event in everything_that_can_be_told(text)])
    told = [json.loads(line) for line in output.splitlines()]
    assert_shown("", output)
    assert (told[0]["text"], told[4]["reason"], told[5]["ratio"], told[5]["reason"]) == (text,) * 4


@pytest.mark.parametrize("text", TEXTS)
def test_a_plan_of_a_recipe_of_any_name_shows_it_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / f"{as_file_name(text)}.yaml"
    path.write_text("model: small_cnn\ndataset: digits\nlr_gamma: 0.5\nlr_scheduler: constantlr\n")
    plan = make_plan(load_recipe(str(path)), parse_ratios("0.5,1.0"), 1, 1000)
    assert plan.warnings
    output = drawn(lambda screen: draw(plan_grid(plan), screen))
    assert_shown(path.stem, output)
    assert one_line(f"{path}:3") in output
    document = plan_to_json(plan)
    assert_shown("", document)
    assert json.loads(document)["warnings"][0]["where"] == f"{path}:3"
