"""Our training loop against a bare one: `python bench/loop.py [--data-path data]`, or `make bench`; some minutes.

The bare loop is what one would write by hand for speed: normalised float images and labels in memory, in the memory
format of the recipe, shuffled every epoch; the same network, optimizer, precision and rates; no augmentation, no
progress, no clock, no look at the losses. Ours does what a sweep does between two evaluations.

All compute with one thread: so does a digits sweep, and each of two jobs on two cores; and the fewer threads, the less
a step waits for whatever else the machine does. What our loop does for several batches at once, and both do at the end
of an epoch, would be missing from the median of single steps: a round is therefore as many steps as that takes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from measuring import Ratio, ratio_of_medians, step_times
from torch import nn

from results import Row, report
from sweep.api import plan_sweep
from sweep.recipe.datasets import DATASETS
from sweep.request import SweepRequest
from sweep.run.ledger import stage_job
from sweep.store.records import StageJob, decode_rates
from sweep.train.data import Normaliser
from sweep.train.keeper import Keeper
from sweep.train.loop import start_stage, train_steps
from sweep.train.task import Data, ImageTask

NUM_WARM_UP = 20
NOTES = (
    "One thread. A figure is the bare loop's median time of a round over ours: our share of its images a second.",
    "The bare loop: normalised float images in memory in the recipe's memory format, shuffled every epoch; the same "
    "network, optimizer, precision and rates; no augmentation, no progress, no clock.",
    "Where the microseconds go: [profile.md](profile.md).",
)


@dataclass(frozen=True)
class Case:
    """What is trained. A round is `steps_per_round` steps; `wanted`: of the bare loop's images a second."""

    recipe: str
    settings: tuple[str, ...]
    num_rounds: int
    steps_per_round: int
    wanted: float

    def __str__(self) -> str:
        return f"`{self.recipe}` {' '.join(self.settings)}".strip()


def _fashion_mnist(amp: str, batch_size: int, num_rounds: int, steps_per_round: int) -> Case:
    return Case("fashion_mnist", (f"amp={amp}", f"batch_size={batch_size}"), num_rounds, steps_per_round, 0.98)


CASES = (
    Case("digits", (), 200, 23, 0.93),  # an epoch each
    _fashion_mnist("none", 128, 120, 5),
    _fashion_mnist("none", 512, 150, 1),
    _fashion_mnist("bf16", 128, 120, 5),
    _fashion_mnist("bf16", 512, 150, 1),
)


def bare_loop(job: StageJob, task: ImageTask, data: Data) -> Iterator[None]:
    """Trains the job's steps, giving back control after each."""
    recipe = task.recipe
    layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
    images = Normaliser(DATASETS[recipe.dataset], task.device)(data.train.pixels).contiguous(memory_format=layout)
    model = task.build_model(job.seed).to(memory_format=layout)
    optimizer = task.build_optimizer(model)
    rates = iter(decode_rates(job.rates))
    autocast = torch.autocast("cpu", torch.bfloat16) if recipe.amp == "bf16" else nullcontext()
    while True:
        for examples in torch.randperm(len(images)).split(recipe.batch_size):
            for group in optimizer.param_groups:
                group["lr"] = next(rates)
            optimizer.zero_grad(set_to_none=True)
            with autocast:
                loss = nn.functional.cross_entropy(model(images.index_select(0, examples)), data.train.labels[examples])
            loss.backward()
            optimizer.step()
            yield


def our_loop(job: StageJob, task: ImageTask) -> Iterator[None]:
    """Likewise, with all that a sweep does in a step."""
    run, keeper = start_stage(job, task, lambda progress: None), Keeper()
    with run.train:
        for _ in train_steps(run, job.stop_step):
            keeper.is_due(run.train.elapsed_seconds)
            yield


def rounds_of(loop: Iterator[None], num_steps: int) -> Iterator[None]:
    """The loop, `num_steps` of its steps at a time."""
    while True:
        for _ in range(num_steps):
            next(loop)
        yield


def compare(case: Case, data_path: str) -> tuple[Ratio, Ratio]:
    """Our loop's share of the bare one's speed, and that of a second bare one."""
    request = SweepRequest(case.recipe, ratios="10", settings=(*case.settings, f"data_path={data_path}"))
    plan = plan_sweep(request)
    job, recipe = stage_job(plan.stages[0]), plan.loaded.recipe
    data = Data.load(recipe.dataset, Path(data_path), torch.device("cpu"))
    task = ImageTask(recipe, data)
    loops = bare_loop(job, task, data), bare_loop(job, task, data), our_loop(job, task)
    bare, other, ours = step_times(
        [rounds_of(loop, case.steps_per_round) for loop in loops], case.num_rounds, NUM_WARM_UP // case.steps_per_round
    )
    return ratio_of_medians(bare, ours), ratio_of_medians(bare, other)


def main(data_path: Annotated[str, typer.Option(help="The folder that holds FashionMNIST.")] = "data") -> None:
    """Compare the loops on both recipes; needs `sweep data get FashionMNIST`."""
    torch.set_num_threads(1)
    if problems := DATASETS["FashionMNIST"].problems(Path(data_path)):
        sys.exit("\n".join(f"error: {problem}" for problem in problems))
    rows = []
    for case in CASES:
        ours, other = compare(case, data_path)
        verdict = ours.at_least(case.wanted)
        rows.append(Row(str(case), "the bare loop", str(ours), f"at least {case.wanted}", verdict, str(other)))
    report("loop", rows, NOTES)


if __name__ == "__main__":
    typer.run(main)
