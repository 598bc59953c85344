"""The first steps of a process allocate memory, choose kernels and compile: done before anything is measured."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn

from sweep.store.records import StageJob
from sweep.train.batch_methods import BatchMethods
from sweep.train.learner import Learner
from sweep.train.nested import head
from sweep.train.step_values import StepValues
from sweep.train.trainable import AnyBatch, Trainable

# Chosen: three were enough to reach the steady time.
_NUM_STEPS = 3


def warm_up(job: StageJob, task: Trainable, model: nn.Module, values: StepValues, methods: BatchMethods) -> None:
    """A few steps on copies, outside the clock of training; generators and weights are as before."""
    devices = [task.device] if task.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        learner = Learner(task, copy.deepcopy(model))
        for step, batch in _batches(job, task, values):
            learner.begin(task.recipe.lr, None, values.at("frozen_share", step))
            learner.learn(*methods(*batch, values, step, 0))
            learner.update()


def _batches(job: StageJob, task: Trainable, values: StepValues) -> Iterator[tuple[int, AnyBatch]]:
    """Batches, each with a step whose values it gets. What compiles needs one of every size, and set of layers."""
    for _ in range(_NUM_STEPS):
        yield job.start_step, task.warm_up_batch(job.seed, job.num_examples)
    if task.recipe.compile:
        size = task.recipe.batch_size
        batch = task.warm_up_batch(job.seed, job.num_examples)
        for step in values.steps_of_change:
            yield step, batch
            yield step, head(batch, job.num_examples % size or size)
