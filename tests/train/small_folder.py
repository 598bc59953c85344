"""A tiny dataset of image files, laid out as ImageNet is, and a recipe for it."""

from dataclasses import replace

import numpy as np
from PIL import Image

from sweep.recipe.datasets import DATASETS
from sweep.recipe.schema import Recipe

CLASSES = ("n01", "n02", "n03")
SMALL = replace(DATASETS["ImageNet"], num_train=20, num_eval=7, num_classes=3)
KEYS = {
    "model": "resnet18",
    "dataset": "ImageNet",
    "epochs": 2,
    "batch_size": 6,
    "lr": 0.01,
    "train_crop_size": 32,
    "val_resize_size": 40,
    "val_crop_size": 32,
    "hflip_prob": 0.5,
    "workers": 0,
}


def write_folder(data_path):
    """Images of several sizes and kinds, 20 to train on and 7 to evaluate on, of three classes."""
    random = np.random.default_rng(0)
    for part, count in (("train", SMALL.num_train), ("val", SMALL.num_eval)):
        for index in range(count):
            folder = data_path / part / CLASSES[index % 3]
            folder.mkdir(parents=True, exist_ok=True)
            shape = (50 + index, 64 - index) + ((3,) if index % 5 else ())  # every fifth is grey
            pixels = random.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{part}_{index:03}.JPEG")


def small_recipe(**keys):
    return Recipe.model_validate(KEYS | keys)
