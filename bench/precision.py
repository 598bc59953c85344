"""What bf16 gains and what it costs: `python bench/precision.py [--data-path data]`; half an hour, most of it training.

Speed: the training loop of a recipe in float32 and in bf16, on one thread, with batches of several sizes. Accuracy: the
recipes really trained in both, with several seeds each. It is what `amp: auto` rests on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from measuring import ratio_of_medians, step_times
from pandas import DataFrame
from scipy import stats
from training_loops import begin

from results import Row, report
from sweep import run_sweep
from sweep.processor import bf16_instructions
from sweep.train.loop import train_steps
from sweep.train.precision import forward_flop

NUM_WARM_UP = 5
# Recipe, the examples of a batch, and the steps that are counted.
SPEEDS = (
    *(("digits", size, 400) for size in (16, 64, 128, 256)),
    *(("fashion_mnist", size, rounds) for size, rounds in ((8, 300), (16, 300), (32, 200), (128, 100), (512, 40))),
)
NOTES = (
    "Steps: one thread; the median step time in float32 over that in bf16, so that above 1 bf16 is faster. Of one side "
    "against itself: float32.",
    "Accuracy: the mean over the seeds in bf16 less that in float32, with Welch's 95 % interval; *met* where that "
    "reaches to zero or above, so that bf16 is no worse beyond noise.",
)


@dataclass(frozen=True)
class Trained:
    """A recipe that is really trained in both: at which ratios, and with how many seeds."""

    recipe: str
    ratios: tuple[str, ...]
    num_seeds: int


def speed_row(recipe: str, batch_size: int, num_rounds: int, data_path: str) -> Row:
    settings = f"batch_size={batch_size}", "epochs=100"  # more steps than are timed
    runs = [begin(recipe, (*settings, f"amp={amp}"), data_path) for amp in ("none", "none", "bf16")]
    loops = [train_steps(run, run.job.stop_step) for run in runs]
    float32, again, bf16 = step_times(loops, num_rounds, NUM_WARM_UP)
    gflop = forward_flop(runs[0].task) / 1e9
    what = f"`{recipe}`, {batch_size} in a batch ({gflop:.2g} GFLOP): a step of {1000 * np.median(float32):.2f} ms"
    figure, itself = ratio_of_medians(float32, bf16), ratio_of_medians(float32, again)
    return Row(what, "bf16", str(figure), "", "", str(itself))


def accuracy_rows(trained: Trained, results: Path, data_path: str) -> list[Row]:
    """Train the recipe in both; one row a ratio."""
    frames = [
        run_sweep(
            trained.recipe,
            trained.ratios,
            trained.num_seeds,
            name=f"{trained.recipe}-{amp}",
            results=results,
            threads=1,
            data_path=data_path,
            settings={"amp": amp},
        )
        for amp in ("none", "bf16")
    ]
    return [_accuracy_row(trained, ratio, *(_scores(frame, ratio) for frame in frames)) for ratio in trained.ratios]


def _scores(frame: DataFrame, ratio: str) -> Sequence[float]:
    return list(100 * frame[frame["ratio"] == float(ratio)]["accuracy"])


def _accuracy_row(trained: Trained, ratio: str, float32: Sequence[float], bf16: Sequence[float]) -> Row:
    test = stats.ttest_ind(bf16, float32, equal_var=False)
    low, high = test.confidence_interval(0.95)
    difference = np.mean(bf16) - np.mean(float32)
    what = f"`{trained.recipe}` at ratio {ratio}, {trained.num_seeds} seeds: {np.mean(float32):.2f} % in float32"
    verdict = "met" if high >= 0 else "missed"
    figure = f"{difference:+.2f} points ({low:+.2f} to {high:+.2f})"
    return Row(what, "bf16", figure, "no worse", verdict)


def main(
    data_path: Annotated[str, typer.Option(help="The folder that holds FashionMNIST.")] = "data",
    share: Annotated[float, typer.Option(help="Of the rounds; less is a trial of the bench itself.")] = 1.0,
    seeds: Annotated[int, typer.Option(help="With which digits is trained.")] = 20,
    fashion_seeds: Annotated[int, typer.Option(help="With which fashion_mnist is trained.")] = 3,
    fashion_ratios: Annotated[str, typer.Option(help="At which fashion_mnist is trained.")] = "0.25,1",
) -> None:
    """Compare float32 with bf16; needs `sweep data get FashionMNIST`."""
    torch.set_num_threads(1)
    rows = [speed_row(recipe, size, max(5, round(share * rounds)), data_path) for recipe, size, rounds in SPEEDS]
    grids = (
        Trained("digits", ("0.25", "1"), seeds),
        Trained("fashion_mnist", tuple(fashion_ratios.split(",")), fashion_seeds),
    )
    with tempfile.TemporaryDirectory() as results:
        for grid in grids:
            rows += accuracy_rows(grid, Path(results), data_path) if grid.num_seeds else []
    report("precision", rows, [*NOTES, f"The processor multiplies bfloat16 with {bf16_instructions()}."])


if __name__ == "__main__":
    typer.run(main)
