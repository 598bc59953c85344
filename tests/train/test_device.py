import platform
from pathlib import Path

import pytest
import torch
from small_stages import CPU, smoke_recipe, smoke_task

from sweep.api import run_request
from sweep.errors import MachineError
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.store.records import Environment
from sweep.train.device import choose_device, choose_kernels, read_environment, set_threads
from sweep.train.task import Data, ImageTask


@pytest.fixture
def gpus(monkeypatch):
    """gpus(2): a machine with two of them."""

    def pretend(count):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)

    return pretend


@pytest.mark.parametrize(("count", "name"), [(0, "cpu"), (1, "cuda"), (2, "cuda")])
def test_auto_is_the_first_gpu_or_else_the_cpu(gpus, count, name):
    gpus(count)
    assert choose_device("auto") == torch.device(name)


@pytest.mark.parametrize(
    ("name", "device"), [("cpu", "cpu"), ("cuda", "cuda"), ("cuda:0", "cuda:0"), ("cuda:01", "cuda:1")]
)
def test_a_device_that_is_there_is_taken(gpus, name, device):
    gpus(2)
    assert choose_device(name) == torch.device(device)


@pytest.mark.parametrize("name", ["cuda:2", "cuda:127", "cuda:128", "cuda:256", "cuda:999"])
def test_a_gpu_that_is_not_there_is_refused_by_its_number(gpus, name):
    gpus(2)
    with pytest.raises(
        MachineError, match=f"there is no device {name}: .* sees 2 CUDA devices .*--device cpu"
    ) as refused:
        choose_device(name)
    assert refused.value.exit_code == 3


def test_a_sweep_on_a_device_that_is_not_there_ends_before_it_trains(gpus, tmp_path):
    gpus(0)
    request = SweepRequest("smoke", "1", device="cuda:999", results=tmp_path)
    with pytest.raises(MachineError, match="there is no device cuda:999"):
        run_request(request, make_executor=lambda *placed: InlineExecutor())
    assert not (tmp_path / "smoke" / "journal.jsonl").exists()


def test_the_environment_says_what_is_trained_with():
    set_threads(1)
    environment = read_environment(CPU)
    of_others = {"git_commit", "code_sha256", "data_sha256", "precision"}
    assert set(environment.model_dump(exclude_none=True)) == set(Environment.model_fields) - of_others
    assert all(environment.model_dump(exclude=of_others).values())
    assert (environment.torch, environment.python) == (torch.__version__, platform.python_version())
    assert (environment.device_kind, environment.threads) == ("cpu", 1)


def test_the_environment_tells_the_threads_that_were_set():
    set_threads(2)
    assert read_environment(CPU).threads == 2
    set_threads(1)
    assert read_environment(CPU).threads == 1


def test_only_a_gpu_is_to_try_algorithms_out(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    choose_kernels(CPU)
    assert not torch.backends.cudnn.benchmark
    choose_kernels(torch.device("cuda"))
    assert torch.backends.cudnn.benchmark


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_is_given_the_same_batches_and_evaluates_alike():
    settings = ("hflip_prob=0.5", "random_crop_padding=2")
    cuda = torch.device("cuda")
    here = smoke_task(*settings)
    there = ImageTask(smoke_recipe(*settings), Data.load("digits", Path("data"), cuda))
    images, labels = next(there.batches(0, 1442, 25, 26))
    assert images.device.type == labels.device.type == "cuda"
    expected, expected_labels = next(here.batches(0, 1442, 25, 26))
    torch.testing.assert_close(images.cpu(), expected)
    assert torch.equal(labels.cpu(), expected_labels)
    expected = here.evaluate(here.build_model(0))
    assert there.evaluate(there.build_model(0)) == {
        "accuracy": pytest.approx(expected["accuracy"], abs=0.02),
        "loss": pytest.approx(expected["loss"], rel=0.01),
    }
