"""The first steps of a process allocate memory, choose kernels and compile: done before anything is measured."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from weakref import WeakKeyDictionary

from torch import nn

from sweep.plan.lengths import examples_per_batch
from sweep.store.records import StageJob
from sweep.train.batch_methods import BatchMethods
from sweep.train.device import choose_kernels
from sweep.train.generators import set_aside
from sweep.train.group import ALONE, Group
from sweep.train.learner import Learner
from sweep.train.nested import head
from sweep.train.step_values import StepValues
from sweep.train.trainable import AnyBatch, Trainable

# Chosen: three were enough to reach the steady time.
_NUM_STEPS = 3

# The tasks that this process is warm for, each with the lengths of its epochs: they fix how large a last batch is.
_warm: WeakKeyDictionary[Trainable, set[int]] = WeakKeyDictionary()


def warm_up(
    job: StageJob,
    task: Trainable,
    model: nn.Module,
    values: StepValues,
    methods: BatchMethods,
    group: Group = ALONE,
) -> None:
    """A few steps on copies, outside the clock of training; generators and weights are as before.

    Once for a task and its epochs' length: but what is compiled is compiled for each Stage's network, and methods may
    give each Stage images of another size.
    """
    if job.num_examples in _warm.get(task, ()) and not task.recipe.compile and not values.changes:
        return
    with set_aside(task.device):
        choose_kernels(task.device)
        learner = Learner(task, copy.deepcopy(model), group)
        for step, batch in _batches(job, task, values, group):
            learner.begin(task.recipe.lr, None, values.at("frozen_share", step))
            learner.learn(*methods(*batch, values, step, 0))
            learner.update()
    _warm.setdefault(task, set()).add(job.num_examples)


def _batches(job: StageJob, task: Trainable, values: StepValues, group: Group) -> Iterator[tuple[int, AnyBatch]]:
    """Batches, each with a step whose values it gets: whole ones, and an epoch's last one where that is smaller."""
    batch = task.warm_up_batch(job.seed, job.num_examples)
    for _ in range(_NUM_STEPS):
        yield job.start_step, batch
    left = job.num_examples % examples_per_batch(task.recipe)
    rest = group.own_count(left)
    for step in values.steps_of_change(_what_matters(task, values)):
        if step > job.start_step:
            yield step, batch
        if left // group.size > 1 and rest < job.num_examples:  # one of a single example is never trained
            last = task.warm_up_batch(job.seed, rest)
            yield step, head(last, rest) if task.recipe.compile else last  # of loaders it is the first, a whole one


def _what_matters(task: Trainable, values: StepValues) -> Collection[str]:
    """The scheduled values whose change makes a first step slow: each form compiles, and a GPU tries each size out."""
    if task.recipe.compile:
        return values.changes
    return () if task.device.type == "cpu" else ("image_size",)
