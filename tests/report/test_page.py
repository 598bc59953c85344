"""The page as text: what is in it, and that nothing of it is markup or leads anywhere."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from histories import ENVIRONMENT, RECIPE, a_start, a_trial, ended, finished
from tables import make_frame

from sweep.errors import MachineError, UsageError
from sweep.report.findings import Findings
from sweep.report.page import check_page, page, write_page
from sweep.report.verdict import verdict_text
from sweep.store.history import History
from sweep.store.records import ChosenPrecision

Maker = Callable[..., History]
TRIALS = [a_trial(ratio, seed) for ratio in ("0.25", "0.5", "1.0") for seed in range(2)]
HOSTILE = "</script><img src=x onerror=alert(1)> {{7*7}} \u2028 ${x} &amp; ]]> <!--"


class Page(HTMLParser):
    """Its elements with their attributes, and the texts in each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data.strip()))

    def all(self, tag: str) -> list[str]:
        return [text for element, text in self.texts if element == tag]

    @property
    def charts(self) -> dict[str, object]:
        [text] = [text for text in self.all("script") if text.startswith("{")]
        charts: dict[str, object] = json.loads(text)
        return charts


@pytest.fixture
def whole(history_of: Maker) -> History:
    accuracies = (0.8, 0.82, 0.88, 0.89, 0.9, 0.91)
    done = [
        finished(trial, accuracy, 10.0 * place, curve={50: 0.5})
        for place, (trial, accuracy) in enumerate(zip(TRIALS, accuracies, strict=True), 1)
    ]
    return history_of(a_start(TRIALS), *done)


def test_it_holds_the_verdict_the_tables_and_the_notes(whole: History) -> None:
    findings = Findings.of_history(whole)
    shown = Page(page(findings))
    assert verdict_text(findings.curves[0]) in shown.all("p")
    assert shown.all("td").count("0.25 to 0.5") == 1
    assert any(text.startswith("± is half a 95 % interval") for text in shown.all("li"))
    assert {"ratio", "train time", "accuracy (seeds)"} <= set(shown.all("button"))
    assert not shown.open


def test_cells_are_sorted_by_their_numbers(whole: History) -> None:
    shown = Page(page(Findings.of_history(whole)))
    numbers = [
        float(attributes["data-number"] or "") for _, attributes in shown.elements if "data-number" in attributes
    ]
    rows = Findings.of_history(whole).curves[0].rows
    for row in rows:
        assert {row.realised_ratio, row.steps, row.train_seconds, row.score, row.sd} <= set(numbers)


def test_it_draws_the_curve_every_trials_way_and_every_ratios_rate(whole: History) -> None:
    charts = Page(page(Findings.of_history(whole))).charts
    assert set(charts) == {"curve", "learning", "rates"}
    learning = charts["learning"]["data"]["values"]  # type: ignore[index]
    assert len({point["line"] for point in learning}) == 6
    assert {point["quality"] for point in learning} >= {50.0, 80.0, 91.0}
    rates = charts["rates"]["data"]["values"]  # type: ignore[index]
    assert {point["ratio"] for point in rates} == {"0.25", "0.5", "1.0"}
    whole_run = [point["rate"] for point in rates if point["ratio"] == "1.0"]
    assert (max(whole_run), whole_run[0]) == (RECIPE.lr, RECIPE.lr)  # constant, and without a warm-up


def test_of_very_many_trials_the_means_are_drawn(history_of: Maker) -> None:
    trials = [a_trial("1.0", seed) for seed in range(201)]
    history = history_of(a_start(trials), *(finished(trial, 0.5 + 0.25 * (trial.seed % 2)) for trial in trials))
    [point] = Page(page(Findings.of_history(history))).charts["learning"]["data"]["values"]  # type: ignore[index]
    assert point["quality"] == pytest.approx(100 * (0.5 + 0.25 * 100 / 201))


def test_it_says_where_how_and_what_failed(history_of: Maker) -> None:
    history = history_of(a_start(TRIALS), finished(TRIALS[0]), ended(TRIALS[1], reason="out of luck"))
    shown = Page(page(Findings.of_history(history)))
    assert "out of luck" in shown.all("td")
    assert ENVIRONMENT.device_name in shown.all("dd")
    [command, recipe] = shown.all("pre")
    assert command.startswith("sweep run ./mine.yaml --ratios 0.25,0.5,1.0 --seeds 2 --method epochs")
    assert "lr_scheduler: " in recipe


def test_a_recipe_that_is_none_any_more_costs_only_its_schedules(history_of: Maker) -> None:
    start = a_start(TRIALS)
    old = start.model_copy(update={"recipe": start.recipe | {"lr_sheduler": "steplr"}})
    shown = Page(page(Findings.of_history(history_of(old, finished(TRIALS[0])))))
    assert set(shown.charts) == {"curve", "learning"}
    assert any(text.startswith("The schedules cannot be shown: ") and "lr_sheduler" in text for text in shown.all("p"))


def test_a_table_of_somebody_elses_has_a_page_without_what_only_a_journal_knows() -> None:
    trials = [{"ratio": ratio, "train_seconds": 10 * ratio, "accuracy": 0.9} for ratio in (0.5, 1)]
    shown = Page(page(Findings("theirs.csv", make_frame(*trials), 0.5, remarks=("read so",))))
    assert set(shown.charts) == {"curve"}
    assert "read so" in shown.all("li")
    assert "How to reproduce it" not in shown.all("h2")


def test_of_several_recipes_every_verdict_and_every_note_stands_once() -> None:
    trials = [
        {"recipe": recipe, "ratio": ratio, "train_seconds": 10 * ratio, "accuracy": 0.8 + 0.05 * ratio + more}
        for recipe, more in (("a", 0), ("b", 0.01))
        for ratio in (0.5, 1, 2)
    ]
    findings = Findings("theirs.csv", make_frame(*trials), 0.5)
    shown = Page(page(findings))
    assert [text for text in shown.all("p") if ": " in text][:2] == findings.verdicts
    notes = shown.all("li")
    assert [len([note for note in notes if note.startswith(f"{name}: best: 2")]) for name in "ab"] == [1, 1]
    assert not set(notes) & set(findings.verdicts)


def test_a_sweep_of_which_nothing_finished_has_a_page(history_of: Maker) -> None:
    shown = Page(page(Findings.of_history(history_of(a_start(TRIALS)))))
    assert "no trial has finished yet" in shown.all("p")
    assert set(shown.charts) == {"curve", "rates"}


def test_what_amp_auto_came_to_is_told_with_its_reason(history_of: Maker) -> None:
    chosen = ChosenPrecision(amp="none", why="a batch is too small")
    there = {"environment": ENVIRONMENT.model_copy(update={"precision": chosen})}
    shown = Page(page(Findings.of_history(history_of(a_start(TRIALS, **there)))))
    assert shown.all("dd")[shown.all("dt").index("amp: auto")] == "none: a batch is too small"


@pytest.fixture
def hostile(history_of: Maker) -> str:
    where = ENVIRONMENT.model_copy(update={"device_name": HOSTILE})
    done = finished(TRIALS[0]).model_copy(update={"environment": where})
    start = a_start(TRIALS, recipe_name=HOSTILE, environment=where)
    return page(Findings.of_history(history_of(start, done, ended(TRIALS[1], reason=HOSTILE))))


def test_no_text_is_markup(hostile: str) -> None:
    shown = Page(hostile)
    assert [tag for tag, _ in shown.elements].count("script") == 3
    assert "img" not in [tag for tag, _ in shown.elements]
    assert not any(name.startswith("on") for _, attributes in shown.elements for name in attributes)
    assert any("<img src=x onerror=alert(1)>" in text for text in shown.all("td"))
    assert any("{{7*7}}" in text for text in shown.all("td"))
    assert not shown.open


def test_nothing_in_it_is_fetched(hostile: str) -> None:
    for tag, attributes in Page(hostile).elements:
        for name in ("src", "href", "action", "srcset"):
            assert (attributes.get(name) or "data:,") == "data:,", tag
    assert "@import" not in hostile.partition("<script")[0]
    assert "url(" not in hostile.partition("<script")[0]


def test_only_its_own_scripts_may_run(hostile: str) -> None:
    shown = Page(hostile)
    [policy] = [a["content"] or "" for tag, a in shown.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert "unsafe-eval" not in policy
    assert "default-src 'none'" in policy
    scripts = re.findall(r"<script>(.*?)</script>", hostile, re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


@pytest.mark.parametrize("name", ["report.pdf", "report", ".html/x"])
def test_a_name_that_is_no_pages_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"end the name in \.html"):
        check_page(Path(name))


def test_it_is_written_as_a_whole_or_not_at_all(whole: History, tmp_path: Path) -> None:
    write_page(Findings.of_history(whole), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text() == page(Findings.of_history(whole))
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".jsonl"] == ["report.html"]
    with pytest.raises(MachineError):
        write_page(Findings.of_history(whole), tmp_path / "none" / "report.html")
