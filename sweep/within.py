"""A sweep within a budget: which grid it is, and what its Stages have to fit into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.clock import Stopwatch
from sweep.errors import MachineError, Problem, UsageError
from sweep.events import Listener, Noticed
from sweep.limit import Limit
from sweep.piloting import speed_of
from sweep.plan.largest import Grid, largest_grid
from sweep.plan.rungs import Rungs
from sweep.plan.speed import Speed
from sweep.plan.stages import Plan, make_plan
from sweep.planning import examine, plan_asked
from sweep.recipe.datasets import DATASETS
from sweep.recipe.duration import parse_ratios
from sweep.request import Asked, SweepRequest, read_request
from sweep.run.allowance import Allowance
from sweep.store.history import History, read_history
from sweep.store.identity import check_recipe

# Given what was asked for, its plan, for how many seconds it may train, and who is told: the speed.
Measure = Callable[[Asked, Plan, float, Listener], Speed]


@dataclass(frozen=True)
class Granted:
    """What to train of what was asked for, and what it has to fit into: None where that is nothing, or nothing is left
    to train. `code_sha256` is the hash of the code that a task names."""

    asked: Asked
    plan: Plan
    code_sha256: str | None
    allowance: Allowance | None = None


def check_data(asked: Asked) -> None:
    """Pass in silence: a budget is not spent on trying out what cannot be trained.

    Raises:
        MachineError: a known dataset is not there.
    """
    recipe = asked.loaded.recipe
    if asked.budget is None or recipe.kind != "builtin":
        return
    if problems := DATASETS[recipe.builtin_dataset].problems(Path(recipe.data_path)):
        raise MachineError(problems)


def plan_within(request: SweepRequest, tell: Listener, measure: Measure = speed_of) -> Plan:
    """What `request` would train within its budget. Trains nothing but a pilot.

    Raises:
        UsageError: with every mistake in it, or not even the shortest run fits.
        MachineError: the speed cannot be measured.
    """
    return grant(read_request(request), tell, measure).plan


def grant(asked: Asked, tell: Listener, measure: Measure = speed_of) -> Granted:
    """What is trained of what was `asked` for; without a budget all of it.

    The budget is this call's. What an earlier one has chosen for the same budget stays chosen.

    Raises:
        UsageError: not even the shortest run fits, or the workspace holds another sweep.
        MachineError: the speed cannot be measured.
    """
    if asked.budget is None:
        return Granted(asked, *plan_asked(asked))
    watch, limit = Stopwatch(), Limit.of(asked.budget, asked.loaded.recipe)
    watch.start()
    history = History((), {}, ()) if asked.request.fresh else read_history(asked.workspace.journal)
    check_recipe(history.last_start, asked.loaded.recipe, str(asked.workspace.folder), asked.loaded.places)
    known = _chosen_before(asked, history) if asked.request.ratios is None else asked
    if known is None:
        return _choose(asked, limit, watch, tell, measure)
    plan, code_sha256 = plan_asked(known)
    if known.chosen_for is not None:
        tell(Noticed(f"--within {asked.budget.text}: {_grid_text(known)}, as chosen before"))
    if _is_done(plan, history):
        return Granted(known, plan, code_sha256)
    allowance = limit.allowance(measure(known, plan, limit.pilot_seconds, tell), watch)
    if known.chosen_for is None:
        _refuse_too_little(plan, limit, allowance)
    return Granted(known, plan, code_sha256, allowance)


def _choose(asked: Asked, limit: Limit, watch: Stopwatch, tell: Listener, measure: Measure) -> Granted:
    """The largest grid that fits."""
    num_examples, code_sha256 = examine(asked.loaded, asked.request.device)
    rungs, share, jobs = Rungs(asked.loaded, num_examples), asked.request.share, asked.jobs or 1

    def plan_of(grid: Grid) -> Plan:
        return make_plan(asked.loaded, grid.ratios, grid.seeds, num_examples, share)

    # Where nothing can be trained, planning the baseline says why.
    trainable = rungs.trainable or parse_ratios("1")
    allowance = limit.allowance(measure(asked, plan_of(Grid(trainable[-1:], 1)), limit.pilot_seconds, tell), watch)
    left_seconds = allowance.left_seconds
    grid = largest_grid(
        rungs, asked.request.seeds, lambda grid: allowance.needs(plan_of(grid), jobs).high <= left_seconds
    )
    if grid is None:
        raise _too_little(plan_of(Grid(trainable[:1], asked.seeds)), limit, allowance)
    chosen = replace(asked, ratios=grid.ratios, seeds=grid.seeds, chosen_for=_purpose(asked))
    plan = plan_of(grid)
    needs = limit.interval_text(allowance.needs(plan, jobs))
    tell(Noticed(f"--within {limit.budget.text}: {_grid_text(chosen)}, about {needs}"))
    if grid.ratios[-1] is not trainable[-1]:
        tell(Noticed(f"--within {limit.budget.text}: a grid up to ratio {trainable[-1]} does not fit"))
    return Granted(chosen, plan, code_sha256, allowance)


def _refuse_too_little(plan: Plan, limit: Limit, allowance: Allowance) -> None:
    """Pass in silence where at least the shortest trial fits, alone."""
    shortest = min(plan.timelines, key=lambda timeline: timeline.num_steps).lengths
    alone = make_plan(plan.loaded, (shortest.ratio,), 1, shortest.dataset_examples)
    if allowance.needs(alone, 1).high > allowance.left_seconds:
        raise _too_little(alone, limit, allowance)


def _too_little(shortest: Plan, limit: Limit, allowance: Allowance) -> UsageError:
    run, num_seeds = f"ratio {shortest.timelines[0].lengths.ratio}", len(shortest.trials)
    seeds = f" with {num_seeds} seeds" if num_seeds > 1 else ""
    takes, left = limit.interval_text(allowance.needs(shortest, 1)), limit.text(allowance.left_seconds)
    text = limit.budget.text
    message = f"{text} is too little: the shortest run, {run}{seeds}, takes about {takes}, and {left} is left of it"
    return UsageError(Problem(message, "--within"))


def _grid_text(asked: Asked) -> str:
    ratios = ", ".join(ratio.text for ratio in asked.ratios)
    seeds = f" with {asked.seeds} seeds" if asked.seeds > 1 else ""
    return f"ratio{'s' if len(asked.ratios) > 1 else ''} {ratios}{seeds}"


def _purpose(asked: Asked) -> str:
    """What a grid is chosen for, in words that are the same whenever the same is asked for."""
    budget, recipe, request = asked.budget, asked.loaded.recipe, asked.request
    assert budget is not None
    amount = f"{budget.seconds:g} s" if budget.dollars is None else f"${budget.dollars:g} at ${recipe.price:g} an hour"
    seeds, jobs = request.seeds or "as fit", asked.jobs or "auto"
    return f"{amount}, method {recipe.method}, seed {recipe.seed}, seeds {seeds}, jobs {jobs}"


def _chosen_before(asked: Asked, history: History) -> Asked | None:
    """The grid that was last chosen for the same."""
    purpose = _purpose(asked)
    start = next((start for start in reversed(history.starts) if start.chosen_for == purpose), None)
    if start is None:
        return None
    ratios = parse_ratios(",".join(dict.fromkeys(entry.ratio for entry in start.trials)))
    seeds = len({entry.seed for entry in start.trials})
    return replace(asked, ratios=ratios, seeds=seeds, chosen_for=purpose)


def _is_done(plan: Plan, history: History) -> bool:
    ended = {entry.key for entry in history.trials if history.has_ended(entry)}
    return all(trial.key in ended for trial in plan.trials)
