"""The state between two steps, and what its Stage has measured up to there.

A `State` is all that the next step depends on beside the recipe, the seed and the step's own values. A run that goes on
from one is bit for bit the run that it was taken from, be it the same Stage or another one that begins there.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sweep.store.states import UnusableState
from sweep.train.generators import read_device_generator, write_device_generator

# Which implementation an optimizer takes is the recipe's to say: another one gives other bits.
_IMPLEMENTATION = ("foreach", "fused")

_NO_PARTS: Mapping[str, Part] = MappingProxyType({})

# The states of torch's generators: the CPU's, and that of a device that is a GPU.
Generators = tuple[Tensor, Tensor | None]

# Steps done, and what the model was worth then, by name: accuracy in 0..1, loss, a user's own metrics.
Evaluation = tuple[int, dict[str, float]]


class Part(Protocol):
    """What keeps a state of its own beside model and optimizer: an average of the weights, a scaler of gradients."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any], /) -> None: ...


@dataclass(frozen=True)
class State:
    """After `step` steps of a run: weights and buffers, the optimizer's own state, and torch's generators; and the
    states of the methods' `parts`, by name. Of a run of several processes the generators are those of rank 0, and
    `other_generators` the pairs of the others.

    A copy, on the CPU: the run that it is taken from goes on without changing it, and so does one that starts from it.
    """

    step: int
    model: dict[str, Any]
    optimizer: dict[str, Any]
    cpu_generator: Tensor
    device_generator: Tensor | None
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    other_generators: list[Generators] = field(default_factory=list)

    @classmethod
    def capture(
        cls,
        step: int,
        model: nn.Module,
        optimizer: Optimizer,
        device: torch.device,
        parts: Mapping[str, Part] = _NO_PARTS,
    ) -> State:
        return cls(
            step,
            _copied(model.state_dict()),
            _copied(optimizer.state_dict()),
            torch.get_rng_state(),
            read_device_generator(device),
            {name: _copied(part.state_dict()) for name, part in parts.items()},
        )

    @property
    def generators(self) -> Generators:
        return self.cpu_generator, self.device_generator

    def of_rank(self, rank: int) -> State:
        """The same with the generators of another process."""
        if rank == 0:
            return self
        cpu, of_device = self.other_generators[rank - 1]
        return replace(self, cpu_generator=cpu, device_generator=of_device)

    def restore(
        self, model: nn.Module, optimizer: Optimizer, device: torch.device, parts: Mapping[str, Part] = _NO_PARTS
    ) -> None:
        """Put a model, an optimizer and parts that were built anew, and torch's generators, into this state."""
        model.load_state_dict(self.model)
        own = [{key: group[key] for key in _IMPLEMENTATION if key in group} for group in optimizer.param_groups]
        optimizer.load_state_dict(copy.deepcopy(self.optimizer))  # it keeps the tensors that it is given
        for group, implementation in zip(optimizer.param_groups, own, strict=True):
            group.update(implementation)
        for name, part in parts.items():
            part.load_state_dict(copy.deepcopy(self.parts[name]))
        torch.set_rng_state(self.cpu_generator)
        if self.device_generator is not None:
            write_device_generator(device, self.device_generator)


def _copied(value: Any) -> Any:
    """A copy on the CPU, with every tensor's own strides; what is no tensor nor holds one is kept."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        copied = copy.copy(value)  # with the versions of its modules, which a state_dict carries as an attribute
        copied.update({key: _copied(item) for key, item in value.items()})
        return copied
    return [_copied(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class SoFar:
    """What a Stage has measured up to a step, over all its attempts.

    `joules` is None where any of it was not counted. `resumed_at` are the steps at which an attempt went on from a
    checkpoint; `taken_over` is what another Stage had measured up to its checkpoint that this one began with, by the
    names of the record.
    """

    train_seconds: float = 0.0
    data_wait_seconds: float = 0.0
    eval_seconds: float = 0.0
    startup_seconds: float = 0.0
    checkpoint_seconds: float = 0.0
    images: int = 0
    joules: float | None = 0.0
    contention: float | None = None
    evaluations: tuple[Evaluation, ...] = ()
    resumed_at: tuple[int, ...] = ()
    taken_over: dict[str, Any] | None = None

    def taken_over_from(self, stage: str, steps: int) -> SoFar:
        """The same, for another Stage that goes on from what `stage` has left after `steps` of its steps."""
        names = ("train_seconds", "eval_seconds", "startup_seconds", "checkpoint_seconds")
        seconds = {name: getattr(self, name) for name in names}
        return replace(self, taken_over={"stage": stage, "steps": steps, **seconds, "joules": self.joules or None})


@dataclass(frozen=True)
class Checkpoint:
    """What a Stage goes on from."""

    state: State
    so_far: SoFar

    def encode(self) -> memoryview:
        buffer = io.BytesIO()
        torch.save({"state": vars(self.state), "so_far": asdict(self.so_far)}, buffer)
        return buffer.getbuffer()


def decode_checkpoint(content: bytes | memoryview) -> Checkpoint:
    """What was encoded. Only tensors and plain values are read: code in it is refused, and never runs.

    Raises:
        UnusableState: it is no checkpoint.
    """
    try:
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        so_far = {"joules": None} | loaded["so_far"]  # states of format 2 know of none
        so_far["evaluations"] = tuple(_evaluation(*row) for row in so_far["evaluations"])
        return Checkpoint(State(**loaded["state"]), SoFar(**so_far))
    except Exception as error:  # torch raises half a dozen kinds
        raise UnusableState(f"refused ({type(error).__name__})") from error


def _evaluation(step: int, values: Any, loss: float | None = None) -> Evaluation:
    """Of formats 2 and 3 an evaluation is its steps, accuracy and loss."""
    return (step, values) if loss is None else (step, {"accuracy": values, "loss": loss})


def encode_weights(weights: dict[str, Tensor]) -> memoryview:
    """A model's state_dict as a file for `torch.load(…, weights_only=True)`, its tensors on the CPU."""
    buffer = io.BytesIO()
    torch.save({name: tensor.detach().cpu() for name, tensor in weights.items()}, buffer)
    return buffer.getbuffer()
