"""How to train a sweep again, from its journal alone: its recipe as a file, and the commands."""

from __future__ import annotations

import json
import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import count, groupby
from pathlib import Path
from typing import Any, Protocol

import yaml

from sweep.recipe.library import load_recipe, shipped_recipes
from sweep.recipe.schema import Recipe
from sweep.store.history import History
from sweep.store.records import StartRecord


class Planned(Protocol):
    """A trial, as far as a command names it."""

    @property
    def method(self) -> str: ...

    @property
    def ratio(self) -> str: ...

    @property
    def seed(self) -> int: ...


_Grid = dict[tuple[str, tuple[int, int]], list[str]]


def recipe_file(history: History) -> tuple[str, str]:
    """The name of the file and its content: every key that the recipe has, so that no default of a later version can
    change it."""
    start = history.starts[-1]
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", start.recipe_name).strip("_") or "recipe"
    return f"{name}.yaml", yaml.safe_dump(recipe_keys(start.recipe), sort_keys=False, allow_unicode=True)


def recipe_keys(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a recipe that a journal holds, as a recipe may have them: a task and a command refuse, or ignore,
    most of those that nobody has given."""
    keys = {key: value for key, value in recorded.items() if value is not None}
    if "task" not in keys and "command" not in keys:
        return keys
    defaults = Recipe().model_dump(mode="json")
    return {key: value for key, value in keys.items() if key == "epochs" or value != defaults.get(key)}


def commands(history: History) -> list[str]:
    """The `sweep run` commands that plan exactly the sweep's trials, on as many threads and jobs.

    A shipped recipe that has not changed is called by its name, any other one by the file of `recipe_file`.
    """
    start, first = history.starts[-1], history.starts[0].environment
    shipped = _shipped(start.recipe_name, start.fingerprint)
    recipe = start.recipe_name if shipped else f"./{recipe_file(history)[0]}"
    seed = shipped.seed if shipped else start.recipe.get("seed")
    jobs = max(start.jobs for start in history.starts)
    own = [*_changed("jobs", jobs, 1), "--threads", str(first.threads)]
    if shipped and start.price not in (None, shipped.price):
        own += ["--price", str(start.price)]
    device = [] if first.device_kind == "cpu" else ["--device", first.device_kind]
    return [
        shlex.join([*("sweep", "run", recipe), *_grid(method, seeds, ratios, seed), *own, *device])
        for (method, seeds), ratios in _grids(history.trials).items()
    ]


def trial_commands(history: History, trials: Iterable[Planned], sweep: str, results: Path) -> list[str]:
    """The `sweep run` commands that train just these trials in the sweep of that name under `results`.

    A shipped recipe is called by its name, with the keys that were changed; where the file of any other one lies is not
    on record: it is taken to be here.
    """
    start, first = history.starts[-1], history.starts[0].environment
    shipped = _shipped_like(start)
    changes = _changes(shipped, start.recipe) if shipped else []
    recipe = start.recipe_name if shipped else f"./{start.recipe_name}.yaml"
    name = [] if sweep == start.recipe_name else ["--name", sweep]
    place = [] if results == Path("results") else ["--results", str(results)]
    data_path = start.recipe.get("data_path")
    data = _changed("data-path", data_path, shipped.data_path) if shipped and data_path is not None else []
    device = [] if first.device_kind == "cpu" else ["--device", first.device_kind]
    commands = []
    for (method, seeds), ratios in _grids(trials).items():
        grid = ["--ratios", ",".join(ratios), *_seeds(seeds, shipped.seed if shipped else None)]
        commands.append([recipe, *grid, *_method(method, shipped), *changes, *name, *data, *place, *device])
    return [shlex.join(["sweep", "run", *words]) for words in commands]


def _shipped_like(start: StartRecord) -> Recipe | None:
    """The shipped recipe of its name, if it can be made the same one: it runs no code."""
    runs_code = start.recipe.get("task") is not None or start.recipe.get("command") is not None
    is_shipped = start.recipe_name in shipped_recipes() and not runs_code
    return load_recipe(start.recipe_name).recipe if is_shipped else None


def _changes(shipped: Recipe, recorded: Mapping[str, Any]) -> list[str]:
    """The keys of a shipped recipe that were changed, and what makes it another one."""
    keys = sorted(shipped.differences(recorded))
    return [word for key in keys for word in ("--set", f"{key}={json.dumps(recorded.get(key))}")]


def _method(method: str, shipped: Recipe | None) -> list[str]:
    return [] if shipped is not None and shipped.method == method else ["--method", method]


def _shipped(name: str, fingerprint: str) -> Recipe | None:
    """The shipped recipe of that name, if it is the same one."""
    if name not in shipped_recipes():
        return None
    recipe = load_recipe(name).recipe
    return recipe if recipe.fingerprint == fingerprint else None


def _grids(trials: Iterable[Planned]) -> _Grid:
    """Ratios by method and by first and last seed: a grid each, since a command trains every ratio with every seed."""
    seeds: dict[tuple[str, str], list[int]] = defaultdict(list)
    for entry in trials:
        seeds[entry.method, entry.ratio].append(entry.seed)
    grids: _Grid = defaultdict(list)
    for (method, ratio), there in seeds.items():
        for ends in _runs(sorted(there)):
            grids[method, ends].append(ratio)
    return grids


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """The first and the last of each run of numbers without a gap."""
    counter = count()
    for _, run in groupby(numbers, key=lambda number: number - next(counter)):
        together = list(run)
        yield together[0], together[-1]


def _grid(method: str, seeds: tuple[int, int], ratios: list[str], seed: int | None) -> list[str]:
    chosen = ["--mode", method] if method == "cyclic" else ["--method", method]
    return ["--ratios", ",".join(ratios), *_seeds(seeds, seed), *chosen]


def _seeds(ends: tuple[int, int], own: int | None) -> list[str]:
    first, last = ends
    begin = [] if own == first else ["--set", f"seed={first}"]
    return [*_changed("seeds", last - first + 1, 1), *begin]


def _changed(option: str, value: object, default: object) -> list[str]:
    return [] if value == default else [f"--{option}", str(value)]
