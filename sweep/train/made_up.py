"""Images in the shape of a dataset that is not there: random ones, on which a step takes as long as on others.

Of datasets of image files a few files of the usual size are written, and each stands for many.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sweep.recipe.dataset import Dataset
from sweep.store.durable import make_folder, write_bytes
from sweep.train.data import Images

_NUM_FILES = 64
# ImageNet's photographs: 500x375 is the size that most have, and 110 kB the mean of their files.
_FILE_SIZE = (500, 375)
_JPEG_QUALITY = 90
_GRAIN = 12


def made_up_images(dataset: Dataset, num_images: int, device: torch.device) -> Images:
    """So many images of a dataset that fits into memory."""
    random = torch.Generator().manual_seed(num_images)
    pixels = torch.randint(dataset.white + 1, (num_images, *dataset.shape), dtype=torch.uint8, generator=random)
    return Images(pixels.to(device), (torch.arange(num_images) % dataset.classes).to(device))


def write_files(folder: Path) -> list[str]:
    """Write image files to `folder`; returns their names."""
    make_folder(folder)
    random = np.random.default_rng(0)
    names = [f"{number}.jpg" for number in range(_NUM_FILES)]
    for name in names:
        write_bytes(folder / name, _jpeg(random))
    return names


def _jpeg(random: np.random.Generator) -> bytes:
    """Smooth patches with a grain, which compress as photographs do."""
    width, height = _FILE_SIZE
    patches = Image.fromarray(random.integers(256, size=(height // 25, width // 25, 3), dtype=np.uint8))
    smooth = np.asarray(patches.resize(_FILE_SIZE, Image.Resampling.BICUBIC), dtype=np.float64)
    grained = smooth + random.normal(0, _GRAIN, size=(height, width, 1))
    content = io.BytesIO()
    Image.fromarray(grained.clip(0, 255).astype(np.uint8)).save(content, "JPEG", quality=_JPEG_QUALITY)
    return content.getvalue()
