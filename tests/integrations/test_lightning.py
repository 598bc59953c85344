"""The callback for Lightning, with a real Trainer."""

import json
import warnings

import pytest
import torch

pytest.importorskip("lightning")

from lightning.pytorch import LightningModule, Trainer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LinearLR, OneCycleLR, SequentialLR, StepLR

from sweep.errors import UsageError
from sweep.integrations.lightning import ScaleTraining

BATCHES = 5


pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def their_warnings():
    """Lightning says much about what a small test does on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Module(LightningModule):
    """A line through points; `make` makes the schedule of its optimizer, and what it has seen is kept."""

    def __init__(self, make):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.make = make
        self.rates = []
        self.lengths = []

    def training_step(self, batch, index):
        self.rates.append(self.optimizers().param_groups[0]["lr"])
        return self.layer(batch[0]).square().mean()

    def validation_step(self, batch, index):
        self.log("accuracy", 0.5)
        self.log("nan", float("nan"))

    def configure_optimizers(self):
        self.lengths.append(self.trainer.max_epochs)
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        return {"optimizer": optimizer, "lr_scheduler": self.make(self, optimizer)}


def loader():
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(4 * BATCHES, 2)), batch_size=4)


def fit(tmp_path, make, callback, checkpoint=None, **limits):
    module = Module(make)
    trainer = Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[callback],
        **({"max_epochs": 10} | limits),
    )
    trainer.fit(module, loader(), loader(), ckpt_path=checkpoint)
    return module, trainer


def per_epoch(module, optimizer):
    return CosineAnnealingLR(optimizer, module.trainer.max_epochs)


def per_step(module, optimizer):
    total = module.trainer.estimated_stepping_batches
    return {"scheduler": OneCycleLR(optimizer, 0.1, int(total)), "interval": "step"}


@pytest.mark.parametrize(("make", "interval"), [(per_epoch, "epoch"), (per_step, "step")])
def test_a_scaled_fit_has_the_rates_of_a_module_made_for_that_length(tmp_path, make, interval):
    scaled, trainer = fit(tmp_path, make, ScaleTraining("0.5"))
    anew, _ = fit(tmp_path, make, ScaleTraining(1), max_epochs=5)
    assert scaled.lengths == [10]
    assert trainer.current_epoch == 5
    assert len(scaled.rates) == 5 * BATCHES
    assert scaled.rates == pytest.approx(anew.rates, rel=1e-12)


def test_a_fit_limited_by_steps_ends_at_the_very_step(tmp_path):
    scaled, trainer = fit(tmp_path, per_step, ScaleTraining("1/3"), max_epochs=-1, max_steps=40)
    assert trainer.global_step == len(scaled.rates) == 13
    longer, trainer = fit(tmp_path, per_step, ScaleTraining(2), max_epochs=8, max_steps=12)
    assert trainer.global_step == len(longer.rates) == 24


def test_epochs_that_end_before_the_steps_are_what_is_scaled(tmp_path):
    module, trainer = fit(tmp_path, per_epoch, ScaleTraining("0.25"), max_epochs=8, max_steps=1000)
    assert trainer.current_epoch == 2
    assert len(module.rates) == 2 * BATCHES


def test_a_warmup_keeps_its_length(tmp_path):
    def make(module, optimizer):
        return SequentialLR(optimizer, [LinearLR(optimizer, 0.1, 1.0, 2), StepLR(optimizer, 4)], [2])

    module, _ = fit(tmp_path, make, ScaleTraining("0.6"))
    assert module.rates[::BATCHES] == pytest.approx([0.01, 0.055, 0.1, 0.1, 0.01, 0.01])


def test_the_ratio_comes_from_the_environment_where_none_is_passed(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_RATIO", "0.3")
    _, trainer = fit(tmp_path, per_epoch, ScaleTraining())
    assert trainer.current_epoch == 3
    monkeypatch.setenv("SWEEP_RATIO", "x")
    with pytest.raises(UsageError, match="'x' is not a ratio"):
        ScaleTraining()
    monkeypatch.delenv("SWEEP_RATIO")
    with pytest.raises(UsageError, match="pass one, or set SWEEP_RATIO"):
        ScaleTraining()


def test_metrics_are_written_as_a_command_recipe_reads_them(tmp_path):
    callback = ScaleTraining("0.2", metrics_path=tmp_path / "metrics.json")
    fit(tmp_path, per_epoch, callback)
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written.keys() == {"accuracy", "nan", "train_seconds"}
    assert (written["accuracy"], written["nan"]) == (0.5, None)
    assert written["train_seconds"] == callback.train_seconds > 0


def test_validation_is_no_training_time(tmp_path, hands):
    def make(module, optimizer):
        module.on_validation_batch_start = lambda *batch: setattr(hands, "seconds", hands.seconds + 100)
        module.on_train_batch_start = lambda *batch: setattr(hands, "seconds", hands.seconds + 1)
        return per_epoch(module, optimizer)

    callback = ScaleTraining("0.2")
    fit(tmp_path, make, callback)
    assert callback.train_seconds == 2 * BATCHES


def test_an_interrupted_fit_goes_on_with_its_scaled_schedule(tmp_path):
    whole, _ = fit(tmp_path, per_epoch, ScaleTraining("0.6"))

    class Stopping(ScaleTraining):
        def on_train_epoch_end(self, trainer, pl_module):
            if trainer.current_epoch == 2:
                trainer.save_checkpoint(tmp_path / "third.ckpt")

    first = Stopping("0.6")
    fit(tmp_path, per_epoch, first)
    second = Stopping("0.6")
    module, trainer = fit(tmp_path, per_epoch, second, tmp_path / "third.ckpt")
    assert trainer.current_epoch == 6
    assert module.rates == whole.rates[3 * BATCHES :]
    assert second.train_seconds > 0
    with pytest.raises(UsageError, match="the checkpoint is of ratio 3/5"):
        fit(tmp_path, per_epoch, Stopping("0.5"), tmp_path / "third.ckpt")


@pytest.mark.parametrize(
    ("make", "ratio", "limits", "said"),
    [
        (lambda module, opt: LambdaLR(opt, lambda step: 1.0), 0.5, {}, "^LambdaLR: ratio 0.5: cannot be scaled"),
        (per_epoch, 0.05, {}, "^max_epochs: ratio 0.05: of 10 that is none"),
        (per_step, "0.01", {"max_epochs": -1, "max_steps": 40}, "^max_steps: ratio 0.01: of 40 that is none"),
        (lambda module, opt: StepLR(opt, 3), 0.5, {"max_epochs": -1}, "^max_epochs: this Trainer has no end to scale"),
    ],
)
def test_what_cannot_be_scaled_ends_the_fit_before_it_trains(tmp_path, make, ratio, limits, said):
    with pytest.raises(UsageError, match=said):
        fit(tmp_path, make, ScaleTraining(ratio), **limits)


def test_a_callback_scales_one_fit(tmp_path):
    callback = ScaleTraining(0.5)
    module, trainer = fit(tmp_path, per_epoch, callback)
    with pytest.raises(UsageError, match="has scaled a fit already"):
        trainer.fit(module, loader(), loader())
