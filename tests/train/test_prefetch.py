"""Batches that are fetched one ahead on a stream of their own. The streams are fakes, the order is real: what a stream
is told while a step runs is what lets its copy go on beside that step.
"""

from contextlib import closing, contextmanager

import pytest
import torch

from sweep.train.prefetch import prefetched

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


class FakeStream:
    """Writes down what it is to wait for."""

    def __init__(self, name, log):
        self.name = name
        self.log = log

    def wait_stream(self, other):
        self.log.append(f"{self.name} waits for {other.name}")


@pytest.fixture
def log(monkeypatch):
    """What happens, in its order, on a machine whose streams are fakes."""
    log = []
    current = [FakeStream("computing", log)]

    @contextmanager
    def on_stream(stream):
        current.append(stream)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: current[-1])
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: FakeStream("copying", log))
    monkeypatch.setattr(torch.cuda, "stream", on_stream)
    return log


def copied(count, log):
    """So many batches; each says on which stream it was asked for."""
    try:
        for number in range(count):
            log.append(f"copy {number} on {torch.cuda.current_stream(CUDA).name}")
            yield number, number
    finally:
        log.append("closed")


def test_each_batch_is_copied_while_the_step_before_it_computes(log):
    for number, _ in prefetched(copied(3, log), CUDA):
        log.append(f"step {number} on {torch.cuda.current_stream(CUDA).name}")
    assert log == [
        *("copying waits for computing", "copy 0 on copying"),
        *("computing waits for copying", "copying waits for computing", "copy 1 on copying", "step 0 on computing"),
        *("computing waits for copying", "copying waits for computing", "copy 2 on copying", "step 1 on computing"),
        *("computing waits for copying", "copying waits for computing", "closed", "step 2 on computing"),
    ]


def test_batches_that_nobody_wants_any_more_are_given_up(log):
    with closing(prefetched(copied(5, log), CUDA)) as batches:
        next(batches)
    assert log[-2:] == ["copy 1 on copying", "closed"]


def test_what_goes_wrong_with_a_batch_is_told(log):
    def broken():
        yield 0, 0
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(prefetched(broken(), CUDA))


def test_on_the_cpu_it_is_nothing():
    batches = ((number, number) for number in range(3))
    assert prefetched(batches, CPU) is batches


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_computes_with_whole_batches_although_the_next_ones_are_under_way():
    """Large copies, and memory that is given back after every step."""

    def batches():
        for number in range(50):
            pinned = torch.full((1 << 22,), float(number)).pin_memory()
            yield pinned.to(CUDA, non_blocking=True), number

    sums = [(inputs.sum() / len(inputs), number) for inputs, number in prefetched(batches(), CUDA)]
    assert [mean.item() for mean, _ in sums] == [float(number) for _, number in sums] == list(range(50))
