"""A process warms up for the first Stage of a task; for the next one only where that computes something else."""

import pytest
from small_stages import sha256, smoke_job, smoke_task, train

from sweep.api import run_request
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.train import warm_up
from sweep.train.learner import Learner


def count_warm_ups(task):
    """The batches that are asked for to warm up on, as they come."""
    asked = []
    give = task.warm_up_batch
    task.warm_up_batch = lambda *arguments: asked.append(arguments) or give(*arguments)
    return asked


def test_a_task_is_warmed_up_once_and_what_follows_is_the_same():
    task = smoke_task()
    asked = count_warm_ups(task)
    first = sha256(train(smoke_job(num_steps=5), task))
    num_first = len(asked)
    assert num_first > 0
    assert sha256(train(smoke_job(num_steps=5), task)) == first
    assert len(asked) == num_first
    assert sha256(train(smoke_job(num_steps=5), smoke_task())) == first


@pytest.mark.parametrize(
    ("settings", "values"),
    [((), {"image_size": ((0, 8.0),)}), (("layer_freezing=true", "lr_warmup_epochs=0"), {"frozen_share": ((0, 0.5),)})],
)
def test_a_stage_whose_methods_set_values_is_warmed_up_anew(settings, values):
    task = smoke_task(*settings)
    asked = count_warm_ups(task)
    train(smoke_job(*settings, num_steps=5, values=values), task)
    num_first = len(asked)
    train(smoke_job(*settings, num_steps=5, values=values), task)
    assert len(asked) == 2 * num_first > 0


def test_the_stages_of_a_sweep_have_one_task_and_one_warm_up(tmp_path, monkeypatch):
    tasks = []

    def counted(task, model, group):
        tasks.append(task)
        return Learner(task, model, group)

    monkeypatch.setattr(warm_up, "Learner", counted)
    request = SweepRequest("smoke", "0.5,1.0", seeds=2, results=tmp_path)
    done = run_request(request, make_executor=lambda *placed: InlineExecutor())
    assert len(done.plan.stages) > 1
    assert len(tasks) == 1
