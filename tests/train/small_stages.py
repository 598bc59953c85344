"""Stages of the smoke recipe to train in this process, on one thread."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sweep.api import plan_sweep
from sweep.recipe.datasets import DATASETS
from sweep.recipe.library import load_recipe, parse_settings
from sweep.recipe.schema import Recipe
from sweep.request import SweepRequest
from sweep.store.records import Evaluations, StageJob, encode_rates
from sweep.train.checkpoint import State
from sweep.train.device import set_threads
from sweep.train.loop import Trained, train_stage
from sweep.train.task import Data, ImageTask

CPU = torch.device("cpu")


@cache
def digits() -> Data:
    return Data.load("digits", Path("data"), CPU)


class DrawingTask(ImageTask):
    """Its model has dropout: whoever else draws from torch's generator changes the weights."""

    def build_model(self, seed):
        return nn.Sequential(nn.Dropout(0.1), super().build_model(seed))


def smoke_recipe(*settings: str) -> Recipe:
    return load_recipe("smoke", parse_settings(settings)).recipe


def smoke_task(*settings: str, kind: type[ImageTask] = ImageTask) -> ImageTask:
    set_threads(1)
    return kind(smoke_recipe(*settings), digits())


def smoke_job(*settings: str, num_steps: int = 46, seed: int = 0, rates=None, **fields) -> StageJob:
    """The first `num_steps` steps of the baseline as a Stage, evaluated at its end.

    `rates` are the baseline's unless given; `fields` replace the job's own.
    """
    [timeline] = plan_sweep(SweepRequest("smoke", ratios="1", settings=settings)).timelines
    job = StageJob(
        stage="a stage",
        recipe=timeline.recipe.model_dump(mode="json"),
        ratio="1",
        seed=seed,
        num_examples=DATASETS["digits"].num_train,
        start_step=0,
        stop_step=num_steps,
        eval_steps=(num_steps,),
        rates=encode_rates(timeline.rates(0, num_steps) if rates is None else np.array(rates)),
    )
    return job.model_copy(update=fields)


def train(job: StageJob, task: ImageTask | None = None, tell=lambda progress: None) -> Trained:
    """Train a Stage; one that does not start at the beginning does so from a model that has learnt nothing."""
    task = task or smoke_task()
    parent = None
    if job.start_step:
        model = task.build_model(job.seed)
        parent = State.capture(job.start_step, model, task.build_optimizer(model), CPU)
    return train_stage(job, task, tell, os.getpid(), parent=parent)


def sha256(trained: Trained) -> str:
    """The hash of a Stage that finished."""
    assert trained.measurement.weights_sha256 is not None, trained.reason
    return trained.measurement.weights_sha256


def curve(evaluations: Evaluations) -> list[tuple[int, float, float | None]]:
    return list(zip(evaluations.steps, evaluations.accuracy, evaluations.loss, strict=True))


def spiked(spike, num_steps=120):
    """Ordinary rates but for one step, whose update spoils the weights."""
    return [1e-3] * spike + [1e30] + [1e-3] * (num_steps - spike - 1)
