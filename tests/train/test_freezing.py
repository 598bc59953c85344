"""Which layers are frozen at which share, and that nothing happens to what is."""

import pytest
import torch
from small_stages import smoke_job, smoke_task, train
from torch import nn

from sweep.train.freezing import Freezing
from sweep.train.loop import start_stage, train_steps
from sweep.train.models import build_model


def trained_layers(model):
    """The names of the layers whose parameters are trained."""
    return {name.rpartition(".")[0] for name, parameter in model.named_parameters() if parameter.requires_grad}


SMALL_CNN = ["0.0", "0.1", "1.0", "1.1", "2.0", "2.1", "5"]  # convolution and BatchNorm three times, and the head


@pytest.mark.parametrize(
    ("share", "num_frozen"), [(0.0, 0), (0.16, 0), (1 / 6, 1), (0.5, 3), (4.999999 / 6, 4), (5 / 6, 5), (1.0, 6)]
)
def test_the_first_so_many_layers_are_frozen_and_never_the_last(share, num_frozen):
    model = build_model("small_cnn", 1, 10, 0)
    Freezing(model).freeze(share)
    assert trained_layers(model) == set(SMALL_CNN[num_frozen:])


@pytest.mark.parametrize("num_layers", [2, 7, 50, 200])
def test_shares_that_are_whole_layers_freeze_these(num_layers):
    """Whatever a fraction loses as a float."""
    model = nn.Sequential(*(nn.Linear(1, 1) for _ in range(num_layers)))
    freezing = Freezing(model)
    for count in range(num_layers):
        freezing.freeze(count / (num_layers - 1))
        assert len(trained_layers(model)) == num_layers - count


def test_a_module_that_holds_parameters_beside_its_children_is_a_layer_of_its_own():
    model = nn.TransformerEncoderLayer(4, 2, 8)
    freezing = Freezing(model)
    freezing.freeze(0.2)  # of the attention's own, its output's, two linear ones and two norms: six layers
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {"self_attn.in_proj_weight", "self_attn.in_proj_bias"}


def test_a_weight_that_two_layers_hold_counts_as_the_last_ones():
    embedding, middle, head = nn.Embedding(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)
    head.weight = embedding.weight
    Freezing(nn.Sequential(embedding, middle, head)).freeze(1.0)
    assert head.weight.requires_grad
    assert not middle.weight.requires_grad


def test_what_a_network_does_not_train_itself_stays_so():
    model = nn.Sequential(nn.Linear(1, 1).requires_grad_(False), nn.Linear(1, 1), nn.Linear(1, 1))
    freezing = Freezing(model)
    for share in (0.5, 1.0, 0.0):
        freezing.freeze(share)
        assert not model[0].weight.requires_grad
    assert trained_layers(model) == {"1", "2"}


@pytest.mark.parametrize("opt", ["sgd_nesterov", "adamw"])
def test_a_frozen_layer_keeps_its_weights_and_what_the_optimizer_knows_of_it(opt):
    settings = ("layer_freezing=true", f"opt={opt}", "lr=0.01", "weight_decay=0.1")
    values = {"frozen_share": ((0, 0.0), (10, 0.5))}
    run = start_stage(smoke_job(*settings, values=values), smoke_task(*settings), lambda progress: None)
    list(train_steps(run, 10))
    parameters = list(run.model.parameters())
    weights = [parameter.detach().clone() for parameter in parameters]
    states = [{k: v.clone() for k, v in run.optimizer.state[p].items()} for p in parameters]
    list(train_steps(run, 20))
    for index, (parameter, before, state) in enumerate(zip(parameters, weights, states, strict=True)):
        is_frozen = index < 4  # two convolutions without a bias, and a BatchNorm in between
        unchanged = {torch.equal(value, state[name]) for name, value in run.optimizer.state[parameter].items()}
        assert torch.equal(parameter, before) == is_frozen
        assert unchanged == {is_frozen} or (not is_frozen and False in unchanged)
        assert (parameter.grad is None) == is_frozen


def test_the_statistics_of_a_frozen_batchnorm_go_on():
    settings = ("layer_freezing=true",)
    run = start_stage(
        smoke_job(*settings, values={"frozen_share": ((0, 1.0),)}), smoke_task(*settings), lambda progress: None
    )
    list(train_steps(run, 2))
    assert run.model[0][1].num_batches_tracked == 2


def test_a_network_whose_layers_are_all_frozen_but_the_head_learns_with_it():
    settings = ("layer_freezing=true",)
    frozen = train(smoke_job(*settings, values={"frozen_share": ((0, 1.0),)}), smoke_task(*settings))
    [accuracy] = frozen.measurement.evaluations.accuracy
    assert accuracy > 0.3
