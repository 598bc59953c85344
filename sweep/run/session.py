"""A sweep from beginning to end: open, replay, what is missing, run it, record it. Tells events, prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sweep.clock import utc_now
from sweep.errors import Outcome
from sweep.events import Listener, Noticed, SweepStarted
from sweep.plan.grid import Trial
from sweep.plan.stages import Plan, Stage
from sweep.run.dispatch import Dispatch
from sweep.run.executors.protocol import Executor
from sweep.run.messages import StageDone
from sweep.run.provenance import git_commit
from sweep.run.retries import Retries
from sweep.run.stop import StopRequest
from sweep.store.history import History, read_history
from sweep.store.identity import check_environment, check_recipe
from sweep.store.journal import append
from sweep.store.records import Environment, PrepareJob, StageRecord, StartRecord, TrialEntry
from sweep.store.states import StageStates
from sweep.store.workspace import Workspace


@dataclass(frozen=True)
class Session:
    """One call of `sweep run`, on a workspace that this process holds the lock of."""

    plan: Plan
    workspace: Workspace
    make_executor: Callable[[int], Executor]  # given the number of Stages that there are to train
    prepare_job: PrepareJob
    price: float | None
    num_retries: int
    tell: Listener

    def run(self, stop: StopRequest) -> History:
        """Train what is missing; returns what the journal says then.

        Raises:
            UsageError: the workspace holds another sweep.
            MachineError: the machine cannot do it.
            Interrupted: it was stopped before there was anything to train.
            SweepError: there was no use in going on.
        """
        history = self._replay()
        check_recipe(history.last_start, self.plan.loaded.recipe, str(self.workspace.folder))
        missing = [stage for stage in self.plan.stages if not history.is_final(stage.id)]
        if missing or history.last_start is None:
            with self.make_executor(len(missing)) as executor:
                environment = executor.prepare(self.prepare_job, stop)
                check_environment(history.first_start, environment, str(self.workspace.folder))
                environment = environment.model_copy(update={"git_commit": git_commit()})
                self._record_start(history, environment, executor.capacity)
                saved = {stage.id: self._steps_saved(stage) for stage in missing}
                self._tell_start(missing, saved, history)
                retries = Retries(self.num_retries, history)

                def record(stage: Stage, done: StageDone, reached_step: int | None) -> None:
                    self._record(stage, done, retries.attempt(stage.id), reached_step)

                saves = self.prepare_job.checkpoint_every is not None
                Dispatch(executor, missing, retries, record, self._steps_saved, saved, saves, self.tell, stop).run()
        else:
            self._record_start(history, history.last_start.environment, history.last_start.jobs)
        return read_history(self.workspace.journal)

    def _replay(self) -> History:
        """What the journal says. Checkpoints of what it says is done are left over from a run that was killed."""
        history = read_history(self.workspace.journal)
        for line in history.damaged_lines:
            self.tell(Noticed(f"ignored a damaged record ({self.workspace.journal}:{line}); what it held runs again"))
        for stage in self.plan.stages:
            if history.is_final(stage.id):
                self._states(stage).remove_all()
        return history

    def _states(self, stage: Stage) -> StageStates:
        return StageStates(self.workspace.states(stage.id))

    def _steps_saved(self, stage: Stage) -> int:
        """How many of a Stage's steps are in its newest checkpoint, as far as its name tells."""
        steps = range(stage.start_step, stage.stop_step + 1)
        return next((step - stage.start_step for step in self._states(stage).steps() if step in steps), 0)

    def _record_start(self, history: History, environment: Environment, jobs: int) -> None:
        """Write down what is asked for, unless the journal says exactly this already."""
        recipe = self.plan.loaded.recipe
        last = history.last_start
        record = StartRecord(
            started_at=utc_now(),
            recipe_name=self.plan.loaded.name,
            recipe=recipe.model_dump(mode="json"),
            fingerprint=recipe.fingerprint,
            trials=tuple(_entry(trial, self.plan.paths[trial.key]) for trial in self.plan.trials),
            order_seed=self.plan.order_seed,
            jobs=jobs,
            price=self.price if self.price is not None or last is None else last.price,
            environment=environment,
        )
        news = ("trials", "jobs", "price", "environment")
        if last is None or any(getattr(last, field) != getattr(record, field) for field in news):
            append(self.workspace.journal, record)

    def _tell_start(self, missing: list[Stage], saved: Mapping[str, int], history: History) -> None:
        steps = sum(stage.num_steps - saved[stage.id] for stage in missing)
        done = len(self.plan.stages) - len(missing)
        interrupted = sum(self._is_interrupted(stage, history) for stage in missing)
        self.tell(SweepStarted(self.workspace.name, len(self.plan.trials), done, steps, interrupted))

    def _is_interrupted(self, stage: Stage, history: History) -> bool:
        """Whether an earlier run began it and was stopped, or killed before it could say how that ended."""
        record = history.stages.get(stage.id)
        return self._states(stage).is_begun or (record is not None and record.outcome is Outcome.INTERRUPTED)

    def _record(self, stage: Stage, done: StageDone, attempt: int, reached_step: int | None) -> None:
        """Write down how an attempt has ended; a Stage that is done needs its checkpoints no more."""
        record = StageRecord(
            stage=stage.id,
            attempt=attempt,
            outcome=done.outcome,
            reason=done.reason,
            measurement=done.measurement,
            environment=done.environment,
            log=done.log,
            reached_step=reached_step,
        )
        append(self.workspace.journal, record)
        if done.outcome.is_final:
            self._states(stage).remove_all()


def _entry(trial: Trial, path: tuple[str, ...]) -> TrialEntry:
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
        stages=path,
    )
