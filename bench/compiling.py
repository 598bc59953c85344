"""What torch.compile gains: `python bench/compiling.py [--data-path data]`; some minutes, most of them compiling.

The training loop of a recipe as it is and of the same recipe with `compile: true`, on one thread. What compiling costs
is how much longer a stage then takes from its beginning to its first step, with nothing in torch's cache of compiled
code; after how many steps that is won back follows from the two medians.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Annotated

import numpy as np
import torch
import typer
from measuring import ratio_of_medians, step_times
from training_loops import begin

from results import Row, report
from sweep.train.loop import train_steps

NUM_WARM_UP = 5
NOTES = (
    "One thread. A figure is the median step time as the recipe is over that with `compile: true`: above 1, it gains.",
    "Compiling is start-up, in no `train_seconds`; torch keeps what it has compiled on disk, so that it costs less the "
    "next time.",
)


@dataclass(frozen=True)
class Case:
    recipe: str
    settings: tuple[str, ...]
    num_rounds: int

    def __str__(self) -> str:
        return f"`{self.recipe}` {' '.join(self.settings)}"


CASES = (
    Case("digits", ("amp=none",), 400),
    Case("digits", ("amp=bf16",), 400),
    Case("fashion_mnist", ("amp=none",), 150),
    Case("fashion_mnist", ("amp=bf16",), 150),
)


def compare(case: Case, share: float, data_path: str) -> tuple[Row, str]:
    """The row of a case, and what compiling costs."""
    num_rounds = max(5, round(case.num_rounds * share))
    plain, plain_start = _loop(case, (), data_path)
    again, _ = _loop(case, (), data_path)
    compiled, compiled_start = _loop(case, ("compile=true",), data_path)
    before, itself, after = step_times([plain, again, compiled], num_rounds, NUM_WARM_UP)
    figure, noise = ratio_of_medians(before, after), ratio_of_medians(before, itself)
    cost, gain = compiled_start - plain_start, float(np.median(before) - np.median(after))
    back = f"won back after {cost / gain:,.0f} steps" if figure.low > 1 else "never won back, as far as can be told"
    note = f"{case}: compiling takes {cost:.1f} s, {back}; a step as it is {1000 * np.median(before):.2f} ms."
    return Row(f"{case}, compiled", "as it is", str(figure), "", "", str(noise)), note


def _loop(case: Case, settings: tuple[str, ...], data_path: str) -> tuple[Iterator[int], float]:
    """The training loop before its first step, and the seconds that its beginning took."""
    start = perf_counter()
    run = begin(case.recipe, (*case.settings, *settings), data_path)
    return train_steps(run, run.job.stop_step), perf_counter() - start


def main(
    data_path: Annotated[str, typer.Option(help="The folder that holds FashionMNIST.")] = "data",
    share: Annotated[float, typer.Option(help="Of the rounds; less is a trial of the bench itself.")] = 1.0,
) -> None:
    """Compare the recipes with themselves, compiled; needs `sweep data get FashionMNIST`, and a C++ compiler."""
    torch.set_num_threads(1)
    begin("digits", (), data_path)  # what a process does once is nobody's
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        found = [compare(case, share, data_path) for case in CASES]
    report("compiling", [row for row, _ in found], [*NOTES, *(note for _, note in found)])


if __name__ == "__main__":
    typer.run(main)
