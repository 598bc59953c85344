"""One training of the small ResNet on Fashion-MNIST, as a plain PyTorch script: what bench/whole.py puts in a loop.

It is what one would write who cares for speed: images normalised once and kept in memory, a DataLoader that takes a
batch of them with one index, the network in channels_last, losses that nobody waits for, evaluation in large batches.
Its threads are torch's default. Lengths are given in steps, as they are at the ratio that is trained.

The loader has no processes of its own: a batch is one gather, sooner done than handed over by another process, and two
processes would take the cores that train.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler
from torchvision.datasets import FashionMNIST

from sweep.train.models import SmallResNet

BATCH_SIZE, EVAL_BATCH_SIZE = 128, 1000
PIXEL_MEAN, PIXEL_SD = 72.9404 / 255, 90.0212 / 255
RAMP_START, GAMMA = 0.01, 0.1
FLIP_PROBABILITY = 0.5


class InMemoryImages(Dataset[tuple[Tensor, Tensor]]):
    """Normalised images and their labels, a batch at a time: indexed by a list of numbers."""

    def __init__(self, data_path: Path, train: bool) -> None:
        whole = FashionMNIST(data_path, train=train)
        self.images = whole.data.unsqueeze(1).float().div_(255).sub_(PIXEL_MEAN).div_(PIXEL_SD)
        self.labels = whole.targets
        self.flips = train

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, examples: list[int]) -> tuple[Tensor, Tensor]:
        images = self.images[examples]
        if self.flips:
            mirrored = torch.rand(len(examples), 1, 1, 1) < FLIP_PROBABILITY
            images = torch.where(mirrored, images.flip(3), images)
        return images, self.labels[examples]


def main() -> None:
    arguments = parse()
    torch.manual_seed(arguments.seed)
    train, evaluation = (InMemoryImages(arguments.data_path, train=part) for part in (True, False))
    train_loader = DataLoader(train, sampler=BatchSampler(RandomSampler(train), BATCH_SIZE, False), batch_size=None)
    eval_loader = DataLoader(
        evaluation, sampler=BatchSampler(SequentialSampler(evaluation), EVAL_BATCH_SIZE, False), batch_size=None
    )
    model = SmallResNet(1, 10).to(memory_format=torch.channels_last)
    optimizer = SGD(model.parameters(), lr=arguments.lr, momentum=0.9, weight_decay=5e-4, nesterov=True, foreach=True)
    scheduler = LambdaLR(optimizer, lambda step: multiplier(step, arguments))
    loss_function = nn.CrossEntropyLoss()

    step = 0
    while step < arguments.steps:
        model.train()
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = loss_function(model(images), labels)
            loss.backward()
            optimizer.step()
            scheduler.step()
            step += 1
            if step == arguments.steps:
                break
        print(f"step {step}: accuracy {evaluate(model, eval_loader):.4f}")


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the small ResNet on Fashion-MNIST, and print its accuracy.")
    parser.add_argument("--data-path", type=Path, default=Path("data"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--warmup-steps", type=int, default=0)
    parser.add_argument("--milestones", type=int, nargs="*", default=[], help="steps at which the rate falls to 0.1")
    parser.add_argument("--cooldown-start", type=int, help="the step from which the rate falls to zero, linearly")
    return parser.parse_args(words)


def multiplier(step: int, arguments: argparse.Namespace) -> float:
    """Of the learning rate at a step: a linear warm-up, then decays by 0.1, or a linear cool-down to zero."""
    if step < arguments.warmup_steps:
        return RAMP_START + (1 - RAMP_START) * step / arguments.warmup_steps
    if arguments.cooldown_start is not None and step > arguments.cooldown_start:
        return (arguments.steps - step) / (arguments.steps - arguments.cooldown_start)
    return GAMMA ** sum(step >= milestone for milestone in arguments.milestones)


@torch.inference_mode()
def evaluate(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """The share of the images that are classified rightly."""
    model.eval()
    correct, num_images = torch.zeros((), dtype=torch.int64), 0
    for images, labels in batches:
        correct += (model(images).argmax(1) == labels).sum()
        num_images += len(labels)
    return correct.item() / num_images


if __name__ == "__main__":
    main()
