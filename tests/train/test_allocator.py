import resource
import sys

import pytest
import torch

from sweep.train.allocator import keep_freed_memory

NUM_TENSORS, MEGABYTES = 8, 8


def pages_given():
    """How many pages the system gives for some tensors, each of its own memory, that are gone then."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(MEGABYTES * 2**18) for _ in range(NUM_TENSORS)]
    del tensors
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries decide for themselves")
def test_what_was_freed_serves_again():
    keep_freed_memory()
    for _ in range(3):  # until there is room for all of them, between whatever else is kept
        pages_given()
    pages = NUM_TENSORS * MEGABYTES * 2**20 // resource.getpagesize()
    assert pages_given() < pages / 10
