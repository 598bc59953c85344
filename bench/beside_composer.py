"""Our training loop beside Composer's Trainer, without loggers and metrics; run by frameworks.py in an environment of
its own, for which it prints what it found as JSON.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from beside_framework import Baseline, Fit, Loader, compare, to_json
from composer import Callback, Logger, State, Trainer
from composer.models import ComposerModel
from torch import Tensor
from torch.nn.functional import cross_entropy

_Batch = tuple[Tensor, Tensor]


class _Model(ComposerModel):
    def __init__(self, baseline: Baseline) -> None:
        super().__init__()
        self.network = baseline.network()
        self._baseline = baseline

    def forward(self, batch: _Batch) -> Tensor:
        return self.network(self._baseline.mirrored(batch[0]))

    def loss(self, outputs: Tensor, batch: _Batch) -> Tensor:
        return cross_entropy(outputs, batch[1])


class _Pausing(Callback):
    def __init__(self, pause: Callable[[], object]) -> None:
        self._pause = pause

    def batch_end(self, state: State, logger: Logger) -> None:
        self._pause()


def _fit(baseline: Baseline, loader: Loader, num_steps: int) -> Fit:
    def fit(pause: Callable[[], object]) -> None:
        model = _Model(baseline)
        optimizer, scheduler = baseline.optimizer(model.network)
        trainer = Trainer(
            model=model,
            train_dataloader=loader,
            optimizers=optimizer,
            schedulers=scheduler,
            step_schedulers_every_batch=True,
            max_duration=f"{num_steps}ba",
            device="cpu",
            device_train_microbatch_size=baseline.task.recipe.batch_size,  # it cannot ask a loader of whole batches
            precision="fp32",
            progress_bar=False,
            callbacks=_Pausing(pause),
        )
        trainer.fit()

    return Fit(fit)


def main(data_path: Path, num_rounds: int) -> None:
    warnings.simplefilter("ignore")  # of what is left out on purpose
    logging.getLogger("composer").setLevel(logging.ERROR)
    print(to_json(compare(data_path, num_rounds, "mosaicml", _fit)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
