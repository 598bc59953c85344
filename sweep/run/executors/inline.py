"""Trains in this process, for tests: the Worker's own code, without the process."""

from __future__ import annotations

import os
from collections import deque
from typing import Self

from sweep.run.messages import Message, Piloted, Prepared, Probed, Said
from sweep.run.stop import StopRequest
from sweep.run.worker import Worker
from sweep.store.records import Environment, PrepareJob, ProbeJob, StageJob


class InlineExecutor:
    """One Stage at a time; `submit` returns when it is trained."""

    capacity = 1

    def __init__(self) -> None:
        self._said: deque[Message] = deque()
        self._worker = Worker(self._said.append, os.getpid())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._said.clear()

    def prepare(self, job: PrepareJob, stop: StopRequest) -> Environment:
        self._worker.do(job)
        prepared = self._said.popleft()
        assert isinstance(prepared, Prepared)
        return prepared.raise_any()

    def probe(self, job: ProbeJob, num_workers: int, stop: StopRequest) -> list[Probed]:
        self._worker.do(job)
        probed = self._said.popleft()
        assert isinstance(probed, Probed)
        return [probed]

    def keep(self, num_workers: int) -> None:
        pass  # it has one

    def submit(self, job: StageJob) -> None:
        self._worker.do(job)

    def stop(self) -> None:
        self._worker.stop()

    def receive(self, timeout_seconds: float) -> Said | None:
        message = self._said.popleft() if self._said else None
        assert not isinstance(message, Prepared | Probed | Piloted)
        return message
