import random

import numpy as np
import pytest
import torch
from plain_loop import evaluate_plainly
from small_stages import digits, smoke_task
from torch import nn

from sweep.train import data


def generators():
    return torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()


class WithDropout(nn.Sequential):
    """A model that draws from torch's generator whenever it is in training mode."""

    def __init__(self, model):
        super().__init__(nn.Dropout(0.2), model)


def test_evaluation_leaves_no_trace():
    task = smoke_task()
    model = WithDropout(task.build_model(0)).train()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch_state, *others = generators()
    task.evaluate(model)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert torch.equal(generators()[0], torch_state)
    assert list(generators()[1:]) == others


@pytest.mark.parametrize("batch_size", [1000, 355, 100, 1])
def test_evaluation_counts_every_image_once_whatever_its_batches(monkeypatch, batch_size):
    monkeypatch.setattr(data, "_EVAL_BATCH_SIZE", batch_size)
    task = smoke_task()
    model = task.build_model(0)
    accuracy, loss = evaluate_plainly(model, digits())
    assert task.evaluate(model) == {"accuracy": pytest.approx(accuracy), "loss": pytest.approx(loss, rel=1e-5)}


def test_evaluation_sees_the_running_statistics_and_not_the_batchs():
    task = smoke_task()
    model = task.build_model(0).train()
    before = task.evaluate(model)
    model(torch.randn(64, 1, 8, 8) * 100)
    assert task.evaluate(model) != before


def test_labels_are_smoothed_in_training_and_not_in_evaluation():
    plain, smoothed = smoke_task(), smoke_task("label_smoothing=0.3")
    model = plain.build_model(0)
    assert smoothed.evaluate(model) == plain.evaluate(model)
    logits, labels = torch.eye(10), torch.arange(10)
    assert smoothed.loss(logits, labels) > plain.loss(logits, labels)


def test_the_order_is_that_of_the_recipes_method():
    subsets = [set(smoke_task("method=subset").source.order(0, epoch, 100).tolist()) for epoch in (0, 1)]
    samples = [set(smoke_task("method=samples").source.order(0, epoch, 100).tolist()) for epoch in (0, 1)]
    assert subsets[0] == subsets[1]
    assert samples[0] != samples[1]
