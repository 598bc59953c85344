"""The methods that recipes are made of: each trains what an ordinary PyTorch loop with it trains, bit for bit."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from interrupted_stages import train_in_parts
from plain_loop import hash_plainly, plain_normalised
from plain_methods import precision, train_with_methods
from small_stages import curve, digits, sha256, smoke_recipe, smoke_task, train
from torch.nn.functional import cross_entropy

from sweep.api import plan_sweep, run_request
from sweep.errors import RecipeError
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.run.ledger import stage_job
from sweep.train.device import set_threads

# A few epochs of 23 steps, and runs that share what they can of them.
SHORT = ("epochs=4", "min_shared_steps=1", "hflip_prob=0.5", "lr_cooldown=0.3dur")
METHODS = {
    "accumulation": ("gradient_accumulation_steps=3", "batch_size=32"),
    "clipping": ("clip_grad_norm=0.3",),
    "no decay of normalisation": ("norm_weight_decay=0", "weight_decay=0.01"),
    "bfloat16": ("amp=bf16",),
    "channels last": ("channels_last=true",),
    "mixup": ("mixup_alpha=0.2", "label_smoothing=0.1"),
    "cutmix": ("cutmix_alpha=1",),
    "mixup or cutmix, up to a time": ("mixup_alpha=0.2", "cutmix_alpha=1", "mixup_off=0.6dur"),
    "ema": ("model_ema=true", "model_ema_steps=3", "model_ema_decay=0.999"),
    "swa": ("swa=true", "swa_start=0.3dur", "swa_interval=0.5ep"),
    "swa at absolute times": ("swa=true", "swa_start=0.5ep", "swa_interval=5ba", "swa_end=3ep"),
    "resizing": ("progressive_resizing=true", "progressive_resizing_increment=1"),
    "resizing and mixing, at absolute times": (
        *("progressive_resizing=true", "progressive_resizing_increment=2", "progressive_resizing_start=10ba"),
        *("progressive_resizing_end=40ba", "mixup_alpha=0.2", "cutmix_alpha=1", "mixup_off=30ba"),
    ),
    "freezing": ("layer_freezing=true", "layer_freezing_start=0.3dur"),
    "one cycle": ("lr_scheduler=onecyclelr", "lr_warmup_epochs=0"),
    "one cycle of adamw": ("lr_scheduler=onecyclelr", "opt=adamw", "lr=0.01", "lr_warmup_epochs=0"),
}


def settings_of(method):
    scheduler = () if "cycle" in method else ("lr_scheduler=wsd",)
    return (*SHORT, *scheduler, *METHODS[method])


def run_methods(folder, chosen, ratios="0.5,1", num_seeds=1, method="steps", **options):
    """A sweep in this process."""
    set_threads(1)
    request = SweepRequest("smoke", ratios, num_seeds, method, results=folder, settings=chosen, **options)
    done = run_request(request, make_executor=lambda *placed: InlineExecutor())
    assert done.is_complete, [result.reason for result in done.history.results]
    return done


def jobs_alone(chosen, ratios="0.5,1", num_seeds=1, method="steps"):
    """By key: what each trial is to train, were it trained alone."""
    plan = plan_sweep(SweepRequest("smoke", ratios, num_seeds, method, settings=chosen, share=False))
    return {stage.trial.key: stage_job(stage) for stage in plan.stages}


@torch.no_grad()
def worth(model, recipe):
    """Accuracy and mean cross-entropy over the evaluation images, in the precision of the recipe."""
    model.eval()
    labels = digits().evaluation.labels
    with precision(recipe):
        logits = model(plain_normalised(digits().evaluation.pixels))
        loss = cross_entropy(logits, labels)
    return (logits.argmax(1) == labels).double().mean().item(), loss.item()


@pytest.mark.parametrize("method", METHODS)
def test_a_plain_loop_gives_the_weights_of_runs_that_share(method, tmp_path):
    chosen = settings_of(method)
    done, jobs = run_methods(tmp_path, chosen), jobs_alone(chosen)
    assert "cycle" in method or done.plan.num_steps < done.plan.num_steps_alone
    for result in done.history.results:
        model = train_with_methods(jobs[result.entry.key], digits()).model
        assert hash_plainly(model) == result.weights_sha256
        accuracy, loss = worth(model, smoke_recipe(*chosen))
        assert (accuracy, loss) == (result.accuracy, pytest.approx(result.loss, rel=1e-5))


@pytest.mark.parametrize("method", METHODS)
def test_a_run_in_parts_gives_the_weights_and_evaluations_of_one_in_one(method, tmp_path):
    chosen = settings_of(method)
    [job] = jobs_alone(chosen, "1").values()
    whole = train(job, smoke_task(*chosen))
    stops = tuple(step for step in (1, 11, 30, 47, 71) if step < job.stop_step)
    parts = train_in_parts(job, tmp_path, stops, lambda: smoke_task(*chosen))
    assert sha256(parts) == sha256(whole)
    assert parts.measurement.evaluations == whole.measurement.evaluations
    assert parts.measurement.images == whole.measurement.images == 4 * 1442


TIMES = st.sampled_from(("0.25dur", "0.5dur", "0.75dur", "1", "20ba", "2"))


@st.composite
def sets_of_methods(draw):
    """Settings of a recipe with any methods at any times, ratios, and what they scale."""
    chosen = {"epochs": 3, "min_shared_steps": 1, "hflip_prob": 0.5, "lr_scheduler": draw(SCHEDULERS)}
    chosen |= {"lr_warmup_epochs": draw(st.sampled_from(("0", "0.5", "0.2dur")))}
    if chosen["lr_scheduler"] == "multisteplr":
        chosen["lr_milestones"] = "[0.5dur, 2]"
    if chosen["lr_scheduler"] == "onecyclelr":
        chosen["lr_warmup_epochs"] = "0"
    chosen |= draw(st.sampled_from(({}, {"gradient_accumulation_steps": 3, "batch_size": 33}, {"batch_size": 100})))
    chosen |= draw(st.sampled_from(({}, {"opt": "adamw", "lr": 0.01})))
    chosen |= draw(st.sampled_from(({}, {"mixup_alpha": 0.2}, {"cutmix_alpha": 1, "mixup_alpha": 0.5})))
    if "mixup_alpha" in chosen and draw(st.booleans()):
        chosen["mixup_off"] = draw(TIMES)
    for keys in (*STEADY, {"scale_methods": "true"}):
        chosen |= keys if draw(st.booleans()) else {}
    if draw(st.booleans()):
        chosen |= {"layer_freezing": "true", "layer_freezing_start": draw(TIMES)}
    if draw(st.booleans()):
        chosen |= {"progressive_resizing": "true", "progressive_resizing_increment": draw(st.sampled_from((1, 2)))}
        chosen |= {"progressive_resizing_start": "0.25dur", "progressive_resizing_end": draw(TIMES)}
    average = draw(st.sampled_from((None, "model_ema", "swa")))
    if average == "model_ema":
        chosen |= {"model_ema": "true", "model_ema_steps": draw(st.sampled_from((1, 3))), "model_ema_decay": 0.999}
    if average == "swa":
        chosen |= {"swa": "true", "swa_start": draw(TIMES), "swa_end": "1dur", "swa_interval": draw(TIMES)}
    method = draw(st.sampled_from(("steps", "epochs", "samples")))
    ratios = draw(st.sampled_from(("0.5,1", "0.4,0.7,1") if method == "samples" else ("0.5,1", "0.67,1,1.34")))
    return tuple(f"{key}={value}" for key, value in chosen.items()), ratios, method


SCHEDULERS = st.sampled_from(("wsd", "constantlr", "multisteplr", "onecyclelr"))
STEADY = (
    *({"clip_grad_norm": 0.5}, {"norm_weight_decay": 0}, {"amp": "bf16"}, {"channels_last": "true"}),
    {"label_smoothing": 0.1},
)


def curves(done):
    """By key: the worth of the weights at every step that was evaluated."""
    found = {}
    for result in done.history.results:
        rows = [row for part in done.history.evaluations(result.entry) for row in curve(part)]
        found[result.entry.key] = {row[0]: row[1:] for row in rows}
    return found


@pytest.mark.slow
@settings(max_examples=12)
@given(grid=sets_of_methods(), stops=st.sets(st.integers(1, 40), min_size=1, max_size=3))
def test_any_set_of_methods_trains_the_same_shared_alone_in_parts_and_in_a_plain_loop(grid, stops, tmp_path_factory):
    chosen, ratios, method = grid
    folder = tmp_path_factory.mktemp("methods")
    try:
        shared = run_methods(folder / "shared", chosen, ratios, 1, method)
    except RecipeError:
        assume(False)
    alone = run_methods(folder / "alone", chosen, ratios, 1, method, share=False)
    weights = {result.entry.key: result.weights_sha256 for result in shared.history.results}
    assert weights == {result.entry.key: result.weights_sha256 for result in alone.history.results}
    theirs = curves(alone)
    for key, rows in curves(shared).items():
        assert theirs[key].items() >= {step: rows[step] for step in rows if step in theirs[key]}.items()
    jobs = jobs_alone(chosen, ratios, 1, method)
    for key, job in jobs.items():
        assert hash_plainly(train_with_methods(job, digits()).model) == weights[key]
    [(key, job), *_] = jobs.items()
    in_parts = [step for step in sorted(stops) if step < job.stop_step]
    assert sha256(train_in_parts(job, folder / "parts", in_parts, lambda: smoke_task(*chosen))) == weights[key]
