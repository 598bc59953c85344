"""Averages of the weights: what they hold, when they are updated, and which weights a run deploys."""

from fractions import Fraction

import pytest
import torch
from small_stages import sha256, smoke_job, smoke_recipe, smoke_task, train
from torch import nn

from sweep.train.averaging import Average, Ema, Swa
from sweep.train.loop import start_stage, train_steps, weights_sha256


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))


def moved(model, amount):
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.add_(int(amount) if not tensor.is_floating_point() else amount)
    return model


@pytest.mark.parametrize("buffers", [True, False])
def test_an_average_begins_as_a_copy_and_moves_by_the_weight(buffers):
    model = network()
    average = Average(model, buffers)
    average.update(moved(model, 1), 0.25)
    torch.testing.assert_close(dict(average.module.state_dict()), dict(model.state_dict()), rtol=0, atol=0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    average.update(moved(model, 4), 0.25)
    for name, tensor in average.module.state_dict().items():
        is_averaged = name.endswith(("weight", "bias")) or (buffers and "running" in name)
        torch.testing.assert_close(tensor, before[name] + (1 if is_averaged else 4))
    assert average.count == 2


def test_an_average_is_no_part_of_the_network_that_learns():
    model = network()
    average = Average(model, buffers=True)
    average.update(model, 1.0)
    moved(model, 1)
    assert not torch.equal(average.module[0].weight, model[0].weight)
    assert not any(parameter.requires_grad for parameter in average.module.parameters())


def test_an_average_that_has_not_begun_keeps_nothing_and_begins_anew():
    model = network()
    average, other = Average(model, buffers=True), Average(network(), buffers=True)
    assert average.state_dict() == {"count": 0, "module": {}}
    other.load_state_dict(average.state_dict())
    other.update(moved(model, 1), 0.25)
    assert torch.equal(other.module[0].weight, model[0].weight)


def ema(*settings, num_train=1442):
    return Ema(smoke_recipe("model_ema=true", *settings), num_train, nn.Linear(1, 1, bias=False))


def seen(average, num_steps):
    """The average after each step of a weight that is its own step's number."""
    model = nn.Linear(1, 1, bias=False)
    found = []
    for step in range(1, num_steps + 1):
        model.weight.data.fill_(float(step))
        average.after_step(step, model)
        found.append(average.module.weight.item() if average.count else None)
    return found


def test_ema_is_updated_after_every_so_many_steps_and_is_nothing_before():
    average = ema("model_ema_steps=3", "model_ema_decay=0", "lr_warmup_epochs=0")
    assert seen(average, 10) == [None, None, 3, 3, 3, 6, 6, 6, 9, 9]


def test_emas_decay_is_torchvisions_of_the_baselines_batch_and_epochs():
    """alpha = (1 - 0.999) x 64 x 2 / 8."""
    average = ema("model_ema_steps=2", "model_ema_decay=0.999", "lr_warmup_epochs=0")
    alpha = 0.001 * 64 * 2 / 8
    assert seen(average, 4) == [None, 2, 2, pytest.approx(2 + alpha * 2)]
    accumulated = ema(
        *("model_ema_steps=2", "model_ema_decay=0.999", "lr_warmup_epochs=0"),
        *("batch_size=16", "gradient_accumulation_steps=4"),
    )
    assert seen(accumulated, 4)[3] == pytest.approx(2 + alpha * 2)
    counted = ema(
        *("model_ema_steps=2", "model_ema_decay=0.999", "lr_warmup_epochs=0", "epochs=184ba", "method=steps"),
    )
    assert seen(counted, 4)[3] == pytest.approx(2 + alpha * 2)  # 184 steps are 8 epochs of 23


def test_emas_alpha_is_one_at_most():
    assert seen(ema("model_ema_steps=1", "model_ema_decay=0.5", "lr_warmup_epochs=0"), 3) == [1, 2, 3]


def test_ema_is_a_copy_through_the_warm_up_and_once_behind_it():
    """As in torchvision's script, which counts its updates from nothing after each one of the warm-up."""
    average = ema("model_ema_steps=1", "model_ema_decay=0.99", "lr_warmup_epochs=5ba", "batch_size=8")
    alpha = Fraction(1, 100)
    expected = [1, 2, 3, 4, 5, 6, 6 + alpha, 6 + alpha + alpha * (8 - 6 - alpha)]
    assert seen(average, 8) == [pytest.approx(float(value)) for value in expected]


def test_swa_weighs_each_of_its_steps_alike():
    average = Swa(nn.Linear(1, 1, bias=False), (2, 5, 6))
    assert seen(average, 7) == [None, 2, 2, 2, 3.5, pytest.approx(13 / 3), pytest.approx(13 / 3)]


def test_what_swa_deploys_has_statistics_of_its_own_activations():
    model = network()
    average = Swa(model, (1,))
    average.after_step(1, model)
    inputs = [torch.randn(8, 3), torch.randn(4, 3)]
    deployed = average.deployed(iter(inputs))
    hidden = [model[0](batch).detach() for batch in inputs]
    torch.testing.assert_close(deployed[1].running_mean, (hidden[0].mean(0) + hidden[1].mean(0)) / 2)
    assert torch.equal(average.module[1].running_mean, torch.zeros(3))


def test_without_batchnorm_no_data_is_read():
    average = Swa(nn.Linear(1, 1), (1,))
    average.after_step(1, nn.Linear(1, 1))
    average.deployed(1 / 0 for _ in range(1))


def test_ema_is_evaluated_once_it_has_begun():
    settings = ("model_ema=true", "model_ema_steps=5")
    run = start_stage(smoke_job(*settings), smoke_task(*settings), lambda progress: None)
    list(train_steps(run, 4))
    assert run.judged is run.model
    list(train_steps(run, 5))
    assert run.judged is run.learner.ema.module


@pytest.mark.parametrize(
    ("keys", "fields"),
    [(("model_ema=true", "model_ema_steps=5"), {}), (("swa=true",), {"swa_steps": (30, 40)}), ((), {})],
)
def test_the_weights_that_are_kept_are_those_that_are_hashed(keys, fields):
    trained = train(smoke_job(*keys, **fields), smoke_task(*keys))
    model = smoke_task().build_model(0)
    model.load_state_dict(trained.weights)
    assert weights_sha256(model) == sha256(trained)
