"""The connection to a Ray cluster: what it has room for, and actors on it. Nothing of Ray's is printed."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray

from sweep.errors import MachineError, Problem, UsageError
from sweep.run.placement import MAX_JOBS

# Chosen: a machine of the same network answers in milliseconds; Ray itself would try for a minute.
_SECONDS_TO_ANSWER = 5.0
# Ray's own names of what its options call otherwise.
_NAMES = {"num_cpus": "CPU", "num_gpus": "GPU"}
_NODES_SHOWN = 5

Resources = Mapping[str, float]


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be connected to the cluster at `address`, None for the one that Ray finds or starts on this machine.

    Raises:
        UsageError: that is no address.
        MachineError: no cluster answers there.
    """
    if ray.is_initialized():  # by whoever called us; it is theirs to leave
        yield
        return
    _connect(address)
    try:
        yield
    finally:
        ray.shutdown()


def _connect(address: str | None) -> None:
    if address not in (None, "auto", "local"):
        _check_answers(str(address))
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL)
    except Exception as error:  # of many kinds, all of them Ray's word that it could not
        fix = "start one (ray start --head), or leave --address out to have one started on this machine"
        where = f"no Ray cluster at {address}" if address else "Ray does not start"
        raise MachineError(Problem(f"{where}: {first_line(error)}", "--address", fix=fix)) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray takes it, and a sweep stops with a checkpoint


def _check_answers(address: str) -> None:
    host, sign, port = address.rpartition(":")
    if "://" in address:
        message = "a sweep runs on a node of the cluster, and not through Ray Client"
        fix = "log in to a node of the cluster and write auto, or submit the command: ray job submit -- sweep run …"
        raise UsageError(Problem(message, "--address", fix=fix))
    if not sign or not host or not port.isdecimal():
        fix = "write auto or HOST:PORT"
        raise UsageError(Problem(f"{address!r} is no address of a Ray cluster", "--address", fix=fix))
    try:
        socket.create_connection((host, int(port)), _SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError, ValueError) as error:  # a name that is none is a UnicodeError
        fix = "ray start --head prints a cluster's address"
        raise MachineError(Problem(f"nothing answers at {address}: {error}", "--address", fix=fix)) from error


def first_line(error: BaseException) -> str:
    """What an error of Ray's says, without the fields that it lists."""
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("\t")]
    general = "The actor died unexpectedly before finishing this task."
    said = [line for line in lines if line != general] or lines
    return said[0].strip() if said else type(error).__name__


def has_gpus() -> bool:
    return any(node.get("GPU", 0) > 0 for node in _nodes())


def room_for(need: Resources) -> int:
    """How many Workers that `need` so much fit into the whole cluster, whatever else is in it."""
    amounts = {_NAMES.get(name, name): amount for name, amount in need.items() if amount}
    if not amounts:
        return MAX_JOBS
    return sum(min(int(node.get(name, 0) / amount + 1e-9) for name, amount in amounts.items()) for node in _nodes())


def check_room(jobs: int, need: Resources) -> None:
    """Whether `jobs` Workers that `need` so much have room.

    Raises:
        UsageError: they have not; it says what there is.
    """
    room = room_for(need)
    if jobs <= room:
        return
    wanted = ", ".join(f"{name}={amount:g}" for name, amount in need.items() if amount)
    if room:
        message = f"{jobs} jobs of {wanted}, but the cluster has room for {room}"
        raise UsageError(Problem(message, "--jobs", fix=_shown()))
    raise UsageError(Problem(f"no node of the cluster has {wanted}", "--resources", fix=_shown()))


def _shown() -> str:
    """The nodes, those that are alike together."""
    nodes = Counter(
        ", ".join(f"{name} {amount:g}" for name, amount in sorted(node.items()) if _is_of_interest(name))
        for node in _nodes()
    )
    shown = [f"{count} of {text or 'nothing'}" for text, count in nodes.most_common(_NODES_SHOWN)]
    return "its nodes: " + "; ".join([*shown, *(["…"] if len(nodes) > _NODES_SHOWN else [])])


def _is_of_interest(name: str) -> bool:
    return name not in ("memory", "object_store_memory") and not name.startswith(("node:", "accelerator_type:"))


def _nodes() -> list[dict[str, float]]:
    """What each node that is alive has in all."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def start_actor(kind: type, need: Resources, *arguments: object) -> Any:
    """An actor on a node that has what it `needs`; its methods `hear` and `tell` run beside each other. It is not
    started again, and it ends with this process."""
    others = {name: amount for name, amount in need.items() if name not in (*_NAMES, "memory")}
    own = {name: amount for name, amount in need.items() if name not in others}
    remote: Any = ray.remote  # whose types know no groups
    made = remote(concurrency_groups={"hear": 1, "tell": 1})(kind)
    return made.options(**own, resources=others, max_restarts=0, max_task_retries=0).remote(*arguments)
