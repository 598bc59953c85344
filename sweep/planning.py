"""What a request would train: whatever is planned is planned here, without what trains it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.errors import MachineError
from sweep.plan.command import EXAMPLES_OF_A_COMMAND
from sweep.plan.stages import Plan, make_plan
from sweep.recipe.datasets import DATASETS
from sweep.recipe.library import LoadedRecipe
from sweep.recipe.schema import Recipe
from sweep.request import Asked, SweepRequest, read_request

if TYPE_CHECKING:
    from sweep.store.records import PrepareJob


def plan_sweep(request: SweepRequest) -> Plan:
    """What `request` would train. Needs neither the data nor torch, but for what is the user's own: a task, or folders
    of images, which are counted. Writes nothing.

    Raises:
        UsageError: with every mistake in the options and in the recipe, and in the code that it names.
        MachineError: what has to be asked of the data cannot be.
    """
    return plan_asked(read_request(request))[0]


def plan_asked(asked: Asked) -> tuple[Plan, str | None]:
    """The plan, and the hash of the code that a task names."""
    loaded = asked.loaded
    num_examples, code_sha256 = examine(loaded, asked.request.device)
    return make_plan(loaded, asked.ratios, asked.request.seeds, num_examples, asked.request.share), code_sha256


def examine(loaded: LoadedRecipe, device: str) -> tuple[int, str | None]:
    """How many examples there are to train on, and the hash of a task's code: a Worker is asked for a task's."""
    recipe = loaded.recipe
    if recipe.kind == "command":
        return EXAMPLES_OF_A_COMMAND, None
    if recipe.kind == "builtin":
        return _num_images(recipe), None
    from sweep.run.ask import ask

    prepared = ask(prepare_job(loaded, device, recipe.threads or 1))
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


def prepare_job(loaded: LoadedRecipe, device: str, threads: int) -> PrepareJob:
    """What a Worker is told of `loaded`, of no workspace yet."""
    from sweep.store.records import PrepareJob

    folders = (loaded.path.resolve().parent, Path.cwd())
    recipe = loaded.recipe.model_dump(mode="json")
    return PrepareJob(recipe=recipe, device=device, threads=threads, folders=tuple(map(str, folders)))
