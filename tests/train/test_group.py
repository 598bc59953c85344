"""What the processes of a Stage share out: together they see the batches that one device would see."""

import numpy as np
import pytest
import torch
import torch.distributed as dist
from image_folders import write_pngs
from small_folder import small_recipe
from small_stages import CPU, digits, smoke_recipe
from test_user_task import KINDS, flat, loaded_task
from user_modules import write_recipe

from sweep.errors import Problem
from sweep.recipe.schema import Recipe
from sweep.train.device import set_threads
from sweep.train.group import ALONE, Group, group_problems, is_of_a_lost_rank
from sweep.train.task import Data, ImageTask
from sweep.train.task_checks import check_task
from sweep.train.task_module import load_task

CUDA = torch.device("cuda")


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.parametrize("num_examples", [96, 1442, 1437, 31])
def test_an_epoch_is_shared_out_batch_by_batch_as_evenly_as_can_be(num_examples, size):
    order, batch_size = np.random.default_rng(0).permutation(num_examples), 4
    parts = [Group(rank, size).own_part(order, batch_size).tolist() for rank in range(size)]
    whole = batch_size * size
    for step, first in enumerate(range(0, num_examples, whole)):
        batch = order[first : first + whole].tolist()
        shares = [part[step * batch_size : (step + 1) * batch_size] for part in parts]
        assert [example for share in shares for example in share] == batch
        assert [len(share) for share in shares] == [Group(rank, size).own_count(len(batch)) for rank in range(size)]
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def of_all_ranks(task_of, size, *span):
    """Each batch of `size` processes, put together again; and those of one device that takes as many examples."""
    batches = [task_of(Group(rank, size), size).batches(*span) for rank in range(size)]
    together = [[torch.cat(parts) for parts in zip(*of_step, strict=True)] for of_step in zip(*batches, strict=True)]
    return together, list(task_of(ALONE, 1).batches(*span))


def images_of(*settings):
    def task_of(group, size):
        sizes = (f"devices_per_trial={size}", f"batch_size={24 // size}")
        return ImageTask(smoke_recipe("hflip_prob=0.5", *sizes, *settings), digits(), group)

    return task_of


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(
    "settings",
    [(), ("random_crop_padding=2",), ("method=samples",), ("method=subset",), ("random_erase=0.5", "workers=0")],
)
def test_the_images_of_a_step_are_those_of_one_device(settings, size):
    """Augmented alike; of 1439 examples in batches of 24 the last one holds 23."""
    set_threads(1)
    together, alone = of_all_ranks(images_of(*settings), size, 3, 1439, 58, 125)
    assert len(together) == len(alone) == 67
    for (images, labels), (expected, expected_labels) in zip(together, alone, strict=True):
        assert torch.equal(images, expected)
        assert torch.equal(labels, expected_labels)


def test_a_step_of_several_batches_takes_those_of_one_device():
    set_threads(1)
    settings = ("gradient_accumulation_steps=4",)
    together, alone = of_all_ranks(images_of(*settings), 2, 3, 1442, 14, 17)
    assert len(together) == len(alone) == 4 + 1 + 4  # the epoch's last step has one batch
    assert all(torch.equal(mine[0], theirs[0]) for mine, theirs in zip(together, alone, strict=True))


def test_image_files_are_those_of_one_device(tmp_path):
    set_threads(1)
    write_pngs(tmp_path, 21, 3)
    data = Data.load("ImageFolder", tmp_path, CPU)

    def task_of(group, size):
        keys = {"dataset": "ImageFolder", "data_path": str(tmp_path), "model": "small_cnn", "batch_size": 8 // size}
        return ImageTask(small_recipe(devices_per_trial=size, **keys), data, group)

    together, alone = of_all_ranks(task_of, 2, 0, 21, 1, 6)
    assert len(together) == len(alone) == 5
    assert all(torch.equal(mine[0], theirs[0]) for mine, theirs in zip(together, alone, strict=True))


@pytest.mark.parametrize("kind", ["tensors", "dataset"])
def test_the_examples_of_a_task_are_those_of_one_device(kind, tmp_path):
    path = write_recipe(tmp_path, KINDS[kind])
    recipe = loaded_task(path, "batch_size=16").recipe

    def task_of(group, size):
        own = recipe.model_copy(update={"devices_per_trial": size, "batch_size": 16 // size})
        return check_task(own, load_task(own, [tmp_path]), CPU, group)

    together, alone = of_all_ranks(task_of, 2, 3, 150, 8, 21)
    assert len(together) == len(alone) == 13
    assert all(torch.equal(flat(mine), flat(theirs)) for mine, theirs in zip(together, alone, strict=True))


def test_each_process_draws_otherwise_and_the_first_one_as_one_device_does():
    drawn = []
    for group in (ALONE, Group(0, 3), Group(1, 3), Group(2, 3), Group(1, 3)):
        torch.manual_seed(7)
        group.seed(7)
        drawn.append(torch.rand(4).tolist())
    assert drawn[0] == drawn[1]
    assert len({tuple(values) for values in drawn}) == 3
    assert drawn[2] == drawn[4]


def test_one_alone_asks_nobody():
    assert ALONE.agreed(True)
    assert ALONE.shared(lambda: 5) == 5
    assert ALONE.gathered(5) == [5]
    assert ALONE.summed(torch.ones(2)).tolist() == [1, 1]


def test_each_process_has_a_gpu_of_its_own_and_rank_0_tells_of_all():
    groups = [Group(rank, 2) for rank in range(2)]
    assert [group.own_device(CUDA) for group in groups] == [torch.device("cuda", 0), torch.device("cuda", 1)]
    assert groups[0].devices_told_of(CUDA) == [torch.device("cuda", 0), torch.device("cuda", 1)]
    assert groups[1].devices_told_of(CUDA) == []
    assert ALONE.own_device(torch.device("cuda", 3)) == torch.device("cuda", 3)
    assert groups[1].own_device(CPU) == CPU


def recipe_of(**keys):
    return Recipe.model_validate({"model": "small_cnn", "dataset": "digits", "devices_per_trial": 4} | keys)


def test_more_gpus_than_there_are_is_a_problem_of_the_machine(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    [problem] = group_problems(recipe_of(), CUDA)
    assert str(problem) == "devices_per_trial: a trial takes 4 GPUs, and torch sees 2 (lower it, or take --device cpu)"
    assert group_problems(recipe_of(devices_per_trial=2, sync_bn=True), CUDA) == []
    assert group_problems(recipe_of(), CPU) == []


def test_one_gpu_by_its_number_is_none_for_several(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    [problem] = group_problems(recipe_of(), torch.device("cuda", 1))
    assert problem.where == "--device"


def test_batchnorm_over_several_devices_is_for_gpus():
    assert group_problems(recipe_of(sync_bn=True), CPU) == [
        Problem("torch has it on GPUs only", key="sync_bn", fix="leave it out, or take GPUs")
    ]


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (dist.DistBackendError("NCCL error"), True),
        (RuntimeError("[pair.cc:547] gloo: Connection closed by peer [127.0.0.1]:123"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("gloo"), False),
    ],
)
def test_what_a_lost_process_does_to_the_others_is_told_from_their_own_errors(error, is_one):
    assert is_of_a_lost_rank(error) is is_one
