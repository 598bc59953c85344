"""What is asked of a sweep, as it was typed, and what its options mean once they are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.budget import Budget
from sweep.errors import Complaints, Problem, UsageError
from sweep.recipe.duration import Ratio, parse_ratios
from sweep.recipe.library import LoadedRecipe, Override, load_recipe, loaded_from_keys, parse_settings
from sweep.run.engine import Engine, EngineName, read_engine
from sweep.run.keep import Keep
from sweep.run.placement import MAX_JOBS_PER_DEVICE, parse_jobs
from sweep.store.workspace import Workspace, open_writable

_RATIOS = "0.25,0.5,1.0"
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,3})?")
_DEVICES = "auto, cpu, cuda, cuda:1 or mps"
_MAX_SEEDS = 1000
_MAX_RETRIES = 100
# Progress is told ten times a second at most, and looked for as often.
_MIN_STALL_SECONDS = 1.0
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


@dataclass(frozen=True)
class SweepRequest:
    """What is asked of `sweep run` and `sweep plan`, as it was typed. None leaves a key to the recipe.

    `recipe` is a name, a path, or the keys of one; `ratios` is a text such as "0.25,0.5,1.0" (the default) or
    "0.1:1:0.1"; `mode` "cyclic" is `method` "cyclic", whose default ratios are the ends of its cycles; `seeds` counts
    them from the recipe's own, one by default; `price` is dollars for an hour of one device; `settings` are "key=value"
    texts, or have been read; `name` defaults to the recipe's; `jobs` is how many trials are trained at a time, or
    "auto", and `jobs_per_device` how many of them may share a GPU. Only `sweep run` asks for `within`, what all of it
    may take ("4h", "$50"): it chooses ratios and seeds that are None; for `retries`, how often a trial whose worker was
    lost or hung is trained again, `checkpoint_every`, seconds of training between checkpoints, `stall_timeout`, seconds
    without a step or an evaluation batch after which a worker hangs ("never" for neither), `keep`, which states stay
    when all is done, and `allow_mixed`, to go on with other threads, device or torch than the sweep began with.
    `executor` names the engine that trains it; `address`, `resources`, `slurm` and `detach` are told to it: see Engine.
    Without `share` every trial is trained alone.
    """

    recipe: str | Mapping[str, object] = "digits"
    ratios: str | None = None
    seeds: int | None = None
    method: str | None = None
    mode: str | None = None
    device: str = "auto"
    jobs: int | str = 1
    jobs_per_device: int = 1
    threads: int | None = None
    workers: int | None = None
    data_path: str | None = None
    price: float | None = None
    results: Path = Path("results")
    name: str | None = None
    fresh: bool = False
    settings: tuple[str | Override, ...] = ()
    retries: int = 1
    checkpoint_every: float | str = 60
    # Chosen: longer than any step, evaluation batch or compilation takes, and short beside a night that is lost.
    stall_timeout: float | str = 600
    keep: str = Keep.FORKS
    share: bool = True
    allow_mixed: bool = False
    executor: str = "local"
    address: str | None = None
    resources: str | None = None
    slurm: str | None = None
    detach: bool = False
    within: str | None = None


@dataclass(frozen=True)
class Asked:
    """A request that was read. None is as many `jobs` as fit, and never for `checkpoint_every` and `stall_timeout`; no
    `ratios` are the ends of a cyclic run's cycles.

    With a `budget` that is to choose the ratios there are none yet; once it has, `chosen_for` says what they are for.
    """

    request: SweepRequest
    loaded: LoadedRecipe
    ratios: tuple[Ratio, ...]
    seeds: int
    workspace: Workspace
    jobs: int | None
    checkpoint_every: float | None
    stall_timeout: float | None
    engine: Engine
    budget: Budget | None = None
    chosen_for: str | None = None


def read_request(request: SweepRequest) -> Asked:
    """What `request` means. Writes nothing.

    Raises:
        UsageError: with every mistake in the options and in the recipe.
    """
    complaints = Complaints()
    loaded: LoadedRecipe | None = None
    ratios: tuple[Ratio, ...] = ()
    workspace: Workspace | None = None
    jobs: int | None = None
    checkpoint_every: float | None = None
    stall_timeout: float | None = None
    engine = Engine()
    budget: Budget | None = None
    with complaints:
        loaded = load_requested(request)
    with complaints:
        ratios = _ratios(request, loaded)
    with complaints:
        budget = _read_budget(request, loaded)
    with complaints:
        jobs = parse_jobs(str(request.jobs))
    with complaints:
        checkpoint_every = _parse_seconds(str(request.checkpoint_every), "--checkpoint-every", "60")
    with complaints:
        stall_timeout = _parse_stall_timeout(str(request.stall_timeout))
    with complaints:
        engine = read_engine(request.executor, request.address, request.resources, request.slurm, request.detach)
    with complaints:
        _check_options(request)
    with complaints:
        workspace = _workspace(request, loaded.name if loaded else "recipe")
    complaints.raise_any()
    assert loaded is not None
    assert workspace is not None
    seeds = 1 if request.seeds is None else request.seeds
    return Asked(request, loaded, ratios, seeds, workspace, jobs, checkpoint_every, stall_timeout, engine, budget)


def _read_budget(request: SweepRequest, loaded: LoadedRecipe | None) -> Budget | None:
    if request.within is None:
        return None
    budget = Budget.parse(request.within, "--within")
    if request.executor != EngineName.LOCAL:
        message = f"is not for --executor {request.executor}: how fast that trains cannot be tried out here"
        raise UsageError(Problem(message, "--within"))
    if loaded is not None and loaded.recipe.method == "cyclic":
        message = "a cyclic run is as long as the baseline: there is no shorter one to choose"
        raise UsageError(Problem(message, "--within", fix="take another method"))
    if budget.dollars is not None and loaded is not None and not loaded.recipe.price:
        message = f"{budget.text} buys hours of a device, and there is no price"
        raise UsageError(Problem(message, "--within", fix="give --price, the dollars for an hour of one device"))
    return budget


def _ratios(request: SweepRequest, loaded: LoadedRecipe | None) -> tuple[Ratio, ...]:
    is_chosen_later = request.within is not None or (loaded is not None and loaded.recipe.method == "cyclic")
    if request.ratios is None and is_chosen_later:
        return ()
    return parse_ratios(_RATIOS if request.ratios is None else request.ratios)


def load_requested(request: SweepRequest) -> LoadedRecipe:
    """The recipe that it names, changed by its options.

    Raises:
        UsageError: with every mistake in them.
    """
    overrides: tuple[Override, ...] = ()
    loaded: LoadedRecipe | None = None
    complaints = Complaints()
    with complaints:
        overrides = _overrides(request)
    with complaints:
        loaded = _load(request.recipe, overrides)
    complaints.raise_any()
    assert loaded is not None
    return loaded


def _load(recipe: str | Mapping[str, object], overrides: tuple[Override, ...]) -> LoadedRecipe:
    return load_recipe(recipe, overrides) if isinstance(recipe, str) else loaded_from_keys(recipe, overrides)


def _overrides(request: SweepRequest) -> tuple[Override, ...]:
    """The keys that `--set` and the options of their own name give; each may be given once."""
    settings = parse_settings(request.settings)
    options = {key: getattr(request, key) for key in ("method", "threads", "workers", "price", "data_path")}
    given = tuple(
        Override(key, value, f"--{key.replace('_', '-')}") for key, value in options.items() if value is not None
    )
    given += _mode(request)
    places = {option.key: option.place for option in given}
    if twice := [setting.key for setting in settings if setting.key in places]:
        raise UsageError(
            [Problem(f"given twice, by --set and by {places[key]}", where="--set", key=key) for key in twice]
        )
    return (*settings, *given)


def _mode(request: SweepRequest) -> tuple[Override, ...]:
    """`--mode cyclic` is a method: the key of the recipe that says what a ratio is."""
    if request.mode is None:
        return ()
    if request.mode != "cyclic":
        raise UsageError(Problem(f"{request.mode!r} is no mode", where="--mode", fix="write cyclic, or leave it out"))
    if request.method is not None:
        raise UsageError(Problem("does not go with --method: cyclic is one itself", where="--mode"))
    return (Override("method", "cyclic", "--mode"),)


def _check_options(request: SweepRequest) -> None:
    problems: list[Problem] = []
    if request.seeds is not None and not 1 <= request.seeds <= _MAX_SEEDS:
        problems.append(Problem(f"{request.seeds} is not a number of seeds from 1 to {_MAX_SEEDS}", where="--seeds"))
    if not 0 <= request.retries <= _MAX_RETRIES:
        message = f"{request.retries} is not a number of retries from 0 to {_MAX_RETRIES}"
        problems.append(Problem(message, where="--retries"))
    if not 1 <= request.jobs_per_device <= MAX_JOBS_PER_DEVICE:
        message = f"{request.jobs_per_device} is not a number of jobs from 1 to {MAX_JOBS_PER_DEVICE}"
        problems.append(Problem(message, where="--jobs-per-device"))
    if request.jobs_per_device > 1 and request.executor != EngineName.LOCAL:
        fix = "an engine's own resources say it: --executor ray --resources num_gpus=0.5"
        problems.append(Problem(f"is not for --executor {request.executor}", where="--jobs-per-device", fix=fix))
    if request.keep not in list(Keep):
        problems.append(Problem(f"{request.keep!r} is nothing to keep", where="--keep", fix=", ".join(Keep)))
    if not _DEVICE.fullmatch(request.device):
        problems.append(Problem(f"{request.device!r} is no device", where="--device", fix=_DEVICES))
    if problems:
        raise UsageError(problems)


def _parse_stall_timeout(text: str) -> float | None:
    seconds = _parse_seconds(text, "--stall-timeout", "600")
    if seconds is not None and seconds < _MIN_STALL_SECONDS:
        message = f"{text} s is too short to tell a slow worker from one that hangs"
        raise UsageError(Problem(message, "--stall-timeout", fix="write 600 or never"))
    return seconds


def _parse_seconds(text: str, option: str, example: str) -> float | None:
    """Seconds, or None for `never` and 0."""
    if text == "never":
        return None
    if not _SECONDS.fullmatch(text):
        raise UsageError(Problem(f"{text!r} is no number of seconds", option, fix=f"write {example} or never"))
    return float(text) or None


def _workspace(request: SweepRequest, recipe_name: str) -> Workspace:
    """The folder that the sweep goes to; a recipe's name may be none for a folder."""
    if request.name is not None:
        return open_writable(request.results, request.name)
    try:
        where = request.recipe if isinstance(request.recipe, str) else recipe_name
        return open_writable(request.results, recipe_name, where=where)
    except UsageError as error:
        raise UsageError([replace(problem, fix="give one with --name") for problem in error.problems]) from None
