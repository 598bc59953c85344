"""The recipe's optimizer: which parameters decay by how much, and the values of a step."""

import pytest
import torch
from small_stages import smoke_recipe
from torch import nn

from sweep.train.optimizers import build_optimizer, set_values


class Shared(nn.Module):
    """One weight in two layers, and normalisation layers of several kinds."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.norms = nn.ModuleList([nn.LayerNorm(4), nn.GroupNorm(2, 4), nn.BatchNorm1d(4), nn.InstanceNorm2d(4)])
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embedding.weight


def decays(optimizer, model):
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {names[p]: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}


@pytest.mark.parametrize("opt", ["sgd", "adamw"])
def test_normalisation_layers_decay_by_their_own_weight_decay(opt):
    model = Shared()
    recipe = smoke_recipe(f"opt={opt}", "weight_decay=0.1", "norm_weight_decay=0.02")
    of_norms = {f"norms.{i}.{name}": 0.02 for i in range(3) for name in ("weight", "bias")}
    assert decays(build_optimizer(recipe, model), model) == {"embedding.weight": 0.1, **of_norms}


def test_without_one_every_parameter_decays_alike():
    model = Shared()
    optimizer = build_optimizer(smoke_recipe("weight_decay=0.1"), model)
    assert len(optimizer.param_groups) == 1
    assert set(decays(optimizer, model).values()) == {0.1}


def test_a_network_without_normalisation_has_one_group():
    optimizer = build_optimizer(smoke_recipe("norm_weight_decay=0"), nn.Linear(2, 2))
    assert [len(group["params"]) for group in optimizer.param_groups] == [2]


def test_a_steps_momentum_is_that_of_sgd_or_the_first_beta_of_adamw():
    weights = [nn.Parameter(torch.ones(1))]
    sgd, adamw = torch.optim.SGD(weights, lr=1, momentum=0.9), torch.optim.AdamW(weights, lr=1, betas=(0.9, 0.95))
    for optimizer in (sgd, adamw):
        set_values(optimizer, 0.5, None)
        assert optimizer.param_groups[0]["lr"] == 0.5
    assert (sgd.param_groups[0]["momentum"], adamw.param_groups[0]["betas"]) == (0.9, (0.9, 0.95))
    for optimizer in (sgd, adamw):
        set_values(optimizer, 0.25, 0.8)
        assert optimizer.param_groups[0]["lr"] == 0.25
    assert (sgd.param_groups[0]["momentum"], adamw.param_groups[0]["betas"]) == (0.8, (0.8, 0.95))


def test_a_group_keeps_its_share_of_the_rate():
    head, body = nn.Linear(1, 1), nn.Linear(1, 1)
    groups = [{"params": body.parameters(), "lr_scale": 0.1}, {"params": head.parameters()}]
    optimizer = torch.optim.SGD(groups, lr=1)
    set_values(optimizer, 0.5, None)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.5]
