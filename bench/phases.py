"""One phase of a large sweep, in a process of its own: `python bench/phases.py PHASE SHAPE RATIOS SEEDS RESULTS`, which
prints a line of JSON. See scale.py, which starts them.

Nothing is trained: the executor answers at once, with what digits would have measured and all that it was given
together, as many Workers do that end while the parent writes. Jobs and answers are made into frames and read again as
between processes; making the answers, which is the Workers' work, is in the time too.
"""

from __future__ import annotations

import json
import random
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from untrained import UntrainedExecutor

from sweep.api import plan_sweep, run_request
from sweep.events import Progress
from sweep.request import SweepRequest
from sweep.run.messages import Progressed, Said, StageDone, decode_message, encode
from sweep.store.history import read_history
from sweep.store.records import StageJob
from sweep.store.workspace import Workspace

NUM_WORKERS = 16
NUM_TOLD = 1000
# An evaluation an epoch: a hundred a trial, on average over ratios from 0 to 1.
SETTINGS = ("method=steps", "lr_warmup_epochs=0", "epochs=200", "min_shared_steps=1")


class Shape(StrEnum):
    """Each trial alone, or a plateau that all of a seed share: two Stages a trial, and ways of a Stage a ratio."""

    ALONE = "alone"
    SHARED = "shared"


class AnsweringExecutor(UntrainedExecutor):
    """Has every Stage finished as soon as somebody listens."""

    def __init__(self, num_told: int = 0) -> None:
        super().__init__(NUM_WORKERS)
        self._num_told = num_told  # before a Stage has finished, how far it is
        self._frames: deque[bytes] = deque()
        self._speed = random.Random(0)

    def submit(self, job: StageJob) -> None:
        super().submit(job)
        encode(job)
        num_steps = job.stop_step - job.start_step
        self._frames += [encode(_progress(job.stage))] * self._num_told
        self._frames.append(encode(self.done(job, num_steps / 500 * self._speed.uniform(1.0, 1.05))))

    def receive(self, timeout_seconds: float) -> Said | None:
        message = decode_message(self._frames.popleft()) if self._frames else None
        assert message is None or isinstance(message, StageDone | Progressed)
        return message


def _progress(stage: str) -> Progressed:
    return Progressed(
        progress=Progress(
            stage=stage, steps_done=7, epoch=1.25, loss=0.0625, accuracy=0.9875, images_per_second=12345.678
        )
    )


def request(shape: Shape, num_ratios: int, num_seeds: int, results: Path) -> SweepRequest:
    """As many ratios up to 1, equally far apart, with so many seeds each."""
    ratios = ",".join(f"{place}/{num_ratios}" for place in range(1, num_ratios + 1))
    scheduler = {Shape.ALONE: "cosineannealinglr", Shape.SHARED: "wsd"}[shape]
    settings = (*SETTINGS, f"lr_scheduler={scheduler}")
    share = shape is Shape.SHARED
    return SweepRequest("digits", ratios, seeds=num_seeds, settings=settings, results=results, share=share)


def plan(asked: SweepRequest) -> dict[str, float]:
    start = perf_counter()
    planned = plan_sweep(asked)
    return {"seconds": perf_counter() - start, "stages": len(planned.stages)}


def dispatch(asked: SweepRequest) -> dict[str, float]:
    executor = AnsweringExecutor()
    start = perf_counter()
    done = run_request(asked, make_executor=lambda *placed: executor)
    assert done.is_complete
    seconds = perf_counter() - start
    return {
        "seconds": seconds,
        "dispatch_seconds": executor.dispatch_seconds,
        "stages": executor.num_stages,
        **_journal_bytes(done.workspace.journal, len(done.plan.trials), executor.num_stages),
    }


def _journal_bytes(journal: Path, num_trials: int, num_stages: int) -> dict[str, float]:
    """What the journal grows by: for each trial that is asked for, and for each Stage that is done."""
    start, stages = journal.read_bytes().split(b"\n", 1)
    return {"start_bytes": len(start) / num_trials, "stage_bytes": len(stages) / num_stages}


def hear(asked: SweepRequest) -> dict[str, float]:
    """How long it takes to hear how far a Stage is: that of messages of which there are very many."""
    seconds = []
    for num_told in (0, NUM_TOLD):
        executor = AnsweringExecutor(num_told)
        with TemporaryDirectory() as folder:
            run_request(replace(asked, results=Path(folder)), make_executor=lambda *placed, made=executor: made)
        seconds.append(executor.dispatch_seconds)
    return {"seconds": (seconds[1] - seconds[0]) / (NUM_TOLD * executor.num_stages), "stages": executor.num_stages}


def replay(asked: SweepRequest) -> dict[str, float]:
    start = perf_counter()
    history = read_history(Workspace(Path(asked.results) / "digits").journal)
    num_stages = len(history.stages)
    return {"seconds": perf_counter() - start, "stages": num_stages}


PHASES: dict[str, Callable[[SweepRequest], dict[str, float]]] = {
    "plan": plan,
    "dispatch": dispatch,
    "replay": replay,
    "hear": hear,
}


def main(phase: str, shape: str, num_ratios: str, num_seeds: str, results: str) -> None:
    asked = request(Shape(shape), int(num_ratios), int(num_seeds), Path(results))
    print(json.dumps(PHASES[phase](asked)))


if __name__ == "__main__":
    main(*sys.argv[1:])
