"""What a request would train: whatever is planned is planned here, without what trains it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.errors import MachineError
from sweep.plan.command import EXAMPLES_OF_A_COMMAND
from sweep.plan.lengths import cycle_ratios
from sweep.plan.stages import Plan, make_plan
from sweep.recipe.datasets import DATASETS
from sweep.recipe.library import LoadedRecipe
from sweep.recipe.schema import Recipe
from sweep.request import Asked, SweepRequest, read_request
from sweep.run.engine import EngineName

if TYPE_CHECKING:
    from sweep.store.records import PrepareJob


# What a recipe may ask of a machine, as any machine has it.
_ON_ANY_MACHINE = {"amp": "none", "devices_per_trial": 1, "sync_bn": False, "compile": False}


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
    trains_here = asked.engine.name is EngineName.LOCAL
    num_examples, code_sha256 = examine(loaded, asked.request.device, trains_here)
    ratios = asked.ratios or cycle_ratios(loaded.recipe, num_examples)
    return make_plan(loaded, ratios, asked.seeds, num_examples, asked.request.share), code_sha256


def examine(loaded: LoadedRecipe, device: str, trains_here: bool = True) -> tuple[int, str | None]:
    """How many examples there are to train on, and the hash of a task's code: a Worker is asked for a task's. Where it
    is trained elsewhere, this machine need not have what that takes."""
    recipe = loaded.recipe
    if recipe.kind == "command":
        return EXAMPLES_OF_A_COMMAND, None
    if recipe.kind == "builtin":
        return _num_images(recipe), None
    from sweep.run.ask import ask

    job = prepare_job(loaded, device if trains_here else "cpu", recipe.threads or 1)
    prepared = ask(job if trains_here else job.model_copy(update={"recipe": job.recipe | _ON_ANY_MACHINE}))
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
