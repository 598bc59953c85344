"""mixup, cutmix and the resizing of training images: what torchvision's transforms do, from what a step draws."""

import numpy as np
import pytest
import torch
from plain_methods import mixed
from small_stages import smoke_recipe
from torchvision.transforms.v2.functional import resize

from sweep.train.batch_methods import BatchMethods
from sweep.train.mixing import Mixing
from sweep.train.resizing import resized
from sweep.train.step_values import StepValues

SETTINGS = {
    "mixup": ("mixup_alpha=0.2",),
    "cutmix": ("cutmix_alpha=1",),
    "both": ("mixup_alpha=0.8", "cutmix_alpha=0.4"),
}


def batch(size=6, height=9, width=7):
    images = torch.rand(size, 3, height, width, generator=torch.Generator().manual_seed(0))
    return images, torch.arange(size) % 10


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_batch_is_mixed_as_torchvision_mixes_it(kind):
    recipe = smoke_recipe(*SETTINGS[kind])
    mixing = Mixing(recipe, 10)
    images, labels = batch()
    for step in range(40):
        for part in (0, 1):
            theirs = mixed(images, labels, recipe, np.random.default_rng([3, step, 16, part]))
            ours = mixing.mix(images, labels, 3, step, part)
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-7)


def test_labels_say_what_images_are_made_of():
    """Images that are nothing but their own class: what is in them is what the labels say."""
    mixing = Mixing(smoke_recipe(*SETTINGS["both"]), 6)
    images = torch.eye(6).view(6, 6, 1, 1).expand(6, 6, 8, 8)
    for step in range(30):
        mixed_images, shares = mixing.mix(images, torch.arange(6), 0, step, 0)
        torch.testing.assert_close(mixed_images.mean((2, 3)), shares)


def test_what_is_drawn_is_a_function_of_seed_step_and_part():
    mixing = Mixing(smoke_recipe("mixup_alpha=1"), 10)
    images, labels = batch()
    drawn = {
        (seed, step, part): mixing.mix(images, labels, seed, step, part)[1]
        for seed in (0, 1)
        for step in (0, 7)
        for part in (0, 1)
    }
    again = Mixing(smoke_recipe("mixup_alpha=1"), 10)
    for key in reversed(drawn):
        assert torch.equal(again.mix(images, labels, *key)[1], drawn[key])
    assert len({tuple(shares.flatten().tolist()) for shares in drawn.values()}) == len(drawn)


def test_either_method_is_as_likely():
    """cutmix copies pixels, and mixup makes new ones."""
    mixing = Mixing(smoke_recipe("mixup_alpha=1", "cutmix_alpha=1"), 10)
    images, labels = batch()
    values = set(images.flatten().tolist())
    copies = [set(mixing.mix(images, labels, 0, step, 0)[0].flatten().tolist()) <= values for step in range(400)]
    assert 160 <= sum(copies) <= 240


@pytest.mark.parametrize(("height", "width", "side", "expected"), [(8, 8, 5, (5, 5)), (8, 12, 4, (4, 6))])
def test_images_are_resized_as_torchvision_resizes_them(height, width, side, expected):
    images, _ = batch(height=height, width=width)
    small = resized(images, side)
    assert small.shape[-2:] == expected
    torch.testing.assert_close(small, resize(images, list(expected), antialias=True), rtol=0, atol=0)


def test_images_of_that_side_are_left_alone():
    images, _ = batch(height=8, width=8)
    assert resized(images, 8) is images


class Task:
    num_classes = 10

    def __init__(self, *settings):
        self.recipe = smoke_recipe(*settings)


def test_images_are_mixed_while_the_value_says_so_and_have_the_side_of_their_step():
    changes = {"mixup": ((10, 1.0), (12, 0.0)), "image_size": ((10, 4.0), (11, 6.0), (13, 8.0))}
    values = StepValues(10, [0.1] * 5, None, changes)
    methods = BatchMethods(Task("mixup_alpha=1"), seed=0)
    images, labels = batch(height=8, width=8)
    seen = [methods(images, labels, values, step, 0) for step in range(10, 15)]
    assert [batch[0].shape[-1] for batch in seen] == [4, 6, 6, 8, 8]
    assert [batch[1].dim() for batch in seen] == [2, 2, 1, 1, 1]


def test_without_methods_a_batch_is_what_it_was():
    images, labels = batch()
    values = StepValues(0, [0.1], None, {})
    inputs, targets = BatchMethods(Task(), seed=0)(images, labels, values, 0, 0)
    assert inputs is images
    assert targets is labels
