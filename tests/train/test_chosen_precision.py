"""What `amp: auto` comes to, and that a sweep is then trained in that and in nothing else."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from small_stages import smoke_task
from torch import nn
from user_modules import run_here, write_recipe

from sweep.api import run_request
from sweep.errors import UsageError
from sweep.events import Noticed
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.train.precision import choose_precision, forward_flop
from sweep.train.task import ImageTask

# A batch of 64 takes 0.025 GFLOP of the network of `smoke`: too few. One of 500 takes 0.19.
LARGE = "batch_size=500"


@pytest.fixture
def processor(monkeypatch):
    """processor("avx512_bf16"): one that multiplies bfloat16 numbers with that."""
    return lambda instructions: monkeypatch.setattr("sweep.train.precision.bf16_instructions", lambda: instructions)


def run(results, *settings, tell=lambda event: None, **options):
    request = SweepRequest("smoke", "0.25", results=results, settings=settings, device="cpu", **options)
    return run_request(request, tell, lambda *placed: InlineExecutor()).history


@pytest.mark.parametrize(
    ("instructions", "settings", "amp", "why"),
    [
        (None, (LARGE,), "none", "the processor is not known to compute in bfloat16"),
        ("avx512_bf16", (), "none", "the network takes 0.025 GFLOP for a batch, and below 0.1 nothing is gained"),
        (
            "avx512_bf16",
            (LARGE,),
            "bf16",
            "the processor computes in bfloat16 (avx512_bf16), and the network takes 0.19 GFLOP for a batch",
        ),
    ],
)
def test_a_processor_takes_bf16_where_it_computes_in_that_and_a_batch_is_large_enough(
    processor, instructions, settings, amp, why
):
    processor(instructions)
    chosen = choose_precision(smoke_task("amp=auto", *settings))
    assert (chosen.amp, chosen.why) == (amp, why)


@pytest.mark.parametrize(("computes", "amp"), [(True, "bf16"), (False, "none")])
def test_a_gpu_takes_bf16_where_it_computes_in_that_itself(monkeypatch, computes, amp):
    def is_supported(including_emulation=True):
        return computes or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    chosen = choose_precision(SimpleNamespace(device=torch.device("cuda", 1)))
    assert (chosen.amp, chosen.why) == (amp, f"GPU 1 {'computes' if computes else 'does not compute'} in bfloat16")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_real_gpu_is_asked_what_it_computes_in():
    device = torch.device("cuda")
    is_native = torch.cuda.get_device_capability(device) >= (8, 0)
    assert choose_precision(SimpleNamespace(device=device)).amp == ("bf16" if is_native else "none")


def test_choosing_draws_from_no_generator(processor):
    processor("avx512_bf16")
    task, before = smoke_task("amp=auto"), torch.get_rng_state()
    choose_precision(task)
    assert torch.equal(torch.get_rng_state(), before)


class TransformerTask(ImageTask):
    """Its network is a layer of a Transformer, whose tokens are the rows of an image."""

    def build_model(self, seed):
        layer = nn.TransformerEncoderLayer(8, 2, 32, batch_first=True)
        return nn.Sequential(nn.Flatten(1, 2), layer, nn.Flatten(), nn.Linear(64, 10))


def test_a_layer_of_a_transformer_is_counted_piece_by_piece():
    """Of 8 tokens of 8 numbers: their projections, and what attends, is as much again or less."""
    projections = 2 * 8 * (4 * 8 * 8 + 2 * 8 * 32) + 2 * 64 * 10
    assert 64 * projections <= forward_flop(smoke_task("amp=auto", kind=TransformerTask)) <= 2 * 64 * projections


def test_what_cannot_be_counted_is_trained_in_float32(processor, monkeypatch):
    def forward_flop(task):
        raise NotImplementedError("no such operation")

    processor("avx512_bf16")
    monkeypatch.setattr("sweep.train.precision.forward_flop", forward_flop)
    chosen = choose_precision(smoke_task("amp=auto", LARGE))
    assert chosen.amp == "none"
    assert "cannot be counted (NotImplementedError: no such operation" in chosen.why


def test_no_machine_without_memory_is_taken_for_that(processor, monkeypatch):
    def forward_flop(task):
        raise MemoryError

    processor("avx512_bf16")
    monkeypatch.setattr("sweep.train.precision.forward_flop", forward_flop)
    with pytest.raises(MemoryError):
        choose_precision(smoke_task("amp=auto", LARGE))


@pytest.mark.parametrize(("settings", "amp"), [((LARGE,), "bf16"), ((), "none")])
def test_a_sweep_says_what_it_chose_and_trains_in_that(tmp_path, processor, settings, amp):
    processor("avx512_bf16")
    events = []
    chosen = run(tmp_path / "auto", "amp=auto", *settings, tell=events.append)
    [result], [named] = chosen.results, run(tmp_path / "named", f"amp={amp}", *settings).results
    assert result.weights_sha256 == named.weights_sha256
    assert result.environment.precision.amp == chosen.first_start.environment.precision.amp == amp
    assert named.environment.precision is None
    assert [event.text for event in events if isinstance(event, Noticed) and "amp" in event.text] == [
        f"amp: auto is {amp}: {result.environment.precision.why}"
    ]


def test_a_sweep_does_not_go_on_where_the_choice_is_another_unless_it_may_be_mixed(tmp_path, processor):
    processor("avx512_bf16")
    run(tmp_path, "amp=auto", LARGE)
    processor(None)
    with pytest.raises(UsageError, match="on another set-up: amp: auto was bf16, now none"):
        run(tmp_path, "amp=auto", LARGE, seeds=2)
    history = run(tmp_path, "amp=auto", LARGE, seeds=2, allow_mixed=True)
    assert [result.other_set_up for result in history.results] == [(), ("amp: auto was bf16, now none",)]


@pytest.mark.parametrize(("fewest", "amp"), [(1e3, "bf16"), (1e9, "none")])
def test_a_task_of_ones_own_is_trained_in_what_was_chosen(tmp_path, processor, monkeypatch, fewest, amp):
    """Its network takes (6 x 16 + 16 x 2) x 2 FLOP for an example, and 16 times that for a batch."""
    processor("amx_bf16")
    monkeypatch.setattr("sweep.train.precision._FEWEST_FLOP", fewest)
    body = "def make_task(recipe):\n    return made((X[:150], Y[:150]))\n"
    done, hashes = run_here(write_recipe(tmp_path, body, "amp: auto"), tmp_path / "auto", "0.5")
    _, named = run_here(write_recipe(tmp_path, body, f"amp: {amp}"), tmp_path / "named", "0.5")
    assert list(hashes.values()) == list(named.values())
    [result] = done.history.results
    assert result.environment.precision.amp == amp
    assert "4.1e-06 GFLOP for a batch" in result.environment.precision.why
