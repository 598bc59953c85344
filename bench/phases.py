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
from enum import StrEnum
from pathlib import Path
from time import perf_counter
from typing import Self

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "store"))

from histories import ENVIRONMENT

from sweep.api import plan_sweep, run_request
from sweep.errors import Outcome
from sweep.request import SweepRequest
from sweep.run.messages import Said, StageDone, decode_message, encode
from sweep.run.stop import StopRequest
from sweep.store.history import read_history
from sweep.store.records import Environment, Evaluations, Measurement, PrepareJob, StageJob
from sweep.store.workspace import Workspace

NUM_WORKERS = 16
NUM_DRAWN = (
    2000  # accuracies and losses, of which each Stage has some: to draw them anew would take longer than the rest
)
# An evaluation an epoch: a hundred a trial, on average over ratios from 0 to 1.
SETTINGS = ("method=steps", "lr_warmup_epochs=0", "epochs=200", "min_shared_steps=1")


class Shape(StrEnum):
    """Each trial alone, or a plateau that all of a seed share: two Stages a trial, and ways of a Stage a ratio."""

    ALONE = "alone"
    SHARED = "shared"


class AnsweringExecutor:
    """Has every Stage finished as soon as somebody listens. `dispatch_seconds` is from the first Stage to the end."""

    capacity = NUM_WORKERS

    def __init__(self) -> None:
        self.num_stages, self.dispatch_seconds = 0, 0.0
        self._frames: deque[bytes] = deque()
        self._began = 0.0
        self._draw = random.Random(0)
        self._accuracies = tuple(round(self._draw.uniform(0.98, 0.99), 4) for _ in range(NUM_DRAWN))
        self._losses = tuple(self._draw.uniform(0.03, 0.04) for _ in range(NUM_DRAWN))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.dispatch_seconds = perf_counter() - self._began

    def prepare(self, job: PrepareJob, stop: StopRequest) -> Environment:
        return ENVIRONMENT

    def submit(self, job: StageJob) -> None:
        self._began = self._began or perf_counter()
        self.num_stages += 1
        encode(job)
        measured = self._measurement(job)
        done = StageDone(
            stage=job.stage,
            outcome=Outcome.FINISHED,
            measurement=measured,
            environment=ENVIRONMENT,
            log="logs/worker-1.log",
        )
        self._frames.append(encode(done))

    def stop(self) -> None:
        pass

    def receive(self, timeout_seconds: float) -> Said | None:
        message = decode_message(self._frames.popleft()) if self._frames else None
        assert message is None or isinstance(message, StageDone)
        return message

    def _measurement(self, job: StageJob) -> Measurement:
        num_steps, num_rows, draw = job.stop_step - job.start_step, len(job.eval_steps), self._draw
        first = draw.randrange(NUM_DRAWN - num_rows)
        seconds = num_steps / 500 * draw.uniform(1.0, 1.05)
        return Measurement(
            steps=num_steps,
            images=64 * num_steps,
            train_seconds=seconds,
            data_wait_seconds=seconds / 40,
            eval_seconds=0.05 * num_rows,
            startup_seconds=0.02,
            contention=0.02,
            evaluations=Evaluations(
                steps=job.eval_steps,
                accuracy=self._accuracies[first : first + num_rows],
                loss=self._losses[first : first + num_rows],
            ),
            weights_sha256=f"{draw.getrandbits(256):064x}" if job.is_end else None,
            checkpoint_seconds=0.01,
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
    return {"seconds": seconds, "dispatch_seconds": executor.dispatch_seconds, "stages": executor.num_stages}


def replay(asked: SweepRequest) -> dict[str, float]:
    start = perf_counter()
    history = read_history(Workspace(Path(asked.results) / "digits").journal)
    num_stages = len(history.stages)
    return {"seconds": perf_counter() - start, "stages": num_stages}


PHASES: dict[str, Callable[[SweepRequest], dict[str, float]]] = {"plan": plan, "dispatch": dispatch, "replay": replay}


def main(phase: str, shape: str, num_ratios: str, num_seeds: str, results: str) -> None:
    asked = request(Shape(shape), int(num_ratios), int(num_seeds), Path(results))
    print(json.dumps(PHASES[phase](asked)))


if __name__ == "__main__":
    main(*sys.argv[1:])
