"""Has a Worker of this machine try a recipe out, and makes of what it has measured what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep.clock import Stopwatch, utc_now
from sweep.errors import MachineError, Problem
from sweep.plan.pilot import average, mean_interval, of_a_run, spread
from sweep.plan.speed import Interval, Speed
from sweep.plan.stages import Plan, Stage
from sweep.run.ask import asking, prepared
from sweep.run.executors.patience import SECONDS_TO_START
from sweep.run.ledger import stage_job
from sweep.run.messages import Piloted
from sweep.store.records import Environment, Measures, PilotJob, PilotRecord, PrepareJob, SecondsInterval, StageJob

# Chosen: more of a Stage than is trained here. A long one's rates are megabytes.
_MAX_STEPS = 5_000
# Where a step's cost changes along a run, it is tried out in the middle of each quarter.
_NUM_PLACES = 4
# Chosen: what is measured once, on a machine that does other things too, is taken to be so many times as long at most,
# or as short.
_ONCE = 1.4
_MIN_TO_JUDGE = 3  # fewer say nothing about their spread


def run_pilot(plan: Plan, job: PrepareJob, seconds: float, environment: Mapping[str, str]) -> PilotRecord:
    """Try `plan`'s recipe out for about `seconds`, in a Worker with more `environment` beside ours, which is gone then.

    A trial of several devices is tried out on one, with the examples that one of them takes.

    Raises:
        MachineError: it cannot be tried out: data, device or memory.
        RecipeError: with what is wrong with the recipe, or with the code that it names.
    """
    with asking(job.threads, environment) as worker:
        with Stopwatch() as starting:
            told = job.model_copy(update={"recipe": _on_one_device(job.recipe), "made_up_folder": str(worker.folder)})
            answer = prepared(worker, told)
        set_up = answer.raise_any()
        job_to_try = PilotJob(like=tuple(_places(plan)), seconds=seconds)
        tried = worker.answer(job_to_try, SECONDS_TO_START + 3 * seconds, " while it tried the recipe out")
    assert isinstance(tried, Piloted)
    if tried.measures is None:
        raise MachineError(Problem(f"the recipe cannot be tried out here: {tried.reason}", plan.loaded.name))
    return _record(plan, set_up, tried.measures, starting.seconds).model_copy(update={"is_made_up": answer.is_made_up})


def _on_one_device(recipe: dict[str, Any]) -> dict[str, Any]:
    return recipe | {"devices_per_trial": 1, "sync_bn": False}


def _places(plan: Plan) -> list[StageJob]:
    """Spans of the longest run that are tried out: its beginning or, where steps differ along it, the middle of each of
    as many equal parts."""
    trial = next(trial for trial in plan.trials if trial.timeline is plan.longest)
    num_steps = plan.longest.num_steps
    num_places = _NUM_PLACES if varying(plan) and num_steps >= _NUM_PLACES else 1
    size = num_steps // num_places
    starts = [place * size + (size // 2 if num_places > 1 else 0) for place in range(num_places)]
    length = max(1, min(size - starts[0], _MAX_STEPS))
    jobs = [stage_job(Stage("pilot", None, trial, 1, (), start, start + length, ())) for start in starts]
    return [job.model_copy(update={"recipe": _on_one_device(job.recipe)}) for job in jobs]


def varying(plan: Plan) -> tuple[str, ...]:
    """The names of what makes some steps of a run take longer than others."""
    values = plan.longest.methods.values(0, plan.longest.num_steps)
    return tuple(name for name, changes in values.items() if len(changes) > 1)


def _record(plan: Plan, environment: Environment, measures: Measures, starting_seconds: float) -> PilotRecord:
    recipe = plan.loaded.recipe
    evaluations = measures.evaluation_seconds
    worker_seconds = starting_seconds + max(0.0, measures.first_startup_seconds - measures.startup_seconds)
    return PilotRecord(
        made_at=utc_now(),
        fingerprint=recipe.fingerprint,
        workers=recipe.workers,
        environment=environment,
        num_steps=sum(bursts.num_steps * len(bursts.step_seconds) for bursts in measures.bursts),
        step=_ends(average([mean_interval(bursts.step_seconds) for bursts in measures.bursts])),
        evaluation=_ends(mean_interval(evaluations) if len(evaluations) >= _MIN_TO_JUDGE else _once(evaluations[0])),
        stage=_ends(_once(measures.startup_seconds + measures.ending_seconds)),
        worker=_ends(_once(worker_seconds)),
        spread=max(spread(bursts.step_seconds) for bursts in measures.bursts),
        peak_bytes=measures.peak_bytes,
        total_bytes=measures.total_bytes,
        varying=varying(plan),
    )


def _once(seconds: float) -> Interval:
    return Interval(seconds / _ONCE, seconds, seconds * _ONCE)


def _ends(interval: Interval) -> SecondsInterval:
    return interval.low, interval.value, interval.high


def speed_of_pilot(pilot: PilotRecord, num_steps: int) -> Speed:
    """How fast a pilot says that `num_steps` of training go, all in all."""
    return Speed(
        step=of_a_run(Interval(*pilot.step), pilot.num_steps, pilot.spread, num_steps),
        evaluation=Interval(*pilot.evaluation),
        stage=Interval(*pilot.stage),
        worker=Interval(*pilot.worker),
    )
