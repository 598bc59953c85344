"""A script with a callback, swept as a command: from the ratio that it is told to the metrics that are read."""

import os
import sys
import warnings

import pytest

import sweep

SCRIPT = """
import sys
import warnings
import torch
from lightning.pytorch import LightningModule, Trainer
from sweep.integrations.lightning import ScaleTraining

warnings.simplefilter("ignore")
ratio, metrics_path = sys.argv[1:]


class Line(LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch, index):
        return self.layer(batch[0]).square().mean()

    def validation_step(self, batch, index):
        self.log("accuracy", self.current_epoch / 10)

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.trainer.max_epochs)]


data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 2)), batch_size=4)
callback = ScaleTraining(ratio, metrics_path)
trainer = Trainer(max_epochs=8, accelerator="cpu", logger=False, enable_checkpointing=False, callbacks=[callback])
trainer.fit(Line(), data, data)
"""


@pytest.mark.slow
def test_a_script_with_the_callback_is_swept_as_it_is(tmp_path, monkeypatch):
    pytest.importorskip("lightning")
    (tmp_path / "train.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    root = os.path.dirname(os.path.dirname(sweep.__file__))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    recipe = {
        "command": f"{sys.executable} train.py {{ratio}} {{output_dir}}/metrics.json",
        "metrics": {"json": "{output_dir}/metrics.json"},
        "epochs": 8,
        "lr_scheduler": "cosineannealinglr",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = sweep.run_sweep(recipe, ["1/4", "1/2"], results=tmp_path / "results")
    assert list(table["reason"]) == [None, None]
    assert list(table["accuracy"]) == pytest.approx([0.1, 0.3])  # of the last epoch, counted from 0
    assert set(table["train_seconds_source"]) == {"metric"}
    assert (table["train_seconds"] > 0).all()
