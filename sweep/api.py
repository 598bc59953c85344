"""What the command line calls: one function for each thing that can be asked for. See functions.py for Python's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import Complaints, Interrupted, MachineError, Outcome, Problem, SweepError, UsageError, joined
from sweep.events import Event, Listener, Noticed, SweepEnded
from sweep.piloting import speed_of
from sweep.placing import place_asked
from sweep.plan.scaled import ScaledRecipe, scale
from sweep.plan.stages import Plan
from sweep.plan.values import column_names, step_values
from sweep.planning import examine, prepare_job
from sweep.planning import plan_sweep as plan_sweep
from sweep.recipe.datasets import DATASETS
from sweep.recipe.duration import Ratio
from sweep.recipe.imports.draft import Imported
from sweep.recipe.library import LoadedRecipe
from sweep.recipe.spelling import nearest
from sweep.report.approximation import approximation_notes, is_approximate
from sweep.request import Asked, SweepRequest, load_requested, read_request
from sweep.run import engine
from sweep.run.allowance import Allowance
from sweep.run.engine import EngineName, MakeExecutor
from sweep.run.executors.protocol import Executor
from sweep.run.keep import Keep
from sweep.run.placement import Placement
from sweep.run.session import Session
from sweep.run.side_by_side import train_side_by_side
from sweep.run.stop import StopRequest
from sweep.run.turns import Turn, Turns
from sweep.store.durable import replacing
from sweep.store.history import History, read_history
from sweep.store.journal import append
from sweep.store.queue import refuse_if_out
from sweep.store.records import PilotRecord
from sweep.store.workspace import Workspace
from sweep.together import check_threads, plan_together
from sweep.within import Measure, check_data, grant


@dataclass(frozen=True)
class SweepRun:
    """What came of a sweep: `history` is what its journal says, `stopped_by` the signal that ended it early."""

    plan: Plan
    workspace: Workspace
    history: History
    stopped_by: int | None
    num_left: int = 0  # trials that were not begun, since they would not fit into the budget

    @property
    def num_finished(self) -> int:
        """How many of the trials that were asked for have finished."""
        finished = {result.entry.key for result in self.history.results if result.outcome is Outcome.FINISHED}
        return sum(trial.key in finished for trial in self.plan.trials)

    @property
    def is_complete(self) -> bool:
        """Whether all of them have."""
        return self.num_finished == len(self.plan.trials)

    @property
    def is_as_asked(self) -> bool:
        """Whether all of them have that fit into the budget."""
        return self.num_finished + self.num_left == len(self.plan.trials)


@dataclass(frozen=True)
class SweepRuns:
    """What came of sweeps that trained side by side; `error` is why some of them gave up."""

    runs: tuple[SweepRun, ...]
    error: SweepError | None


def scale_recipe(recipe: str, ratio: str, method: str | None = None, settings: tuple[str, ...] = ()) -> ScaledRecipe:
    """The recipe which at ratio 1 is what `recipe`, changed by `settings`, is at `ratio`. Writes nothing.

    Raises:
        UsageError: with every mistake in the options and in the recipe, and with what no recipe can say.
    """
    complaints = Complaints()
    loaded: LoadedRecipe | None = None
    parsed: Ratio | None = None
    with complaints:
        loaded = load_requested(SweepRequest(recipe, method=method, settings=settings))
    with complaints:
        parsed = _parse_ratio(ratio)
    complaints.raise_any()
    assert loaded is not None
    assert parsed is not None
    return scale_loaded(loaded, parsed)


def scale_loaded(loaded: LoadedRecipe, ratio: Ratio) -> ScaledRecipe:
    """The recipe which at ratio 1 is what `loaded` is at `ratio`.

    Raises:
        RecipeError: with everything that cannot be trained, or cannot be said in a recipe.
    """
    _refuse_command(loaded, "a command is no recipe that can be written at a ratio: sweep plan shows its arguments")
    return scale(loaded, ratio, examine(loaded, "cpu")[0])


def _refuse_command(loaded: LoadedRecipe, message: str, fix: str | None = None) -> None:
    if loaded.recipe.kind == "command":
        raise UsageError(Problem(message, loaded.place("command"), "command", fix=fix))


def _parse_ratio(text: str) -> Ratio:
    try:
        return Ratio.parse(text)
    except ValueError as error:
        raise UsageError(Problem(str(error), where="--ratio")) from None


def import_recipe(source: str, gpus: int | None = None, output: Path | None = None) -> Imported:
    """The recipe of a command of torchvision's reference script, or of the args.yaml that timm's train.py writes.

    It is written to `output`, where that is given; `gpus` says on how many it trains, where `source` does not.

    Raises:
        UsageError: with everything in `source` that is wrong.
        MachineError: `output` cannot be written.
    """
    from sweep.recipe.imports.source import import_recipe

    imported = import_recipe(source, gpus)
    if output is not None:
        with replacing(output) as file:
            file.write(imported.text)
    return imported


def run_request(
    request: SweepRequest,
    tell: Listener = lambda event: None,
    make_executor: MakeExecutor | None = None,
    meanwhile: Callable[[], None] = lambda: None,
    measure: Measure = speed_of,
) -> SweepRun:
    """Train what `request` asks for and is not trained yet; `tell` hears of every event.

    `make_executor` makes other Workers than those of the engine that is asked for; `meanwhile` is called before they
    start, which takes a while. `measure` finds out how fast it trains, where there is a budget: by a pilot.

    A signal to stop ends it early, with everything recorded that was done.

    Raises:
        UsageError: with every mistake in the options and in the recipe, or when the folder holds another sweep.
        MachineError: data, disk, lock or device.
        SweepError: it gave up, since the first attempts at several trials ended alike.
    """
    read = read_request(request)
    check_data(read)
    granted = grant(read, tell, measure)
    asked, plan, allowance = granted.asked, granted.plan, granted.allowance
    workspace = asked.workspace
    placement, remarks = place_asked(asked, plan)
    devices_per_trial = asked.loaded.recipe.devices_per_trial
    make = make_executor or engine.make_executor(asked.engine, asked.jobs is None, devices_per_trial)
    with StopRequest() as stop:
        if request.fresh:
            _set_aside(workspace, tell)
        with workspace.locked():
            _tell_remarks(plan, remarks, tell)
            session = _session(asked, plan, granted.code_sha256, placement, make, meanwhile, tell, allowance)
            try:
                history = session.run(stop)
            except Interrupted:
                history = read_history(workspace.journal)
    done = SweepRun(plan, workspace, history, stop.signal_number, allowance.num_left if allowance else 0)
    _tell_end(done, tell)
    return done


def run_together(
    requests: Sequence[SweepRequest],
    tell_of: Callable[[str], Listener] = lambda name: lambda event: None,
    make_executor: MakeExecutor | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> SweepRuns:
    """Train what each of `requests` asks for, of recipes that are to be compared, side by side: `jobs` at a time of all
    of them together, which take turns. `tell_of` a sweep's name hears of its events. Else as `run_request`.

    Raises:
        SweepError: with all that is wrong with any of them, before anything trains.
    """
    planned = plan_together(requests)
    placed = [place_asked(asked, plan) for asked, plan, _ in planned]
    if not requests[0].allow_mixed:
        pairs = zip(planned, placed, strict=True)
        check_threads({asked.workspace.name: placement.threads for (asked, *_), (placement, _) in pairs})
    make, turns = make_executor or engine.make_executors_beside(), Turns(placed[0][0].jobs)
    with StopRequest() as stop, ExitStack() as locks:
        for asked, *_ in planned:
            asked.workspace.check_free()  # before any is set aside
        sessions = []
        for (asked, plan, code_sha256), (placement, remarks) in zip(planned, placed, strict=True):
            tell = tell_of(asked.workspace.name)
            if asked.request.fresh:
                _set_aside(asked.workspace, tell)
            locks.enter_context(asked.workspace.locked())
            _tell_remarks(plan, remarks, tell)
            sessions.append(_session(asked, plan, code_sha256, placement, make, meanwhile, tell, turn=turns.join()))
        errors = train_side_by_side(sessions, stop)
        runs = tuple(
            SweepRun(session.plan, session.workspace, read_history(session.workspace.journal), stop.signal_number)
            for session in sessions
        )
    for session, done in zip(sessions, runs, strict=True):
        _tell_end(done, session.tell)
    return SweepRuns(runs, joined(errors) if errors else None)


def _tell_remarks(plan: Plan, remarks: Sequence[str], tell: Listener) -> None:
    approximate = approximation_notes() if is_approximate(plan.loaded.recipe.method) else []
    for remark in (*(f"warning: {warning}" for warning in plan.warnings), *remarks, *approximate):
        tell(Noticed(remark))


def _tell_end(done: SweepRun, tell: Listener) -> None:
    tell(SweepEnded(done.workspace.name, len(done.plan.trials), done.num_finished, done.stopped_by))


def _session(
    asked: Asked,
    plan: Plan,
    code_sha256: str | None,
    placement: Placement,
    make_executor: MakeExecutor,
    meanwhile: Callable[[], None],
    tell: Listener,
    allowance: Allowance | None = None,
    turn: Turn | None = None,
) -> Session:
    """`turn` is its own among the sweeps that train beside it: then it has a Worker for whichever seat is free."""
    recipe, workspace = plan.loaded.recipe, asked.workspace

    def make(num_stages: int) -> Executor:
        meanwhile()
        placed = placement.at_most(num_stages) if turn is None else placement
        return make_executor(workspace, placed, asked.stall_timeout)

    return Session(
        plan=plan,
        code_sha256=code_sha256,
        workspace=workspace,
        make_executor=make,
        chooses_jobs=asked.jobs is None,
        is_local=asked.engine.name is EngineName.LOCAL,
        threads_alone=placement.threads_alone,
        prepare_job=prepare_job(plan.loaded, placement.device, placement.threads).model_copy(
            update={
                "workspace": str(workspace.folder.absolute()),
                "checkpoint_every": asked.checkpoint_every,
                "stall_timeout": asked.stall_timeout,
                "shares_device": placement.jobs_per_device > 1 or asked.engine.shares_gpus,
            }
        ),
        price=recipe.price,
        num_retries=asked.request.retries,
        keep=Keep(asked.request.keep),
        allow_mixed=asked.request.allow_mixed,
        tell=tell,
        attaches=asked.engine.name is EngineName.SLURM,
        detach=asked.engine.detach,
        allowance=allowance,
        chosen_for=asked.chosen_for,
        turn=turn or Turns().join(),
    )


def _set_aside(workspace: Workspace, tell: Callable[[Event], None]) -> None:
    if not workspace.journal.exists():
        return
    pilots: tuple[PilotRecord, ...] = ()
    with workspace.locked():
        refuse_if_out(workspace)
        with suppress(MachineError):  # of a newer version
            history = read_history(workspace.journal)
            pilots = history.pilots
            if pilots and not history.starts and not history.damaged_lines:
                return
        target = workspace.set_aside()
    tell(Noticed(f"set the old results aside as {target}"))
    if pilots:  # they are of the recipe and the machine, and no results
        with workspace.locked():
            append(workspace.journal, *pilots)


def write_rates(plan: Plan, path: Path) -> None:
    """Write every step's learning rate as CSV: ratio,step,epoch,lr and what methods schedule, the numbers by repr.

    Raises:
        UsageError: the recipe's command has rates of its own.
        MachineError: the file cannot be written.
    """
    _refuse_command(plan.loaded, "the rates of a command are its own", "leave out --rates")
    with replacing(path) as file:
        file.write(",".join(("ratio", "step", "epoch", *column_names(plan.timelines[0]))) + "\n")
        for timeline in plan.timelines:
            lengths = timeline.lengths
            ratio = repr(float(lengths.ratio.value))
            for start, rates in timeline.spans():
                columns = step_values(timeline, start, start + len(rates)).values()
                for step, row in enumerate(zip(*columns, strict=True), start):
                    values = ",".join(map(repr, row))
                    file.write(f"{ratio},{step},{step / lengths.steps_per_epoch!r},{values}\n")


def get_data(name: str, data_path: str) -> str:
    """Get a dataset's files, or find them there; says in a few words where they came from.

    Raises:
        UsageError: no such dataset.
        MachineError: it cannot be had, or `data_path` cannot be written.
    """
    from sweep.train.fetch import fetch

    if name not in DATASETS:
        message = f"there is no dataset {name!r}{nearest(name, DATASETS)}"
        raise UsageError(Problem(message, where="NAME", fix=f"known: {', '.join(DATASETS)}"))
    return fetch(DATASETS[name], Path(data_path))
