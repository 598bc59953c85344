"""Writes a Stage's checkpoints, and finds the one to go on from.

A checkpoint that cannot be written, or not be used, costs training time at worst: it is told, and training goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Event

from sweep.errors import MachineError
from sweep.store.states import StageStates, UnusableState
from sweep.train.checkpoint import Checkpoint, decode_checkpoint


class Keeper:
    """Keeps one Stage's checkpoints in `states`: one after every `every_seconds` of training, and when `stop` is set.

    Without `every_seconds` none are written, without `states` none are read either.
    """

    def __init__(
        self,
        states: StageStates | None = None,
        every_seconds: float | None = None,
        stop: Event | None = None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._states = states
        self._every_seconds = math.inf if every_seconds is None else every_seconds
        self._due_seconds = self._every_seconds
        self._stop = stop or Event()
        self._tell = tell
        self._has_failed = False

    def load(self, start_step: int, stop_step: int) -> Checkpoint | None:
        """The newest usable checkpoint of the Stage of these steps; those that are not are told of, and removed."""
        if self._states is None:
            return None
        if self.writes:
            self._attempt(self._states.begin)
        unusable: list[str] = []
        for step in self._states.steps():
            try:
                checkpoint = self._read(step, range(start_step, stop_step + 1))
            except UnusableState as reason:
                unusable.append(f"checkpoint {reason}")
                self._states.remove(step)
                continue
            self._tell_unusable(unusable, f"using the one before (step {step})")
            self._due_seconds = checkpoint.so_far.train_seconds + self._every_seconds
            return checkpoint
        self._tell_unusable(unusable, "starting from the beginning")
        return None

    def _read(self, step: int, own_steps: range) -> Checkpoint:
        assert self._states is not None
        checkpoint = decode_checkpoint(self._states.read(step))
        if checkpoint.state.step != step or step not in own_steps:
            raise UnusableState("of another stage")
        return checkpoint

    @property
    def writes(self) -> bool:
        return self._states is not None and self._every_seconds < math.inf

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

    def is_due(self, train_seconds: float) -> bool:
        """Whether training is to pause: for a checkpoint, or for good."""
        return train_seconds >= self._due_seconds or self._stop.is_set()

    def save(self, checkpoint: Checkpoint) -> bool:
        """Write it; whether that went well."""
        states = self._states
        assert states is not None
        self._due_seconds = checkpoint.so_far.train_seconds + self._every_seconds
        return self._attempt(lambda: states.write(checkpoint.state.step, checkpoint.encode()))

    def _attempt(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except MachineError as error:
            if not self._has_failed:  # a full disk is told of once, not every minute
                self._tell(f"warning: no checkpoint can be written, and training goes on without: {error}")
            self._has_failed = True
            return False
        self._has_failed = False
        return True

    def _tell_unusable(self, unusable: list[str], instead: str) -> None:
        if unusable:
            self._tell(f"{', '.join(unusable)}, {instead}")
