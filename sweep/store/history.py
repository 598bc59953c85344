"""Journal -> what was planned, what came of it, what is missing. Read by those who run and those who report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import TypeGuard, TypeVar

from sweep.errors import Outcome
from sweep.store.identity import mixed_stages, set_up_changes, set_up_text
from sweep.store.journal import Replay, replay
from sweep.store.records import (
    Environment,
    Evaluations,
    Measurement,
    PilotRecord,
    SecondsSource,
    StageRecord,
    StartRecord,
    TrialEntry,
)

# Chosen: squares of it are numbers still, and nothing that has not diverged is as far off.
_LARGEST = 1e30

# How far a trial has come: one that has ended with a result, and one that would end again as it has ended.
_FINISHED, _ENDED = 3, 2
# A recipe asks for no more devices a trial; what else a journal says is not computed with.
_MOST_DEVICES = 1024

# What a History computes once, from the records of its Stages.
_MADE_OF_STAGES = ("trials", "results", "_baseline_curves")


@dataclass(frozen=True)
class TrialResult:
    """How one trial ended, and what it measured: everything else is None unless it finished.

    `train_seconds`, `eval_seconds`, `data_wait_seconds`, `images` and `joules` are what the trial would cost alone: the
    sum over its Stages, and None where that is not known of each. `quality` is that of the final weights: the metric
    that the recipe names; `truncated_quality` is what the same seed's baseline had reached after as many steps.
    `accuracy`, in 0..1, and `loss` are known beside it. `set_up` is where all of it was trained, as `set_up_text` says
    it: two times compare where it is the same; None where parts are from several, or one may be.
    """

    entry: TrialEntry
    outcome: Outcome
    reason: str | None = None
    log: str | None = None
    train_seconds: float | None = None
    train_seconds_source: SecondsSource | None = None
    eval_seconds: float | None = None
    data_wait_seconds: float | None = None
    images: int | None = None
    joules: float | None = None
    contention: float | None = None
    quality: float | None = None
    truncated_quality: float | None = None
    accuracy: float | None = None
    loss: float | None = None
    weights_sha256: str | None = None
    environment: Environment | None = None
    set_up: str | None = None
    other_set_up: tuple[str, ...] = ()  # how it differed from that of the sweep's first run


@dataclass(frozen=True)
class History:
    """Everything that a journal says."""

    starts: tuple[StartRecord, ...]
    stages: dict[str, StageRecord]  # the record that counts of each Stage: the finished one, else the last
    damaged_lines: tuple[int, ...]
    attempts: list[StageRecord] = field(default_factory=list)  # every record of a Stage, those that do not count too
    mixed: dict[str, tuple[str, ...]] = field(default_factory=dict)  # Stages of another set-up, and what differed
    damaged_stages: frozenset[str] = frozenset()  # those of damaged records, as far as they can be read
    pilots: tuple[PilotRecord, ...] = ()
    num_attempts_before: tuple[int, ...] = ()  # of `attempts`, how many were on record when each pilot was made

    @property
    def first_start(self) -> StartRecord | None:
        return self.starts[0] if self.starts else None

    @property
    def last_start(self) -> StartRecord | None:
        return self.starts[-1] if self.starts else None

    @property
    def environment(self) -> Environment:
        """Where the first trial on the sweep's own set-up was trained; before there is one, where it was begun."""
        own = (result.environment for result in self.results if result.environment and not result.other_set_up)
        return next(own, self.starts[0].environment)

    @cached_property
    def _prices(self) -> dict[tuple[str, str], float | None]:
        prices: dict[tuple[str, str], float | None] = {}
        for start in self.starts:
            device = start.environment.device_kind, start.environment.device_name
            prices[device] = start.price if start.price is not None else prices.get(device)
        return prices

    def price_of(self, environment: Environment | None) -> float | None:
        """Dollars for an hour of a trial there, of all its devices: what was last said of such a device, or of any."""
        device = (environment.device_kind, environment.device_name) if environment is not None else ("", "")
        price = self._prices.get(device, self.starts[-1].price if self.starts else None)
        return price * self.devices_per_trial if price is not None else None

    @cached_property
    def metric(self) -> str:
        """The name of what the recipe is judged by."""
        name = self.starts[-1].recipe.get("metric") if self.starts else None
        return name if isinstance(name, str) and name else "accuracy"

    @property
    def is_lower_better(self) -> bool:
        """Whether the recipe's `mode` is "min"."""
        return bool(self.starts) and self.starts[-1].recipe.get("mode") == "min"

    @property
    def is_of_a_command(self) -> bool:
        """Whether somebody else's program trained: then the plan's steps are epochs."""
        return bool(self.starts) and self.starts[-1].recipe.get("command") is not None

    @property
    def devices_per_trial(self) -> int:
        """How many devices train a trial together: an hour of it is so many device-hours."""
        number = self.starts[-1].recipe.get("devices_per_trial") if self.starts else None
        return number if isinstance(number, int) and 1 <= number <= _MOST_DEVICES else 1

    @cached_property
    def trials(self) -> tuple[TrialEntry, ...]:
        """Every trial that any run of this sweep planned, each once, by method, ratio and seed."""
        entries: dict[str, TrialEntry] = {}
        for start in self.starts:
            for entry in start.trials:
                # A later plan may divide a trial into other Stages, and another machine have trained it too: what has
                # ended stays as it has ended first.
                known = entries.get(entry.key)
                if known is None or self._says_more(entry, known):
                    entries[entry.key] = entry
        return tuple(sorted(entries.values(), key=lambda entry: (entry.method, Fraction(entry.realised), entry.seed)))

    def _says_more(self, entry: TrialEntry, known: TrialEntry) -> bool:
        """Whether `entry`, a later one of the same trial, is how it stands: of the same Stages it is the last name."""
        if entry.stages == known.stages:
            return True
        standing = self._standing(known)
        least = standing + 1 if standing >= _ENDED else standing
        return self._standing(entry) >= least

    def _standing(self, entry: TrialEntry) -> int:
        """How far a trial has come: 0 not ended, 1 would train again, 2 would end the same way again, 3 finished."""
        if self._is_finished(entry):
            return _FINISHED if _is_sound(self._at_end(entry, self.metric)) else _ENDED
        ended = self._ended(entry)
        return 0 if ended is None else _ENDED if ended.outcome.is_final else 1

    @cached_property
    def results(self) -> tuple[TrialResult, ...]:
        results = (self.result(entry) for entry in self.trials)
        return tuple(replace(result, truncated_quality=self._truncated_quality(result)) for result in results)

    def is_final(self, stage: str) -> bool:
        """Whether a Stage is done, or would end the same way again."""
        return stage in self.stages and self.stages[stage].outcome.is_final

    def has_ended(self, entry: TrialEntry) -> bool:
        """Whether a trial has finished, or would end again as it has ended."""
        return self._standing(entry) >= _ENDED

    def add(self, record: StageRecord) -> None:
        """Enter one more record of the journal: in place, since a sweep of n Stages would else copy n * n of them."""
        self.attempts.append(record)
        if not _is_finished(self.stages.get(record.stage)):
            self.stages[record.stage] = record
        for name in _MADE_OF_STAGES:
            self.__dict__.pop(name, None)

    def _is_finished(self, entry: TrialEntry) -> bool:
        """Whether all its Stages are, and it was evaluated at its end."""
        records = [self.stages.get(stage) for stage in entry.stages]
        measured = records[-1].measurement if records and records[-1] else None
        is_evaluated = measured is not None and entry.num_steps in measured.evaluations.steps
        return is_evaluated and all(_is_finished(record) for record in records)

    def _ended(self, entry: TrialEntry) -> StageRecord | None:
        """The first record on its way that says why it went no further."""
        records = (self.stages[stage] for stage in entry.stages if stage in self.stages)
        return next((record for record in records if record.outcome is not Outcome.FINISHED), None)

    def result(self, entry: TrialEntry) -> TrialResult:
        """What came of a trial by itself, without the truncated control, which is another one's."""
        ended = self._ended(entry)
        if ended is not None:
            return TrialResult(entry, ended.outcome, ended.reason, ended.log)
        if not self._is_finished(entry):
            return TrialResult(entry, Outcome.MISSING)
        return self._finished_result(entry)

    def _finished_result(self, entry: TrialEntry) -> TrialResult:
        parts = self._parts(entry)
        last, end = parts[-1], self.stages[entry.stages[-1]]
        quality, accuracy, loss = (self._at_end(entry, name) for name in (self.metric, "accuracy", "loss"))
        if not _is_sound(quality):
            return TrialResult(entry, Outcome.DIVERGED, f"its {self.metric} at the end is no finite number", end.log)
        known = [part.contention for part in parts if part.contention is not None]
        return TrialResult(
            entry,
            Outcome.FINISHED,
            log=end.log,
            train_seconds=sum(part.train_seconds for part in parts),
            train_seconds_source=last.train_seconds_source,
            eval_seconds=_sum_if_all_known([part.eval_seconds for part in parts]),
            data_wait_seconds=_sum_if_all_known([part.data_wait_seconds for part in parts]),
            images=_sum_if_all_known([part.images for part in parts]),
            joules=_sum_if_all_known([part.joules for part in parts]),
            contention=max(known) if known else None,
            quality=quality,
            accuracy=accuracy,
            loss=loss,
            weights_sha256=last.weights_sha256,
            environment=end.environment,
            set_up=self._set_up(entry),
            other_set_up=self._other_set_up(entry),
        )

    def _at_end(self, entry: TrialEntry, metric: str) -> float | None:
        """What a trial that has finished was evaluated to be by its final weights."""
        measured = self.stages[entry.stages[-1]].measurement
        assert measured is not None
        return measured.evaluations.column(metric)[measured.evaluations.steps.index(entry.num_steps)]

    def evaluations(self, entry: TrialEntry) -> tuple[Evaluations, ...]:
        """Those of a trial's Stages that are finished, one after the other."""
        records = (self.stages.get(stage) for stage in entry.stages)
        return tuple(record.measurement.evaluations for record in records if record and record.measurement)

    def _parts(self, entry: TrialEntry) -> list[Measurement]:
        """What the Stages of a trial that has finished have measured, one after the other."""
        found = (self.stages[stage].measurement for stage in entry.stages)
        return [part for part in found if part is not None]

    def _other_set_up(self, entry: TrialEntry) -> tuple[str, ...]:
        mixed = [stage for stage in entry.stages if stage in self.mixed] if self.mixed else []
        return tuple(dict.fromkeys(change for stage in mixed for change in self.mixed[stage]))

    def _set_up(self, entry: TrialEntry) -> str | None:
        first = self.starts[0].environment
        environments = [self.stages[stage].environment or first for stage in entry.stages]
        found, marks = {set_up_text(environment) for environment in environments}, self._other_set_up(entry)
        # A mark that its own set-up does not explain is of a checkpoint that may have been written elsewhere.
        is_explained = not marks or set(marks) <= set(set_up_changes(first, environments[-1]))
        return found.pop() if len(found) == 1 and is_explained else None

    @cached_property
    def baseline_seconds(self) -> dict[tuple[str, str | None], float]:
        """The mean train_seconds of the baselines that have finished, by method and set-up. Those that do not count as
        a result are among them: another machine has finished the same one, and each has times of its own."""
        entries = {entry.stages: entry for start in self.starts for entry in start.trials if entry.is_baseline}
        finished = [self._finished_result(entry) for entry in entries.values() if self._is_finished(entry)]
        seconds: dict[tuple[str, str | None], list[float]] = {}
        for result in finished:
            if result.set_up is not None and result.train_seconds is not None:
                seconds.setdefault((result.entry.method, result.set_up), []).append(result.train_seconds)
        return {key: fmean(known) for key, known in seconds.items()}

    def _truncated_quality(self, result: TrialResult) -> float | None:
        """What stopping the same seed's baseline early would have given; it has a meaning only below the baseline, and
        none in a cyclic run, which is stopped early itself."""
        entry = result.entry
        if result.outcome is not Outcome.FINISHED or Fraction(entry.realised) >= 1 or entry.method == "cyclic":
            return None
        return self._baseline_curves.get((entry.method, entry.seed), {}).get(entry.num_steps)

    @cached_property
    def _baseline_curves(self) -> dict[tuple[str, int], dict[int, float]]:
        """Quality by steps done, of each finished baseline, by method and seed."""
        curves: dict[tuple[str, int], dict[int, float]] = {}
        for entry in self.trials:
            if entry.is_baseline and self._is_finished(entry):
                curves[entry.method, entry.seed] = self._curve(self.evaluations(entry))
        return curves

    def _curve(self, evaluations: Iterable[Evaluations]) -> dict[int, float]:
        pairs = (pair for part in evaluations for pair in zip(part.steps, part.column(self.metric), strict=True))
        return {step: value for step, value in pairs if _is_sound(value)}


def _is_sound(value: float | None) -> TypeGuard[float]:
    """Whether it is a number to compute with."""
    return value is not None and abs(value) <= _LARGEST


_Number = TypeVar("_Number", int, float)


def _sum_if_all_known(values: list[_Number | None]) -> _Number | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def read_history(journal: Path) -> History:
    """Replay a journal; one that does not exist is empty.

    Raises:
        MachineError: it cannot be read, or was made by a newer version.
    """
    return history_of(replay(journal))


def history_of(whole: Replay) -> History:
    """What the records of a journal say."""
    starts = tuple(record for record in whole.records if isinstance(record, StartRecord))
    mixed, damaged_stages = mixed_stages(whole.records), frozenset(whole.damaged_stages)
    pilots, num_before, num_attempts = [], [], 0
    for record in whole.records:
        if isinstance(record, PilotRecord):
            pilots.append(record)
            num_before.append(num_attempts)
        num_attempts += isinstance(record, StageRecord)
    history = History(
        starts,
        {},
        whole.damaged_lines,
        mixed=mixed,
        damaged_stages=damaged_stages,
        pilots=tuple(pilots),
        num_attempts_before=tuple(num_before),
    )
    for record in whole.records:
        if isinstance(record, StageRecord):
            history.add(record)
    return history


def _is_finished(record: StageRecord | None) -> bool:
    return record is not None and record.outcome is Outcome.FINISHED
