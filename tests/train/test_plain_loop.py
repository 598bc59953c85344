"""The tool trains exactly what an ordinary PyTorch loop trains: the final weights are equal bit for bit."""

from fractions import Fraction

import pytest
from plain_loop import check_against_plain_loop
from small_stages import smoke_recipe

from sweep.api import run_request
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.store.history import read_history


def run_inline(tmp_path, *settings, ratios="1", method=None, seeds=1):
    """One sweep of smoke, trained in this process."""
    request = SweepRequest("smoke", ratios, seeds, method, results=tmp_path / "results", settings=settings)
    return run_request(request, make_executor=lambda *placed: InlineExecutor()).history.results


def test_a_plain_loop_gives_the_weights_of_the_real_worker(smoke_results, planned_rates):
    results = read_history(smoke_results / "smoke" / "journal.jsonl").results
    assert {result.entry.seed for result in results} == {0, 1}
    rates = {ratio: planned_rates("smoke", "--ratios", ratio) for ratio in {r.entry.ratio for r in results}}
    for result in results:
        check_against_plain_loop(smoke_recipe(), rates[result.entry.ratio], result)


VARIANTS = {
    "flipped, smoothed, adamw": (
        "epochs",
        "2/8",
        (
            "opt=adamw",
            "lr=0.003",
            "weight_decay=0.05",
            "hflip_prob=0.5",
            "random_crop_padding=2",
            "label_smoothing=0.1",
        ),
    ),
    "plain sgd without augmentation": ("epochs", "2/8", ("opt=sgd", "random_crop_padding=0", "batch_size=100")),
    "an epoch cut short": ("steps", "0.31", ()),
    "examples drawn anew each epoch": ("samples", "0.3", ()),
    "a fixed subset of the examples": ("subset", "0.3", ()),
    "epoch-wise decays": (
        "epochs",
        "0.5",
        ("lr_scheduler=multisteplr", "lr_milestones=[4, 6]", "lr_interval=epoch", "momentum=0", "opt=sgd"),
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_plain_loop_gives_the_same_weights_whatever_the_recipe_asks_for(variant, planned_rates, tmp_path):
    method, ratio, settings = VARIANTS[variant]
    [result] = run_inline(tmp_path, *settings, ratios=ratio, method=method)
    assert 0 < Fraction(result.entry.realised) < 1
    options = [option for setting in settings for option in ("--set", setting)]
    rates = planned_rates("smoke", "--ratios", ratio, "--method", method, *options)
    recipe = smoke_recipe(f"method={method}", *settings)
    check_against_plain_loop(recipe, rates, result)


def test_the_worker_and_this_process_train_the_same_weights(smoke_results, tmp_path):
    recorded = read_history(smoke_results / "smoke" / "journal.jsonl").results
    repeated = run_inline(tmp_path, ratios=",".join(sorted({r.entry.ratio for r in recorded})), seeds=2)
    assert {r.entry.key: r.weights_sha256 for r in repeated} == {r.entry.key: r.weights_sha256 for r in recorded}


def test_every_ratio_and_every_seed_train_weights_of_their_own(smoke_results):
    results = read_history(smoke_results / "smoke" / "journal.jsonl").results
    assert len({result.weights_sha256 for result in results}) == len(results) == 4
