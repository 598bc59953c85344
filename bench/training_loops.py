"""A recipe's own training loop, as benches advance it: one step at a time, with settings of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from sweep.api import plan_sweep
from sweep.request import SweepRequest
from sweep.run.ledger import stage_job
from sweep.train.loop import StageRun, start_stage
from sweep.train.task import Data, ImageTask


def begin(recipe: str, settings: Sequence[str], data_path: str) -> StageRun:
    """The whole recipe with its `settings`, warmed up and before its first step, on the CPU."""
    plan = plan_sweep(SweepRequest(recipe, ratios="1", settings=tuple(settings), data_path=data_path))
    of_the_plan = plan.loaded.recipe
    data = Data.load(of_the_plan.builtin_dataset, Path(data_path), torch.device("cpu"))
    return start_stage(stage_job(plan.stages[0]), ImageTask(of_the_plan, data), lambda progress: None)
