"""Folders of PNGs that can be told apart: a user's own images, written by a test."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("blue häuser", "green", "red 😀")


def write_pngs(data_path: Path, num_train: int, num_eval: int, side: int = 40) -> None:
    """So many noisy images of a colour each, a class a colour, of several sizes."""
    random = np.random.default_rng(0)
    for part, count in (("train", num_train), ("val", num_eval)):
        for index in range(count):
            number = index % len(CLASSES)
            folder = data_path / part / CLASSES[number]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = random.integers(0, 200, (side + index % 5, side + index % 3, 3), dtype=np.uint8)
            pixels[:, :, 2 - number] += 55
            Image.fromarray(pixels).save(folder / f"{part} {index:05}.png", compress_level=1)
