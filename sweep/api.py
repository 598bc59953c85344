"""What the command line calls: one function for each thing that can be asked for. See functions.py for Python's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.errors import Complaints, Interrupted, MachineError, Outcome, Problem, UsageError
from sweep.events import Event, Listener, Noticed, SweepEnded
from sweep.plan.command import EXAMPLES_OF_A_COMMAND
from sweep.plan.scaled import ScaledRecipe, scale
from sweep.plan.stages import Plan, make_plan
from sweep.plan.values import column_names, step_values
from sweep.recipe.datasets import DATASETS
from sweep.recipe.duration import Ratio
from sweep.recipe.imports.draft import Imported
from sweep.recipe.library import LoadedRecipe
from sweep.recipe.schema import Recipe
from sweep.recipe.spelling import nearest
from sweep.request import Asked, SweepRequest, load_requested, read_request
from sweep.run.ask import ask
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
        finished = {result.entry.key for result in self.history.results if result.outcome is Outcome.FINISHED}
        return sum(trial.key in finished for trial in self.plan.trials)

    @property
    def is_complete(self) -> bool:
        """Whether all of them have."""
        return self.num_finished == len(self.plan.trials)


def plan_sweep(request: SweepRequest) -> Plan:
    """What `request` would train. Needs neither the data nor torch, but for what is the user's own: a task, or folders
    of images, which are counted. Writes nothing.

    Raises:
        UsageError: with every mistake in the options and in the recipe, and in the code that it names.
        MachineError: what has to be asked of the data cannot be.
    """
    return _plan(read_request(request))[0]


def _plan(asked: Asked) -> tuple[Plan, str | None]:
    """The plan, and the hash of the code that a task names."""
    loaded = asked.loaded
    num_examples, code_sha256 = _examine(loaded, asked.request.device)
    return make_plan(loaded, asked.ratios, asked.request.seeds, num_examples, asked.request.share), code_sha256


def _examine(loaded: LoadedRecipe, device: str) -> tuple[int, str | None]:
    """How many examples there are to train on, and the hash of a task's code: a Worker is asked for a task's."""
    recipe = loaded.recipe
    if recipe.kind == "command":
        return EXAMPLES_OF_A_COMMAND, None
    if recipe.kind == "builtin":
        return _num_images(recipe), None
    prepared = ask(_prepare_job(loaded, device, recipe.threads or 1))
    placed = [replace(mistake, where=loaded.place(mistake.key or "task")) for mistake in prepared.mistakes]
    environment = prepared.model_copy(update={"mistakes": tuple(placed)}).raise_any()
    assert prepared.num_examples is not None
    return prepared.num_examples, environment.code_sha256


def _num_images(recipe: Recipe) -> int:
    """How many its dataset has to train on: of a user's own folders, as many as are there."""
    dataset, data_path = DATASETS[recipe.builtin_dataset], Path(recipe.data_path)
    if dataset.is_open and (problems := dataset.problems(data_path)):
        raise MachineError(problems)
    num_train = dataset.counted(data_path).num_train
    assert num_train is not None
    return num_train


def _prepare_job(loaded: LoadedRecipe, device: str, threads: int) -> PrepareJob:
    folders = (loaded.path.resolve().parent, Path.cwd())
    recipe = loaded.recipe.model_dump(mode="json")
    return PrepareJob(recipe=recipe, device=device, threads=threads, folders=tuple(map(str, folders)))


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
    return scale(loaded, ratio, _examine(loaded, "cpu")[0])


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
    (plan, code_sha256), workspace = _plan(asked), asked.workspace
    placement, remarks = _place(asked)
    with StopRequest() as stop:
        if request.fresh:
            _set_aside(workspace, tell)
        with workspace.locked():
            for remark in (*(f"warning: {warning}" for warning in plan.warnings), *remarks):
                tell(Noticed(remark))
            session = _session(asked, plan, code_sha256, placement, make_executor, tell)
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
    code_sha256: str | None,
    placement: Placement,
    make_executor: Callable[[Workspace, Placement, float | None], Executor],
    tell: Listener,
) -> Session:
    recipe, workspace = plan.loaded.recipe, asked.workspace
    return Session(
        plan=plan,
        code_sha256=code_sha256,
        workspace=workspace,
        make_executor=lambda num: make_executor(workspace, placement.at_most(num), asked.stall_timeout),
        prepare_job=_prepare_job(plan.loaded, placement.device, placement.threads).model_copy(
            update={
                "workspace": str(workspace.folder.absolute()),
                "checkpoint_every": asked.checkpoint_every,
                "stall_timeout": asked.stall_timeout,
            }
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
