"""The commands of the page plan exactly the trials of the sweep."""

import shlex
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path

import pytest
import typer.main
from histories import RECIPE, a_start, a_trial, finished

from sweep.api import plan_sweep
from sweep.plan.stages import Plan
from sweep.recipe.library import load_recipe
from sweep.report.reproduce import commands, recipe_file, trial_commands
from sweep.request import SweepRequest
from sweep.store.history import History
from sweep.store.records import TrialEntry

Maker = Callable[..., History]


def plan_of(command: str, folder: Path) -> Plan:
    """What a command would train; `folder` has the recipes and the results."""
    import cli

    words = shlex.split(command)
    assert words[:2] == ["sweep", "run"]
    run = typer.main.get_command(cli.app).commands["run"]  # type: ignore[attr-defined]
    given = run.make_context("run", words[2:]).params
    known = {field.name for field in fields(SweepRequest)}
    asked = {name: value for name, value in given.items() if name in known}
    [recipe] = asked["recipe"]
    place = str(folder / recipe) if recipe.endswith(".yaml") else recipe
    settings = tuple(asked["settings"] or ())
    return plan_sweep(SweepRequest(**asked | {"recipe": place, "settings": settings, "results": folder}))


def planned(command: str, folder: Path) -> list[tuple[str, str, int]]:
    """Method, ratio and seed of each trial that a command would train."""
    plan = plan_of(command, folder)
    return [(trial.timeline.recipe.method, trial.timeline.lengths.ratio.text, trial.seed) for trial in plan.trials]


def all_planned(history: History, folder: Path) -> list[tuple[str, str, int]]:
    name, text = recipe_file(history)
    (folder / name).write_text(text)
    return sorted(trial for command in commands(history) for trial in planned(command, folder))


def keys(trials: Iterable[TrialEntry]) -> list[tuple[str, str, int]]:
    return sorted((trial.method, trial.ratio, trial.seed) for trial in trials)


SWEEPS = {
    "a grid": [a_trial(ratio, seed) for ratio in ("0.5", "1.0") for seed in range(3)],
    "two methods": [a_trial("0.5"), a_trial("1.0"), a_trial("0.5", method="steps")],
    "more seeds of some ratios": [a_trial("0.5", seed) for seed in range(3)] + [a_trial("1.0")],
    "seeds with a gap": [a_trial("1.0", seed) for seed in (0, 1, 5)],
    "a seed of its own": [a_trial("1/2", 7), a_trial("70%", 7)],
}


@pytest.mark.parametrize("trials", SWEEPS.values(), ids=SWEEPS)
def test_the_commands_train_every_trial_and_no_other(
    history_of: Maker, tmp_path: Path, trials: list[TrialEntry]
) -> None:
    history = history_of(a_start(trials), *(finished(trial) for trial in trials[:1]))
    assert all_planned(history, tmp_path) == keys(trials)


def test_the_recipe_is_the_very_one(history_of: Maker, tmp_path: Path) -> None:
    name, text = recipe_file(history_of(a_start([a_trial("1.0")])))
    assert name == "mine.yaml"
    (tmp_path / name).write_text(text)
    assert load_recipe(str(tmp_path / name)).recipe == RECIPE


@pytest.mark.parametrize("name", ["../../x", "a b; rm -rf /", "'", "\x1b", "ü/é"])
def test_a_hostile_name_is_a_plain_file_name(history_of: Maker, name: str) -> None:
    history = history_of(a_start([a_trial("1.0")], recipe_name=name))
    file, _ = recipe_file(history)
    assert Path(file).name == file
    assert file.endswith(".yaml")
    [command] = commands(history)
    assert shlex.split(command)[2] == f"./{file}"


def test_a_shipped_recipe_that_is_unchanged_is_called_by_its_name(history_of: Maker) -> None:
    shipped = load_recipe("smoke").recipe
    start = a_start([a_trial("1.0")], recipe_name="smoke", recipe=shipped.model_dump(mode="json"))
    same = start.model_copy(update={"fingerprint": shipped.fingerprint})
    assert shlex.split(commands(history_of(same))[0])[2] == "smoke"
    assert shlex.split(commands(history_of(start))[0])[2] == "./smoke.yaml"


def test_of_a_shipped_recipe_too_the_seed_is_the_one_that_was_trained(history_of: Maker, tmp_path: Path) -> None:
    shipped = load_recipe("smoke").recipe
    keys_of = shipped.model_dump(mode="json") | {"seed": 5}
    start = a_start([a_trial("1.0", 5)], recipe_name="smoke", recipe=keys_of, price=2.5)
    history = history_of(start.model_copy(update={"fingerprint": shipped.fingerprint}))
    assert all_planned(history, tmp_path) == [("epochs", "1.0", 5)]
    assert "--price 2.5" in commands(history)[0]


def test_threads_and_jobs_are_those_of_the_sweep(history_of: Maker) -> None:
    start = a_start([a_trial("1.0")]).model_copy(update={"jobs": 2})
    environment = start.environment.model_copy(update={"threads": 3, "device_kind": "cuda"})
    [command] = commands(history_of(start.model_copy(update={"environment": environment})))
    assert "--jobs 2 --threads 3 --device cuda" in command


# Further trials of a sweep that is there.


@pytest.mark.parametrize("trials", SWEEPS.values(), ids=SWEEPS)
def test_further_trials_are_trained_and_no_other(history_of: Maker, tmp_path: Path, trials: list[TrialEntry]) -> None:
    history = history_of(a_start([a_trial("1.0")]))
    (tmp_path / "mine.yaml").write_text(recipe_file(history)[1])
    found = trial_commands(history, trials, "mine", Path("results"))
    assert sorted(trial for command in found for trial in planned(command, tmp_path)) == keys(trials)


def test_a_shipped_recipe_whose_keys_were_changed_is_the_same_one_with_further_trials(
    history_of: Maker, tmp_path: Path
) -> None:
    changes = {"label_smoothing": 0.1, "lr_scheduler": "multisteplr", "lr_milestones": ["4ep", "6ep"], "amp": "bf16"}
    settings = tuple(f"{key}={value}" for key, value in changes.items() if key != "lr_milestones")
    asked = SweepRequest("smoke", settings=(*settings, "lr_milestones=[4, 6]"), results=tmp_path)
    recipe = plan_sweep(asked).loaded.recipe
    start = a_start([a_trial("1.0")], recipe_name="smoke", recipe=recipe.model_dump(mode="json"))
    history = history_of(start.model_copy(update={"fingerprint": recipe.fingerprint}))
    [command] = trial_commands(history, [a_trial("0.5", 3)], "smoke", Path("results"))
    plan = plan_of(command, tmp_path)
    assert plan.loaded.recipe.fingerprint == recipe.fingerprint
    assert [trial.seed for trial in plan.trials] == [3]


def test_further_trials_read_the_same_data(history_of: Maker, tmp_path: Path) -> None:
    asked = SweepRequest("smoke", data_path=str(tmp_path / "elsewhere"), results=tmp_path)
    recipe = plan_sweep(asked).loaded.recipe
    start = a_start([a_trial("1.0")], recipe_name="smoke", recipe=recipe.model_dump(mode="json"))
    history = history_of(start.model_copy(update={"fingerprint": recipe.fingerprint}))
    [command] = trial_commands(history, [a_trial("0.5")], "smoke", Path("results"))
    assert plan_of(command, tmp_path).loaded.recipe.data_path == str(tmp_path / "elsewhere")


def test_further_trials_go_to_the_same_folder_and_device(history_of: Maker) -> None:
    start = a_start([a_trial("1.0")])
    environment = start.environment.model_copy(update={"device_kind": "cuda"})
    history = history_of(start.model_copy(update={"environment": environment}))
    [command] = trial_commands(history, [a_trial("0.5")], "other", Path("my results"))
    assert command.endswith(" --name other --results 'my results' --device cuda")
    [command] = trial_commands(history, [a_trial("0.5")], "mine", Path("results"))
    assert command == "sweep run ./mine.yaml --ratios 0.5 --set seed=0 --method epochs --device cuda"


def test_code_of_ones_own_is_called_by_a_path_whatever_its_name(history_of: Maker) -> None:
    own = RECIPE.model_dump(mode="json") | {"command": "python train.py {epochs}"}
    history = history_of(a_start([a_trial("1.0")], recipe_name="smoke", recipe=own))
    [command] = trial_commands(history, [a_trial("0.5")], "smoke", Path("results"))
    assert shlex.split(command)[2] == "./smoke.yaml"
