"""The command line: parse, call one function, print. Whatever a command needs is imported when it runs."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from dataclasses import fields, replace
from enum import StrEnum
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sweep.advise.goal import SearchRequest
    from sweep.api import SweepRun
    from sweep.errors import SweepError
    from sweep.fitting import Fitted
    from sweep.plan.scaled import ScaledRecipe
    from sweep.plan.stages import Plan
    from sweep.report.comparison import Comparison
    from sweep.report.contender import Lineup
    from sweep.report.estimate_view import Estimate
    from sweep.report.findings import Findings
    from sweep.report.grid import Grid
    from sweep.report.picture import Picture
    from sweep.report.screen import Screen
    from sweep.request import SweepRequest

# A grid of hundreds of ratios can be wrong in as many places.
_MAX_PROBLEMS = 25
_TRACEBACK = "SWEEP_TRACEBACK"

app = typer.Typer(
    help="How long should I train? Train a recipe at a grid of scale ratios, and see what each further hour buys.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
recipes_app = typer.Typer(help="The recipes that come with it.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(recipes_app, name="recipes")
data_app = typer.Typer(help="The datasets that recipes name.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data_app, name="data")


class ReportFormat(StrEnum):
    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"
    LATEX = "latex"
    HTML = "html"


class CompareFormat(StrEnum):
    TABLE = "table"
    MARKDOWN = "markdown"
    JSON = "json"


class PlanFormat(StrEnum):
    TABLE = "table"
    JSON = "json"


class FitFormat(StrEnum):
    TABLE = "table"
    YAML = "yaml"


class ScaleFormat(StrEnum):
    YAML = "yaml"
    TORCHVISION = "torchvision"


def _complete_recipe(begun: str) -> list[str]:
    from sweep.recipe.library import shipped_recipes

    return [name for name in shipped_recipes() if name.startswith(begun)]


def _complete_dataset(begun: str) -> list[str]:
    from sweep.recipe.datasets import DATASETS

    return [name for name in DATASETS if name.startswith(begun)]


def _complete_sweep(context: typer.Context, begun: str) -> list[str]:
    from sweep.store.workspace import list_workspaces

    found = list_workspaces(context.params.get("results") or Path("results"))
    return [workspace.name for workspace in found if workspace.name.startswith(begun)]


Recipe = Annotated[
    str,
    typer.Argument(help="A shipped recipe's name, or the path of a YAML file.", autocompletion=_complete_recipe),
]
Recipes = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RECIPE",
        help="Shipped recipes' names, or paths of YAML files; several are compared. Default: digits.",
        autocompletion=_complete_recipe,
    ),
]
Ratios = Annotated[
    str | None,
    typer.Option(
        help="Ratios: 0.25,0.5,1.0 or 1/3 or 70% or a range 0.1:1:0.1.",
        show_default="0.25,0.5,1.0; with --mode cyclic the ends of its cycles",
    ),
]
Seeds = Annotated[int | None, typer.Option(help="How many seeds: the recipe's, the next one, …; default: 1.")]
Within = Annotated[str | None, typer.Option(metavar="4h|$50", help="What all of it may take; chooses what fits.")]
Method = Annotated[str | None, typer.Option(help="What a ratio scales: epochs, steps, samples or subset.")]
RunMode = Annotated[
    str | None,
    typer.Option("--mode", metavar="cyclic", help="One run for the whole curve, in cycles; its figures approximate."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Jobs = Annotated[str, typer.Option(metavar="N|auto", help="How many trials to train at a time.")]
JobsPerDevice = Annotated[int, typer.Option(help="How many of these may share a GPU.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads of each training process; default: cores / jobs.")]
Workers = Annotated[int | None, typer.Option(help="Processes that decode and augment images; default: the threads.")]
DataPath = Annotated[str | None, typer.Option(help="The folder that holds the dataset; default: the recipe's.")]
Price = Annotated[float | None, typer.Option(help="Dollars for an hour of one device.")]
Results = Annotated[Path, typer.Option(help="The folder that sweeps are kept in.")]
Name = Annotated[str | None, typer.Option(help="The sweep's name; default: the recipe's.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Set old results of this name aside and begin anew.")]
Share = Annotated[bool, typer.Option("--share/--no-share", help="Train the steps that trials have in common once.")]
Columns = Annotated[
    str | None, typer.Option(metavar="OURS=THEIRS,…", help="What a CSV calls its columns: recipe=arch,accuracy=top1.")
]
BaselineEpochs = Annotated[float | None, typer.Option(help="Epochs of ratio 1, where a CSV has epochs and no ratio.")]
MetricName = Annotated[str | None, typer.Option("--metric", help="The column that a CSV is judged by: val_loss.")]
Mode = Annotated[str | None, typer.Option(metavar="min|max", help="Whether less or more of --metric is better.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe.")]
WithinPoints = Annotated[
    float | None,
    typer.Option(help="Points that a shorter run may lose: of accuracy 0.5, of another metric 1 % of ratio 1's."),
]
Plot = Annotated[
    Path | None, typer.Option(metavar="FILE.png|svg|pdf|html", help="Draw cost against quality into this file.")
]


@app.command()
def run(
    context: typer.Context,
    recipe: Recipes = None,
    ratios: Ratios = None,
    seeds: Seeds = None,
    method: Method = None,
    mode: RunMode = None,
    device: Device = "auto",
    jobs: Jobs = "1",
    jobs_per_device: JobsPerDevice = 1,
    threads: Threads = None,
    workers: Workers = None,
    data_path: DataPath = None,
    price: Price = None,
    results: Results = Path("results"),
    name: Name = None,
    fresh: Fresh = False,
    share: Share = True,
    settings: Settings = None,
    retries: Annotated[int, typer.Option(help="How often a trial whose worker is lost or hangs is trained again.")] = 1,
    checkpoint_every: Annotated[
        str, typer.Option(metavar="SECONDS|never", help="Seconds of training between two checkpoints.")
    ] = "60",
    stall_timeout: Annotated[
        str, typer.Option(metavar="SECONDS|never", help="Stop a worker that makes no progress for so many seconds.")
    ] = "600",
    keep: Annotated[
        str, typer.Option(metavar="forks|epochs|models|none", help="Which states stay when all is done.")
    ] = "forks",
    allow_mixed: Annotated[
        bool, typer.Option("--allow-mixed", help="Go on with other threads, device or torch, and mark what they train.")
    ] = False,
    executor: Annotated[str, typer.Option(metavar="local|ray|slurm", help="The engine that trains.")] = "local",
    address: Annotated[str | None, typer.Option(help="With ray: the cluster's address, or auto.")] = None,
    resources: Annotated[
        str | None, typer.Option(metavar="NAME=AMOUNT,…", help="With ray: what a trial takes: num_cpus=2,num_gpus=1.")
    ] = None,
    slurm: Annotated[
        str | None, typer.Option(metavar="NAME=VALUE,…", help="With slurm: of a job: partition=gpu,time=02:00:00.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="With slurm: leave once all jobs are queued.")] = False,
    within: Within = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and train nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but the table.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print events, a line of JSON each, and no table.")] = False,
) -> None:
    """Train a recipe at every ratio and print what each costs and gives. Trains only what is missing.

    Several recipes take turns, and are compared: which is best at which budget.
    """
    if json and quiet:
        from sweep.errors import Problem, UsageError

        raise UsageError(Problem("does not go with --json, which prints no table", where="--quiet"))
    requests = _requests(context, recipe or ["digits"])
    if dry_run:
        _print_plans(requests, PlanFormat.JSON if json else PlanFormat.TABLE)
    elif len(requests) > 1:
        _run_together(requests, quiet, json)
    elif json:
        _run_for_a_program(requests[0])
    else:
        _run(requests[0], quiet)


@app.command()
def plan(
    context: typer.Context,
    recipe: Recipe = "digits",
    ratios: Ratios = None,
    seeds: Seeds = None,
    method: Method = None,
    mode: RunMode = None,
    device: Device = "auto",
    jobs: Jobs = "1",
    jobs_per_device: JobsPerDevice = 1,
    threads: Threads = None,
    workers: Workers = None,
    data_path: DataPath = None,
    price: Price = None,
    results: Results = Path("results"),
    name: Name = None,
    fresh: Fresh = False,
    share: Share = True,
    settings: Settings = None,
    output: Annotated[PlanFormat, typer.Option("--format", help="How to print it.")] = PlanFormat.TABLE,
    rates: Annotated[
        Path | None,
        typer.Option(help="Write every step's learning rate, and what else is scheduled, to this CSV file."),
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Try the recipe out, and show the time, dollars and memory it will take.")
    ] = False,
    pilot_seconds: Annotated[
        float | None, typer.Option(help="With --estimate: how long to try it out at most; default: 60.")
    ] = None,
) -> None:
    """Show what `sweep run` with the same arguments would train, and train nothing."""
    estimated = _estimate(_request(context), pilot_seconds) if estimate else None
    if estimated is None and pilot_seconds is not None:
        from sweep.errors import Problem, UsageError

        raise UsageError(Problem("goes with --estimate", where="--pilot-seconds"))
    if estimated is not None:
        made = estimated.plan
    else:
        from sweep.planning import plan_sweep

        made = plan_sweep(_request(context))
    if rates is not None:
        from sweep.api import write_rates

        write_rates(made, rates)
    _print_plan(made, output, estimated)


@app.command()
def fit(
    context: typer.Context,
    recipe: Recipe,
    within: Annotated[str, typer.Option(metavar="4h|$50", help="What the run may take.")],
    method: Method = None,
    device: Device = "auto",
    threads: Threads = None,
    data_path: DataPath = None,
    price: Price = None,
    results: Results = Path("results"),
    settings: Settings = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Try the recipe out anew.")] = False,
    output: Annotated[FitFormat, typer.Option("--format", help="The answer, or its recipe alone.")] = FitFormat.TABLE,
) -> None:
    """Find the longest run of a recipe that fits into a budget: the ratio to train at, and the recipe to paste."""
    from sweep.fitting import fit_recipe
    from sweep.report.live import make_view

    request = _request(context)
    with make_view(_stderr(), quiet=False) as view:
        fitted = fit_recipe(request, view)
    _print_fitted(fitted, output)


@app.command()
def search(
    context: typer.Context,
    recipe: Recipe = "digits",
    target: Annotated[str | None, typer.Option(help="What is to be reached: 0.92 or 92%, or a metric's value.")] = None,
    within_points: Annotated[float | None, typer.Option(help="Points that may be lost against ratio 1.")] = None,
    ratios: Annotated[str, typer.Option(help="The lengths that may be the answer.")] = "0.1:1:0.1",
    confidence: Annotated[float, typer.Option(help="How probable the answer has to be, from 0.5 to 1.")] = 0.9,
    max_cost: Annotated[
        str | None, typer.Option(metavar="TIME|$DOLLARS", help="Most to spend on training: 4h, 90m or $50.")
    ] = None,
    method: Method = None,
    device: Device = "auto",
    threads: Threads = None,
    workers: Workers = None,
    data_path: DataPath = None,
    price: Price = None,
    results: Results = Path("results"),
    name: Name = None,
    fresh: Fresh = False,
    settings: Settings = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but the table and the answer.")] = False,
) -> None:
    """Find the cheapest ratio that reaches a target, and train no more for it than that takes."""
    from sweep.advise.goal import SearchRequest

    _search(SearchRequest(_request(context), target, within_points, confidence, max_cost), quiet)


@app.command()
def report(
    sweep: Annotated[
        str | None,
        typer.Argument(
            help="A sweep's name, or a CSV file; default: the newest sweep.", autocompletion=_complete_sweep
        ),
    ] = None,
    results: Results = Path("results"),
    output: Annotated[ReportFormat, typer.Option("--format", help="How to print it.")] = ReportFormat.TABLE,
    fail_under: Annotated[
        str | None, typer.Option(help="Exit with 1 when the mean accuracy is lower: 0.97 or 97%.")
    ] = None,
    fail_over: Annotated[
        str | None, typer.Option(help="The same for a metric of which less is better: the mean is higher.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="The ratio that these look at; default: 1.")] = None,
    columns: Columns = None,
    baseline_epochs: BaselineEpochs = None,
    metric: MetricName = None,
    mode: Mode = None,
    html: Annotated[Path | None, typer.Option(help="Write the whole report as one page for a browser.")] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write TensorBoard event files to a new folder.")
    ] = None,
    predict: Annotated[
        str | None, typer.Option(metavar="RATIOS", help="Fit a curve, and say what it gives at these ratios.")
    ] = None,
    within_points: WithinPoints = None,
    plot: Plot = None,
    chart: Annotated[bool, typer.Option("--chart", help="Draw cost against quality below the table.")] = False,
) -> None:
    """Report a sweep, or a table of other people's: what training costs and gives, and how much of it is enough."""
    from sweep.report.outputs import Outputs
    from sweep.report.report_request import ReportRequest

    outputs = Outputs(plot, html, tensorboard)
    request = ReportRequest(
        results,
        output.value,
        fail_under,
        at,
        columns,
        baseline_epochs,
        predict,
        within_points,
        outputs,
        chart,
        fail_over,
        metric,
        mode,
    )
    asked = request.read()
    findings = asked.read(sweep)
    _print_report(findings, output)
    if chart:
        _draw_chart(findings)
    outputs.write(findings)
    asked.check(findings)


@app.command()
def compare(
    sweeps: Annotated[
        list[str],
        typer.Argument(
            metavar="A B …", help="Sweeps or CSV files; first the reference.", autocompletion=_complete_sweep
        ),
    ],
    results: Results = Path("results"),
    columns: Columns = None,
    baseline_epochs: BaselineEpochs = None,
    metric: MetricName = None,
    mode: Mode = None,
    output: Annotated[CompareFormat, typer.Option("--format", help="How to print it.")] = CompareFormat.TABLE,
    allow_mixed: Annotated[
        bool, typer.Option("--allow-mixed", help="Compare sweeps of different devices or datasets all the same.")
    ] = False,
    fail_if_worse: Annotated[
        str | None,
        typer.Option(metavar="POINTS", help="Exit with 1 when one is worse by more at any common cost, beyond noise."),
    ] = None,
    plot: Plot = None,
) -> None:
    """Compare sweeps, or the recipes of a CSV: at equal quality how much cheaper, at equal cost how much better."""
    from sweep.report.comparison import compare_all
    from sweep.report.comparison_gate import ComparisonGate
    from sweep.report.contender import line_up
    from sweep.report.source import Source

    gate = ComparisonGate.parse(fail_if_worse) if fail_if_worse is not None else None
    picture = _picture(plot)
    source = Source(results, columns, baseline_epochs, metric=metric, mode=mode)
    lineup = line_up(source.read_all(sweeps), allow_mixed)
    if gate is not None:
        gate.check_metric(lineup.reference.curve.metric)
    comparisons = compare_all(lineup)
    _print_comparison(lineup, comparisons, output)
    if picture is not None:
        from sweep.report.comparison_chart import comparison_chart

        picture.write(comparison_chart(lineup, comparisons))
    if gate is not None:
        gate.check(lineup, comparisons)


@app.command("next")
def next_trial(
    sweep: Annotated[
        str | None, typer.Argument(help="A sweep's name; default: the newest sweep.", autocompletion=_complete_sweep)
    ] = None,
    results: Results = Path("results"),
    within_points: WithinPoints = None,
) -> None:
    """Propose the trial that would change the verdict most per hour, with what it costs. Trains nothing."""
    from sweep.report.findings import Findings
    from sweep.report.grid import draw
    from sweep.report.next_view import next_grid
    from sweep.report.verdict import check_within
    from sweep.store.catalogue import read_sweep

    check_within(within_points)
    workspace, history = read_sweep(results, sweep)
    findings = Findings.of_history(history, within_points)
    grid = next_grid(findings, history, workspace)
    if grid.rows:
        draw(grid, _stdout())
    else:
        for note in grid.notes:
            _stdout().say(note)


@app.command("list")
def list_sweeps(results: Results = Path("results")) -> None:
    """List the sweeps with their state, size and age, the newest first."""
    from sweep.report.grid import draw
    from sweep.report.listing import sweeps_grid
    from sweep.store.catalogue import list_sweeps

    draw(sweeps_grid(list_sweeps(results), results), _stdout())


@app.command()
def merge(
    sweeps: Annotated[
        list[str],
        typer.Argument(metavar="A B …", help="Sweeps, or paths of their folders.", autocompletion=_complete_sweep),
    ],
    name: Annotated[str, typer.Option(help="What the new sweep is called.")],
    results: Results = Path("results"),
) -> None:
    """Make one sweep of several of one recipe that were trained apart. They stay as they are."""
    from sweep.report.grid import draw
    from sweep.report.listing import merged_grid
    from sweep.store.merge import merge_sweeps

    draw(merged_grid(merge_sweeps(results, sweeps, name)), _stdout())


@app.command()
def clean(
    sweep: Annotated[
        str | None, typer.Argument(help="The sweep's name; default: all of them.", autocompletion=_complete_sweep)
    ] = None,
    results: Results = Path("results"),
    yes: Annotated[bool, typer.Option("--yes", help="Remove them without asking.")] = False,
) -> None:
    """Remove the states that sweeps have kept to go on from; shows them first, and asks."""
    from sweep.report.grid import draw
    from sweep.report.listing import states_grid
    from sweep.store.clearing import find_states, remove_states

    found = find_states(results, sweep)
    if not found:
        _stdout().write("no states to remove")
        return
    draw(states_grid(found, results), _stdout())
    if yes or _agrees("remove them? [y/N] "):
        remove_states(found, lambda left: _stdout().write(f"{left.workspace.name}: removed"))


@app.command()
def doctor(
    results: Results = Path("results"),
    data_path: Annotated[str, typer.Option(help="The folder that holds the datasets.")] = "data",
) -> None:
    """Show versions, devices, datasets and free disk, and the command that mends what is missing."""
    from sweep.errors import MachineError
    from sweep.report.grid import draw
    from sweep.report.listing import findings_grid
    from sweep.run.doctor import State, examine

    findings = examine(results, Path(data_path))
    draw(findings_grid((found.subject, found.state, found.detail, found.fix) for found in findings), _stdout())
    if any(found.state is State.BROKEN for found in findings):
        raise typer.Exit(MachineError.exit_code)


@data_app.command("get")
def get_data(
    name: Annotated[str, typer.Argument(help="The dataset, as recipes name it.", autocompletion=_complete_dataset)],
    data_path: Annotated[str, typer.Option(help="The folder to put it in.")] = "data",
) -> None:
    """Get a dataset: from the system's package where one is installed, else by download through torchvision."""
    from sweep.api import get_data
    from sweep.printable import printable

    _stdout().write(printable(f"{name}: {get_data(name, data_path)}"))


@recipes_app.command("list")
def list_recipes() -> None:
    """List the shipped recipes with what each one is."""
    from sweep.recipe.library import shipped_recipes, summary_line
    from sweep.report.grid import draw
    from sweep.report.listing import recipes_grid

    draw(recipes_grid({name: summary_line(path) for name, path in shipped_recipes().items()}), _stdout())


@recipes_app.command("show")
def show_recipe(recipe: Recipe) -> None:
    """Print a recipe's file."""
    from sweep.printable import printable
    from sweep.recipe.library import load_recipe

    _stdout().write(printable(load_recipe(recipe).path.read_text(encoding="utf-8")))


@recipes_app.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of a recipe file, for editors."""
    from sweep.recipe.json_schema import recipe_schema_text

    _stdout().write(recipe_schema_text())


@recipes_app.command("scale")
def scale_recipe(
    recipe: Recipe,
    ratio: Annotated[str, typer.Option(help="The ratio: 0.5 or 1/3 or 70%.")],
    method: Method = None,
    settings: Settings = None,
    output: Annotated[ScaleFormat, typer.Option("--format", help="How to print it.")] = ScaleFormat.YAML,
) -> None:
    """Print a recipe at a ratio as a recipe of its own, or as the command of torchvision's reference script."""
    from sweep.api import scale_recipe

    _print_scaled(scale_recipe(recipe, ratio, method, tuple(settings or ())), output)


@recipes_app.command("import")
def import_recipe(
    source: Annotated[
        str,
        typer.Argument(
            metavar="COMMAND|args.yaml",
            help="A command of torchvision's reference script, in quotes, or the args.yaml of timm's train.py.",
        ),
    ],
    gpus: Annotated[int | None, typer.Option(help="On how many GPUs it trains, where that is not said there.")] = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE.yaml", help="Write the recipe to this file.")] = None,
) -> None:
    """Print a recipe that trains what torchvision's or timm's training script was told to."""
    from sweep.api import import_recipe

    imported = import_recipe(source, gpus, output)
    for warning in imported.warnings:
        _complain(f"warning: {warning}")
    if output is None:
        _stdout().write(imported.text)


def _request(context: typer.Context) -> SweepRequest:
    """The options of `run` or `plan` as one value: they have the names of its fields."""
    from sweep.request import SweepRequest

    given = {field.name: context.params[field.name] for field in fields(SweepRequest) if field.name in context.params}
    return SweepRequest(**given | {"settings": tuple(given["settings"] or ())})


def _dry_run(request: SweepRequest) -> Plan:
    """The plan; within a budget a pilot has to say which one."""
    if request.within is None:
        from sweep.planning import plan_sweep

        return plan_sweep(request)
    from sweep.report.live import make_view
    from sweep.within import plan_within

    with make_view(_stderr(), quiet=False) as view:
        return plan_within(request, view)


def _requests(context: typer.Context, recipes: list[str]) -> tuple[SweepRequest, ...]:
    """The options of `run` for each of its recipes."""
    from sweep.together import requests_of

    return requests_of(_request(context), recipes)


def _run(request: SweepRequest, quiet: bool) -> None:
    from sweep.api import run_request
    from sweep.report.live import make_view

    with make_view(_stderr(), quiet) as view:
        done = run_request(request, view, meanwhile=_import_what_reports)
    if done.history.starts:
        from sweep.report.findings import Findings

        _print_report(Findings.of_history(done.history), ReportFormat.TABLE)
    _exit(done, request.detach)


def _search(request: SearchRequest, quiet: bool) -> None:
    from sweep.advise.search import search
    from sweep.report.live import make_view

    with make_view(_stderr(), quiet) as view:
        found = search(request, view, meanwhile=_import_what_reports)
    if found.trained.history.starts:
        from sweep.advise.sentence import sentences
        from sweep.printable import one_line
        from sweep.report.findings import Findings

        _print_report(Findings.of_history(found.trained.history, request.within_points), ReportFormat.TABLE)
        screen = _stdout()
        for sentence in sentences(found):
            screen.say(one_line(sentence))
    if found.stopped_by is not None:
        _complain("stopped; what is done is kept, and the same command goes on with the rest")
    if found.exit_code:
        raise typer.Exit(found.exit_code)


def _run_together(requests: tuple[SweepRequest, ...], quiet: bool, is_for_a_program: bool) -> None:
    from sweep.api import run_together
    from sweep.report.live import JsonView, PlainViews, make_views

    views = PlainViews(partial(JsonView, _stdout())) if is_for_a_program else make_views(_stderr(), quiet)
    with views:
        done = run_together(requests, views.of, meanwhile=_import_what_reports)
    if not is_for_a_program:
        _print_side_by_side(done.runs, requests[0].allow_mixed)
    if done.error is not None:
        raise done.error
    for each in done.runs:
        _exit(each, is_left=False)


def _print_side_by_side(runs: tuple[SweepRun, ...], allow_mixed: bool) -> None:
    """Each one's table, and what comes of comparing them."""
    from sweep.errors import UsageError
    from sweep.report.comparison import compare_all
    from sweep.report.contender import line_up
    from sweep.report.findings import Findings

    found = [
        replace(Findings.of_history(each.history), name=each.workspace.name) for each in runs if each.history.starts
    ]
    for findings in found:
        _print_report(findings, ReportFormat.TABLE)
        _stdout().print()
    if any(each.stopped_by is not None for each in runs):
        return
    # Only what was asked for: a folder can hold curves of other methods.
    asked = {each.workspace.name: each.plan.loaded.recipe.method for each in runs}
    try:
        lineup = line_up([findings.of_method(asked[findings.name]) for findings in found], allow_mixed)
    except UsageError as error:
        for problem in error.problems:
            _complain(f"no comparison: {problem.message}")
        return
    _print_comparison(lineup, compare_all(lineup), CompareFormat.TABLE)


def _import_what_reports() -> None:
    """While Workers start, each of which imports torch first."""
    Thread(target=_import_quietly, args=("sweep.report.findings",)).start()


def _import_quietly(name: str) -> None:
    """What cannot be imported is said by whoever needs it."""
    with suppress(Exception):
        import_module(name)


def _run_for_a_program(request: SweepRequest) -> None:
    from sweep.api import run_request
    from sweep.report.live import JsonView

    _exit(run_request(request, JsonView(_stdout())), request.detach)


def _exit(done: SweepRun, is_left: bool) -> None:
    """`is_left`: what is not done was left to somebody else."""
    if done.stopped_by is not None:
        _complain("stopped; what is done is kept, and the same command goes on with the rest")
        raise typer.Exit(128 + done.stopped_by)
    if not done.is_as_asked and not is_left:
        raise typer.Exit(1)


def _estimate(request: SweepRequest, pilot_seconds: float | None) -> Estimate:
    from sweep.estimating import estimate_sweep
    from sweep.events import Noticed

    return estimate_sweep(
        request, pilot_seconds, lambda event: _complain(event.text) if isinstance(event, Noticed) else None
    )


def _print_plans(requests: tuple[SweepRequest, ...], output: PlanFormat) -> None:
    from sweep.report.plan_view import plans_to_json
    from sweep.together import plan_together

    if len(requests) == 1:
        _print_plan(_dry_run(requests[0]), output)
        return
    plans = {asked.workspace.name: plan for asked, plan, _ in plan_together(requests)}
    if output is PlanFormat.JSON:
        _stdout().write(plans_to_json(plans))
        return
    for number, plan in enumerate(plans.values()):
        if number:
            _stdout().print()
        _print_plan(plan, output)


def _print_plan(made: Plan, output: PlanFormat, estimated: Estimate | None = None) -> None:
    from sweep.report.forest_view import forest_grid
    from sweep.report.grid import draw
    from sweep.report.methods_view import methods_grid
    from sweep.report.plan_view import plan_grid, plan_to_json

    tables: tuple[Grid, ...] = ()
    if estimated is not None:
        from sweep.report.estimate_view import estimate_document, estimate_grids

        if output is PlanFormat.JSON:
            _stdout().write(plan_to_json(made, estimate_document(estimated)))
            return
        tables = estimate_grids(estimated)
    if output is PlanFormat.JSON:
        _stdout().write(plan_to_json(made))
        return
    screen = _stdout()
    draw(plan_grid(made), screen)
    for below in (methods_grid(made), forest_grid(made), *tables):
        if below is not None:
            screen.print()
            draw(below, screen)


def _print_fitted(fitted: Fitted, output: FitFormat) -> None:
    from sweep.errors import RecipeError
    from sweep.report.fit_view import fit_grid
    from sweep.report.grid import draw

    if output is FitFormat.TABLE:
        draw(fit_grid(fitted.title, fitted.lengths, fitted.seconds, fitted.dollars, fitted.notes), _stdout())
        _stdout().print()
    if fitted.scaled is not None:
        _print_scaled(fitted.scaled, ScaleFormat.YAML)
    elif output is FitFormat.YAML:
        raise RecipeError(fitted.unsaid)


def _print_scaled(scaled: ScaledRecipe, output: ScaleFormat) -> None:
    from sweep.plan.recipe_text import to_yaml
    from sweep.plan.reference_script import command_line, differences

    for warning in scaled.warnings:
        _complain(f"warning: {warning}")
    if output is ScaleFormat.YAML:
        _stdout().write(to_yaml(scaled))
        return
    _stdout().write(command_line(scaled))
    for difference in differences(scaled):
        _complain(f"note: {difference}")


def _print_report(findings: Findings, output: ReportFormat) -> None:
    if output is ReportFormat.TABLE:
        from sweep.report.grid import draw
        from sweep.report.table import make_tables

        screen = _stdout()
        for grid in make_tables(findings):
            draw(grid, screen)
    elif output is ReportFormat.CSV:
        from sweep.report.export_csv import to_csv

        _stdout().write(to_csv(findings))
    elif output is ReportFormat.JSON:
        from sweep.report.export_json import to_json

        _stdout().write(to_json(findings))
    else:
        from sweep.report.markup import MARKUPS
        from sweep.report.table import make_tables

        _stdout().write(MARKUPS[output.value](make_tables(findings)))


def _picture(path: Path | None) -> Picture | None:
    """What the file's name asks for; the libraries that draw are loaded only where something is drawn."""
    if path is None:
        return None
    from sweep.report.picture import Picture

    return Picture.parse(path)


def _draw_chart(findings: Findings) -> None:
    from sweep.report.terminal_chart import draw_chart

    draw_chart(findings, _stdout())


def _print_comparison(lineup: Lineup, comparisons: tuple[Comparison, ...], output: CompareFormat) -> None:
    from sweep.report.comparison_json import comparison_to_json
    from sweep.report.comparison_table import comparison_table
    from sweep.report.grid import draw
    from sweep.report.markup import to_markdown

    if output is CompareFormat.JSON:
        _stdout().write(comparison_to_json(lineup, comparisons))
        return
    grid = comparison_table(lineup, comparisons)
    if output is CompareFormat.MARKDOWN:
        _stdout().write(to_markdown([grid]))
        return
    draw(grid, _stdout())


def _agrees(question: str) -> bool:
    """Ask on the terminal; without one nobody can be asked."""
    from sweep.errors import Problem, UsageError

    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(Problem("nothing is removed unasked, and there is no terminal to ask on", fix="give --yes"))
    _stderr().out(question, end="", highlight=False)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _stdout() -> Screen:
    from sweep.report.screen import Screen

    return Screen()


def _stderr() -> Screen:
    from sweep.report.screen import Screen

    return Screen(stderr=True)


def _complain(text: str) -> None:
    from sweep.printable import one_line

    _stderr().say(one_line(text))


def _complain_of(error: SweepError) -> None:
    for problem in error.problems[:_MAX_PROBLEMS]:
        _complain(f"error: {problem}")
    if len(error.problems) > _MAX_PROBLEMS:
        _complain(f"error: and {len(error.problems) - _MAX_PROBLEMS} more")


def main() -> int:
    """Run the app; the exit code says how it went, and no traceback reaches a user."""
    from sweep.errors import MachineError, SweepError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no ± shows a ? instead
    try:
        app()
    except SweepError as error:
        _complain_of(error)
        return error.exit_code
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _complain(f"error: {place}{error.strerror or error}")
        return MachineError.exit_code
    except Exception as error:
        _complain(f"internal error: {type(error).__name__}: {error}")
        _complain(f"this is a mistake of ours; {_TRACEBACK}=1 shows where it happened")
        if os.environ.get(_TRACEBACK):
            raise
        return MachineError.exit_code
    return 0
