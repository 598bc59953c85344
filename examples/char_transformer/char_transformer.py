"""A small transformer that learns to spell English, a character at a time, from `pages.txt`: pages about this project,
as they once were. Judged by its loss on the last tenth of them, in nats a character.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import sweep

TEXT = Path(__file__).with_name("pages.txt").read_text(encoding="ascii")
ALPHABET = sorted(set(TEXT))
LENGTH = 32  # characters that it sees at a time


class Block(nn.Module):
    """Attention to what came before, and two layers on top of it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        normed = self.norms[0](x)
        x = x + self.attention(normed, normed, normed, attn_mask=mask, need_weights=False)[0]
        return x + self.layers(self.norms[1](x))


class CharTransformer(nn.Module):
    """Characters (b, LENGTH) -> logits of the one that follows on each (b, LENGTH, characters)."""

    def __init__(self, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.characters = nn.Embedding(len(ALPHABET), width)
        self.places = nn.Embedding(LENGTH, width)
        self.dropout = nn.Dropout(0.05)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, len(ALPHABET)))
        self.register_buffer("mask", torch.full((LENGTH, LENGTH), float("-inf")).triu(1), persistent=False)

    def forward(self, text: Tensor) -> Tensor:
        x = self.dropout(self.characters(text) + self.places(torch.arange(text.shape[1], device=text.device)))
        for block in self.blocks:
            x = block(x, self.mask)
        return self.head(x)


def loss(logits: Tensor, following: Tensor) -> Tensor:
    return cross_entropy(logits.flatten(0, 1), following.flatten())


def spelled_right(logits: Tensor, following: Tensor) -> Tensor:
    return (logits.argmax(-1) == following).float().mean()


def pieces(text: str) -> tuple[Tensor, Tensor]:
    """(n, LENGTH) characters by number, and those that follow on each of them."""
    numbers = torch.tensor([ALPHABET.index(character) for character in text])
    count = (len(numbers) - 1) // LENGTH
    return numbers[: count * LENGTH].view(count, LENGTH), numbers[1 : count * LENGTH + 1].view(count, LENGTH)


def make_task(recipe) -> sweep.Task:
    args = {"width": 48, "depth": 2, "heads": 4} | recipe.task_args
    held_out = len(TEXT) // 10
    return sweep.Task(
        model=lambda: CharTransformer(**args),
        train_data=pieces(TEXT[:-held_out]),
        eval_data=pieces(TEXT[-held_out:]),
        loss=loss,
        metrics={"accuracy": spelled_right},
    )
