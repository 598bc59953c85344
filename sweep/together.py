"""Several recipes asked for at once: a sweep of each, with the same options, which are compared in the end.

What would keep them from being compared is refused before anything trains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sweep.errors import Problem, SweepError, UsageError, joined
from sweep.plan.stages import Plan
from sweep.planning import plan_asked
from sweep.request import Asked, SweepRequest, read_request
from sweep.run.engine import EngineName


def requests_of(request: SweepRequest, recipes: Sequence[str]) -> tuple[SweepRequest, ...]:
    """A request for each of `recipes`, whose sweep is called as the recipe is: with a name given, NAME-RECIPE.

    Raises:
        UsageError: two of them would be one sweep.
    """
    if len(recipes) == 1:
        return (replace(request, recipe=recipes[0]),)
    if problems := _twice(recipes):
        raise UsageError(problems)
    given = request.name
    names = [None if given is None else f"{given}-{Path(recipe).stem}" for recipe in recipes]
    return tuple(replace(request, recipe=recipe, name=name) for recipe, name in zip(recipes, names, strict=True))


def _twice(recipes: Sequence[str]) -> list[Problem]:
    problems = []
    for place, recipe in enumerate(recipes):
        name = Path(recipe).stem
        other = next((other for other in recipes[:place] if Path(other).stem == name), None)
        if other == recipe:
            problems.append(Problem("is given twice", where=recipe))
        elif other is not None:
            message = f"{other} and {recipe} are both called {name}, as their sweeps would be"
            problems.append(Problem(message, where="RECIPE", fix="rename one of them"))
    return problems


def _for_one_alone(request: SweepRequest) -> list[Problem]:
    problems = []
    if request.within is not None:
        problems.append(Problem("what fits into a budget is one recipe's", "--within", fix="run each by itself"))
    if request.jobs == "auto":
        problems.append(Problem("auto measures the trials of one recipe", "--jobs", fix="give a number"))
    if request.executor != EngineName.LOCAL:
        fix = "train each by itself; sweep compare compares them"
        problems.append(Problem("several recipes train side by side on this machine alone", "--executor", fix=fix))
    return problems


def plan_together(requests: Sequence[SweepRequest]) -> tuple[tuple[Asked, Plan, str | None], ...]:
    """What each of them means, its plan, and the hash of the code that its task names. Writes nothing.

    Raises:
        SweepError: with every mistake in any of them, and with all that keeps them from being compared.
    """
    errors: list[SweepError] = []
    planned: list[tuple[Asked, Plan, str | None]] = []
    if problems := _for_one_alone(requests[0]):
        errors.append(UsageError(problems))
    for request in requests:
        try:
            asked = read_request(replace(request, within=None))
            planned.append((asked, *plan_asked(asked)))
        except SweepError as error:
            errors.append(error)
    if mismatches := _incomparable([asked for asked, *_ in planned]):
        errors.append(UsageError(mismatches))
    if errors:
        raise joined(errors)
    return tuple(planned)


def _incomparable(asked: Sequence[Asked]) -> list[Problem]:
    recipes = {one.loaded.name: one.loaded.recipe for one in asked}
    metrics = {name: f"{recipe.metric} ({recipe.mode})" for name, recipe in recipes.items()}
    devices = {name: recipe.devices_per_trial for name, recipe in recipes.items()}
    datasets = {name: recipe.dataset for name, recipe in recipes.items() if recipe.dataset is not None}
    problems = []
    if len(set(metrics.values())) > 1:
        problems.append(Problem(f"judged by different metrics, which do not compare: {_each(metrics)}", "RECIPE"))
    if len(set(devices.values())) > 1:  # nor would their workers share the devices fairly
        message = f"trained on different numbers of devices a trial, whose times do not compare: {_each(devices)}"
        problems.append(Problem(message, "RECIPE", fix="train each by itself"))
    if len(set(datasets.values())) > 1 and not any(one.request.allow_mixed for one in asked):
        message = f"trained on different datasets, whose results do not compare: {_each(datasets)}"
        problems.append(Problem(message, "RECIPE", fix="--allow-mixed compares them all the same"))
    return problems


def check_threads(threads: Mapping[str, int]) -> None:
    """Pass in silence where all sweeps, given by name, train with as many threads.

    Raises:
        UsageError: their times would not compare.
    """
    if len(set(threads.values())) > 1:
        message = f"trained with different numbers of threads, whose times do not compare: {_each(threads)}"
        fix = "give --threads, or --allow-mixed to compare them all the same"
        raise UsageError(Problem(message, "RECIPE", fix=fix))


def _each(said: Mapping[str, object]) -> str:
    return "; ".join(f"{name}: {text}" for name, text in said.items())
