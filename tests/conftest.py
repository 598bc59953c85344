"""What every test shares: hypothesis's settings, and the installed command."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import settings

# No deadline: the first example of a test may import torch, and the machines are shared.
# Chosen: 150 examples keep the whole of the property tests under half a minute on two cores.
settings.register_profile("sweep", deadline=None, max_examples=150, print_blob=True, derandomize="CI" in os.environ)
settings.load_profile("sweep")


@pytest.fixture(scope="session")
def command():
    """The path of the installed command."""
    return Path(sys.executable).with_name("sweep")


@pytest.fixture(scope="session")
def sweep(command):
    """Run the installed command as a user does: `sweep("run", "smoke")` -> its CompletedProcess."""

    def run(*arguments, cwd=None):
        return subprocess.run(
            [command, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )

    return run


@pytest.fixture(scope="session")
def smoke_run(sweep, tmp_path_factory):
    """One real sweep through the installed command and the real Worker: its results folder and what it printed."""
    results = tmp_path_factory.mktemp("smoke") / "results"
    return results, sweep("run", "smoke", "--ratios", "0.5,1.0", "--seeds", "2", "--results", results)


@pytest.fixture(scope="session")
def smoke_results(smoke_run):
    return smoke_run[0]


@pytest.fixture(scope="session")
def fashion_mnist(tmp_path_factory):
    """A data path that holds Fashion-MNIST: SWEEP_TEST_DATA, else the checkout's own, else the system's package."""
    from sweep.recipe.datasets import DATASETS
    from sweep.train.fetch import fetch

    dataset = DATASETS["FashionMNIST"]
    if given := os.environ.get("SWEEP_TEST_DATA"):
        assert dataset.problems(Path(given)) == []
        return Path(given)
    own = Path(__file__).parent.parent / "data"
    if not dataset.problems(own):
        return own
    if not dataset.package.folder.is_dir():
        pytest.skip(f"needs FashionMNIST: sweep data get FashionMNIST, or install {dataset.package.name}")
    unpacked = tmp_path_factory.mktemp("data")
    fetch(dataset, unpacked)
    return unpacked


@pytest.fixture(scope="session")
def wait_until():
    """Look until something is so. What takes a minute has failed; nothing here asserts how fast anything is."""

    def wait_until(is_so):
        deadline = time.monotonic() + 60
        while not is_so():
            assert time.monotonic() < deadline, "this never came true"
            threading.Event().wait(0.01)

    return wait_until


class Hands:
    """The hands of a clock that stands still until a test moves them."""

    def __init__(self):
        self.seconds = 1000.0

    def perf_counter(self):
        return self.seconds


@pytest.fixture
def hands(monkeypatch):
    """Has every clock of the tool stand still, for the test to move."""
    from sweep import clock

    hands = Hands()
    monkeypatch.setattr(clock, "time", hands)
    return hands
