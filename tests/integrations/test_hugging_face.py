"""The callback for Hugging Face's Trainer, with a real Trainer and a tiny model."""

import json
import warnings

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR, SequentialLR, StepLR
from transformers import Trainer, TrainerCallback, TrainingArguments

from sweep.errors import UsageError
from sweep.integrations.hugging_face import ScaleTraining

EXAMPLES, BATCH = 20, 4
BATCHES = EXAMPLES // BATCH


pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def their_warnings():
    """Transformers says much about what a small test does on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self.before_step = lambda is_training: None

    def forward(self, x, labels):
        self.before_step(self.training)
        logits = self.layer(x)
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


class Rates(TrainerCallback):
    def __init__(self):
        self.seen = []

    def on_step_begin(self, args, state, control, optimizer, **given):
        self.seen.append(optimizer.param_groups[0]["lr"])


def trainer(tmp_path, *callbacks, make=None, model=None, **arguments):
    model = model or Line()
    data = [{"x": torch.ones(2), "labels": torch.tensor(index % 2)} for index in range(EXAMPLES)]
    defaults = {"num_train_epochs": 10, "eval_strategy": "epoch", "save_strategy": "no", "learning_rate": 0.1}
    optimizers = (None, None)
    if make is not None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        optimizers = (optimizer, make(optimizer))
    return Trainer(
        model,
        TrainingArguments(
            output_dir=str(tmp_path),
            per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=EXAMPLES,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            **(defaults | arguments),
        ),
        train_dataset=data,
        eval_dataset=data,
        compute_metrics=lambda found: {"accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())},
        callbacks=list(callbacks),
        optimizers=optimizers,
    )


def rates(tmp_path, *callbacks, **arguments):
    seen = Rates()
    trainer(tmp_path, *callbacks, seen, **arguments).train()
    return seen.seen


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_the_trainers_own_schedule_is_the_one_of_a_run_of_that_length(tmp_path, kind):
    shared = {"lr_scheduler_type": kind, "warmup_steps": 7}
    scaled = rates(tmp_path, ScaleTraining("0.5"), **shared)
    assert len(scaled) == 5 * BATCHES
    assert scaled == rates(tmp_path, num_train_epochs=5, **shared)


def test_a_run_of_so_many_steps_is_scaled_to_the_step(tmp_path):
    scaled = rates(tmp_path, ScaleTraining("1/3"), max_steps=40)
    assert scaled == rates(tmp_path, max_steps=13)


@pytest.mark.parametrize(
    ("make", "length"),
    [
        (lambda total: lambda opt: CosineAnnealingLR(opt, total), {}),
        (lambda total: lambda opt: OneCycleLR(opt, 0.1, total), {}),
        (lambda total: lambda opt: OneCycleLR(opt, 0.1, total), {"max_steps": 50}),
    ],
)
def test_a_scheduler_that_was_given_is_scaled_in_place(tmp_path, make, length):
    scaled = rates(tmp_path, ScaleTraining(0.6), make=make(50), **length)
    anew = rates(tmp_path, make=make(30), **({"max_steps": 30} if length else {"num_train_epochs": 6}))
    assert len(scaled) == 30
    assert scaled == pytest.approx(anew, rel=1e-12)


@pytest.mark.parametrize(
    "make", [None, lambda opt: CosineAnnealingLR(opt, 50), lambda opt: StepLR(opt, 7), lambda opt: sequence(opt)]
)
def test_an_interrupted_training_goes_on_with_its_scaled_schedule_and_its_seconds(tmp_path, hands, make):
    def one_second(is_training):
        hands.seconds += is_training

    def train(ratio, checkpoint=None):
        model, seen, callback = Line(), Rates(), ScaleTraining(ratio)
        model.before_step = one_second
        made = trainer(tmp_path, callback, seen, model=model, make=make, save_strategy="epoch", eval_strategy="no")
        made.train(resume_from_checkpoint=checkpoint)
        return seen.seen, callback.train_seconds

    whole, seconds = train("0.6")
    checkpoint = str(tmp_path / "checkpoint-10")
    assert len(whole) == seconds == 6 * BATCHES
    assert train("0.6", checkpoint) == (whole[10:], seconds)
    with pytest.raises(UsageError, match=r"^ratio: ratio 0\.5: the checkpoint is of ratio 3/5"):
        train("0.5", checkpoint)


def sequence(optimizer):
    warmup, steps = LinearLR(optimizer, 0.1, total_iters=5), StepLR(optimizer, 7)
    return SequentialLR(optimizer, [warmup, steps], milestones=[5])


def test_a_checkpoint_of_a_training_without_the_callback_is_refused(tmp_path):
    trainer(tmp_path, save_strategy="epoch", num_train_epochs=2).train()
    with pytest.raises(UsageError, match="the checkpoint is of no scaled run"):
        trainer(tmp_path, ScaleTraining(0.5)).train(resume_from_checkpoint=str(tmp_path / "checkpoint-5"))


def test_metrics_are_written_when_the_training_has_ended_and_by_evaluations_after_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_RATIO", "20%")
    path = tmp_path / "metrics.json"
    callback = ScaleTraining(metrics_path=path)
    made = trainer(tmp_path, callback)
    made.train()
    written = json.loads(path.read_text())
    assert {"accuracy", "loss", "train_seconds"} <= written.keys()
    assert written["train_seconds"] == callback.train_seconds > 0
    made.compute_metrics = lambda found: {"accuracy": 0.75}
    made.evaluate()
    assert json.loads(path.read_text())["accuracy"] == 0.75
    assert json.loads(path.read_text())["train_seconds"] == written["train_seconds"]


def test_nothing_is_written_where_nothing_was_trained(tmp_path):
    made = trainer(tmp_path, ScaleTraining("0.2", metrics_path=tmp_path / "metrics.json"))
    made.evaluate()
    assert not (tmp_path / "metrics.json").exists()


@pytest.mark.parametrize("strategies", [{}, {"save_strategy": "epoch"}, {"eval_strategy": "steps", "eval_steps": 2}])
def test_evaluation_is_no_training_time(tmp_path, hands, strategies):
    model = Line()

    def pass_time(is_training):
        hands.seconds += 1 if is_training else 100

    model.before_step = pass_time
    callback = ScaleTraining("0.2")
    trainer(tmp_path, callback, model=model, **strategies).train()
    assert callback.train_seconds == 2 * BATCHES


def test_arguments_are_scaled_once(tmp_path):
    made = trainer(tmp_path, ScaleTraining("0.2"))
    with pytest.raises(UsageError, match=r"^TrainingArguments: were scaled already, by 0\.2, for another Trainer"):
        Trainer(made.model, made.args, eval_dataset=made.eval_dataset, callbacks=[ScaleTraining("0.2")])
    assert made.args.num_train_epochs == 2


def test_what_happens_before_the_training_is_none_of_its_time(tmp_path, hands):
    callback = ScaleTraining("0.2")
    made = trainer(tmp_path, callback)
    made.evaluate()
    hands.seconds += 1000
    made.train()
    assert callback.train_seconds == 0


@pytest.mark.parametrize(
    ("ratio", "arguments", "said"),
    [
        (
            0.25,
            {},
            r"^num_train_epochs: ratio 0.25: of 10 epochs that is 2.5, no whole number \(take a ratio such as 1/10",
        ),
        (0.01, {"max_steps": 40}, "^max_steps: ratio 0.01: of 40 steps that is none"),
        (0.5, {"lr_scheduler_type": "reduce_lr_on_plateau"}, "^lr_scheduler_type: ratio 0.5: follows what is measured"),
        (
            0.5,
            {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": {"num_decay_steps": 9}},
            "^lr_scheduler_kwargs: ratio 0.5: num_decay_steps would stay",
        ),
    ],
)
def test_what_cannot_be_scaled_is_refused_when_the_trainer_is_made(tmp_path, ratio, arguments, said):
    with pytest.raises(UsageError, match=said):
        trainer(tmp_path, ScaleTraining(ratio), **arguments)


def test_a_warmup_that_fills_the_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"^warmup_steps: ratio 0\.1: the warm-up of 5 steps fills the run of 5"):
        trainer(tmp_path, ScaleTraining(0.1), warmup_steps=5).train()


def test_a_callback_that_comes_too_late_or_twice_is_refused(tmp_path):
    made = trainer(tmp_path)
    made.add_callback(ScaleTraining(0.5))
    with pytest.raises(UsageError, match="came too late"):
        made.train()
    callback = ScaleTraining(0.5)
    trainer(tmp_path, callback)
    with pytest.raises(UsageError, match="another Trainer"):
        trainer(tmp_path, callback)
