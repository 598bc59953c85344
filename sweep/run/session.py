"""A sweep from beginning to end: open, replay, what is missing, run it, record it. Tells events, prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from sweep.clock import utc_now
from sweep.errors import MachineError, Problem
from sweep.events import Listener, Noticed, SweepStarted
from sweep.plan.stages import Plan
from sweep.run.allowance import Allowance
from sweep.run.auto_jobs import choose, counted
from sweep.run.collect import collect
from sweep.run.dispatch import Dispatch
from sweep.run.executors.protocol import Executor
from sweep.run.keep import Keep
from sweep.run.ledger import Ledger, stage_name
from sweep.run.provenance import git_commit
from sweep.run.retries import Retries
from sweep.run.stop import StopRequest
from sweep.run.turns import Turn, Turns
from sweep.store.history import History, read_history
from sweep.store.identity import check_environment, check_recipe
from sweep.store.queue import refuse_if_out
from sweep.store.records import Environment, PrepareJob, StartRecord
from sweep.store.workspace import Workspace


@dataclass(frozen=True)
class Session:
    """One call of `sweep run`, on a workspace that this process holds the lock of."""

    plan: Plan
    code_sha256: str | None  # of the code that a task names
    workspace: Workspace
    make_executor: Callable[[int], Executor]  # given the number of Stages that there are to train
    chooses_jobs: bool  # of the executor's Workers as many as finish first
    is_local: bool  # all of them are on this machine
    threads_alone: int | None  # of one that is better off alone; None: as many as prepare_job says
    prepare_job: PrepareJob
    price: float | None
    num_retries: int
    keep: Keep
    allow_mixed: bool
    tell: Listener
    attaches: bool = False  # its executor adopts Stages that jobs of a cluster train already
    detach: bool = False  # it leaves once all Stages are handed to one that does
    allowance: Allowance | None = None  # what its Stages have to fit into
    chosen_for: str | None = None  # what its Trials were chosen for
    turn: Turn = field(default_factory=lambda: Turns().join())  # among the sweeps that train beside it

    def run(self, stop: StopRequest) -> History:
        """Train what is missing; returns what the journal says then.

        Raises:
            SweepError: as `looks`.
        """
        looks = self.looks(stop)
        while True:
            try:
                next(looks)
            except StopIteration as done:
                history: History = done.value
                return history

    def looks(self, stop: StopRequest) -> Generator[None, None, History]:
        """The same, a look at what goes on at a time: between two of them, other sweeps have theirs. Before the first
        one everything is checked and made ready, and nothing is written down yet.

        Raises:
            UsageError: the workspace holds another sweep, or results of another set-up.
            MachineError: the machine cannot do it.
            Interrupted: it was stopped before there was anything to train.
            SweepError: there was no use in going on.
        """
        history = read_history(self.workspace.journal)
        loaded = self.plan.loaded
        check_recipe(history.last_start, loaded.recipe, str(self.workspace.folder), loaded.places)
        collect(self.workspace, history, self.tell)
        if not self.attaches:
            refuse_if_out(self.workspace)
        ledger = Ledger(self.workspace, history, self.plan, self.keep, self.tell)
        self._tell_damage(history, ledger)
        if ledger.plan.stages or history.last_start is None:
            with self.make_executor(len(ledger.plan.stages)) as executor:
                environment = executor.prepare(self.prepare_job, stop)
                if self.code_sha256 is not None:  # of jobs that are out already, it was that of then
                    environment = environment.model_copy(update={"code_sha256": self.code_sha256})
                self._check_set_up(history, environment)
                if self.chooses_jobs:
                    environment = self._choose_jobs(ledger, executor, environment, stop)
                if chosen := environment.precision:
                    self.tell(Noticed(f"amp: auto is {chosen.amp}: {chosen.why}"))
                environment = environment.model_copy(update={"git_commit": git_commit()})
                yield
                ledger.tidy()
                self._tell_start(ledger)
                if self.detach:
                    self._hand_out(ledger, executor, environment, stop)
                else:
                    yield from self._train(ledger, executor, environment, stop)
        else:
            self._check_code(history)
            yield
            ledger.tidy()
            self._record_start(ledger, history.last_start.environment, history.last_start.jobs)
        history = read_history(self.workspace.journal)
        collect(self.workspace, history, self.tell)
        return history

    def _check_set_up(self, history: History, environment: Environment) -> None:
        where = str(self.workspace.folder)
        for change in check_environment(history.first_start, environment, where, self.allow_mixed):
            self.tell(Noticed(f"warning: another set-up than this sweep began with ({change}): its trials are marked"))

    def _choose_jobs(
        self, ledger: Ledger, executor: Executor, environment: Environment, stop: StopRequest
    ) -> Environment:
        """Let the Workers go that are too many, and say so; where the one that stays computes."""
        choice = choose(executor, ledger, self.threads_alone, stop, self.is_local)
        executor.keep(choice.jobs)
        threads = self.prepare_job.threads
        if choice.is_alone and self.threads_alone is not None:
            threads = self.threads_alone
            environment = executor.prepare(self.prepare_job.model_copy(update={"threads": threads}), stop)
        self.tell(Noticed(f"--jobs auto: {counted(choice.jobs, threads)}{choice.why}"))
        return environment

    def _check_code(self, history: History) -> None:
        """Where nothing is left to train: results of another code are no answer for this one."""
        if self.code_sha256 is not None and history.first_start is not None:
            first = history.first_start.environment
            self._check_set_up(history, first.model_copy(update={"code_sha256": self.code_sha256}))

    def _tell_damage(self, history: History, ledger: Ledger) -> None:
        """Say which records were ignored, and what runs again for it, as far as that can still be read in them."""
        if not (count := len(history.damaged_lines)):
            return
        lines = ", ".join(map(str, history.damaged_lines))
        again = [stage_name(stage) for stage in ledger.plan.stages if stage.id in history.damaged_stages]
        which = "; ".join(again) or ("what it held" if count == 1 else "what they held")
        records = f"{count} damaged record{'s' if count > 1 else ''} ({self.workspace.journal}:{lines})"
        self.tell(Noticed(f"ignored {records}; {which} runs again"))

    def _train(
        self, ledger: Ledger, executor: Executor, environment: Environment, stop: StopRequest
    ) -> Generator[None, None, None]:
        """Train what is planned; what had nothing to begin with is planned once more, from what there is then."""
        retries = Retries(self.num_retries, ledger.history)
        is_command = self.plan.loaded.recipe.kind == "command"  # it saves what it likes
        saves = self.prepare_job.checkpoint_every is not None and not is_command
        had: dict[str, str] = {}
        while True:
            self._record_start(ledger, environment, executor.capacity)
            dispatch = Dispatch(
                executor, ledger.plan, ledger, retries, saves, self.tell, stop, self.turn, self.allowance
            )
            orphans = yield from dispatch.looks()
            if not orphans or stop.signal_number is not None:
                return
            if lost := orphans.keys() & had.keys():
                raise MachineError(_no_state(orphans[lost.pop()], self.workspace))
            had |= orphans
            for reason in orphans.values():
                self.tell(
                    Noticed(f"a state that others go on from is gone ({reason}): its steps are trained once more")
                )
            ledger.plan_anew()

    def _hand_out(self, ledger: Ledger, executor: Executor, environment: Environment, stop: StopRequest) -> None:
        """Submit all that is planned, a Stage that follows on another one after that, and leave it to be trained."""
        self._record_start(ledger, environment, executor.capacity)
        stages = sorted(ledger.plan.stages, key=lambda stage: stage.start_step)
        for stage in stages:
            stop.raise_if_requested()
            executor.submit(ledger.job(stage))
        count = f"{len(stages)} stage{'s are' if len(stages) > 1 else ' is'}"
        how = "without --detach the same command stays with them"
        self.tell(Noticed(f"{count} left to the cluster; the same command collects what is done, {how}"))

    def _record_start(self, ledger: Ledger, environment: Environment, jobs: int) -> None:
        """Write down what is asked for, unless the journal says exactly this already."""
        recipe, last = self.plan.loaded.recipe, ledger.history.last_start
        record = StartRecord(
            started_at=utc_now(),
            recipe_name=self.plan.loaded.name,
            recipe=recipe.model_dump(mode="json"),
            fingerprint=recipe.fingerprint,
            trials=ledger.entries,
            order_seed=self.plan.order_seed,
            jobs=jobs,
            price=self.price if self.price is not None or last is None else last.price,
            environment=environment,
            chosen_for=self.chosen_for,
        )
        news = ("trials", "jobs", "price", "environment", "chosen_for")
        if last is None or any(getattr(last, field) != getattr(record, field) for field in news):
            ledger.start(record)

    def _tell_start(self, ledger: Ledger) -> None:
        stages, trials = ledger.plan.stages, ledger.entries
        saved = sum(ledger.steps_saved(stage) for stage in stages)
        steps = sum(stage.num_steps for stage in stages)
        alone = sum(entry.num_steps for entry in trials if entry.key in ledger.plan.paths)
        interrupted = sum(ledger.is_interrupted(stage) for stage in stages)
        started = SweepStarted(
            name=self.workspace.name,
            num_trials=len(trials),
            num_done=ledger.num_done,
            num_steps=steps - saved,
            num_interrupted=interrupted,
            num_shared=alone - steps,
            metric=self.plan.loaded.recipe.metric,
            unit="epochs" if self.plan.loaded.recipe.kind == "command" else "steps",
        )
        self.tell(started)


def _no_state(reason: str, workspace: Workspace) -> Problem:
    return Problem(
        f"the state that several trials go on from cannot be kept ({reason})",
        where=str(workspace.states),
        fix="free some space and run the same command again, or train each trial alone with --no-share",
    )
