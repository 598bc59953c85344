"""What training shared steps once saves: `python bench/sharing.py [--data-path data]`, or `make bench`.

Two grids of ten ratios, 0.1 to 1, over Fashion-MNIST cut to a tenth of its images (6,000 to train on, 1,000 to
evaluate on), and one of a cosine without warm-up, which has nothing to share. Each is really trained both ways, one
after the other, in an order drawn by lot, on one thread: a process of its own from its start to the printed table, with
the Worker inside it. A baseline is then only 752 steps, so forks are made wherever they save a step.

Printed is the shared way's share of the steps and of the wall time, and what is beside training and evaluation for each
Stage: making the model, warming up, handing states over, the journal. What is wanted stands beside it.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer

from sweep.api import run_request
from sweep.recipe.datasets import DATASETS
from sweep.report.grid import draw
from sweep.report.screen import Screen
from sweep.report.table import make_table
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.store.history import History
from sweep.train import data, loading, task

NUM_IMAGES, NUM_EVALUATED = 6_000, 1_000
RATIOS = "0.1:1:0.1"
SHARED = ("min_shared_steps=1", "method=steps")


@dataclass(frozen=True)
class Case:
    """A grid, and the share of the time alone that is wanted: given, or by the steps and so many points more."""

    name: str
    recipe: str
    settings: tuple[str, ...]
    wanted: float | None = None
    points: float | None = None

    def request(self, results: Path, data_path: Path, share: bool) -> SweepRequest:
        return SweepRequest(
            self.recipe,
            RATIOS,
            threads=1,
            data_path=str(data_path),
            results=results,
            share=share,
            settings=self.settings,
        )

    def limit(self, step_share: float) -> float | None:
        return self.wanted if self.points is None else step_share + self.points


CASES = (
    Case("wsd", "fashion_mnist_wsd", SHARED, wanted=0.40),
    Case("multi-step", "fashion_mnist", SHARED, points=0.08),
    Case("cosine", "fashion_mnist", ("lr_scheduler=cosineannealinglr", "lr_warmup_epochs=0", "method=steps")),
)


@dataclass(frozen=True)
class Run:
    """One sweep: the whole of it, and what its journal says of its parts."""

    wall_seconds: float
    train_seconds: float
    eval_seconds: float
    num_steps: int
    num_stages: int

    @property
    def beside_seconds(self) -> float:
        """What is neither training nor evaluation."""
        return self.wall_seconds - self.train_seconds - self.eval_seconds


def main(
    data_path: Annotated[Path, typer.Option(help="The folder that holds Fashion-MNIST.")] = Path("data"),
    one: Annotated[str, typer.Option(help="Only one sweep, as the bench itself asks for it.", hidden=True)] = "",
) -> None:
    if one:
        name, way, results = one.split(":", 2)
        train_one(next(case for case in CASES if case.name == name), way == "shared", Path(results), data_path)
        return
    for case in CASES:
        runs = both_ways(case, data_path)
        print_case(case, runs["shared"], runs["alone"])


def cut() -> None:
    """Leave of Fashion-MNIST's images the first ones, in this process."""
    whole = loading.load_images

    def cut_images(*arguments: Any) -> tuple[data.Images, data.Images]:
        parts = zip(whole(*arguments), (NUM_IMAGES, NUM_EVALUATED), strict=True)
        train, evaluation = (data.Images(part.pixels[:count], part.labels[:count]) for part, count in parts)
        return train, evaluation

    DATASETS["FashionMNIST"] = replace(DATASETS["FashionMNIST"], num_train=NUM_IMAGES, num_eval=NUM_EVALUATED)
    task.load_images = cut_images  # type: ignore[attr-defined]


def train_one(case: Case, share: bool, results: Path, data_path: Path) -> None:
    """Train the grid and print its table, and in a last line what the journal says of it."""
    cut()
    done = run_request(case.request(results, data_path, share), make_executor=lambda *placed: InlineExecutor())
    assert done.is_complete
    draw(make_table(done.history), Screen(file=sys.stdout))
    print(json.dumps(parts(done.history)))


def parts(history: History) -> dict[str, float]:
    measured = [record.measurement for record in history.attempts if record.measurement is not None]
    return {
        "train_seconds": sum(part.train_seconds for part in measured),
        "eval_seconds": sum(part.eval_seconds for part in measured),
        "num_steps": sum(part.steps for part in measured),
        "num_stages": len(measured),
    }


def both_ways(case: Case, data_path: Path) -> dict[str, Run]:
    runs: dict[str, Run] = {}
    with tempfile.TemporaryDirectory() as folder:
        for way in random.sample(("shared", "alone"), 2):
            command = [sys.executable, __file__, "--data-path", data_path, "--one", f"{case.name}:{way}:{folder}/{way}"]
            threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
            started = perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ | threads, check=False)
            seconds = perf_counter() - started
            if done.returncode:
                sys.exit(done.stderr)
            runs[way] = Run(seconds, **json.loads(done.stdout.splitlines()[-1]))
    return runs


def print_case(case: Case, shared: Run, alone: Run) -> None:
    step_share, time_share = shared.num_steps / alone.num_steps, shared.wall_seconds / alone.wall_seconds
    limit = case.limit(step_share)
    print(f"{case.name}, ratios {RATIOS}, {NUM_IMAGES} images")
    print(f"  steps      {shared.num_steps} of {alone.num_steps} alone: {step_share:.3f}")
    wanted = "" if limit is None else f" (wanted: at most {limit:.3f}: {'met' if time_share <= limit else 'missed'})"
    print(f"  wall time  {shared.wall_seconds:.1f} s of {alone.wall_seconds:.1f} s: {time_share:.3f}{wanted}")
    for name, run in (("shared", shared), ("alone", alone)):
        print(
            f"  {name:<9}  {run.num_stages} stages; training {run.train_seconds:.1f} s, evaluation "
            f"{run.eval_seconds:.1f} s, beside them {run.beside_seconds:.1f} s: "
            f"{1000 * run.beside_seconds / run.num_stages:.0f} ms a stage, the start included"
        )
    if more := shared.num_stages - alone.num_stages:
        beside = 1000 * (shared.beside_seconds - alone.beside_seconds) / more
        print(f"  each of the {more} stages more costs {beside:.0f} ms beside training and evaluation")


if __name__ == "__main__":
    typer.run(main)
