"""Starts the processes that train one Stage together, as torchrun does, and waits for them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

_HERE = "127.0.0.1"


@dataclass(frozen=True)
class Lost:
    """The process of number `rank` ended with `exit_code`, below 0 that of a signal; the others were ended then."""

    rank: int
    exit_code: int


def launch(num_ranks: int, serve: Callable[..., None], *arguments: object) -> Lost | None:
    """Have `num_ranks` processes of this machine call `serve` with `arguments`, and wait until they have; None where
    all of them did. They are the children of this thread, whose log is theirs.

    Not to be called in the main thread, whose handlers of signals torch would replace.
    """
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=num_ranks,
        run_id=uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",  # a port that is free
        local_addr=_HERE,
        max_restarts=0,  # what is tried again is the sweep's to say
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
    )
    try:
        elastic_launch(config, serve)(*arguments)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        return Lost(rank, failure.exitcode)
    return None
