"""What the command line and a user's own Python call: one function for each thing that can be asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.errors import Complaints, Interrupted, Problem, UsageError
from sweep.events import Event, Listener, Noticed, SweepEnded
from sweep.plan.scaled import ScaledRecipe, scale
from sweep.plan.stages import Plan, make_plan
from sweep.recipe.datasets import DATASETS
from sweep.recipe.duration import Ratio, parse_ratios
from sweep.recipe.library import LoadedRecipe, Override, load_recipe, parse_settings
from sweep.recipe.schema import nearest
from sweep.run.executors.local import LocalExecutor
from sweep.run.executors.protocol import Executor
from sweep.run.placement import Placement, num_cores, parse_jobs, place, visible_gpus
from sweep.run.session import Session
from sweep.run.stop import StopRequest
from sweep.store.durable import replacing
from sweep.store.history import History, read_history
from sweep.store.records import PrepareJob
from sweep.store.workspace import Workspace, open_writable

_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,3})?")
_MAX_SEEDS = 1000
_MAX_RETRIES = 100
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


@dataclass(frozen=True)
class SweepRequest:
    """What is asked of `sweep run` and `sweep plan`, as it was typed. None leaves a key to the recipe.

    `ratios` is a text such as "0.25,0.5,1.0" or "0.1:1:0.1"; `seeds` counts them from the recipe's own; `price` is
    dollars for an hour of one device; `settings` are "key=value" texts; `name` defaults to the recipe's; `jobs` is how
    many trials are trained at a time, or "auto". Only `sweep run` asks for `retries`, how often a trial whose worker
    was lost is trained again, and `checkpoint_every`, seconds of training between checkpoints, or "never".
    """

    recipe: str = "digits"
    ratios: str = "0.25,0.5,1.0"
    seeds: int = 1
    method: str | None = None
    device: str = "auto"
    jobs: int | str = 1
    threads: int | None = None
    data_path: str | None = None
    price: float | None = None
    results: Path = Path("results")
    name: str | None = None
    fresh: bool = False
    settings: tuple[str, ...] = ()
    retries: int = 1
    checkpoint_every: float | str = 60


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
    complaints = Complaints()
    loaded: LoadedRecipe | None = None
    ratios: tuple[Ratio, ...] = ()
    with complaints:
        loaded = _load(request)
    with complaints:
        ratios = parse_ratios(request.ratios)
    with complaints:
        _check_options(request)
    with complaints:
        _workspace(request, loaded.name if loaded else "recipe")
    complaints.raise_any()
    assert loaded is not None
    return make_plan(loaded, ratios, request.seeds, DATASETS[loaded.recipe.dataset].num_train)


def scale_recipe(recipe: str, ratio: str, method: str | None = None, settings: tuple[str, ...] = ()) -> ScaledRecipe:
    """The recipe which at ratio 1 is what `recipe`, changed by `settings`, is at `ratio`. Writes nothing.

    Raises:
        UsageError: with every mistake in the options and in the recipe, and with what no recipe can say.
    """
    complaints = Complaints()
    loaded: LoadedRecipe | None = None
    parsed: Ratio | None = None
    with complaints:
        loaded = _load(SweepRequest(recipe, method=method, settings=settings))
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


def _load(request: SweepRequest) -> LoadedRecipe:
    overrides: tuple[Override, ...] = ()
    loaded: LoadedRecipe | None = None
    complaints = Complaints()
    with complaints:
        overrides = _overrides(request)
    with complaints:
        loaded = load_recipe(request.recipe, overrides)
    complaints.raise_any()
    assert loaded is not None
    return loaded


def _overrides(request: SweepRequest) -> tuple[Override, ...]:
    """The keys that `--set` and the options of their own name give; each may be given once."""
    settings = parse_settings(request.settings)
    options = {key: getattr(request, key) for key in ("method", "threads", "price", "data_path")}
    given = tuple(
        Override(key, value, f"--{key.replace('_', '-')}") for key, value in options.items() if value is not None
    )
    places = {option.key: option.place for option in given}
    if twice := [setting.key for setting in settings if setting.key in places]:
        raise UsageError(
            [Problem(f"given twice, by --set and by {places[key]}", where="--set", key=key) for key in twice]
        )
    return (*settings, *given)


def _check_options(request: SweepRequest) -> None:
    complaints = Complaints()
    with complaints:
        parse_jobs(str(request.jobs))
    with complaints:
        _parse_checkpoint_every(str(request.checkpoint_every))
    problems = complaints.problems
    if not 1 <= request.seeds <= _MAX_SEEDS:
        problems.append(Problem(f"{request.seeds} is not a number of seeds from 1 to {_MAX_SEEDS}", where="--seeds"))
    if not 0 <= request.retries <= _MAX_RETRIES:
        message = f"{request.retries} is not a number of retries from 0 to {_MAX_RETRIES}"
        problems.append(Problem(message, where="--retries"))
    if not _DEVICE.fullmatch(request.device):
        problems.append(Problem(f"{request.device!r} is no device", where="--device", fix="auto, cpu, cuda or cuda:1"))
    if problems:
        raise UsageError(problems)


def _parse_checkpoint_every(text: str) -> float | None:
    """Seconds, or None where no checkpoint is to be written."""
    if text == "never":
        return None
    if not _SECONDS.fullmatch(text):
        raise UsageError(Problem(f"{text!r} is no number of seconds", "--checkpoint-every", fix="write 60 or never"))
    return float(text) or None


def _workspace(request: SweepRequest, recipe_name: str) -> Workspace:
    """The folder that the sweep goes to; a recipe's name may be none for a folder."""
    if request.name is not None:
        return open_writable(request.results, request.name)
    try:
        return open_writable(request.results, recipe_name, where=request.recipe)
    except UsageError as error:
        raise UsageError([replace(problem, fix="give one with --name") for problem in error.problems]) from None


def run_sweep(
    request: SweepRequest,
    tell: Listener = lambda event: None,
    make_executor: Callable[[Workspace, Placement], Executor] = LocalExecutor,
) -> SweepRun:
    """Train what `request` asks for and is not trained yet; `tell` hears of every event.

    A signal to stop ends it early, with everything recorded that was done.

    Raises:
        UsageError: with every mistake in the options and in the recipe, or when the folder holds another sweep.
        MachineError: data, disk, lock or device.
        SweepError: it gave up, since the first attempts at several trials crashed alike.
    """
    plan = plan_sweep(request)
    workspace = _workspace(request, plan.loaded.name)
    placement, remarks = _place(request, plan.loaded, workspace)
    with StopRequest() as stop:
        if request.fresh:
            _set_aside(workspace, tell)
        with workspace.locked():
            for remark in (*(f"warning: {warning}" for warning in plan.warnings), *remarks):
                tell(Noticed(remark))
            session = _session(request, plan, workspace, placement, make_executor, tell)
            try:
                history = session.run(stop)
            except Interrupted:
                history = read_history(workspace.journal)
    done = SweepRun(plan, workspace, history, stop.signal_number)
    tell(SweepEnded(workspace.name, len(plan.trials), done.num_finished, done.stopped_by))
    return done


def _session(
    request: SweepRequest,
    plan: Plan,
    workspace: Workspace,
    placement: Placement,
    make_executor: Callable[[Workspace, Placement], Executor],
    tell: Listener,
) -> Session:
    recipe = plan.loaded.recipe
    return Session(
        plan=plan,
        workspace=workspace,
        make_executor=lambda num_stages: make_executor(workspace, placement.at_most(num_stages)),
        prepare_job=PrepareJob(
            recipe=recipe.model_dump(mode="json"),
            device=placement.device,
            threads=placement.threads,
            workspace=str(workspace.folder.absolute()),
            checkpoint_every=_parse_checkpoint_every(str(request.checkpoint_every)),
        ),
        price=recipe.price,
        num_retries=request.retries,
        tell=tell,
    )


def _place(request: SweepRequest, loaded: LoadedRecipe, workspace: Workspace) -> tuple[Placement, list[str]]:
    """Where the sweep computes, and what there is to say of it.

    A sweep keeps the number of threads that its first run has fixed, unless an option asks for another one.
    """
    jobs = parse_jobs(str(request.jobs))
    gpus = visible_gpus() if jobs != 1 and request.device != "cpu" else ()
    first = None if request.fresh else read_history(workspace.journal).first_start
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
