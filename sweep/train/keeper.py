"""Writes a Stage's checkpoints, and finds the one to go on from.

A checkpoint that cannot be written, or not be used, costs training time at worst: it is told, and training goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from threading import Event

from sweep.errors import MachineError
from sweep.store.records import StageJob
from sweep.store.states import Origin, StageStates, UnusableState
from sweep.train.checkpoint import Checkpoint, State, decode_checkpoint

# Where a state lies: a Stage's folder, and the step.
Source = tuple[StageStates, int]


class Keeper:
    """Keeps one Stage's checkpoints in `states`: one after every `every_seconds` of training, and when `stop` is set.

    Without `every_seconds` none are written but those that are asked for; without `states` none at all, and none are
    read. `others` are checkpoints of Stages that came the same way, `parent` is that of the one that it follows on.
    """

    def __init__(
        self,
        states: StageStates | None = None,
        every_seconds: float | None = None,
        stop: Event | None = None,
        tell: Callable[[str], None] = lambda text: None,
        others: Iterable[Source] = (),
        parent: Source | None = None,
    ) -> None:
        self._states = states
        self._every_seconds = math.inf if every_seconds is None else every_seconds
        self._due_seconds = self._every_seconds
        self._stop = stop or Event()
        self._tell = tell
        self._others = tuple(others)
        self._parent = parent
        self._has_failed = False

    def load(self, start_step: int, stop_step: int) -> Checkpoint | None:
        """The newest usable checkpoint of the Stage of these steps; those that are not are told of, and removed."""
        if self._states is None:
            return None
        if self.writes:
            self._attempt(self._states.begin)
        unusable: list[str] = []
        for states, step in self._sources():
            try:
                checkpoint = _read(states, step, range(start_step + 1, stop_step + 1))
            except UnusableState as reason:
                unusable.append(f"checkpoint {reason}")
                states.remove(step)
                continue
            self._tell_unusable(unusable, f"using the one before (step {step})")
            self._due_seconds = checkpoint.so_far.train_seconds + self._every_seconds
            if states is self._states:
                return checkpoint
            return replace(checkpoint, so_far=checkpoint.so_far.taken_over_from(states.folder.name, step - start_step))
        self._tell_unusable(unusable, "starting from the beginning")
        return None

    def load_parent(self, step: int) -> State:
        """The state that the Stage begins with, at `step`.

        Raises:
            UnusableState: there is none.
        """
        if self._parent is None:
            raise UnusableState("missing")
        states, at = self._parent
        try:
            return _read(states, at, range(step, step + 1)).state
        except UnusableState:
            states.remove(at)
            raise

    def _sources(self) -> list[Source]:
        """Every checkpoint that there is, the newest first."""
        assert self._states is not None
        own = [(self._states, step) for step in self._states.steps()]
        return sorted([*own, *self._others], key=lambda source: -source[1])

    @property
    def writes(self) -> bool:
        """Whether checkpoints are written, beside the states that a job asks for."""
        return self._states is not None and self._every_seconds < math.inf

    @property
    def has_states(self) -> bool:
        """Whether there is a place for states."""
        return self._states is not None

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

    def is_due(self, train_seconds: float) -> bool:
        """Whether training is to pause: for a checkpoint, or for good."""
        return train_seconds >= self._due_seconds or self._stop.is_set()

    def save(self, checkpoint: Checkpoint, job: StageJob) -> bool:
        """Write it; whether that went well."""
        states = self._states
        assert states is not None
        self._due_seconds = checkpoint.so_far.train_seconds + self._every_seconds
        content, step = checkpoint.encode(), checkpoint.state.step
        return self._attempt(lambda: states.write(step, content, origin_of(job), job.kept_steps))

    def _attempt(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except MachineError as error:
            if not self._has_failed:  # a full disk is told of once, not every minute
                reason = "; ".join(str(replace(problem, fix=None)) for problem in error.problems)
                self._tell(f"warning: no checkpoint can be written, and training goes on until one can: {reason}")
            self._has_failed = True
            return False
        self._has_failed = False
        return True

    def _tell_unusable(self, unusable: list[str], instead: str) -> None:
        if unusable:
            self._tell(f"{', '.join(unusable)}, {instead}")


def _read(states: StageStates, step: int, steps: range) -> Checkpoint:
    checkpoint = decode_checkpoint(states.read(step))
    if checkpoint.state.step != step or step not in steps:
        raise UnusableState("of another stage")
    return checkpoint


def origin_of(job: StageJob) -> Origin:
    """Whose the states of a job are."""
    return Origin(
        stage=job.stage,
        method=str(job.recipe["method"]),
        ratio=job.ratio,
        seed=job.seed,
        start_step=job.start_step,
        stop_step=job.stop_step,
        is_end=job.is_end,
    )
