"""What a sweep has said that it had done, and what its journal held then: both must hold ever after."""

import json

from sweep.store.history import read_history
from sweep.store.journal import replay
from sweep.store.records import StageRecord


class Ledger:
    """Of one sweep, over all its runs. `troubles` says in a sentence each what was lost, invented or changed."""

    def __init__(self, journal, untouched=None):
        self.journal = journal
        self.untouched = untouched  # Stage -> what was measured of it where nothing happened; None: this is that sweep
        self.acknowledged = []  # what was told of Stages that ended
        self._trials = []  # what was told of trials that finished
        self.troubles = []
        self.lost = 0
        self.hashes_compared = 0
        self._lines = b""  # the whole lines of the journal, when last seen

    def note(self, output):
        """Hear what a run has printed with --json. A last line that a kill has cut short says nothing."""
        events = [json.loads(line) for line in output.split(b"\n")[:-1]]
        self.acknowledged += [event for event in events if event["event"] == "stage_ended"]
        self._trials += [
            event for event in events if event["event"] == "trial_ended" and event["outcome"] == "finished"
        ]

    def check(self):
        """Hold the journal to everything that was said and seen before."""
        now = self.journal.read_bytes() if self.journal.exists() else b""
        kept = sum(line in set(now.split(b"\n")) for line in self._lines.split(b"\n"))
        self._lose(self._lines.count(b"\n") + 1 - kept, "records that the journal held")
        self._expect(now.startswith(self._lines), "the journal is not what it was, and more")
        seen, self._lines = self._lines, now[: now.rfind(b"\n") + 1]
        records = [record for record in replay(self.journal).records if isinstance(record, StageRecord)]
        said = {_as_told(record) for record in records}
        self._lose(sum(_as_heard(event) not in said for event in self.acknowledged), "records that were acknowledged")
        results = {_trial_as_told(result) for result in read_history(self.journal).results}
        self._lose(
            sum(_trial_as_heard(event) not in results for event in self._trials), "trials that were acknowledged"
        )
        damaged = {now.split(b"\n")[line - 1] for line in replay(self.journal).damaged_lines}
        self._expect(not damaged & set(seen.split(b"\n")), "a record that was whole is damaged")
        self._check_measured(records)

    def check_done(self):
        """Hold it to what must be so at the end: all that was planned is there, each trial once and as ever."""
        history = read_history(self.journal)
        planned = {entry.key for start in history.starts for entry in start.trials}
        keys = [result.entry.key for result in history.results]
        self._expect(len(keys) == len(set(keys)) and set(keys) == planned, "done + missing is not the plan")
        self._expect({result.outcome.value for result in history.results} == {"finished"}, "a trial has not finished")
        measured = self.measured()
        self.hashes_compared += sum(stage in measured for stage in self.untouched)
        self._expect(measured.keys() == self.untouched.keys(), "other stages than those of the untouched sweep")

    def measured(self):
        """Stage -> what was measured of it and does not depend on the time."""
        records = replay(self.journal).records
        return {r.stage: _timeless(r) for r in records if isinstance(r, StageRecord) and r.outcome == "finished"}

    @property
    def num_acknowledged(self):
        return len(self.acknowledged)

    @property
    def num_written(self):
        return self._lines.count(b"\n")

    def _check_measured(self, records):
        finished = [record for record in records if record.outcome == "finished"]
        self._expect(len({record.stage for record in finished}) == len(finished), "a stage has finished twice")
        for record in finished:
            self._expect(
                self.untouched is None or self.untouched.get(record.stage) == _timeless(record),
                f"stage {record.stage} has come to something else than where nothing happened",
            )
        for record in records:
            self._expect(
                record.outcome in ("finished", "interrupted", "crashed"), f"stage {record.stage}: {record.reason}"
            )

    def _lose(self, number, what):
        self.lost += number
        self._expect(not number, f"{number} {what} are lost")

    def _expect(self, is_so, otherwise):
        if not is_so:
            self.troubles.append(otherwise)


def _timeless(record):
    measured = record.measurement
    return measured.steps, measured.images, measured.evaluations, measured.weights_sha256


def _as_told(record):
    return record.stage, record.outcome.value, record.reason


def _as_heard(event):
    return tuple(event[name] for name in ("stage", "outcome", "reason"))


def _trial_as_told(result):
    told = result.entry.ratio, result.entry.seed, result.outcome.value, result.reason
    return *told, result.train_seconds, result.accuracy


def _trial_as_heard(event):
    return tuple(event[name] for name in ("ratio", "seed", "outcome", "reason", "train_seconds", "accuracy"))
