"""Modules of a user's own, each in a file of its own, and sweeps of them in this process."""

import itertools
import os
import sys
from contextlib import contextmanager
from textwrap import dedent

import pytest

from sweep import api
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.run.worker import Worker

_NUMBERS = itertools.count()

# What every module begins with: data that a small network can learn something of.
HEAD = """
import random

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import sweep

GENERATOR = torch.Generator().manual_seed(7)
X = torch.randn(200, 6, generator=GENERATOR)
Y = (X[:, 0] * X[:, 1] > 0).long()


def net():
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))


def accuracy(outputs, targets):
    return (outputs.argmax(1) == targets).float().mean()


def made(train_data, eval_data=(X[150:], Y[150:]), **more):
    settings = {"model": net, "loss": cross_entropy, "metrics": {"accuracy": accuracy}} | more
    return sweep.Task(train_data=train_data, eval_data=eval_data, **settings)


"""

KEYS = "epochs: 4\nbatch_size: 16\nlr: 0.05\nlr_scheduler: wsd\nlr_cooldown: 0.5dur\nmin_shared_steps: 1\n"


def write_module(folder, body, head=HEAD):
    """A module of a name that no other test has."""
    name = f"module_of_a_test_{next(_NUMBERS)}"
    (folder / f"{name}.py").write_text(head + dedent(body))
    return name


def write_recipe(folder, body, *settings, head=HEAD, keys=KEYS):
    """A recipe of a task whose module is `body`, and its path."""
    name = write_module(folder, body, head)
    path = folder / f"{name}.yaml"
    path.write_text(f"task: {name}:make_task\n{keys}" + "".join(f"{setting}\n" for setting in settings))
    return path


def ask_here(job):
    """As `ask` does, in this process."""
    said = []
    Worker(said.append, os.getpid()).do(job)
    return said.pop()


@contextmanager
def as_a_worker():
    """Modules that are imported meanwhile are forgotten then, and planning starts no process."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        patch.setattr("sweep.run.ask.ask", ask_here)
        yield patch
    for name in set(sys.modules) - before:
        if name.startswith("module_of_a_test"):
            del sys.modules[name]


def run_here(recipe, results, ratios="0.5,1", seeds=1, **options):
    """A whole sweep of a recipe, in this process: it, and the hash of each trial's weights by its key."""
    with as_a_worker():
        request = SweepRequest(str(recipe), ratios, seeds, "steps", threads=1, results=results, **options)
        done = api.run_request(request, make_executor=lambda *placed: InlineExecutor())
    return done, {result.entry.key: result.weights_sha256 for result in done.history.results}
