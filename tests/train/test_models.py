"""The networks: every name can be built, with any number of channels, and begins as the recipe asks."""

import shlex
import sys

import pytest
import torch
import torchvision.models
from small_folder import small_recipe
from small_stages import smoke_recipe
from torch import nn

from sweep.recipe.check import check_recipe
from sweep.recipe.datasets import DATASETS
from sweep.recipe.models import MODELS, OWN, TORCHVISION, has_small_stem
from sweep.train.models import build_model
from sweep.train.task import model_problem

INSTALLED = torchvision.models.list_models(module=torchvision.models)
# One of each family, the smallest.
FAMILIES = ["alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "maxvit_t"]
FAMILIES += ["mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf", "resnet18", "shufflenet_v2_x0_5"]
FAMILIES += ["squeezenet1_1", "swin_t", "swin_v2_t", "vgg11", "vit_b_32"]
STEMS = ["resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "densenet121"]


def flat(model):
    return torch.cat([tensor.reshape(-1).double() for tensor in model.state_dict().values()])


def shapes(model):
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def on_meta(name, *arguments):
    """The network without its numbers, which takes no time; RegNets compute their widths, and need them."""
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        return build_model(name, *arguments)


def first_convolution(model):
    return next(module for module in model.modules() if isinstance(module, nn.Conv2d))


def test_the_names_are_those_of_the_torchvision_that_is_installed():
    """An older one lacks the newest, a newer one has more; none has a name that is neither."""
    known, installed = set(TORCHVISION), set(INSTALLED)
    assert known <= installed or installed <= known
    assert len(set(MODELS)) == len(MODELS) == len(OWN) + len(TORCHVISION)


@pytest.mark.parametrize("name", [name for name in TORCHVISION if not name.startswith("regnet")])
def test_every_torchvision_network_is_torchvisions_own_on_colour_images(name):
    settings = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        theirs = torchvision.models.get_model(name, weights=None, num_classes=7, **settings)
    ours = on_meta(name, 3, 7, 0)
    assert type(ours) is type(theirs)
    assert shapes(ours) == shapes(theirs)


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1"])
def test_weights_are_those_that_torchvision_draws_with_the_same_seed(name):
    torch.manual_seed(3)
    theirs = torchvision.models.get_model(name, weights=None, num_classes=10)
    assert torch.equal(flat(build_model(name, 3, 10, seed=3)), flat(theirs))


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("channels", [1, 4])
def test_a_network_of_every_family_takes_images_of_any_number_of_channels(name, channels):
    model = on_meta(name, channels, 7, 0)
    device = next(model.parameters()).device
    assert model.eval()(torch.zeros(2, channels, 224, 224, device=device)).shape == (2, 7)
    assert model.train()(torch.zeros(2, channels, 224, 224, device=device)).shape == (2, 7)
    assert first_convolution(model).in_channels == channels
    others = [module for module in model.modules() if isinstance(module, nn.Conv2d)][1:]
    colour = [module for module in on_meta(name, 3, 7, 0).modules() if isinstance(module, nn.Conv2d)][1:]
    assert [module.weight.shape for module in others] == [module.weight.shape for module in colour]


@pytest.mark.parametrize("dataset", ["digits", "FashionMNIST", "CIFAR10"])
@pytest.mark.parametrize("name", OWN)
def test_our_own_models_take_every_dataset(name, dataset):
    dataset = DATASETS[dataset]
    model = build_model(name, dataset.shape[0], dataset.num_classes, seed=0)
    logits = model(torch.zeros(3, *dataset.shape))
    assert logits.shape == (3, dataset.num_classes)
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("name", [*OWN, "resnet18", "googlenet"])
def test_every_parameter_takes_part(name):
    model = build_model(name, 3, 7, seed=0)
    model(torch.randn(4, 3, 64, 64)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


@pytest.mark.parametrize(("name", "count"), [("small_cnn", 5_498), ("small_resnet", 29_506)])
def test_the_number_of_parameters_for_grey_images_of_ten_classes(name, count):
    assert sum(parameter.numel() for parameter in build_model(name, 1, 10, seed=0).parameters()) == count


@pytest.mark.parametrize(
    ("name", "channels", "stem"), [*((name, 1, "default") for name in OWN), ("resnet18", 1, "small")]
)
def test_weights_are_a_function_of_the_seed_alone(name, channels, stem):
    torch.manual_seed(99)
    first = flat(build_model(name, channels, 10, 1, stem))
    torch.rand(5)
    assert torch.equal(flat(build_model(name, channels, 10, 1, stem)), first)
    assert not torch.equal(flat(build_model(name, channels, 10, 2, stem)), first)


# The small stem


@pytest.mark.parametrize("name", STEMS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_small_stem_is_a_3x3_convolution_of_stride_1_without_pooling(name, channels):
    model, usual = on_meta(name, channels, 10, 0, "small"), on_meta(name, 3, 10, 0)
    first = first_convolution(model)
    assert (first.in_channels, first.kernel_size, first.stride, first.padding) == (channels, (3, 3), (1, 1), (1, 1))
    changed = {key for key, shape in shapes(model).items() if shape != shapes(usual)[key]}
    assert changed == ({"features.conv0.weight"} if name.startswith("densenet") else {"conv1.weight"})
    seen = []
    block = model.features.denseblock1 if name.startswith("densenet") else model.layer1
    block.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape[2:]))
    assert model.eval()(torch.zeros(2, channels, 32, 32, device="meta")).shape == (2, 10)
    assert seen == [(32, 32)], "no pixel is lost before the first block"


def test_the_families_that_have_a_small_stem_are_all_that_torchvision_builds_alike():
    """Whatever is a ResNet or a DenseNet by its class, and nothing else."""
    classes = torchvision.models.ResNet, torchvision.models.DenseNet
    for name in TORCHVISION:
        if not name.startswith("regnet"):
            assert has_small_stem(name) == isinstance(on_meta(name, 3, 10, 0), classes), name
    assert not any(has_small_stem(name) for name in TORCHVISION if name.startswith("regnet"))


def test_the_usual_resnet18_of_small_images_has_11_173_962_parameters():
    """The number that is published for CIFAR-10's."""
    model = build_model("resnet18", 3, 10, 0, "small")
    assert sum(parameter.numel() for parameter in model.parameters()) == 11_173_962


@pytest.mark.parametrize(("name", "fan"), [("resnet18", 9 * 64), ("densenet121", 9 * 3)])
def test_a_new_first_convolution_is_initialised_as_torchvision_does_that_layer(name, fan):
    """He's initialisation: of a ResNet by what goes out, of a DenseNet by what comes in."""
    weight = first_convolution(build_model(name, 3, 10, 0, "small")).weight
    assert weight.std().item() == pytest.approx((2 / fan) ** 0.5, rel=0.1)
    assert weight.mean().item() == pytest.approx(0, abs=0.02)


def test_building_one_network_leaves_the_next_as_it_is():
    build_model("resnet18", 1, 10, 0, "small")
    assert nn.Sequential(nn.Conv2d(3, 8, 7))[0].kernel_size == (7, 7)
    assert first_convolution(build_model("resnet18", 3, 10, 0)).kernel_size == (7, 7)


# Those of timm, where it is installed


TIMM = ["timm/resnet18", "timm/vit_tiny_patch16_224", "timm/convnext_atto", "timm/mobilenetv3_small_050"]


@pytest.mark.parametrize("name", TIMM)
def test_a_network_of_timm_takes_any_number_of_channels_and_classes(name):
    pytest.importorskip("timm")
    model = build_model(name, 1, 7, seed=0)
    assert model.eval()(torch.zeros(2, 1, 224, 224)).shape == (2, 7)


def test_the_weights_of_timms_networks_are_those_that_it_draws_with_the_same_seed():
    timm = pytest.importorskip("timm")
    torch.manual_seed(3)
    theirs = timm.create_model("resnet18", num_classes=10)
    assert torch.equal(flat(build_model("timm/resnet18", 3, 10, seed=3)), flat(theirs))
    assert not torch.equal(flat(build_model("timm/resnet18", 3, 10, seed=4)), flat(theirs))


def test_a_name_that_timm_does_not_have_is_a_problem_with_the_nearest_one():
    pytest.importorskip("timm")
    problem = model_problem(smoke_recipe("model=timm/resnet181"))
    assert problem.key == "model"
    assert problem.message.endswith("has no network 'resnet181'; did you mean 'resnet18'?")


def test_without_timm_its_networks_are_a_problem_with_the_command_that_gets_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    problem = model_problem(smoke_recipe("model=timm/resnet18"))
    assert "timm cannot be imported" in problem.message
    assert problem.fix == f"get it with: {shlex.quote(sys.executable)} -m pip install timm"


def test_a_small_stem_is_not_defined_for_timms_networks():
    keys = {"model": "timm/resnet18", "dataset": "CIFAR10", "stem": "small"}
    [problem] = check_recipe(keys, {}, "recipe")
    assert problem.key == "stem"
    assert problem.message.startswith("small is not defined for timm/resnet18")


@pytest.mark.parametrize("name", ["timm/", "timm/../x", "timm/hf-hub:x/y", "timm/a b", "timm/resnet18\n"])
def test_what_cannot_be_a_name_of_timms_is_refused_when_it_is_read(name):
    [problem] = check_recipe({"model": name, "dataset": "CIFAR10"}, {}, "recipe")
    assert "is no network of timm" in problem.message


# What does not fit is found before anything trains


@pytest.mark.parametrize("recipe", ["smoke", "fashion_mnist", "cifar10_resnet18"])
def test_a_shipped_recipes_model_takes_its_images(recipe):
    from sweep.recipe.library import load_recipe

    assert model_problem(load_recipe(recipe).recipe) is None


def test_a_network_that_needs_larger_images_is_a_problem_of_the_key():
    problem = model_problem(smoke_recipe("model=alexnet"))
    assert problem.key == "model"
    assert problem.message.startswith("alexnet does not take images of 1x8x8 (RuntimeError: ")


@pytest.mark.parametrize("key", ["train_crop_size", "val_crop_size"])
def test_both_sizes_of_image_files_are_tried(key):
    sizes = {"train_crop_size": 224, "val_crop_size": 224}
    assert model_problem(small_recipe(model="vit_b_32", **sizes)) is None
    problem = model_problem(small_recipe(model="vit_b_32", **sizes | {key: 192}))
    assert "vit_b_32 does not take images of 3x192x192" in problem.message


def test_a_network_that_an_older_torchvision_lacks_is_a_problem_of_the_key(monkeypatch):
    monkeypatch.setattr("sweep.recipe.keys.MODELS", (*MODELS, "resnet9000"))
    problem = model_problem(smoke_recipe("model=resnet9000"))
    assert problem.key == "model"
    assert "has no network 'resnet9000'" in problem.message


def test_the_smallest_size_of_progressive_resizing_is_tried():
    keys = {"model": "alexnet", "train_crop_size": 96, "val_crop_size": 96}
    assert model_problem(small_recipe(**keys)) is None
    problem = model_problem(small_recipe(**keys, progressive_resizing=True))
    assert "alexnet does not take images of 3x48x48" in problem.message
