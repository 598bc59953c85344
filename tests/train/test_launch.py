"""Processes that really train together: what they agree on, and how the end of one of them is told."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from sweep.train.group import join_group, leave_group
from sweep.train.launch import Lost, launch

pytestmark = pytest.mark.slow


def launched(serve, *arguments, size=2):
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(launch, size, serve, *arguments).result()


def ask_everything(folder):
    group = join_group("cpu")
    norm = nn.BatchNorm1d(1)
    norm.running_mean.fill_(float(group.rank))
    norm.running_var.fill_(2.0 + group.rank)
    group.average_statistics(norm)
    found = {
        "rank": group.rank,
        "size": group.size,
        "agreed": [group.agreed(group.rank == 0), group.agreed(group.rank == 1)],
        "shared": group.shared(lambda: {"from": group.rank}),
        "gathered": group.gathered(group.rank * 10),
        "summed": group.summed(torch.tensor([1.0, float(group.rank)])).tolist(),
        "statistics": [norm.running_mean.item(), norm.running_var.item()],
    }
    (folder / f"{group.rank}.json").write_text(json.dumps(found))
    leave_group()


def test_all_of_them_hear_the_same(tmp_path):
    assert launched(ask_everything, tmp_path, size=3) is None
    said = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(3)]
    assert [found.pop("rank") for found in said] == [0, 1, 2]
    assert [found.pop("gathered") for found in said] == [[0, 10, 20], [], []]
    alike = {"size": 3, "agreed": [True, False], "shared": {"from": 0}, "summed": [3.0, 3.0], "statistics": [1.0, 3.0]}
    assert said == [alike] * 3


def end_the_second(how):
    """The others wait for it."""
    group = join_group("cpu")
    if group.rank == 1:
        os._exit(7) if how == "exit" else os.kill(os.getpid(), signal.SIGKILL)
    try:
        group.agreed(True)
    except RuntimeError:
        signal.pause()


@pytest.mark.parametrize(("how", "exit_code"), [("exit", 7), ("kill", -signal.SIGKILL)])
def test_the_process_that_ends_first_is_named_and_the_others_are_ended(how, exit_code):
    assert launched(end_the_second, how) == Lost(1, exit_code)
