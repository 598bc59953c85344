"""Our training loop against a bare one: `python bench/loop.py [--data-path data]`, or `make bench`.

The bare loop is what one would write by hand: normalised float images and labels in memory, shuffled every epoch, the
same model, optimizer, precision and rates, one thread; no augmentation, no progress, no clock. The loops run in one
process and are advanced one step at a time, in an order drawn anew for every round, so that whatever the machine does
meanwhile meets all of them alike. A second bare loop shows how far two equal loops come out apart.

Printed is the bare loop's median step time over ours, that is our share of its images a second, with a 95 % bootstrap
interval over the rounds. The means beside it hold what happens once an epoch, and the machine's hiccups.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import nn

from sweep.api import plan_sweep
from sweep.recipe.datasets import DATASETS
from sweep.request import SweepRequest
from sweep.run.ledger import stage_job
from sweep.store.records import StageJob, decode_rates
from sweep.train.data import Normaliser
from sweep.train.loop import start_stage, train_steps
from sweep.train.task import Data, ImageTask

# Recipe, steps that are counted, and the share of the bare loop's images a second that is wanted.
CASES = (("digits", 4000, 0.93), ("fashion_mnist", 600, 0.97))
NUM_WARM_UP = 50
NUM_RESAMPLES = 2000

Seconds = NDArray[np.float64]  # (rounds,) a step each


@dataclass(frozen=True)
class Share:
    """Our share of the bare loop's speed: by medians with its interval, and by means."""

    median: float
    low: float
    high: float
    mean: float

    @classmethod
    def of(cls, bare: Seconds, ours: Seconds) -> Share:
        """Resamples whole rounds, in which both loops made a step."""
        drawn = np.random.default_rng(0).integers(0, len(bare), (NUM_RESAMPLES, len(bare)))
        ratios = np.median(bare[drawn], axis=1) / np.median(ours[drawn], axis=1)
        low, high = np.quantile(ratios, (0.025, 0.975))
        return cls(float(np.median(bare) / np.median(ours)), float(low), float(high), float(bare.mean() / ours.mean()))

    def verdict(self, wanted: float) -> str:
        if self.low >= wanted:
            return "met"
        return "missed" if self.high < wanted else "cannot tell"

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f} to {self.high:.3f}), by means {self.mean:.3f}"


def bare_loop(job: StageJob, task: ImageTask, data: Data) -> Iterator[None]:
    """Trains the job's steps, giving back control after each."""
    recipe = task.recipe
    images = Normaliser(DATASETS[recipe.dataset], task.device)(data.train.pixels)
    model = task.build_model(job.seed)
    optimizer = task.build_optimizer(model)
    rates = iter(decode_rates(job.rates))
    while True:
        for examples in torch.randperm(len(images)).split(recipe.batch_size):
            for group in optimizer.param_groups:
                group["lr"] = next(rates)
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(model(images[examples]), data.train.labels[examples])
            loss.backward()
            optimizer.step()
            yield


def step_times(loops: list[Iterator[object]], num_rounds: int) -> list[Seconds]:
    """The seconds of each loop's step in each round, the loops in random order."""
    times = np.zeros((len(loops), num_rounds))
    order = list(range(len(loops)))
    for index in range(-NUM_WARM_UP, num_rounds):
        random.shuffle(order)
        for number in order:
            start = perf_counter()
            next(loops[number])
            if index >= 0:
                times[number, index] = perf_counter() - start
    return list(times)


def compare(recipe_name: str, num_rounds: int, data_path: str) -> tuple[Share, Share]:
    """Our loop, and a second bare one, each against the first bare one."""
    num_steps = NUM_WARM_UP + num_rounds
    whole = plan_sweep(SweepRequest(recipe_name, ratios="1")).num_steps
    plan = plan_sweep(SweepRequest(recipe_name, ratios=f"{num_steps}/{whole}", method="steps"))
    job = stage_job(plan.stages[0])
    recipe = plan.loaded.recipe
    data = Data.load(recipe.dataset, Path(data_path), torch.device("cpu"))
    task = ImageTask(recipe, data)
    ours = train_steps(start_stage(job, task, lambda progress: None), num_steps)
    bare, other, times = step_times([bare_loop(job, task, data), bare_loop(job, task, data), ours], num_rounds)
    return Share.of(bare, times), Share.of(bare, other)


def main(data_path: Annotated[str, typer.Option(help="The folder that holds FashionMNIST.")] = "data") -> None:
    """Compare both recipes; needs `sweep data get FashionMNIST`."""
    torch.set_num_threads(1)
    if problems := DATASETS["FashionMNIST"].problems(Path(data_path)):
        sys.exit("\n".join(f"error: {problem}" for problem in problems))
    print(f"our images/s over a bare loop's; torch {torch.__version__}, one thread")
    for recipe, num_rounds, wanted in CASES:
        ours, other = compare(recipe, num_rounds, data_path)
        print(f"{recipe}: {ours}; wanted {wanted}: {ours.verdict(wanted)}")
        print(f"{' ' * len(recipe)}  the bare loop against itself: {other}")


if __name__ == "__main__":
    typer.run(main)
