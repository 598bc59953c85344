"""What the command line and a user's own Python call: one function for each thing that can be asked for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.errors import Complaints, Interrupted, MachineError, Problem, UsageError
from sweep.events import Event, Listener, Noticed
from sweep.plan.stages import Plan, make_plan
from sweep.recipe.datasets import DATASETS
from sweep.recipe.duration import Ratio, parse_ratios
from sweep.recipe.library import LoadedRecipe, Override, load_recipe, parse_settings
from sweep.run.executors.local import LocalExecutor
from sweep.run.executors.protocol import Executor
from sweep.run.session import Session
from sweep.run.stop import StopRequest
from sweep.store.durable import replacing
from sweep.store.history import History, read_history
from sweep.store.records import PrepareJob
from sweep.store.workspace import Workspace, list_workspaces, open_workspace

_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,3})?")
_MAX_SEEDS = 1000


@dataclass(frozen=True)
class SweepRequest:
    """What is asked of `sweep run` and `sweep plan`, as it was typed. None leaves a key to the recipe.

    `ratios` is a text such as "0.25,0.5,1.0" or "0.1:1:0.1"; `seeds` counts them from the recipe's own; `price` is
    dollars for an hour of one device; `settings` are "key=value" texts; `name` defaults to the recipe's.
    """

    recipe: str = "digits"
    ratios: str = "0.25,0.5,1.0"
    seeds: int = 1
    method: str | None = None
    device: str = "auto"
    threads: int | None = None
    price: float | None = None
    results: Path = Path("results")
    name: str | None = None
    fresh: bool = False
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class SweepRun:
    """What came of a sweep: `history` is what its journal says, `stopped_by` the signal that ended it early."""

    plan: Plan
    workspace: Workspace
    history: History
    stopped_by: int | None

    @property
    def is_complete(self) -> bool:
        """Whether every trial that was asked for has finished."""
        finished = {result.entry.key for result in self.history.results if result.accuracy is not None}
        return all(trial.key in finished for trial in self.plan.trials)


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
    options = {"method": request.method, "threads": request.threads, "price": request.price}
    given = tuple(Override(key, value, f"--{key}") for key, value in options.items() if value is not None)
    twice = {setting.key for setting in settings} & {option.key for option in given}
    if twice:
        raise UsageError([Problem(f"given twice, by --set and by --{key}", where="--set", key=key) for key in twice])
    return (*settings, *given)


def _check_options(request: SweepRequest) -> None:
    problems = []
    if not 1 <= request.seeds <= _MAX_SEEDS:
        problems.append(Problem(f"{request.seeds} is not a number of seeds from 1 to {_MAX_SEEDS}", where="--seeds"))
    if not _DEVICE.fullmatch(request.device):
        problems.append(Problem(f"{request.device!r} is no device", where="--device", fix="auto, cpu, cuda or cuda:1"))
    if problems:
        raise UsageError(problems)


def _workspace(request: SweepRequest, recipe_name: str) -> Workspace:
    if request.name is not None:
        return open_workspace(request.results, request.name)
    try:
        return open_workspace(request.results, recipe_name, where=request.recipe)
    except UsageError as error:
        raise UsageError([replace(problem, fix="give one with --name") for problem in error.problems]) from None


def run_sweep(
    request: SweepRequest,
    tell: Listener = lambda event: None,
    make_executor: Callable[[Workspace], Executor] = LocalExecutor,
) -> SweepRun:
    """Train what `request` asks for and is not trained yet; `tell` hears of every event.

    A signal to stop ends it early, with everything recorded that was done.

    Raises:
        UsageError: with every mistake in the options and in the recipe, or when the folder holds another sweep.
        MachineError: data, disk, lock or device.
    """
    plan = plan_sweep(request)
    loaded = plan.loaded
    workspace = _workspace(request, loaded.name)
    with StopRequest() as stop:
        if request.fresh:
            _set_aside(workspace, tell)
        with workspace.locked():
            session = Session(
                plan=plan,
                workspace=workspace,
                make_executor=lambda: make_executor(workspace),
                prepare_job=PrepareJob(
                    recipe=loaded.recipe.model_dump(mode="json"),
                    device=request.device,
                    threads=loaded.recipe.threads or num_cores(),
                ),
                price=loaded.recipe.price,
                tell=tell,
            )
            for warning in plan.warnings:
                tell(Noticed(f"warning: {warning}"))
            try:
                history = session.run(stop)
            except Interrupted:
                history = read_history(workspace.journal)
    return SweepRun(plan, workspace, history, stop.signal_number)


def _set_aside(workspace: Workspace, tell: Callable[[Event], None]) -> None:
    if workspace.folder.exists():
        with workspace.locked():
            target = workspace.set_aside()
        tell(Noticed(f"set the old results aside as {target}"))


def num_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_sweep(results: Path, name: str | None) -> tuple[Workspace, History]:
    """The sweep called `name` under `results`, by default the one that was run last. Writes nothing.

    Raises:
        UsageError: there is none.
        MachineError: its journal cannot be read.
    """
    if name is None:
        return _newest(results)
    workspace = open_workspace(results, name, where="SWEEP")
    history = read_history(workspace.journal)
    if history.damaged_lines and not history.starts:
        raise MachineError(Problem("damaged beyond reading", where=str(workspace.journal), fix="sweep run repairs it"))
    if not history.starts:
        known = ", ".join(workspace.name for workspace in list_workspaces(results)) or "none"
        raise UsageError(Problem(f"there is no sweep {name!r} in {results}", where="SWEEP", fix=f"there: {known}"))
    return workspace, history


def _newest(results: Path) -> tuple[Workspace, History]:
    found = [(workspace, read_history(workspace.journal)) for workspace in list_workspaces(results)]
    begun = [(workspace, history) for workspace, history in found if history.last_start is not None]
    if not begun:
        raise UsageError(Problem(f"there is no sweep in {results}", where="--results", fix="make one with: sweep run"))
    return max(begun, key=lambda pair: pair[1].starts[-1].started_at)


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
