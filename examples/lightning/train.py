"""Trains a small network on scikit-learn's handwritten digits with Lightning, and writes its metrics as JSON."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import lightning
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Digits(lightning.LightningModule):
    """Two layers, Adam, and a rate that decays at milestones."""

    def __init__(self, lr: float, milestones: list[int]) -> None:
        super().__init__()
        self.lr, self.milestones = lr, milestones
        self.model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        images, labels = batch
        return nn.functional.cross_entropy(self.model(images), labels)

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        images, labels = batch
        self.log("accuracy", (self.model(images).argmax(1) == labels).float().mean())

    def configure_optimizers(self) -> dict[str, object]:
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.lr)
        scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, self.milestones, gamma=0.2)
        return {"optimizer": optimizer, "lr_scheduler": scheduler}


class TrainingTime(lightning.Callback):
    """The seconds of the training batches, with the waiting for them and without evaluation."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def on_train_epoch_start(self, *_: object) -> None:
        self.begun = time.perf_counter()

    def on_train_batch_end(self, *_: object) -> None:
        now = time.perf_counter()
        self.seconds += now - self.begun
        self.begun = now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--max-epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.003)
    parser.add_argument("--milestones", type=int, nargs="*", default=[12, 16])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output-dir", type=Path, default=Path("."))
    options = parser.parse_args()

    lightning.seed_everything(options.seed)
    train_data, eval_data = load_data()
    model, watch = Digits(options.lr, options.milestones), TrainingTime()
    trainer = lightning.Trainer(
        max_epochs=options.max_epochs,
        callbacks=[watch],
        default_root_dir=options.output_dir,
        check_val_every_n_epoch=options.max_epochs,  # at the end
        enable_checkpointing=False,
        enable_progress_bar=False,
        logger=False,
    )
    trainer.fit(model, DataLoader(train_data, 64, shuffle=True), DataLoader(eval_data, len(eval_data)))
    metrics = {"accuracy": trainer.callback_metrics["accuracy"].item(), "train_seconds": watch.seconds}
    (options.output_dir / "metrics.json").write_text(json.dumps(metrics))


def load_data() -> tuple[TensorDataset, TensorDataset]:
    """Images (n, 8, 8) in 0..1 with labels: every fifth is for evaluation."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    is_eval = torch.arange(len(labels)) % 5 == 0
    return TensorDataset(images[~is_eval], labels[~is_eval]), TensorDataset(images[is_eval], labels[is_eval])


if __name__ == "__main__":
    main()
