"""What a sweep knows of itself while it runs: makes the jobs, writes down what comes of them, and keeps the states that
others go on from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sweep.errors import Outcome
from sweep.events import Listener, TrialEnded
from sweep.plan.grid import Trial
from sweep.plan.stages import Path, Plan, Recorded, Span, Stage
from sweep.run.adopt import Checkpoints
from sweep.run.keep import Keep, kept_steps
from sweep.run.makespan import Forest
from sweep.run.messages import StageDone
from sweep.store.history import History
from sweep.store.journal import append
from sweep.store.records import StageJob, StageRecord, StartRecord, TrialEntry, encode_rates
from sweep.store.states import StageStates, all_states
from sweep.store.workspace import Workspace

_NONE = np.empty(0)  # the rates of a command are its own


class Ledger:
    """The book of one sweep. `history` is what its journal says; `plan` is what is still to be trained."""

    def __init__(self, workspace: Workspace, history: History, whole: Plan, keep: Keep, tell: Listener) -> None:
        self._workspace = workspace
        self._whole = whole
        self._planned = {stage.id: stage for stage in whole.stages}
        self._keep = keep
        self._tell = tell
        self.history = history
        self.plan_anew()

    def plan_anew(self) -> None:
        """Plan what the journal does not have, from the states that there are."""
        # By the plan of now too: the record of a plan can be damaged, and those of its Stages whole.
        by_plan = [_entry(trial, self._whole.paths[trial.key]) for trial in self._whole.trials]
        ended = {entry.key: entry for entry in (*by_plan, *self.history.trials) if self.history.has_ended(entry)}
        self.plan = self._whole.missing(self._recorded(frozenset(ended)))
        # The Stages that are still to begin with the state at the end of another one, by its id.
        self._needs = {parent: {stage.id for stage in stages} for parent, stages in self.plan.children.items()}
        paths = self.plan.paths
        self.entries = tuple(
            _entry(trial, paths[trial.key]) if trial.key in paths else ended[trial.key] for trial in self._whole.trials
        )
        self._entries = {entry.key: entry for entry in self.entries}
        self._checkpoints = Checkpoints(self._workspace, self.plan)

    def _recorded(self, ended: frozenset[str]) -> Recorded:
        stages = self.history.stages.values()
        finished = frozenset(record.stage for record in stages if record.outcome is Outcome.FINISHED)
        spans: dict[int, set[Span]] = defaultdict(set)
        for entry in (entry for start in self.history.starts for entry in start.trials):
            known = zip(entry.stages, entry.spans, strict=False)  # old journals know no spans
            spans[entry.seed] |= {span for stage, span in known if stage in finished}
        for stage in self._whole.stages:
            if stage.id in finished:
                spans[stage.trial.seed].add((stage.start_step, stage.stop_step))
        return Recorded(
            final=ended,
            finished=finished,
            spans=spans,
            has_state=lambda stage, step: step in self._states(stage).steps(),
        )

    @property
    def num_done(self) -> int:
        """How many of the Trials that are asked for need no training."""
        return len(self.entries) - len(self.plan.paths)

    def is_interrupted(self, stage: Stage) -> bool:
        """Whether an earlier run began it and was stopped, or killed before it could say how that ended."""
        record = self.history.stages.get(stage.id)
        return self._states(stage.id).is_begun or (record is not None and record.outcome is Outcome.INTERRUPTED)

    def steps_saved(self, stage: Stage) -> int:
        """How many of a Stage's steps are in the checkpoint that it goes on from, as far as its name tells."""
        other = self._checkpoints.usable(stage)
        steps = [*self._states(stage.id).steps(), *([other.step] if other else [])]
        usable = [step - stage.start_step for step in steps if stage.start_step < step <= stage.stop_step]
        return max(usable, default=0)

    def job(self, stage: Stage) -> StageJob:
        """What a Worker is told to train a Stage: with the rates of its own steps."""
        kept = {*kept_steps(self._keep, stage, self.plan), *([stage.stop_step] if self._needs.get(stage.id) else [])}
        weights = [trial.key for trial in stage.ends] if self._keep is Keep.MODELS else []
        return stage_job(stage).model_copy(
            update={
                "checkpoint": self._checkpoints.usable(stage),
                "kept_steps": tuple(sorted(kept)),
                "weights_files": tuple(weights),
            }
        )

    def start(self, record: StartRecord) -> None:
        """Write down what is asked for."""
        append(self._workspace.journal, record)
        self.history = replace(self.history, starts=(*self.history.starts, record))

    def record(self, stages: Sequence[Stage], records: Sequence[StageRecord]) -> None:
        """Write down how attempts at `stages` have ended, together, and let go of the states that have served."""
        append(self._workspace.journal, *records)
        for stage, record in zip(stages, records, strict=True):
            self.history.add(record)
            if record.outcome.is_final:
                self._release(stage, record.outcome)

    def tell_trials(self, stage: Stage, outcome: Outcome) -> None:
        """Tell of the Trials that a Stage has brought to an end: all below it, where it has failed."""
        stages = [stage] if outcome is Outcome.FINISHED else self.plan.below(stage)
        for trial in (trial for ended in stages for trial in ended.ends):
            result = self.history.result(self._entries[trial.key])
            ratio = trial.timeline.lengths.ratio.text
            self._tell(
                TrialEnded(
                    ratio=ratio,
                    seed=trial.seed,
                    outcome=result.outcome,
                    reason=result.reason,
                    train_seconds=result.train_seconds,
                    accuracy=result.accuracy,
                    quality=result.quality,
                )
            )

    def _states(self, stage: str) -> StageStates:
        return StageStates(self._workspace.states / stage)

    def _release(self, stage: Stage, outcome: Outcome) -> None:
        """Let go of the states that a Stage, which is done, has needed, and of its own ones that nobody needs."""
        needs = self._needs.get(stage.id, set())
        if outcome is not Outcome.FINISHED:
            needs.clear()
        kept = kept_steps(self._keep, stage, self.plan) if outcome is Outcome.FINISHED else ()
        self._states(stage.id).remove_all_but({*kept, *([stage.stop_step] if needs else [])})
        if stage.parent is not None:
            others = self._needs[stage.parent]
            others.discard(stage.id)
            if not others and self._keep in (Keep.MODELS, Keep.NONE):
                self._states(stage.parent).remove_all_but(())

    def tidy(self) -> None:
        """Let go of what a sweep that was killed could not, and of what was kept by another rule."""
        ahead = {stage.id for stage in self.plan.stages}
        for states in all_states(self._workspace.states):
            stage = states.folder.name
            if stage not in ahead and self.history.is_final(stage):
                kept = self._still_kept(stage)
                if kept is not None:
                    states.remove_all_but(kept)

    def _still_kept(self, stage: str) -> set[int] | None:
        """The steps of a Stage that is done whose states stay; None where that is not known, so that all do."""
        if self.history.stages[stage].outcome is not Outcome.FINISHED:
            return set()
        planned = self._planned.get(stage)
        if planned is None:
            return set() if self._keep in (Keep.MODELS, Keep.NONE) and stage not in self._needs else None
        needed = [planned.stop_step] if stage in self._needs else []
        return {*kept_steps(self._keep, planned, self._whole), *needed}


def record_of(done: StageDone, attempt: int, reached_step: int | None) -> StageRecord:
    """What is written down of an attempt that has ended."""
    return StageRecord(
        stage=done.stage,
        attempt=attempt,
        outcome=done.outcome,
        reason=done.reason,
        measurement=done.measurement,
        environment=done.environment,
        log=done.log,
        reached_step=reached_step,
    )


def forest_of(plan: Plan, ledger: Ledger | None = None) -> Forest:
    """A plan's Stages by the steps that they take, those left out that `ledger` knows to be saved."""
    steps = {stage.id: stage.num_steps - (ledger.steps_saved(stage) if ledger else 0) for stage in plan.stages}
    children = {parent: [stage.id for stage in stages] for parent, stages in plan.children.items() if parent in steps}
    return Forest(steps, children)


def stage_name(stage: Stage) -> str:
    """What a Stage is called where its user reads of it: its longest Trial, and how many more it is part of."""
    others = f" and {stage.num_trials - 1} more" if stage.num_trials > 1 else ""
    return f"ratio {stage.trial.timeline.lengths.ratio.text}{others}, seed {stage.trial.seed}"


def stage_job(stage: Stage) -> StageJob:
    """What a Worker is told to train a Stage, whatever is kept of it."""
    timeline = stage.trial.timeline
    start, stop = stage.start_step, stage.stop_step
    is_command = timeline.recipe.kind == "command"
    momenta = None if is_command else timeline.momenta(start, stop)
    return StageJob(
        stage=stage.id,
        recipe=timeline.written_recipe,
        ratio=timeline.lengths.ratio.text,
        seed=stage.trial.seed,
        num_examples=timeline.lengths.num_examples,
        start_step=start,
        stop_step=stop,
        eval_steps=stage.eval_steps,
        rates=encode_rates(_NONE if is_command else timeline.rates(start, stop)),
        momenta=None if momenta is None else encode_rates(momenta),
        values={} if is_command else timeline.methods.values(start, stop),
        swa_steps=() if is_command else timeline.methods.swa_steps_of(start, stop),
        parent=stage.parent,
        is_end=bool(stage.ends),
    )


def _entry(trial: Trial, path: Path) -> TrialEntry:
    lengths = trial.timeline.lengths
    return TrialEntry(
        key=trial.key,
        ratio=lengths.ratio.text,
        realised=str(lengths.realised),
        method=trial.timeline.recipe.method,
        seed=trial.seed,
        num_epochs=str(lengths.num_epochs),
        num_steps=lengths.num_steps,
        num_examples=lengths.num_examples,
        stages=tuple(stage for stage, _ in path),
        stops=tuple(stop for _, stop in path),
    )
