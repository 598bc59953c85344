"""What is needed to advance a framework's trainer alternately with our training loop: see frameworks.py.

A trainer calls, and is not called: it runs in a greenlet, which gives control back at the end of each of its steps.
So a step of its lasts from there to the next such end, the fetching of its batch and all of its bookkeeping included.
A round is as many steps as our loop makes batches for at once: see loop.py.

Our loop runs in a process of its own, as it does in a sweep, and advances when it is told to: how a process keeps the
memory that it frees is set for the whole of it, and the framework would have that from us.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from greenlet import greenlet
from loop import our_loop, rounds_of
from measuring import Ratio, ratio_of_medians, step_times
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from sweep.api import plan_sweep
from sweep.recipe.datasets import DATASETS
from sweep.request import SweepRequest
from sweep.run.ledger import stage_job
from sweep.store.records import StageJob, decode_rates
from sweep.train.data import Normaliser
from sweep.train.task import Data, ImageTask

RECIPE = "fashion_mnist"
STEPS_PER_ROUND = 5
NUM_WARM_UP = 10  # rounds
NUM_TRIED = 20  # rounds that decide which of the loaders is the fastest

Loader = DataLoader[tuple[Tensor, ...]]


class Fit(Iterator[None]):
    """A trainer as an iterator over its steps: `fit` trains, and calls what it is given at the end of each of them."""

    def __init__(self, fit: Callable[[Callable[[], object]], object]) -> None:
        self._inside = greenlet(fit)
        self._outside = greenlet.getcurrent()

    def __next__(self) -> None:
        self._inside.switch(self._outside.switch)
        if self._inside.dead:
            raise StopIteration


@dataclass(frozen=True)
class Baseline:
    """The run that both sides make: network, optimizer, rates and images, as the recipe has them."""

    job: StageJob
    task: ImageTask
    data: Data

    @classmethod
    def load(cls, data_path: Path) -> Baseline:
        plan = plan_sweep(SweepRequest(RECIPE, ratios="1", settings=("amp=none",)))
        recipe = plan.loaded.recipe
        data = Data.load(recipe.dataset, data_path, torch.device("cpu"))
        return cls(stage_job(plan.stages[0]), ImageTask(recipe, data), data)

    def ours(self) -> Iterator[None]:
        return rounds_of(our_loop(self.job, self.task), STEPS_PER_ROUND)

    @staticmethod
    def ours_elsewhere(data_path: Path) -> Generator[None, None, None]:
        """Our loop in a process of its own, a round at a time; the process ends with the iterator."""
        context = get_context("spawn")
        connection, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, data_path), daemon=True)
        process.start()
        try:
            while True:
                connection.send(None)
                connection.recv()
                yield
        finally:
            process.kill()
            process.join()

    def network(self) -> nn.Module:
        layout = torch.channels_last if self.task.recipe.channels_last else torch.contiguous_format
        return self.task.build_model(self.job.seed).to(memory_format=layout)

    def optimizer(self, network: nn.Module) -> tuple[Optimizer, LambdaLR]:
        optimizer = self.task.build_optimizer(network)
        rates, base = decode_rates(self.job.rates), self.task.recipe.lr
        return optimizer, LambdaLR(optimizer, lambda step: rates[step] / base)

    def mirrored(self, images: Tensor) -> Tensor:
        """Each of the images flipped with the recipe's probability, in place."""
        flips = torch.rand(len(images)) < self.task.recipe.hflip_prob
        images[flips] = images[flips].flip(3)
        return images

    def loaders(self) -> dict[str, Loader]:
        """DataLoaders of the normalised images, which lie in memory, by what is to be said of them."""
        pixels, size = self.data.train.pixels, self.task.recipe.batch_size
        images = Normaliser(DATASETS[self.task.recipe.dataset], torch.device("cpu"))(pixels)
        examples = TensorDataset(images, self.data.train.labels)
        batches = BatchSampler(RandomSampler(examples), size, drop_last=False)
        return {
            "whole batches (batch_size=None, sampler=BatchSampler(…))": DataLoader(
                examples, batch_size=None, sampler=batches
            ),
            "example by example": DataLoader(examples, batch_size=size, shuffle=True),
            "example by example, by 2 workers": DataLoader(
                examples, batch_size=size, shuffle=True, num_workers=2, persistent_workers=True
            ),
        }


def _serve(connection: Connection, data_path: Path) -> None:
    """In the other process: a round of our loop for every message."""
    torch.set_num_threads(1)
    loop = Baseline.load(data_path).ours()
    while True:
        connection.recv()
        next(loop)
        connection.send(None)


@dataclass(frozen=True)
class Found:
    """Our images a second over the framework's with the loader that is its fastest, and how it was found."""

    share: Ratio
    itself: Ratio  # our loop over a second one of its own
    loader: str
    shares: dict[str, float]  # by loader, of the trial that chose it
    versions: dict[str, str]


def compare(data_path: Path, num_rounds: int, framework: str, fit: Callable[[Baseline, Loader, int], Fit]) -> Found:
    """`fit` makes a framework's trainer of so many steps; `framework` is the name of its package."""
    torch.set_num_threads(1)
    baseline = Baseline.load(data_path)
    shares = {
        name: _share(data_path, fit(baseline, loader, _num_steps(NUM_TRIED)), NUM_TRIED)[0]
        for name, loader in baseline.loaders().items()
    }
    fastest = min(shares, key=lambda name: shares[name].value)
    share, itself = _share(data_path, fit(baseline, baseline.loaders()[fastest], _num_steps(num_rounds)), num_rounds)
    versions = {name: version(name) for name in (framework, "torch", "torchvision")}
    return Found(share, itself, fastest, {name: ratio.value for name, ratio in shares.items()}, versions)


def _num_steps(num_rounds: int) -> int:
    return (NUM_WARM_UP + num_rounds) * STEPS_PER_ROUND


def _share(data_path: Path, theirs: Fit, num_rounds: int) -> tuple[Ratio, Ratio]:
    ours = [Baseline.ours_elsewhere(data_path) for _ in range(2)]
    our_times, other_times, their_times = step_times(
        [*ours, rounds_of(theirs, STEPS_PER_ROUND)], num_rounds, NUM_WARM_UP
    )
    for loop in ours:
        loop.close()
    for _ in theirs:
        raise RuntimeError("the trainer makes more steps than it was told to")
    return ratio_of_medians(their_times, our_times), ratio_of_medians(other_times, our_times)


def to_json(found: Found) -> str:
    """One line."""
    return json.dumps(asdict(found))


def from_json(line: str) -> Found:
    values = json.loads(line)
    ratios = {name: Ratio(**values.pop(name)) for name in ("share", "itself")}
    return Found(**ratios, **values)
