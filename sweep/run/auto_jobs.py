"""`--jobs auto`: how many Workers finish the sweep first, of as many as hardly get into each other's way.

What is recorded of a trial is what it costs, and not what ran beside it. So steps like those of the sweep are trained
for a few seconds: by one Worker alone and by several at the same time, in turn, each with the threads that it will
have. Where a step takes over 5 % longer beside others, there are fewer of them. Where nobody has fixed the threads, a
single Worker with all cores is tried as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median

from sweep.clock import Stopwatch
from sweep.plan.stages import Plan
from sweep.run.distortion import BURST_SECONDS, MIN_ROUNDS, Burst, Distortion, measure
from sweep.run.executors.protocol import Executor
from sweep.run.ledger import Ledger, forest_of, stage_job
from sweep.run.makespan import Situation
from sweep.run.stop import StopRequest
from sweep.store.records import ProbeJob, StageJob

# Chosen: a sweep that takes less than so many times what finding out takes does not wait for it.
_TIMES_WORTH = 10
# Chosen: more of a Stage than is trained here. A long one's rates are megabytes.
_MAX_STEPS = 5_000

# Given how many Workers there are: the steps until the sweep is done.
End = Callable[[int], int]
# Given for how many seconds one Worker trains with all cores: the seconds of a step.
Wide = Callable[[float], float]


class Unmeasured(Exception):
    """A Worker has no answer; the message says why."""


@dataclass(frozen=True)
class Choice:
    """So many jobs, and in words why. `is_alone`: a single one, of a sweep so long that it may as well start anew, with
    the threads that others would have had."""

    jobs: int
    why: str
    is_alone: bool = False


def jobs_worth(end: End, most: int) -> int:
    """The fewest jobs, `most` at most, that finish as soon as more would."""
    while most > 1 and end(most - 1) <= end(most):
        most -= 1
    return most


def choose_jobs(burst: Burst, end: End, most: int, wide: Wide | None = None) -> Choice:
    """How many of the `most` Workers are to train at a time; `wide`, where one alone may have all cores."""
    most = jobs_worth(end, most)
    if most == 1:
        return Choice(1, "more would finish no sooner")
    try:
        with Stopwatch() as watch:
            burst(1, 0.0)  # makes the model, and warms up
            [alone] = burst(1, BURST_SECONDS)
            if alone * end(1) < _TIMES_WORTH * 2 * MIN_ROUNDS * max(alone, BURST_SECONDS):
                return Choice(1, "too short a sweep to find out whether more would distort its times")
            burst(most, 0.0)
            found = _search(burst, most)
            share = _wide_share(burst, wide) if wide is not None else None
    except Unmeasured as unmeasured:
        why = f"whether more would distort its times could not be measured ({unmeasured})"
        return Choice(1, why, is_alone=True)
    choice = _judged(found, end, watch.seconds)
    factor = 1 + found[choice.jobs].share if choice.jobs > 1 else 1.0
    if choice.jobs > 1 and share is not None and end(1) * share < end(choice.jobs) * factor:
        why = f"one with all cores finishes sooner than {choice.jobs}: its steps take {share:.2f} times as long"
        return Choice(1, f"{why}; {choice.why}", is_alone=True)
    return choice


def _wide_share(burst: Burst, wide: Wide) -> float | None:
    """How many times as long a step takes one Worker with all cores as one with a share of them; None: not known."""
    try:
        wide(0.0)  # its threads start
        return median(wide(BURST_SECONDS) / burst(1, BURST_SECONDS)[0] for _ in range(MIN_ROUNDS // 2))
    except Unmeasured:
        return None


def _search(burst: Burst, most: int) -> dict[int, Distortion]:
    """By bisection: the distortion of `most` jobs, and of fewer, until it is known how many are too many."""
    found: dict[int, Distortion] = {}
    fits, too_many, tried = 1, most + 1, most
    while tried > fits:
        found[tried] = measure(burst, tried)
        fits, too_many = (tried, too_many) if found[tried].is_slight else (fits, tried)
        tried = (fits + too_many) // 2
    return found


def _judged(found: dict[int, Distortion], end: End, seconds: float) -> Choice:
    jobs = max((number for number, distortion in found.items() if distortion.is_slight), default=1)
    too_many = min((number for number in found if number > jobs), default=None)
    refused = f"{too_many} {found[too_many].text}" if too_many is not None else ""
    measured = f"(measured for {seconds:.0f} s)"
    if jobs == 1:
        return Choice(1, f"{refused} {measured}", is_alone=True)
    factor = 1 + found[jobs].share
    beside = f"beside each other a step takes {factor:.2f} times as long as alone {measured}"
    if end(jobs) * factor >= end(1):
        return Choice(1, f"{jobs} would finish no sooner: {beside}", is_alone=True)
    return Choice(jobs, "; ".join(filter(None, (beside, refused))))


def choose(
    executor: Executor, ledger: Ledger, threads_alone: int | None, stop: StopRequest, is_local: bool = True
) -> Choice:
    """How many of the executor's Workers are to train what there is to be trained, and the words that follow on that.

    `threads_alone`: those of a single one; None for as many as the others have. Where not all of them are on this
    machine, whoever has placed them keeps them apart, and there are as many as there is room for.

    Raises:
        Interrupted: `stop` was requested meanwhile.
    """
    if executor.capacity == 1:
        return Choice(1, "")
    if ledger.plan.loaded.recipe.kind == "command":
        return Choice(executor.capacity, "; how much a command's trials distort each other's times is not measured")
    if not is_local:
        return Choice(executor.capacity, "; how much they distort each other's times is not measured")
    probe = _probing(executor, ledger.plan, stop)
    wide = None if threads_alone is None else lambda seconds: probe(1, seconds, threads_alone)[0]
    choice = choose_jobs(probe, end_of(ledger.plan, ledger), executor.capacity, wide)
    return replace(choice, why=f": {choice.why}")


def _probing(executor: Executor, plan: Plan, stop: StopRequest) -> Callable[..., list[float]]:
    """A Burst of steps like those of the longest Stage; it can be given a number of threads, too."""
    like = _beginning(plan)

    def burst(num_workers: int, seconds: float, threads: int | None = None) -> list[float]:
        said = executor.probe(ProbeJob(like=like, seconds=seconds, threads=threads), num_workers, stop)
        found = [probed.step_seconds for probed in said if probed.step_seconds is not None]
        if len(found) < len(said):
            raise Unmeasured("; ".join(sorted({str(probed.reason) for probed in said if probed.reason is not None})))
        return found

    return burst


def _beginning(plan: Plan) -> StageJob:
    longest = max(plan.stages, key=lambda stage: stage.num_steps)
    stop = min(longest.stop_step, longest.start_step + _MAX_STEPS)
    return stage_job(replace(longest, stop_step=stop))


def end_of(plan: Plan, ledger: Ledger | None = None) -> End:
    """When all of a plan's Stages are done, those of their steps left out that `ledger` knows to be saved."""
    forest = forest_of(plan, ledger)
    first = frozenset(stage.id for stage in plan.stages if stage.parent not in forest.steps)
    return lambda jobs: forest.end_by_rule(Situation(0, (), first, jobs))


def counted(jobs: int, threads: int) -> str:
    return f"{jobs} job{'' if jobs == 1 else 's'} of {threads} thread{'' if threads == 1 else 's'}"
