"""docs/python-api.md describes what is there, and its examples run."""

import inspect
import os
import re
import runpy
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import sweep

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "python-api.md").read_text()
NAMED = set(re.findall(r"`([^`\n]+)`", PAGE))


def blocks(kind=""):
    return re.findall(rf"^```python{kind}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_it_names_every_public_name_and_no_other():
    assert {name for name in NAMED if re.fullmatch(r"sweep\.[A-Za-z_]+", name)} == {
        f"sweep.{name}" for name in sweep.__all__
    }


def test_it_names_every_argument_and_every_column():
    from sweep.report.frame import COLUMNS, EXTRA_COLUMNS, JUDGED_COLUMNS

    assert inspect.signature(sweep.run_sweep).parameters.keys() <= NAMED
    assert {*COLUMNS, *EXTRA_COLUMNS, *JUDGED_COLUMNS} <= NAMED


def test_it_names_every_key_that_is_scaled():
    from sweep.plan import scaled_numbers

    keys = (*scaled_numbers.LENGTHS, *scaled_numbers.WARMUPS, *scaled_numbers.FROM_START, *scaled_numbers.FROM_WARMUP)
    assert {*keys, *scaled_numbers.GAMMAS} <= NAMED


def test_it_says_of_every_scheduler_of_torch_what_becomes_of_it():
    from sweep.train.scaling import REFUSED
    from sweep.train.schedulers import RULES

    theirs = {kind.__name__ for kind in [*RULES, *REFUSED] if kind.__module__.startswith("torch")}
    assert theirs <= NAMED


def test_it_shows_the_signatures_as_they_are():
    from sweep.integrations import told

    assert f"`sweep.scale_scheduler{_shown(sweep.scale_scheduler)}`" in PAGE
    assert f"`{told.RATIO_VARIABLE}`" in PAGE


def _shown(function):
    parameters = [p.replace(annotation=p.empty) for p in inspect.signature(function).parameters.values()]
    return str(inspect.Signature(parameters)).replace(" = ", "=")


@pytest.mark.slow
def test_its_examples_run(tmp_path):
    script = "\n".join(blocks())
    assert script.count("sweep.") > 5
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert re.search(r"^1\.00 +[0-9.]+ +0\.9[0-9]+$", run.stdout, flags=re.MULTILINE)


@pytest.mark.slow
def test_the_example_of_lightning_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch = pytest.importorskip("torch")
    lightning = pytest.importorskip("lightning.pytorch")

    class MyModule(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def training_step(self, batch, index):
            return self.layer(batch[0]).square().mean()

        def validation_step(self, batch, index):
            self.log("accuracy", 0.5)

        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
            return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.trainer.max_epochs)]

    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 2)), batch_size=4)
    names = run(blocks(" lightning"), MyModule=MyModule, train_loader=data, eval_loader=data)
    assert names["trainer"].current_epoch == 5
    assert '"accuracy": 0.5' in (tmp_path / "metrics.json").read_text()


@pytest.mark.slow
def test_the_example_of_hugging_face_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")

    class Line(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 2)

        def forward(self, x, labels):
            logits = self.layer(x)
            return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}

    data = [{"x": torch.ones(2), "labels": torch.tensor(1)} for _ in range(16)]
    names = run(blocks(" hugging_face"), model=Line(), data=data)
    assert names["trainer"].state.epoch == 2
    assert '"loss": ' in (tmp_path / "metrics.json").read_text()


def run(found, **names):
    [code] = found
    Path("example.py").write_text(code)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the two say of small examples is theirs
        return runpy.run_path("example.py", names)
