"""What a Worker keeps between its jobs, and what it lets go of."""

import os
import weakref

import pytest
import torch

from sweep.recipe.library import load_recipe, parse_settings
from sweep.run.worker import Worker
from sweep.store.records import PrepareJob


@pytest.mark.parametrize("amp", ["none", "auto"])
def test_a_worker_keeps_its_task_until_it_is_prepared_anew(amp: str) -> None:
    recipe, worker = load_recipe("smoke", parse_settings((f"amp={amp}",))).recipe, Worker(print, os.getpid())
    job = PrepareJob(recipe=recipe.model_dump(mode="json"), device="cpu", threads=torch.get_num_threads())
    worker.do(job)
    first = weakref.ref(worker._task(recipe))
    assert worker._task(recipe) is first()
    worker.do(job)
    assert first() is None
