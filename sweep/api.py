"""What the command line and a user's own Python call: one function for each thing that can be asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import Complaints, Interrupted, Problem, UsageError
from sweep.events import Event, Listener, Noticed, SweepEnded
from sweep.plan.scaled import ScaledRecipe, scale
from sweep.plan.stages import Plan, make_plan
from sweep.recipe.datasets import DATASETS
from sweep.recipe.duration import Ratio
from sweep.recipe.library import LoadedRecipe
from sweep.recipe.schema import nearest
from sweep.request import Asked, SweepRequest, load_requested, read_request
from sweep.run.executors.local import LocalExecutor
from sweep.run.executors.protocol import Executor
from sweep.run.keep import Keep
from sweep.run.placement import Placement, num_cores, place, visible_gpus
from sweep.run.session import Session
from sweep.run.stop import StopRequest
from sweep.store.durable import replacing
from sweep.store.history import History, read_history
from sweep.store.records import PrepareJob
from sweep.store.workspace import Workspace


@dataclass(frozen=True)
class SweepRun:
    """What came of a sweep: `history` is what its journal says, `stopped_by` the signal that ended it early."""

    plan: Plan
    workspace: Workspace
    history: History
    stopped_by: int | None

    @property
    def num_finished(self) -> int:
        """How many of the trials that were asked for have finished."""
        finished = {result.entry.key for result in self.history.results if result.accuracy is not None}
        return sum(trial.key in finished for trial in self.plan.trials)

    @property
    def is_complete(self) -> bool:
        """Whether all of them have."""
        return self.num_finished == len(self.plan.trials)


def plan_sweep(request: SweepRequest) -> Plan:
    """What `request` would train. Needs neither the data nor torch, and writes nothing.

    Raises:
        UsageError: with every mistake in the options and in the recipe.
    """
    return _plan(read_request(request))


def _plan(asked: Asked) -> Plan:
    loaded = asked.loaded
    num_examples = DATASETS[loaded.recipe.dataset].num_train
    return make_plan(loaded, asked.ratios, asked.request.seeds, num_examples, asked.request.share)


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
    return scale(loaded, parsed, DATASETS[loaded.recipe.dataset].num_train)


def _parse_ratio(text: str) -> Ratio:
    try:
        return Ratio.parse(text)
    except ValueError as error:
        raise UsageError(Problem(str(error), where="--ratio")) from None


def run_sweep(
    request: SweepRequest,
    tell: Listener = lambda event: None,
    make_executor: Callable[[Workspace, Placement, float | None], Executor] = LocalExecutor,
) -> SweepRun:
    """Train what `request` asks for and is not trained yet; `tell` hears of every event.

    A signal to stop ends it early, with everything recorded that was done.

    Raises:
        UsageError: with every mistake in the options and in the recipe, or when the folder holds another sweep.
        MachineError: data, disk, lock or device.
        SweepError: it gave up, since the first attempts at several trials ended alike.
    """
    asked = read_request(request)
    plan, workspace = _plan(asked), asked.workspace
    placement, remarks = _place(asked)
    with StopRequest() as stop:
        if request.fresh:
            _set_aside(workspace, tell)
        with workspace.locked():
            for remark in (*(f"warning: {warning}" for warning in plan.warnings), *remarks):
                tell(Noticed(remark))
            session = _session(asked, plan, placement, make_executor, tell)
            try:
                history = session.run(stop)
            except Interrupted:
                history = read_history(workspace.journal)
    done = SweepRun(plan, workspace, history, stop.signal_number)
    tell(SweepEnded(workspace.name, len(plan.trials), done.num_finished, done.stopped_by))
    return done


def _session(
    asked: Asked,
    plan: Plan,
    placement: Placement,
    make_executor: Callable[[Workspace, Placement, float | None], Executor],
    tell: Listener,
) -> Session:
    recipe, workspace = plan.loaded.recipe, asked.workspace
    return Session(
        plan=plan,
        workspace=workspace,
        make_executor=lambda num: make_executor(workspace, placement.at_most(num), asked.stall_timeout),
        prepare_job=PrepareJob(
            recipe=recipe.model_dump(mode="json"),
            device=placement.device,
            threads=placement.threads,
            workspace=str(workspace.folder.absolute()),
            checkpoint_every=asked.checkpoint_every,
        ),
        price=recipe.price,
        num_retries=asked.request.retries,
        keep=Keep(asked.request.keep),
        allow_mixed=asked.request.allow_mixed,
        tell=tell,
    )


def _place(asked: Asked) -> tuple[Placement, list[str]]:
    """Where the sweep computes, and what there is to say of it.

    A sweep keeps the number of threads that its first run has fixed, unless an option asks for another one.
    """
    request, loaded, jobs = asked.request, asked.loaded, asked.jobs
    gpus = visible_gpus() if jobs != 1 and request.device != "cpu" else ()
    first = None if request.fresh else read_history(asked.workspace.journal).first_start
    threads, remarks = loaded.recipe.threads, []
    is_asked_for = loaded.places.get("threads") in ("--threads", "--set")
    if first is not None and not is_asked_for:
        if threads not in (None, first.environment.threads):
            remarks = [
                f"threads: {first.environment.threads}, as in this sweep's first run (the recipe says {threads})"
            ]
        threads = first.environment.threads
    placement = place(jobs, request.device, threads, num_cores(), gpus)
    return placement, [*remarks, *(f"warning: {problem}" for problem in _crowding(placement))]


def _crowding(placement: Placement) -> list[Problem]:
    wanted = placement.jobs * placement.threads
    if wanted <= num_cores():
        return []
    where = "--jobs" if placement.jobs > 1 else "--threads"
    return [Problem(f"{wanted} threads on {num_cores()} cores get into each other's way", where, fix="take fewer")]


def _set_aside(workspace: Workspace, tell: Callable[[Event], None]) -> None:
    if workspace.journal.exists():
        with workspace.locked():
            target = workspace.set_aside()
        tell(Noticed(f"set the old results aside as {target}"))


def write_rates(plan: Plan, path: Path) -> None:
    """Write every step's learning rate as CSV: ratio,step,epoch,lr, the numbers by repr.

    Raises:
        MachineError: the file cannot be written.
    """
    with replacing(path) as file:
        file.write("ratio,step,epoch,lr\n")
        for timeline in plan.timelines:
            lengths = timeline.lengths
            ratio = repr(float(lengths.ratio.value))
            for start, rates in timeline.spans():
                for step, rate in enumerate(rates.tolist(), start):
                    file.write(f"{ratio},{step},{step / lengths.steps_per_epoch!r},{rate!r}\n")


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
