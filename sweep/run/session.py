"""A sweep from beginning to end: open, replay, what is missing, run it, record it. Tells events, prints nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sweep.clock import utc_now
from sweep.errors import Outcome
from sweep.events import Listener, Noticed, StageEnded, StageStarted, SweepStarted
from sweep.plan.grid import Trial
from sweep.plan.stages import Plan, Stage
from sweep.run.executors.protocol import Executor
from sweep.run.messages import Progressed, StageDone
from sweep.run.order import choose_next
from sweep.run.provenance import git_commit
from sweep.run.stop import StopRequest
from sweep.store.history import History, read_history
from sweep.store.identity import check_environment, check_recipe
from sweep.store.journal import append
from sweep.store.records import (
    Environment,
    PrepareJob,
    StageJob,
    StageRecord,
    StartRecord,
    TrialEntry,
    encode_rates,
)
from sweep.store.workspace import Workspace

# How long Ctrl-C waits to be noticed while nothing is heard from a Worker.
_SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True)
class Session:
    """One call of `sweep run`, on a workspace that this process holds the lock of."""

    plan: Plan
    workspace: Workspace
    make_executor: Callable[[int], Executor]  # given the number of Stages that there are to train
    prepare_job: PrepareJob
    price: float | None
    tell: Listener

    def run(self, stop: StopRequest) -> History:
        """Train what is missing; returns what the journal says then.

        Raises:
            UsageError: the workspace holds another sweep.
            MachineError: the machine cannot do it.
            Interrupted: it was stopped before there was anything to train.
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
                self._tell_start(missing)
                self._train(executor, missing, history, stop)
        else:
            self._record_start(history, history.last_start.environment, history.last_start.jobs)
        return read_history(self.workspace.journal)

    def _replay(self) -> History:
        history = read_history(self.workspace.journal)
        for line in history.damaged_lines:
            self.tell(Noticed(f"ignored a damaged record ({self.workspace.journal}:{line}); what it held runs again"))
        return history

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

    def _tell_start(self, missing: list[Stage]) -> None:
        steps = sum(stage.num_steps for stage in missing)
        done = len(self.plan.stages) - len(missing)
        self.tell(SweepStarted(self.workspace.name, len(self.plan.trials), done, steps))

    def _train(self, executor: Executor, waiting: list[Stage], history: History, stop: StopRequest) -> None:
        running: dict[str, _Running] = {}
        while (waiting or running) and stop.signal_number is None:
            while waiting and len(running) < executor.capacity:
                stage = _take_next(waiting, list(running.values()), executor.capacity)
                running[stage.id] = _Running(stage)
                self._tell_stage(stage)
                executor.submit(stage_job(stage))
            message = executor.receive(_SECONDS_BETWEEN_LOOKS)
            if isinstance(message, Progressed):
                running[message.progress.stage].steps_done = message.progress.steps_done
                self.tell(message.progress)
            elif message is not None:
                self._record(running.pop(message.stage).stage, message, history)
        for left in running.values():
            interrupted = StageDone(stage=left.stage.id, outcome=Outcome.INTERRUPTED, reason="interrupted")
            self._record(left.stage, interrupted, history)

    def _tell_stage(self, stage: Stage) -> None:
        lengths = stage.trial.timeline.lengths
        self.tell(
            StageStarted(stage.id, lengths.ratio.text, stage.trial.seed, float(lengths.num_epochs), stage.num_steps)
        )

    def _record(self, stage: Stage, done: StageDone, history: History) -> None:
        """Into the journal first, and only then told."""
        record = StageRecord(
            stage=stage.id,
            attempt=history.next_attempt(stage.id),
            outcome=done.outcome,
            reason=done.reason,
            measurement=done.measurement,
            environment=done.environment,
            log=done.log,
        )
        append(self.workspace.journal, record)
        measured = done.measurement if done.outcome is Outcome.FINISHED else None
        self.tell(
            StageEnded(
                stage.id,
                stage.trial.timeline.lengths.ratio.text,
                stage.trial.seed,
                done.outcome,
                done.reason,
                measured.train_seconds if measured else None,
                measured.evaluations.accuracy[-1] if measured else None,
            )
        )


@dataclass
class _Running:
    """A Stage that a Worker trains, and how much of it is done."""

    stage: Stage
    steps_done: int = 0

    @property
    def steps_left(self) -> int:
        return self.stage.num_steps - self.steps_done


def _take_next(waiting: list[Stage], running: list[_Running], capacity: int) -> Stage:
    """Remove from `waiting` the Stage to begin now."""
    free_beside = capacity - len(running) - 1
    busy = [left.steps_left for left in running] + [0] * free_beside
    return waiting.pop(choose_next([stage.num_steps for stage in waiting], busy))


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


def stage_job(stage: Stage) -> StageJob:
    """What a Worker is told to train a Stage: with the rates of its own steps."""
    timeline = stage.trial.timeline
    return StageJob(
        stage=stage.id,
        recipe=timeline.recipe.model_dump(mode="json"),
        seed=stage.trial.seed,
        num_examples=timeline.lengths.num_examples,
        start_step=stage.start_step,
        stop_step=stage.stop_step,
        eval_steps=stage.eval_steps,
        rates=encode_rates(timeline.rates(stage.start_step, stage.stop_step)),
    )
