"""Trains a small network on scikit-learn's handwritten digits: an ordinary script, which knows nothing of sweep."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.optim.lr_scheduler import ChainedScheduler, LinearLR, StepLR


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--lr-step-size", type=int, default=8)
    parser.add_argument("--lr-warmup-epochs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output-dir", type=Path, default=Path("."))
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    train_images, train_labels, eval_images, eval_labels = load_data()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=options.lr, momentum=0.9, weight_decay=1e-4)
    scheduler = ChainedScheduler(
        [
            LinearLR(optimizer, start_factor=0.1, total_iters=options.lr_warmup_epochs),
            StepLR(optimizer, step_size=options.lr_step_size, gamma=0.2),
        ]
    )
    criterion = nn.CrossEntropyLoss()
    train_seconds = 0.0
    for epoch in range(options.epochs):
        begun = time.perf_counter()
        for batch in torch.randperm(len(train_images)).split(options.batch_size):
            optimizer.zero_grad()
            criterion(model(train_images[batch]), train_labels[batch]).backward()
            optimizer.step()
        scheduler.step()
        train_seconds += time.perf_counter() - begun
        print(f"epoch {epoch + 1} of {options.epochs}: Acc@1 {accuracy(model, eval_images, eval_labels):.2f}")
    torch.save(model.state_dict(), options.output_dir / "model.pt")
    print(f"trained in {train_seconds:.3f} s")


def load_data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images (n, 8, 8) in 0..1 and labels (n,): every fifth is for evaluation."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    is_eval = torch.arange(len(labels)) % 5 == 0
    return images[~is_eval], labels[~is_eval], images[is_eval], labels[is_eval]


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    return 100 * (model(images).argmax(1) == labels).float().mean().item()


if __name__ == "__main__":
    main()
