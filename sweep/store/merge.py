"""The sweeps of one recipe, trained apart, as one that holds the trials of all of them.

Nothing is lost, averaged or counted twice: every whole record is in it, and of a trial that several have finished, the
first that is named counts. Each sweep keeps Stages of its own, so that no trial is made of two machines' parts: behind
the ids of all but the first one's stands a number. What is no record stays where it is: states, weights, what commands
wrote, and logs.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, count
from pathlib import Path

from sweep.errors import Complaints, MachineError, Outcome, Problem, UsageError
from sweep.recipe.schema import differences
from sweep.store.catalogue import check_readable, no_such_sweep, nothing_trained
from sweep.store.history import History, TrialResult, history_of
from sweep.store.identity import set_up_changes, set_up_text
from sweep.store.journal import Replay, replay, write
from sweep.store.queue import Outbox, refuse_if_out
from sweep.store.records import FORMAT, PilotRecord, Record, StageRecord, StartRecord, TrialEntry
from sweep.store.workspace import Workspace, open_workspace, open_writable

Records = Sequence[Record]


@dataclass(frozen=True)
class Part:
    """One of the sweeps that are merged: `name` as it was given."""

    name: str
    workspace: Workspace
    records: tuple[Record, ...]
    history: History

    @property
    def first_start(self) -> StartRecord:
        return self.history.starts[0]

    @property
    def keys(self) -> list[str]:
        """Of its trials."""
        return [entry.key for entry in self.history.trials]

    @property
    def num_finished(self) -> int:
        return sum(result.outcome is Outcome.FINISHED for result in self.history.results)

    @property
    def set_ups(self) -> tuple[str, ...]:
        """Where its trials finished; before one has, where it was begun."""
        known = [result.set_up for result in self.history.results if result.set_up is not None]
        return tuple(dict.fromkeys(known)) or (set_up_text(self.first_start.environment),)

    @property
    def starts(self) -> set[tuple[str, ...]]:
        """What tells its training from any other, whatever its Stages are called."""
        bare = {"trials": (), "format": FORMAT}
        return {
            (start.model_copy(update=bare).model_dump_json(), *(entry.key for entry in start.trials))
            for start in self.history.starts
        }


@dataclass(frozen=True)
class Merged:
    """The sweep that was made of `parts`. `num_counted` are the trials that each of these has given to it;
    `disagreements` the trials that two of them finished on one set-up, where bits should be equal, and are not."""

    workspace: Workspace
    history: History
    parts: tuple[Part, ...]
    num_counted: tuple[int, ...]
    disagreements: tuple[TrialEntry, ...]

    @property
    def num_in_several(self) -> int:
        """The trials that more than one of them has."""
        times = Counter(key for part in self.parts for key in part.keys)
        return sum(number > 1 for number in times.values())

    def changes(self, part: Part) -> list[str]:
        """How the set-up that a part was begun on differs from the first one's: then its trials are marked."""
        return set_up_changes(self.parts[0].first_start.environment, part.first_start.environment)


def merge_sweeps(results: Path, names: Sequence[str], name: str) -> Merged:
    """Make a sweep called `name` under `results` of the sweeps `names`: of names there, or of paths of folders.

    Raises:
        UsageError: fewer than two, one that is not there, other recipes, the same training twice, or a name that is
            taken.
        MachineError: one is in use, or cannot be read; or the new one cannot be written.
    """
    target = open_writable(results, name)
    _check_new(target)
    parts = _read_all(results, names)
    _check_alike(parts)
    merged = merge_records([part.records for part in parts])
    records = tuple(record for part in merged for record in part)
    with target.locked():
        _check_new(target)
        write(target.journal, records)
    history = history_of(Replay(records, ()))
    return Merged(target, history, parts, _counted(history, merged), _disagreements(parts))


def merge_records(sweeps: Sequence[Records]) -> list[list[Record]]:
    """The records of each sweep as they stand in the journal of all, one sweep after the other."""
    merged: list[list[Record]] = []
    taken: set[str] = set()
    for records in sweeps:
        own = _stages(records)
        suffixes = ("" if number == 1 else f"~{number}" for number in count(2 if merged else 1))
        suffix = next(suffix for suffix in suffixes if taken.isdisjoint(stage + suffix for stage in own))
        taken |= {stage + suffix for stage in own}
        merged.append([_renamed(record, suffix) for record in records])
    return merged


def _stages(records: Records) -> set[str]:
    """The ids of all Stages that are spoken of."""
    starts = [record for record in records if isinstance(record, StartRecord)]
    attempts = [record for record in records if isinstance(record, StageRecord)]
    sources = [record.measurement.taken_over for record in attempts if record.measurement is not None]
    return {
        *(stage for start in starts for entry in start.trials for stage in entry.stages),
        *(record.stage for record in attempts),
        *(source.stage for source in sources if source is not None),
    }


def _renamed(record: Record, suffix: str) -> Record:
    if isinstance(record, PilotRecord):
        return record.model_copy(update={"format": FORMAT})
    if isinstance(record, StartRecord):
        trials = (
            entry.model_copy(update={"stages": tuple(stage + suffix for stage in entry.stages)})
            for entry in record.trials
        )
        return record.model_copy(update={"format": FORMAT, "trials": tuple(trials)})
    measurement = record.measurement
    if measurement is not None and measurement.taken_over is not None:
        source = measurement.taken_over.model_copy(update={"stage": measurement.taken_over.stage + suffix})
        measurement = measurement.model_copy(update={"taken_over": source})
    # The log is not in the new folder.
    changes = {"format": FORMAT, "stage": record.stage + suffix, "measurement": measurement, "log": None}
    return record.model_copy(update=changes)


def _check_new(target: Workspace) -> None:
    if os.path.lexists(target.journal):
        message = f"there is a sweep {target.name!r} already"
        raise UsageError(Problem(message, where="--name", fix="choose another --name"))


def _read_all(results: Path, names: Sequence[str]) -> tuple[Part, ...]:
    complaints, parts = Complaints(), []
    if len(names) < 2:
        raise UsageError(Problem("two sweeps are needed to merge", where="SWEEP", fix="name another one"))
    for name in names:
        with complaints:
            parts.append(_read(results, name))
    complaints.raise_any()
    return tuple(parts)


def _read(results: Path, name: str) -> Part:
    is_path = os.sep in name
    workspace = Workspace(Path(name)) if is_path else open_workspace(results, name, where="SWEEP")
    workspace.check_free()
    refuse_if_out(workspace)
    if Outbox.of(workspace).answered():
        fix = "the command that trains it writes down what they left; then merge"
        raise MachineError(Problem("jobs of a cluster have left answers here", str(workspace.folder), fix=fix))
    whole = replay(workspace.journal)
    history = history_of(whole)
    check_readable(workspace, history)
    if history.pilots and not history.starts:
        raise nothing_trained(name)
    if not history.starts:
        raise _no_sweep(name) if is_path else _elsewhere(name) or no_such_sweep(results, name)
    return Part(name, workspace, whole.records, history)


def _no_sweep(name: str) -> UsageError:
    return UsageError(
        Problem(f"there is no sweep in {name}", where="SWEEP", fix="name the folder of its journal.jsonl")
    )


def _elsewhere(name: str) -> UsageError | None:
    """Where a folder was meant: a name is one under --results."""
    if not Workspace(Path(name)).journal.is_file():
        return None
    return UsageError(Problem(f"{name!r} is no sweep under --results", where="SWEEP", fix=f"the folder is ./{name}"))


def _check_alike(parts: Sequence[Part]) -> None:
    problems = [*_other_recipes(parts), *_common(parts)]
    if problems:
        raise UsageError(problems)


def _other_recipes(parts: Sequence[Part]) -> Iterator[Problem]:
    first, *others = parts
    last = first.history.starts[-1]
    for part in others:
        now = part.history.starts[-1]
        changes = differences(last.recipe, now.recipe)
        if last.fingerprint != now.fingerprint or changes:
            for said in [f": {change}" for change in changes.values()] or [""]:
                yield Problem(f"of another recipe than {first.name}{said}", where=part.name, fix="merge those of one")


def _common(parts: Sequence[Part]) -> Iterator[Problem]:
    for one, other in combinations(parts, 2):
        if one.starts & other.starts:
            message = f"holds training that {one.name} holds too: a copy of it, or merged of it"
            yield Problem(message, where=other.name, fix="leave one of them out")


def _counted(history: History, records: Iterable[Records]) -> tuple[int, ...]:
    stages = [_stages(part) for part in records]
    return tuple(sum(entry.stages[0] in own for entry in history.trials) for own in stages)


def _disagreements(parts: Sequence[Part]) -> tuple[TrialEntry, ...]:
    """On a GPU equal bits were not promised."""
    known: dict[tuple[str, str], TrialResult] = {}
    found: dict[str, TrialEntry] = {}
    for result in (result for part in parts for result in part.history.results):
        if result.set_up is None or result.environment is None or result.environment.device_kind != "cpu":
            continue
        first = known.setdefault((result.entry.key, result.set_up), result)
        if first.weights_sha256 != result.weights_sha256:
            found[result.entry.key] = result.entry
    return tuple(found.values())
