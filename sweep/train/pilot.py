"""Try a recipe out: steps of its training in bursts, an evaluation, and what a Stage takes beside both. Nothing stays.

The clock is read between bursts alone, since a device has to be waited for before it is. Whether enough is measured is
asked at half of the time: asked more often, chance would stop it where bursts happen to be alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import closing

from sweep.clock import Stopwatch
from sweep.plan.pilot import is_precise, mean_interval
from sweep.store.records import Bursts, Measures, StageJob
from sweep.train.memory import peak_and_total_bytes
from sweep.train.probe import Probe
from sweep.train.trainable import Trainable

# Chosen: enough bursts that half of the time has ten batches of them, and each long beside reading the clock.
_BURSTS_AT_MOST = 600
_MIN_BURST_SECONDS = 0.01
# Fewer say nothing about their spread: of steps that take longer than there is time for, too.
_MIN_BURSTS = 3
_LOOKS = 2
_WARM_UP_SHARE = 0.05
# Of all the time; what is not seen to its end is judged by the batches that were.
_EVALUATION_SHARE = 0.1
_MAX_EVALUATIONS = 5


class _Enough(Exception):
    """An evaluation has taken as long as it may."""


def try_out(jobs: Sequence[StageJob], task: Trainable, seconds: float) -> Measures:
    """Train steps like those of each of `jobs`, an equal time each, for `seconds` at most with the evaluation.

    A step that takes longer than that is trained three times all the same.
    """
    first_startup_seconds = _startup_seconds(jobs[0], task)
    share = (1 - _EVALUATION_SHARE) * seconds / len(jobs)
    bursts = [_bursts_of(job, task, share) for job in jobs[:-1]]
    with Stopwatch() as startup:
        probe = Probe(jobs[-1], task)
    with closing(probe):
        bursts.append(_bursts(probe, share))
        evaluation_seconds = _evaluations(probe, task, _EVALUATION_SHARE * seconds)
        with Stopwatch() as ending:
            probe.read_weights()
    peak_bytes, total_bytes = peak_and_total_bytes(str(task.device))
    return Measures(
        bursts=tuple(bursts),
        evaluation_seconds=tuple(evaluation_seconds),
        first_startup_seconds=first_startup_seconds,
        startup_seconds=startup.seconds,
        ending_seconds=ending.seconds,
        peak_bytes=peak_bytes,
        total_bytes=total_bytes,
    )


def _startup_seconds(job: StageJob, task: Trainable) -> float:
    """Of a Stage that has nothing before it. A function of its own: its network is gone when the next one is made."""
    with Stopwatch() as watch:
        probe = Probe(job, task)
    probe.close()
    return watch.seconds


def _bursts_of(job: StageJob, task: Trainable, seconds: float) -> Bursts:
    with closing(Probe(job, task)) as probe:
        return _bursts(probe, seconds)


def _bursts(probe: Probe, seconds: float) -> Bursts:
    step_seconds = probe.step_seconds(_WARM_UP_SHARE * seconds)
    num_steps = max(1, math.ceil(max(seconds / _BURSTS_AT_MOST, _MIN_BURST_SECONDS) / step_seconds))
    return Bursts(num_steps=num_steps, step_seconds=tuple(measure(lambda: probe.burst(num_steps), num_steps, seconds)))


def measure(burst: Callable[[], float], num_steps: int, seconds: float) -> list[float]:
    """What `burst`, of so many steps, says they took, each; until that is known precisely, for `seconds` at most."""
    found: list[float] = []
    took = 0.0
    for look in range(1, _LOOKS + 1):
        while len(found) < _MIN_BURSTS or took < look / _LOOKS * seconds:
            found.append(burst())
            took += num_steps * found[-1]
        if is_precise(mean_interval(found)):
            break
    return found


def _evaluations(probe: Probe, task: Trainable, seconds: float) -> list[float]:
    """The seconds of whole evaluations, the first of which warms up where there is time for more; else those of one, by
    the share of its batches that there was time for."""
    found: list[float] = []
    while len(found) <= _MAX_EVALUATIONS and math.fsum(found) < seconds:
        took, share = _evaluation(probe, task, seconds)
        if share < 1:
            return [took / share]
        found.append(took)
    return found[1:] or found


def _evaluation(probe: Probe, task: Trainable, seconds: float) -> tuple[float, float]:
    """What an evaluation takes, or its beginning, and the share of its batches that that was."""
    num_batches, done = task.num_evaluation_batches, 0

    def count() -> None:
        nonlocal done
        done += 1
        if num_batches is not None and done < num_batches and watch.elapsed_seconds > seconds:
            raise _Enough

    watch = Stopwatch()
    try:
        with watch:
            probe.evaluate(count)
    except _Enough:
        return watch.seconds, done / (num_batches or done)
    return watch.seconds, 1.0
