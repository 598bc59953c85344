"""Timelines -> Stages: the spans of steps that are trained, and the Plan that holds Trials and Stages together.

Trials whose steps are the same up to a point are one computation up to there: it is one Stage, and what follows on it
are its children. A Stage's id is made of exact numbers, never of rates: their last bits depend on the processor.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from sweep.errors import Problem, RecipeError
from sweep.plan.checks import refusals, warnings
from sweep.plan.command import command_warnings
from sweep.plan.forest import Branch, find_branches
from sweep.plan.grid import Trial, make_grid
from sweep.plan.lengths import measure
from sweep.plan.timeline import Timeline
from sweep.recipe.duration import Ratio
from sweep.recipe.keys import MAX_SEED
from sweep.recipe.library import LoadedRecipe

# A Trial's way: the Stages that make it up, each with the step at which it ends.
Path = tuple[tuple[str, int], ...]
Span = tuple[int, int]  # from which step to which


@dataclass(frozen=True)
class Stage:
    """Steps `start_step` … `stop_step - 1`, which are the same in `num_trials` Trials.

    `trial` is the longest of them; `ends` are those that are over with this Stage. `parent` is the id of the Stage that
    it follows on. `eval_steps`: evaluate when so many steps are done.
    """

    id: str
    parent: str | None
    trial: Trial
    num_trials: int
    ends: tuple[Trial, ...]
    start_step: int
    stop_step: int
    eval_steps: tuple[int, ...]

    @property
    def num_steps(self) -> int:
        return self.stop_step - self.start_step


@dataclass(frozen=True)
class Recorded:
    """What earlier runs of a sweep have left: the keys of Trials with nothing left to train, the ids of the Stages that
    are finished, and whether the state at a Stage's end is at hand. `spans` are the steps that they reach over, by the
    seed: each is tried with every Trial of that seed."""

    final: frozenset[str] = frozenset()
    finished: frozenset[str] = frozenset()
    spans: Mapping[int, Collection[Span]] = field(default_factory=dict)
    has_state: Callable[[str, int], bool] = lambda stage, step: False


@dataclass(frozen=True)
class Plan:
    """What is to be measured, and the Stages that are to be trained for it, in the order in which one Worker trains
    them: a parent before its children, and these shuffled by `order_seed`.

    `paths` holds the way of every Trial that is to be trained, by its key; it may begin with Stages that are finished.
    """

    loaded: LoadedRecipe
    timelines: tuple[Timeline, ...]
    trials: tuple[Trial, ...]
    order_seed: int
    shares: bool
    warnings: tuple[Problem, ...]
    stages: tuple[Stage, ...] = ()
    paths: dict[str, Path] = field(default_factory=dict)

    @property
    def num_steps(self) -> int:
        """Optimizer steps that are trained for the whole plan."""
        return sum(stage.num_steps for stage in self.stages)

    @property
    def num_steps_alone(self) -> int:
        """Optimizer steps of all its Trials, were each of them trained alone."""
        return sum(trial.timeline.num_steps for trial in self.trials)

    @property
    def min_shared_steps(self) -> int:
        """Steps are shared where that saves so many: those of a cyclic run always are, since it is one run."""
        recipe = self.loaded.recipe
        return 1 if recipe.method == "cyclic" else recipe.min_shared_steps

    @cached_property
    def longest(self) -> Timeline:
        return max(self.timelines, key=lambda timeline: timeline.num_steps)

    @cached_property
    def children(self) -> dict[str, list[Stage]]:
        """The Stages that follow on each one that has any, by its id."""
        children: dict[str, list[Stage]] = {}
        for stage in self.stages:
            if stage.parent is not None:
                children.setdefault(stage.parent, []).append(stage)
        return children

    def below(self, stage: Stage) -> Iterator[Stage]:
        """A Stage and all that follow on it, directly or not."""
        waiting = [stage]
        while waiting:
            yield (found := waiting.pop())
            waiting += self.children.get(found.id, ())

    def missing(self, recorded: Recorded) -> Plan:
        """The same Trials, and the Stages that are still to be trained, going on from the states that there are."""
        stages, paths = _divide(self, recorded)
        return replace(self, stages=stages, paths=paths)


def make_plan(
    loaded: LoadedRecipe, ratios: tuple[Ratio, ...], num_seeds: int, dataset_examples: int, shares: bool = True
) -> Plan:
    """Plan `loaded` at every ratio with every seed; with `shares`, steps that Trials have in common are trained once.

    Raises:
        RecipeError: with everything that cannot be trained.
    """
    runs = tuple(measure(loaded.recipe, ratio, dataset_examples) for ratio in ratios)
    if problems := [*_seed_problems(loaded, num_seeds), *refusals(loaded, runs)]:
        raise RecipeError(problems)
    timelines = tuple(Timeline(loaded.recipe, run) for run in runs)
    trials = make_grid(timelines, num_seeds)
    # Any number serves, as long as it is recorded and the same whenever this recipe is planned.
    order_seed = int(loaded.recipe.fingerprint[:8], 16)
    is_command = loaded.recipe.kind == "command"
    warned = command_warnings(loaded, runs, num_seeds) if is_command else warnings(loaded, timelines)
    plan = Plan(loaded, timelines, trials, order_seed, shares and not is_command, tuple(warned))
    return plan.missing(Recorded())


def _seed_problems(loaded: LoadedRecipe, num_seeds: int) -> list[Problem]:
    # numpy would read a longer seed as two words, and its order of one epoch could be that of another seed's.
    last = loaded.recipe.seed + num_seeds - 1
    message = f"seeds up to {last}: the largest is {MAX_SEED}"
    return [Problem(message, loaded.place("seed"), "seed", fix="take a smaller seed")] if last > MAX_SEED else []


def stage_id(trial: Trial, start_step: int, stop_step: int, is_end: bool) -> str:
    """The lasting id of a Trial's steps `start_step` … `stop_step - 1`: equal where any Trial's are the same steps.

    `is_end` says whether a Trial is over with them: then they are evaluated at the end.
    """
    span = f"{start_step}:{stop_step}" + (":end" if is_end else "")
    text = f"{trial.timeline.fingerprint}:{trial.seed}:{span}:{trial.timeline.prefix(stop_step)}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _divide(plan: Plan, recorded: Recorded) -> tuple[tuple[Stage, ...], dict[str, Path]]:
    """The Stages of all Trials that are not final, and each one's way."""
    stages: list[Stage] = []
    paths: dict[str, Path] = {}
    divide = _Divider(plan)
    by_seed: dict[int, list[Trial]] = {}
    for trial in plan.trials:
        by_seed.setdefault(trial.seed, []).append(trial)
    for seed, trials in by_seed.items():
        spans = sorted(recorded.spans.get(seed, ())) if plan.shares else []
        groups: dict[Path, list[int]] = {}
        for index, trial in enumerate(trials):
            if trial.key not in recorded.final:
                way = _way_so_far(trial, spans, recorded)
                groups.setdefault(way, []).append(index)
        for way, members in groups.items():
            grown = divide(trials, tuple(members), way)
            stages += _shuffled(grown, random.Random(f"{plan.order_seed}:{seed}"))
            paths |= _paths(grown, way)
    return tuple(stages), paths


_Divided = list[tuple[Branch, tuple[int, ...]]]  # with the steps after which each is evaluated


class _Divider:
    """Divides the Trials of one seed after the other; which steps they share does not depend on the seed."""

    def __init__(self, plan: Plan) -> None:
        self._timelines = plan.timelines
        self._min_shared_steps = plan.min_shared_steps
        self._shares = plan.shares
        self._known: dict[tuple[tuple[int, ...], int], _Divided] = {}
        self._lengths = sorted(timeline.num_steps for timeline in plan.timelines)

    def __call__(self, trials: list[Trial], members: tuple[int, ...], way: Path) -> list[Stage]:
        """The Stages of the Trials `members`, which all have come the same way; a parent before its children."""
        start = way[-1][1] if way else 0
        if (members, start) not in self._known:
            self._known[members, start] = self._divided(members, start)
        stages: list[Stage] = []
        for branch, eval_steps in self._known[members, start]:
            parent = stages[branch.parent].id if branch.parent is not None else way[-1][0] if way else None
            stages.append(_stage(branch, eval_steps, parent, trials))
        return stages

    def _divided(self, members: tuple[int, ...], start: int) -> _Divided:
        branches = self._branches(members, start)
        baselines = self._baselines(branches)
        return [(branch, self._eval_steps(branch, index in baselines)) for index, branch in enumerate(branches)]

    def _branches(self, members: tuple[int, ...], start: int) -> list[Branch]:
        if not self._shares:
            return [branch for member in members for branch in find_branches(self._timelines, (member,), start, 1)]
        return find_branches(self._timelines, members, start, self._min_shared_steps)

    def _baselines(self, branches: list[Branch]) -> set[int]:
        """The places of the Branches on the way of a baseline."""
        found: set[int] = set()
        for index, branch in enumerate(branches):
            if any(self._timelines[member].lengths.realised == 1 for member in branch.ends):
                place: int | None = index
                while place is not None:
                    found.add(place)
                    place = branches[place].parent
        return found

    def _eval_steps(self, branch: Branch, is_baseline: bool) -> tuple[int, ...]:
        """After every epoch and at the end of a Trial; in a baseline also at every shorter length, for the truncated
        control."""
        timeline, steps = self._timelines[branch.member], range(branch.start_step + 1, branch.stop_step + 1)
        if timeline.recipe.kind == "command":
            return (branch.stop_step,)  # one measurement, at its end
        per_epoch = timeline.lengths.steps_per_epoch
        first = -(-steps.start // per_epoch) * per_epoch
        found = {*range(first, steps.stop, per_epoch), *([branch.stop_step] if branch.ends else [])}
        if is_baseline:
            found |= {length for length in self._lengths if length in steps}
        return tuple(sorted(found))


def _stage(branch: Branch, eval_steps: tuple[int, ...], parent: str | None, trials: Sequence[Trial]) -> Stage:
    trial, start, stop = trials[branch.member], branch.start_step, branch.stop_step
    return Stage(
        id=stage_id(trial, start, stop, bool(branch.ends)),
        parent=parent,
        trial=trial,
        num_trials=branch.num_members,
        ends=tuple(trials[index] for index in branch.ends),
        start_step=start,
        stop_step=stop,
        eval_steps=eval_steps,
    )


def _way_so_far(trial: Trial, spans: Iterable[Span], recorded: Recorded) -> Path:
    """The finished Stages, one after the other, that lead furthest into `trial` with a state at hand to go on from;
    `spans` are those that they can reach over, ascending."""
    ways: dict[int, Path] = {0: ()}
    for start, stop in spans:
        if start not in ways or stop >= trial.timeline.num_steps:
            continue
        # With SWA what ends a Trial is its own: see Timeline.shareable_steps.
        kinds = (False,) if trial.timeline.recipe.swa else (False, True)
        for stage in (stage_id(trial, start, stop, is_end) for is_end in kinds):
            if stage in recorded.finished and (stop not in ways or recorded.has_state(stage, stop)):
                ways[stop] = (*ways[start], (stage, stop))
    furthest_first = (ways[stop] for stop in sorted(ways, reverse=True))
    return next(way for way in furthest_first if not way or recorded.has_state(*way[-1]))


def _paths(stages: Iterable[Stage], way: Path) -> dict[str, Path]:
    """The way of each Trial that ends with one of `stages`, which have all come by `way`."""
    ways: dict[str | None, Path] = {way[-1][0] if way else None: way}
    for stage in stages:
        ways[stage.id] = (*ways[stage.parent], (stage.id, stage.stop_step))
    return {trial.key: ways[stage.id] for stage in stages for trial in stage.ends}


def _shuffled(stages: list[Stage], order: random.Random) -> list[Stage]:
    """Each Stage followed by all that go on from it, those of one parent in random order, so that a drift of the
    machine does not line up with length."""
    children: dict[str | None, list[Stage]] = {}
    for stage in stages:
        children.setdefault(stage.parent, []).append(stage)
    roots = children.pop(stages[0].parent) if stages else []
    order.shuffle(roots)
    shuffled: list[Stage] = []
    while roots:
        shuffled.append(stage := roots.pop())
        following = children.get(stage.id, [])
        order.shuffle(following)
        roots += following
    return shuffled
