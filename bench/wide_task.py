"""A network whose state, weights and momentum, is 1 MB, on digits: what bench/overhead.py hands from Stage to Stage."""

import torch
from sklearn.datasets import load_digits
from torch import nn

import sweep

WIDTH = 320  # 126,000 weights, and as much momentum, of four bytes each


def make_task(recipe):
    digits = load_digits()
    inputs, targets = torch.from_numpy(digits.data).float() / 16, torch.from_numpy(digits.target)
    return sweep.Task(
        model=lambda: nn.Sequential(
            nn.Linear(64, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10)
        ),
        train_data=(inputs[:1500], targets[:1500]),
        eval_data=(inputs[1500:], targets[1500:]),
        loss=nn.functional.cross_entropy,
        metrics={"accuracy": lambda outputs, targets: (outputs.argmax(1) == targets).float().mean()},
    )
