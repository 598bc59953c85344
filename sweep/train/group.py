"""The processes that train one Stage together, each on a device of its own: what they share out and what they agree on.

Rank 0 decides, evaluates and speaks for all of them. Whatever is asked of a Group beyond its numbers is asked by each
of its processes, in the same order.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from sweep.clock import A_MONTH
from sweep.errors import Problem
from sweep.recipe.schema import Recipe
from sweep.train.device import choose_device

T = TypeVar("T")

_LOOPBACK = ("lo", "lo0")


@dataclass(frozen=True)
class Group:
    """This process is number `rank` of `size`."""

    rank: int = 0
    size: int = 1

    @property
    def is_alone(self) -> bool:
        return self.size == 1

    def own_count(self, count: int) -> int:
        """How many of a batch's `count` examples are this process's: as nearly equal parts as there can be."""
        return count // self.size + (self.rank < count % self.size)

    def own_part(self, order: NDArray[np.int64], batch_size: int) -> NDArray[np.int64]:
        """Of the examples of an epoch, (n,), those that this process trains on: of each batch, which holds `batch_size`
        for every process, a run of neighbours. The last, smaller batch is shared out as well.
        """
        if self.is_alone:
            return order
        whole = len(order) - len(order) % (batch_size * self.size)
        parts = order[:whole].reshape(-1, self.size, batch_size)[:, self.rank].reshape(-1)
        return np.concatenate([parts, np.array_split(order[whole:], self.size)[self.rank]])

    def own_device(self, device: torch.device) -> torch.device:
        """The device of this process, of those of a kind."""
        return device if self.is_alone or device.type == "cpu" else torch.device(device.type, self.rank)

    def devices_told_of(self, device: torch.device) -> list[torch.device]:
        """The devices that this process, which computes on `device`, tells of: of all of them where it is rank 0."""
        if self.is_alone:
            return [device]
        return [Group(rank, self.size).own_device(device) for rank in range(self.size)] if self.rank == 0 else []

    def seed(self, seed: int) -> None:
        """Have torch's generators, which `seed` has seeded, draw otherwise in each process; those of rank 0 stay."""
        if self.rank:
            [own] = np.random.SeedSequence([seed, self.rank]).generate_state(1, np.uint64).tolist()
            torch.manual_seed(own)

    def wrapped(self, network: nn.Module, device: torch.device) -> DistributedDataParallel:
        """The network whose backward pass leaves each process with the mean of all their gradients.

        What has no gradient is looked for in each step: layers can be frozen meanwhile, and the order in which torch
        adds up gradients, and so their last bits, is the same from the first step on, also of a run that goes on.
        """
        return DistributedDataParallel(
            network, device_ids=[device] if device.type == "cuda" else None, find_unused_parameters=True
        )

    def agreed(self, flag: bool) -> bool:
        """What rank 0 says. Does not wait for a GPU."""
        if self.is_alone:
            return flag
        said = torch.tensor([flag], dtype=torch.uint8)
        dist.broadcast(said, src=0)
        return bool(said.item())

    def shared(self, call: Callable[[], T]) -> T:
        """What `call` gives on rank 0, where alone it is made. Where it raises, the others are left waiting: rank 0 has
        to end then."""
        if self.is_alone:
            return call()
        said: list[Any] = [call() if self.rank == 0 else None]
        dist.broadcast_object_list(said, src=0)
        value: T = said[0]
        return value

    def gathered(self, value: T) -> list[T]:
        """On rank 0 what every process has, by rank; nothing elsewhere."""
        if self.is_alone:
            return [value]
        values: list[Any] | None = [None] * self.size if self.rank == 0 else None
        dist.gather_object(value, values, dst=0)
        return values or []

    def summed(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, in place: the same bits in each of them."""
        if not self.is_alone:
            dist.all_reduce(tensor)
        return tensor

    @torch.no_grad()
    def average_statistics(self, network: nn.Module) -> None:
        """Make BatchNorm's statistics, each of as many batches, those of the batches of all processes."""
        for layer in network.modules() if not self.is_alone else ():
            if isinstance(layer, _BatchNorm) and layer.running_mean is not None and layer.running_var is not None:
                for statistic in (layer.running_mean, layer.running_var):
                    self.summed(statistic).div_(self.size)


ALONE = Group()


def group_problems(recipe: Recipe, device: torch.device) -> list[Problem]:
    """What keeps a trial from having the devices that the recipe asks for."""
    size, key = recipe.devices_per_trial, "devices_per_trial"
    problems = []
    if size > 1 and device.type == "cuda":
        if device.index is not None:
            problems.append(Problem(f"a trial takes {size}, and {device} is one", "--device", key, fix="take cuda"))
        elif torch.cuda.device_count() < size:
            message = f"a trial takes {size} GPUs, and torch sees {torch.cuda.device_count()}"
            problems.append(Problem(message, key=key, fix="lower it, or take --device cpu"))
    if recipe.sync_bn and device.type != "cuda":
        problems.append(Problem("torch has it on GPUs only", key="sync_bn", fix="leave it out, or take GPUs"))
    return problems


def join_group(device_name: str) -> Group:
    """Join the others that the launcher has started; each is told its rank in its environment."""
    device = choose_device(device_name)
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["RANK"]))
    for _, name in socket.if_nameindex():
        if name in _LOOPBACK:  # what gloo sends is for nobody outside this machine
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
    # The others wait for as long as rank 0 evaluates; one that hangs is found by its want of progress.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=A_MONTH)
    return Group(dist.get_rank(), dist.get_world_size())


def leave_group() -> None:
    dist.destroy_process_group()


def is_of_a_lost_rank(error: BaseException) -> bool:
    """Whether it may be no more than what another process's end does to those that wait for it."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))
