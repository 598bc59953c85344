"""What a user's own Python calls: the same sweeps as the command line's, from a script, a notebook or a test.

Nothing here ends the program, needs a guard around it, or prints unless it is asked to.
"""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.api import run_request, scale_loaded
from sweep.arguments import PathLike, RatioLike, RecipeLike, as_argument, load_any, read_ratio, request_of
from sweep.errors import SweepError
from sweep.events import Event, Noticed
from sweep.plan.scaled_numbers import scale_numbers
from sweep.recipe.duration import Duration, Unit
from sweep.recipe.library import LoadedRecipe
from sweep.recipe.schema import Recipe
from sweep.report.live import make_view
from sweep.report.screen import Screen

if TYPE_CHECKING:
    import pandas as pd

_WARNING = "warning: "


def run_sweep(
    recipe: RecipeLike,
    ratios: RatioLike | Iterable[RatioLike] | None = None,
    seeds: int | None = None,
    *,
    method: str | None = None,
    mode: str | None = None,
    device: str = "auto",
    jobs: int | str = 1,
    jobs_per_device: int = 1,
    threads: int | None = None,
    workers: int | None = None,
    data_path: PathLike | None = None,
    price: float | None = None,
    results: PathLike = "results",
    name: str | None = None,
    fresh: bool = False,
    share: bool = True,
    settings: Mapping[str, object] | None = None,
    retries: int = 1,
    checkpoint_every: float | str = 60,
    stall_timeout: float | str = 600,
    keep: str = "forks",
    allow_mixed: bool = False,
    executor: str = "local",
    address: str | None = None,
    resources: str | None = None,
    slurm: str | None = None,
    detach: bool = False,
    within: str | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Train `recipe` at every ratio with every seed, only what is missing, and return the sweep as a table.

    `recipe` is a shipped recipe's name, the path of a YAML file, or a dict of a recipe's keys; `ratios` a number, a
    text as the command line takes it, a Fraction, or several of them; None is 0.25, 0.5 and 1, what fits `within` a
    budget ("4h", "$50"), or with `mode` "cyclic" the ends of its cycles. `settings` changes keys of the recipe. All
    else is as the options of `sweep run` say. With `progress` it is drawn on standard error; else warnings go to
    Python's.

    One row for every trial that the sweep has, those of earlier calls too, by method, ratio and seed:
    docs/python-api.md lists the columns. A trial that failed is a row with its `outcome` and `reason`. Ctrl-C stops
    the sweep with all that is done recorded, and raises KeyboardInterrupt; the same call goes on from there.

    Raises:
        SweepError: with every mistake in the arguments and in the recipe at once, or what the machine cannot do.
    """
    given = {key: value for key, value in locals().items() if key != "progress"}
    try:
        request = request_of(given)
        with make_view(Screen(stderr=True), quiet=not progress) as view:
            done = run_request(request, view if progress else _warn)
    except SweepError as error:
        error.problems = tuple(map(as_argument, error.problems))
        error.args = ("\n".join(map(str, error.problems)),)
        raise
    if done.stopped_by is not None:
        signal.raise_signal(done.stopped_by)  # as if it had come now: whoever handles it does so
    from sweep.report.frame import trial_frame

    return trial_frame(done.history)


def _warn(event: Event) -> None:
    """Nothing is silently wrong: a warning of the plan is Python's, at the line that called us."""
    if not isinstance(event, Noticed) or not event.text.startswith(_WARNING):
        return
    own, depth = str(Path(__file__).parent), 1
    while sys._getframe(depth).f_code.co_filename.startswith(own):
        depth += 1
    warnings.warn(event.text.removeprefix(_WARNING), stacklevel=depth + 1)


def scale_schedule(recipe: RecipeLike | Recipe | LoadedRecipe, ratio: RatioLike) -> dict[str, object]:
    """The numbers of a schedule at `ratio`: exact, whole ones as int, all others as Fractions.

    Of a recipe (its name, its path, or a dict that names what is trained) its length, its warm-up and what its
    scheduler and its methods read of time: plain numbers are epochs, other units stay texts ("230ba"). Of a dict of
    numbers alone ({"epochs": 90, "lr_step_size": 30, "lr_warmup_epochs": 5}) every key of it, the others unchanged:
    recipes' names and torch's (T_max, T_0, step_size, milestones, total_steps, …) are known.

    Raises:
        UsageError: with everything that is not known or cannot be scaled.
    """
    parsed = read_ratio(ratio)
    if isinstance(recipe, Mapping) and not recipe.keys() & {"model", "dataset", "task", "command"}:
        return scale_numbers(recipe, parsed)
    scaled = scale_loaded(load_any(recipe), parsed)
    return {key: _plain(getattr(scaled.recipe, key)) for key in scaled.times}


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not isinstance(value, Duration) or value.unit is not Unit.EPOCH:
        return str(value) if isinstance(value, Duration) else value
    return int(value.amount) if value.amount.denominator == 1 else value.amount
