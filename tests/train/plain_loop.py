"""An ordinary PyTorch training loop, written without the tool's own.

It takes from the tool what a run is a function of: the model, the data's tensors, each epoch's order and its
augmentation draws. The rates are given. Everything else is written out here, an example at a time where that is plain.
"""

import hashlib
import math
from dataclasses import dataclass

import pytest
import torch
from small_stages import digits
from torch.nn.functional import cross_entropy

from sweep.recipe.datasets import DATASETS
from sweep.recipe.schema import Recipe
from sweep.train.data import draw_augmentation, epoch_order
from sweep.train.device import set_threads
from sweep.train.models import build_model
from sweep.train.task import Data


@dataclass
class PlainRun:
    """The model after the last step, and the loss of every step that was taken."""

    model: torch.nn.Module
    losses: list[float]

    @property
    def first_bad_step(self) -> int | None:
        return next((step for step, loss in enumerate(self.losses) if not math.isfinite(loss)), None)


def train_plainly(recipe: Recipe, data: Data, rates: list[float], seed: int, num_examples: int) -> PlainRun:
    """Train one step for each rate; stops after the first loss that is not finite."""
    layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
    model = build_model(recipe.model, 1, 10, seed).to(memory_format=layout)
    model.train()
    optimizer = plain_optimizer(recipe, model)
    padding, labels = recipe.random_crop_padding, data.train.labels
    frames = framed(data.train.pixels, padding)
    losses: list[float] = []
    epoch = 0
    while len(losses) < len(rates):
        order = epoch_order(seed, epoch, num_examples, recipe.method, labels.numpy()).tolist()
        draws = draw_augmentation(seed, epoch, len(labels), padding, recipe.hflip_prob, torch.device("cpu"))
        top, left, mirrored = draws.top.tolist(), draws.left.tolist(), draws.mirrored.tolist()
        for first in range(0, len(order), recipe.batch_size):
            if len(losses) == len(rates):
                break
            batch = order[first : first + recipe.batch_size]
            pixels = [cut_out(frames[i], padding, top[i], left[i], mirrored[i]) for i in batch]
            images = plain_normalised(torch.stack(pixels)).contiguous(memory_format=layout)
            optimizer.param_groups[0]["lr"] = rates[len(losses)]
            optimizer.zero_grad()
            loss = cross_entropy(model(images), labels[batch], label_smoothing=recipe.label_smoothing)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                return PlainRun(model, losses)
        epoch += 1
    return PlainRun(model, losses)


def plain_optimizer(recipe: Recipe, model: torch.nn.Module) -> torch.optim.Optimizer:
    parameters = list(model.parameters())
    if recipe.opt == "adamw":
        return torch.optim.AdamW(parameters, lr=1.0, weight_decay=recipe.weight_decay, foreach=False)
    return torch.optim.SGD(
        parameters,
        lr=1.0,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.opt == "sgd_nesterov",
        foreach=False,
    )


def framed(pixels: torch.Tensor, padding: int) -> torch.Tensor:
    """The images in a black frame. (n, channels, height, width) -> (n, channels, height + 2 padding, …)."""
    n, channels, height, width = pixels.shape
    frames = torch.zeros(n, channels, height + 2 * padding, width + 2 * padding, dtype=torch.uint8)
    frames[:, :, padding : padding + height, padding : padding + width] = pixels
    return frames


def cut_out(frame: torch.Tensor, padding: int, top: int, left: int, mirrored: bool) -> torch.Tensor:
    """One image of the original size out of its frame, perhaps mirrored. (channels, height, width)."""
    height, width = frame.shape[1] - 2 * padding, frame.shape[2] - 2 * padding
    cut = frame[:, top : top + height, left : left + width]
    return cut[:, :, list(range(width))[::-1]] if mirrored else cut


def plain_normalised(pixels: torch.Tensor) -> torch.Tensor:
    digits = DATASETS["digits"]
    return (pixels.to(torch.float32) - torch.tensor(digits.pixel_mean)) / torch.tensor(digits.pixel_sd)


def evaluate_plainly(model: torch.nn.Module, data: Data) -> tuple[float, float]:
    """Accuracy and mean cross-entropy over the evaluation images."""
    model.eval()
    with torch.no_grad():
        logits = model(plain_normalised(data.evaluation.pixels)).double()
    labels = data.evaluation.labels.tolist()
    hits = [row.argmax().item() == label for row, label in zip(logits, labels, strict=True)]
    log_likelihoods = [(row[label] - row.logsumexp(0)).item() for row, label in zip(logits, labels, strict=True)]
    return sum(hits) / len(hits), -sum(log_likelihoods) / len(log_likelihoods)


def hash_plainly(model: torch.nn.Module) -> str:
    return hashlib.sha256(b"".join(bytes(t.numpy().tobytes()) for t in model.state_dict().values())).hexdigest()


def check_against_plain_loop(recipe, rates, result):
    """Train with `rates` plainly, and compare what comes out with a trial's result."""
    set_threads(1)
    assert len(rates) == result.entry.num_steps
    run = train_plainly(recipe, digits(), rates, result.entry.seed, result.entry.num_examples)
    assert hash_plainly(run.model) == result.weights_sha256
    accuracy, loss = evaluate_plainly(run.model, digits())
    assert accuracy == result.accuracy
    assert loss == pytest.approx(result.loss, rel=1e-5)
