from typing import get_args

import pytest
import torch

from sweep.recipe.datasets import DATASETS
from sweep.recipe.schema import ModelName
from sweep.train.models import build_model


def flat(model):
    return torch.cat([tensor.reshape(-1).double() for tensor in model.state_dict().values()])


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda dataset: dataset.name)
@pytest.mark.parametrize("name", get_args(ModelName))
def test_every_model_that_a_recipe_can_name_takes_every_dataset(name, dataset):
    model = build_model(name, dataset.shape[0], dataset.num_classes, seed=0)
    logits = model(torch.zeros(3, *dataset.shape))
    assert logits.shape == (3, dataset.num_classes)
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("name", get_args(ModelName))
def test_every_parameter_takes_part(name):
    torch.manual_seed(0)
    model = build_model(name, 3, 7, seed=0)
    model(torch.randn(4, 3, 28, 28)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


@pytest.mark.parametrize(("name", "count"), [("small_cnn", 5_498), ("small_resnet", 29_506)])
def test_the_number_of_parameters_for_grey_images_of_ten_classes(name, count):
    assert sum(parameter.numel() for parameter in build_model(name, 1, 10, seed=0).parameters()) == count


@pytest.mark.parametrize("name", get_args(ModelName))
def test_weights_are_a_function_of_the_seed_alone(name):
    torch.manual_seed(99)
    first = flat(build_model(name, 1, 10, seed=1))
    torch.rand(5)
    assert torch.equal(flat(build_model(name, 1, 10, seed=1)), first)
    assert not torch.equal(flat(build_model(name, 1, 10, seed=2)), first)
