"""What the recipe's methods do to a batch that is trained, behind the data's own augmentation and on the device."""

from __future__ import annotations

from typing import Any

from sweep.train.mixing import Mixing
from sweep.train.resizing import resized
from sweep.train.step_values import StepValues
from sweep.train.trainable import Trainable


class BatchMethods:
    """Images are resized first, and mixed then. What is drawn is a function of (seed, step, micro-batch)."""

    def __init__(self, task: Trainable, seed: int) -> None:
        self._seed = seed
        mixes = task.recipe.mixup_alpha > 0 or task.recipe.cutmix_alpha > 0
        self._mixing = Mixing(task.recipe, task.num_classes) if mixes and task.num_classes else None

    def __call__(self, inputs: Any, targets: Any, values: StepValues, step: int, part: int) -> tuple[Any, Any]:
        """The batch that step `step` learns from; it is the step's micro-batch number `part`."""
        side = values.at("image_size", step)
        if side is not None:
            inputs = resized(inputs, int(side))
        if self._mixing and values.at("mixup", step):
            return self._mixing.mix(inputs, targets, self._seed, step, part)
        return inputs, targets
