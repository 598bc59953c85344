"""Our training loop beside Lightning's Trainer, in its barebones mode; run by frameworks.py, for which it prints what
it found as JSON.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from beside_framework import Baseline, Fit, Loader, compare, to_json
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn.functional import cross_entropy


class _Module(LightningModule):
    def __init__(self, baseline: Baseline) -> None:
        super().__init__()
        self.network = baseline.network()
        self._baseline = baseline

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        images, labels = batch
        return cross_entropy(self.network(self._baseline.mirrored(images)), labels)

    def configure_optimizers(self) -> Any:
        optimizer, scheduler = self._baseline.optimizer(self.network)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class _Pausing(Callback):
    def __init__(self, pause: Callable[[], object]) -> None:
        self._pause = pause

    def on_train_batch_end(self, *_: Any) -> None:
        self._pause()


def _fit(baseline: Baseline, loader: Loader, num_steps: int) -> Fit:
    def fit(pause: Callable[[], object]) -> None:
        trainer = Trainer(
            accelerator="cpu", devices=1, max_steps=num_steps, barebones=True, callbacks=[_Pausing(pause)]
        )
        trainer.fit(_Module(baseline), loader)

    return Fit(fit)


def main(data_path: Path, num_rounds: int) -> None:
    warnings.simplefilter("ignore")  # of what is left out on purpose
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    print(to_json(compare(data_path, num_rounds, "lightning", _fit)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
