"""docs/scaling-rules.md says what the code does, and its pictures show what is planned."""

import argparse
import ast
import importlib.util
import math
import re
import shlex
import sys
from fractions import Fraction
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from sweep.api import plan_sweep
from sweep.errors import Problem, UsageError
from sweep.plan import checks, cycle_checks, method_checks
from sweep.plan.methods import TIMES
from sweep.plan.timeline import Timeline
from sweep.plan.values import step_values
from sweep.recipe.keys import Method, Scheduler
from sweep.recipe.schema import Recipe
from sweep.report.methods_view import methods_grid
from sweep.request import SweepRequest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGE = (DOCS / "scaling-rules.md").read_text(encoding="utf-8")


def _script():
    """docs/draw_schedules.py as a module."""
    spec = importlib.util.spec_from_file_location("draw_schedules", DOCS / "draw_schedules.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["draw_schedules"] = module  # where its dataclass looks for its own annotations
    spec.loader.exec_module(module)
    return module


script = _script()
by_picture = pytest.mark.parametrize("picture", script.PICTURES, ids=lambda picture: picture.name)


def section(title: str) -> str:
    """The text below one heading, up to the next of its level or above."""
    [(level, start)] = [(len(m[1]), m.end()) for m in re.finditer(rf"^(#+) {re.escape(title)}$", PAGE, re.MULTILINE)]
    following = re.search(rf"^#{{1,{level}}} ", PAGE[start:], re.MULTILINE)
    return PAGE[start : start + following.start()] if following else PAGE[start:]


def rows(title: str, *header: str) -> list[list[str]]:
    """The cells of the tables of a section that have this header."""
    found = []
    lines = section(title).splitlines()
    for index, line in enumerate(lines):
        if line == f"| {' | '.join(header)} |":
            for row in lines[index + 2 :]:
                if not row.startswith("|"):
                    break
                found.append([cell.strip() for cell in row[1:-1].split("|")])
    assert found
    assert {len(row) for row in found} == {len(header)}
    return found


def planned(ratios: str, settings: tuple[str, ...], method: str | None = None, recipe: str = "digits"):
    return plan_sweep(SweepRequest(recipe, ratios=ratios, settings=settings, method=method))


# What stands in the page.


@pytest.mark.parametrize("name", get_args(Scheduler))
def test_every_schedule_has_a_section_with_its_keys_and_its_picture(name):
    text = section(name)
    for key in checks.SCHEDULES[name].keys:
        assert f"`{key}`" in text, key
    assert f"(schedules/{name}.svg)" in text
    assert "```text\n" in text
    table = rows("The ten schedules", "schedule", "counted from", "stretches", "stays")
    assert f"`{name}`" in {row[0] for row in table}


def test_every_schedule_key_and_every_method_stands_in_the_page():
    for key in Recipe.model_fields:
        is_time = key.removesuffix("_start") in TIMES or any(key in keys for keys in TIMES.values())
        if is_time or key.startswith("lr_") or key in ("scale_warmup", "epochs", "method", "scale_methods"):
            assert re.search(rf"`{key}[`:]", PAGE), key
    for method in get_args(Method):
        assert f"`{method}`" in section("Lengths")


def test_the_links_inside_the_page_lead_somewhere():
    titles = re.findall(r"^#+ (.+)$", PAGE, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors


def test_the_readme_leads_to_the_page():
    assert "(docs/scaling-rules.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    return [line for language, block in blocks if not language for line in block.splitlines()]


def test_each_picture_stands_below_the_command_that_plans_it():
    assert commands() == [
        picture.command for picture in sorted(script.PICTURES, key=lambda picture: PAGE.index(f"/{picture.name}.svg"))
    ]
    for picture in script.PICTURES:
        shown = rf"\n{re.escape(picture.command)}\n```\n\n!\[[^]]+\]\(schedules/{picture.name}\.svg\)\n"
        assert re.search(shown, PAGE)


@pytest.mark.parametrize("line", commands())
def test_the_commands_of_the_page_run_without_a_warning(line, sweep, tmp_path):
    run = sweep(*shlex.split(line)[1:], cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "warning" not in run.stdout + run.stderr
    assert [path.suffix for path in tmp_path.iterdir()] == [".csv"]


# The pictures.


def test_every_picture_that_is_named_is_there_and_every_one_that_is_there_is_named():
    named = {DOCS / link for link in re.findall(r"!\[[^]]+\]\(([^)]+)\)", PAGE)}
    assert named == set(script.FOLDER.glob("*.svg")) == {picture.path for picture in script.PICTURES}


def lines_of(svg: str) -> dict[float, np.ndarray]:
    """The lines of a drawn picture by ratio, the longest first as they were drawn: (corners, 2) pixels, x and y."""
    paths = re.findall(r'class="mark-line[^>]*><path[^>]* d="M([^"]+)"', svg)
    assert len(paths) == len(script.STYLES)
    corners = [np.array([corner.split(",") for corner in path.split("L")], dtype=float) for path in paths]
    return dict(zip(sorted(script.STYLES, reverse=True), corners, strict=True))


def values_of(timeline: Timeline, picture) -> tuple[np.ndarray, np.ndarray]:
    """Where each step begins, in epochs, and the value that is drawn of it."""
    values = step_values(timeline, 0, timeline.num_steps)[picture.column]
    return np.arange(timeline.num_steps) / timeline.lengths.steps_per_epoch, np.array(values, dtype=float)


def jumps_of(timeline: Timeline, picture) -> list[int]:
    """The steps at which the value that is drawn jumps."""
    if picture.column != "lr":
        return [step for step, _ in timeline.methods.tracks[picture.column].changes[1:]]
    if picture.name == "wsd":  # whose one position is a corner, no jump
        return []
    return [step for step in timeline.positions if step < timeline.num_steps]


def assert_shows(svg: str, picture) -> None:
    """Each line of the picture passes through every planned value, to less than half a pixel, and ends with the run."""
    plan = planned(script.RATIOS, picture.settings, recipe=picture.recipe)
    longest = max(float(timeline.lengths.num_epochs) for timeline in plan.timelines)
    peak = max(values_of(timeline, picture)[1].max() for timeline in plan.timelines)
    lines = lines_of(svg)
    assert sorted(lines) == [float(timeline.lengths.ratio.value) for timeline in plan.timelines]
    for timeline in plan.timelines:
        x, y = lines[float(timeline.lengths.ratio.value)].T
        epochs, values = values_of(timeline, picture)
        assert x[-1] == pytest.approx(float(timeline.lengths.num_epochs) / longest * script.WIDTH, abs=0.01)
        assert np.all(np.diff(x) >= 0)
        # A thousandth of a pixel on: where the line is upright that is its new end.
        shown = np.interp(epochs / longest * script.WIDTH + 1e-3, x, y)
        np.testing.assert_allclose(shown, script.HEIGHT * (1 - values / peak), rtol=0, atol=0.5)


@by_picture
def test_every_picture_shows_the_values_that_are_planned_now(picture):
    svg = picture.path.read_text(encoding="utf-8")
    assert_shows(svg, picture)
    for text in ("epoch", picture.axis, f"{picture.title}, at ratios 0.25, 0.5 and 1.0", *map(str, script.STYLES)):
        assert f">{text}</text>" in svg
    assert re.search(r'<rect width="\d+" height="\d+" fill="white"/>', svg)
    assert int(re.search(r'width="(\d+)"', svg)[1]) <= 800
    assert len(svg) < 20_000


@pytest.mark.parametrize("name", ["multisteplr", "once-an-epoch"])
def test_drawing_anew_shows_the_planned_rates(name, tmp_path):
    [picture] = [each for each in script.PICTURES if each.name == name]
    script.draw(picture, tmp_path / "drawn.svg")
    assert_shows((tmp_path / "drawn.svg").read_text(encoding="utf-8"), picture)


@by_picture
def test_what_is_drawn_is_thinned_and_upright_where_the_value_jumps(picture):
    for timeline in planned(script.RATIOS, picture.settings, recipe=picture.recipe).timelines:
        epochs, values = values_of(timeline, picture)
        ratio, steps = float(timeline.lengths.ratio.value), range(len(values))
        corners = script.drawn(pd.DataFrame({"ratio": ratio, "step": steps, "epoch": epochs, "value": values}))
        assert len(corners) < 80
        for step in jumps_of(timeline, picture):
            upright = corners[corners["epoch"] == epochs[step]]
            assert upright["value"].tolist() == [values[step - 1], values[step]], step


def test_the_last_epoch_of_a_short_cosine_is_as_high_as_the_page_says():
    def last(num_epochs):
        settings = ("lr_warmup_epochs=0", "lr_interval=epoch", f"epochs={num_epochs}")
        [timeline] = planned("1", settings).timelines
        return f"{timeline.rates(timeline.num_steps - 1, timeline.num_steps)[0] / timeline.recipe.lr:.0%}"

    assert f"the last of two epochs of a cosine has {last(2).replace('%', ' %')} of the peak" in PAGE
    assert f"the last of four {last(4).replace('%', ' %')}." in PAGE


# The formulas.


def formulas(title: str) -> list[tuple[str, str]]:
    """What the first formula block of a section defines, as (name, expression), in the page's order."""
    block = re.findall(r"```text\n(.*?)```", section(title), flags=re.DOTALL)[0]
    parts = [part for line in block.splitlines() for part in re.split(r"[,;]? {2,}", line)]
    return re.findall(r"^(a\(t\)|[a-z]) = (.+)$", "\n".join(parts), flags=re.MULTILINE)


def by_hand(text: str, letters: dict) -> float:
    return eval(text.replace("^", "**"), {"__builtins__": {}}, letters)  # noqa: S307 - our own page's text


def worked_out(title: str, timeline: Timeline, steps: range, which: int = 0, **letters):
    """The rates at `steps` by the page's `a(t)`, or the one of several that `which` counts out; approximately."""
    dilation, recipe = timeline.lengths.dilation, timeline.recipe
    letters |= recipe.model_dump() | {"f": recipe.lr_min / recipe.lr, "d": recipe.lr_warmup_decay}
    letters |= {"N": dilation.baseline_steps, "w": dilation.baseline_warmup_steps, "B": dilation.steps_per_epoch}
    letters |= {"N_r": dilation.num_steps, "w_r": dilation.warmup_steps}
    letters |= {"cos": math.cos, "sqrt": math.sqrt, "pi": math.pi}
    multiplier = [text for name, text in formulas(title) if name == "a(t)"][which]
    rates = []
    for t in steps:
        letters |= {"t": t, "p": (t - dilation.warmup_steps) / (dilation.num_steps - dilation.warmup_steps)}
        letters |= {name: by_hand(text, letters) for name, text in formulas(title) if name in ("e", "q")}
        rates.append(recipe.lr * by_hand(multiplier, letters))
    return pytest.approx(rates)


SMOOTH = {
    "exponentiallr": ("lr_gamma=0.8",),
    "cosineannealinglr": ("lr_min=0.01",),
    "linearlr": ("lr_start_factor=0.9", "lr_end_factor=0.1"),
    "polynomiallr": ("lr_power=2.5",),
    "constantlr": (),
}


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("warmup", ["scale_warmup=false", "scale_warmup=true"])
def test_the_formula_of_a_smooth_schedule_gives_the_planned_rates(name, warmup):
    for timeline in planned("0.3,1,1.5", (f"lr_scheduler={name}", warmup, *SMOOTH[name])).timelines:
        steps = range(timeline.lengths.warmup_steps, timeline.num_steps)
        assert timeline.rates(steps.start, steps.stop) == worked_out(name, timeline, steps)


@pytest.mark.parametrize("which", [0, 1])
def test_the_formulas_of_the_warm_up_give_the_planned_rates(which):
    method = ("linear", "constant")[which]
    [timeline] = planned("0.3", (f"lr_warmup_method={method}", "lr_warmup_decay=0.1")).timelines
    assert timeline.rates(0, 23) == worked_out("Warm-up", timeline, range(23), which)


@pytest.mark.parametrize("which", [1, 2])
def test_the_formulas_of_wsd_give_the_planned_rates(which):
    shape = ("linear", "1-sqrt")[which - 1]
    settings = ("lr_scheduler=wsd", "lr_min=0.01", "lr_cooldown=0.3dur", f"lr_cooldown_shape={shape}")
    [timeline] = planned("0.5", settings).timelines
    [c] = timeline.positions
    assert c == 230 - 69
    assert timeline.rates(23, c + 1) == worked_out("wsd", timeline, range(23, c + 1), c=c)
    assert timeline.rates(c, 230) == worked_out("wsd", timeline, range(c, 230), which, c=c)


@pytest.mark.parametrize("anneal", ["cos", "linear"])
def test_the_formulas_of_onecyclelr_give_the_planned_rates(anneal):
    settings = ("lr_scheduler=onecyclelr", "lr_warmup_epochs=0", "lr_div_factor=10", f"lr_anneal={anneal}")
    [timeline] = planned("0.3", settings).timelines
    letters = dict(formulas("onecyclelr"))
    c = by_hand(letters["c"], {"lr_pct_start": 0.3, "N_r": timeline.num_steps})
    u = by_hand(letters["u"], {"lr_div_factor": 10})
    v = by_hand(letters["v"], {"u": u, "lr_final_div_factor": 1e4})

    def h(x):
        return (1 - math.cos(math.pi * x)) / 2 if anneal == "cos" else x

    for which, steps in enumerate((range(math.floor(c) + 1), range(math.ceil(c), timeline.num_steps))):
        shown = worked_out("onecyclelr", timeline, steps, which, c=c, u=u, v=v, h=h)
        assert timeline.rates(steps.start, steps.stop) == shown


@pytest.mark.parametrize("row", rows("Methods", "settings", "ratio", "method", "when"), ids=lambda row: row[0])
def test_the_examples_of_methods_are_what_is_planned(row):
    settings, ratio, method, when = row
    grid = methods_grid(planned(ratio, tuple(settings.strip("`").split())))
    assert (method, ratio, when) in grid.rows


# The worked examples, the refusals and the warnings.

EXAMPLES = rows("Worked examples", "settings", "ratio", "epochs", "steps", "realised", "warm-up", "changes at")


@pytest.mark.parametrize("row", EXAMPLES, ids=lambda row: f"{row[0]} {row[1]}")
def test_the_worked_examples_are_what_is_planned(row):
    settings = () if row[0] == "as it is" else tuple(row[0].strip("`").split())
    [timeline] = planned(row[1], settings).timelines
    lengths = timeline.lengths
    changes = ", ".join(str(step) for step in timeline.positions if step < timeline.num_steps) or "none"
    found = [f"{float(lengths.num_epochs):.4g}", str(lengths.num_steps), f"{float(lengths.realised):.4g}"]
    assert row[2:] == [*found, str(lengths.warmup_steps), changes]


def test_the_example_in_full_is_worked_out_as_the_code_does():
    from_start, from_warmup = (
        planned("0.25", tuple(EXAMPLES[index][0].strip("`").split())).timelines[0] for index in (6, 7)
    )
    assert from_start.positions == (58, 86)
    stretch = Fraction(115 - 23, 460 - 23)
    shares = [float(milestone * stretch) for milestone in (230, 345)]
    assert from_warmup.positions == tuple(round(23 + share) for share in shares)
    assert all(f"23 + {share:.2f}" in PAGE for share in shares)


HEADER = ("when", "message", "example")
REFUSED = rows("What is refused", *HEADER)
WARNED = rows("What is warned of", *HEADER)


def finding(example: str) -> tuple[list[Problem], list[Problem]]:
    """What `sweep plan digits` with these arguments refuses, and what it warns of."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ratios", default="0.25,0.5,1.0")
    parser.add_argument("--method")
    parser.add_argument("--set", action="append", default=[])
    given = parser.parse_args(shlex.split(example.strip("`")))
    try:
        return [], list(planned(given.ratios, tuple(given.set), given.method).warnings)
    except UsageError as error:
        return list(error.problems), []


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row[0])
def test_what_the_page_says_is_refused_is_refused_in_these_words(row):
    refused, _ = finding(row[2])
    assert [problem for problem in refused if row[1].strip("`") in str(problem)], [str(problem) for problem in refused]


@pytest.mark.parametrize("row", WARNED, ids=lambda row: row[0])
def test_what_the_page_says_is_warned_of_is_warned_of_in_these_words(row):
    refused, warned = finding(row[2])
    assert not refused
    assert [problem for problem in warned if row[1].strip("`") in str(problem)], [str(problem) for problem in warned]


def test_no_refusal_or_warning_of_a_plan_is_missing_from_the_page(monkeypatch):
    """Each place of a plan's checks that makes a problem is reached by one of the page's examples."""
    names, reached, places = ("_problem", "problem", "Problem"), set(), set()
    for module in (checks, cycle_checks, method_checks):
        source = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(source) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
        places |= {(module, call.lineno, call.end_lineno) for call in calls if call.func.id in names}
        for name in names:
            if name in vars(module):
                monkeypatch.setattr(module, name, _spied(module, vars(module)[name], reached))
    for row in REFUSED + WARNED:
        finding(row[2])
    missing = [
        (module.__name__, first)
        for module, first, last in places
        if not reached & {(module, line) for line in range(first, last + 1)}
    ]
    assert len(places) > 25
    assert not missing


def _spied(module, made, reached):
    """`made`, with the line that calls it added to `reached`."""

    def record(*args, **kwargs):
        reached.add((module, sys._getframe(1).f_lineno))
        return made(*args, **kwargs)

    return record


# What trials share.


def shared_steps(*words: str) -> int:
    """How many steps the run at ratio 0.5 has in common with the one at 1.0, by an option's words."""
    settings = tuple(value for option, value in zip(words[::2], words[1::2], strict=True) if option == "--set")
    methods = [value for option, value in zip(words[::2], words[1::2], strict=True) if option == "--method"]
    request = SweepRequest(
        "digits", "0.5,1.0", method=next(iter(methods), None), settings=("epochs=16", "min_shared_steps=1", *settings)
    )
    plan = plan_sweep(request)
    return plan.num_steps_alone - plan.num_steps


def test_what_trials_share_is_as_many_steps_as_the_page_says():
    found = rows("What trials share", "schedule", "the same are", "for instance", "steps")
    assert {name for row in found for name in re.findall(r"`(\w+)`", row[0])} >= set(get_args(Scheduler))
    for *_, instance, steps in found:
        assert shared_steps(*shlex.split(instance.strip("`"))) == int(steps), instance


@pytest.mark.parametrize("name", ["cosineannealingwarmrestarts", "linearlr", "polynomiallr", "exponentiallr"])
def test_those_of_one_row_share_alike(name):
    more = ("--set", "lr_t_0=4") if name == "cosineannealingwarmrestarts" else ()
    assert shared_steps("--set", f"lr_scheduler={name}", *more) == 24
    assert shared_steps("--set", f"lr_scheduler={name}", "--set", "lr_warmup_epochs=1/16dur", *more) == 1


def test_steplr_shares_up_to_its_first_decay():
    # 5 epochs of the baseline are 2.5 of the shorter run: 57.5 steps, rounded up.
    assert shared_steps("--set", "lr_scheduler=steplr", "--set", "lr_step_size=5") == 58
