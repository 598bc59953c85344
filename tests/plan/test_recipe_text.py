"""The text of a scaled recipe: read back whatever is in it, with comments that stay comments."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import RecipeError
from sweep.plan.recipe_text import to_yaml
from sweep.plan.reference_script import command_line, differences
from sweep.plan.scaled import ScaledRecipe, scale
from sweep.recipe.duration import Ratio
from sweep.recipe.library import LoadedRecipe, load_recipe, parse_settings
from sweep.recipe.schema import Recipe
from sweep.recipe.strict_yaml import read_mapping

Loader = Callable[..., LoadedRecipe]


def comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("#")]


def scaled(loaded: LoadedRecipe, ratio: str = "0.5") -> ScaledRecipe:
    return scale(loaded, Ratio.parse(ratio), 1000)


def test_the_whole_text(load: Loader) -> None:
    loaded = load(epochs=20, lr_step_size=5, lr_step_origin="warmup", lr_warmup_epochs=2, threads=1, lr="1e-3")
    assert to_yaml(scaled(loaded, "0.33")) == (
        "# r at ratio 0.33 (realised 0.3): 6 of 20 epochs, 192 of 640 steps\n"
        "#\n"
        "# Source:  r.yaml, scaled by sweep for 1000 training examples\n"
        "# Use:     as it is, at ratio 1; every step has its rate of the source at ratio 0.33\n"
        "model: small_cnn\n"
        "dataset: digits\n"
        "epochs: 6\n"
        "lr: 0.001\n"
        "lr_scheduler: steplr\n"
        "lr_warmup_epochs: 2\n"
        "lr_step_size: 10/9ep\n"
        "lr_gamma: 0.1\n"
        "lr_step_origin: warmup\n"
        "threads: 1\n"
        "\n"
        "# torchvision's reference script, references/classification/train.py, cannot train it:\n"
        "# - model: torchvision's script cannot train small_cnn (take one of torchvision's, such as resnet50)\n"
        "# - lr_step_size: 10/9 epochs: torchvision's script takes whole ones (--set lr_step_size=4.5ep)\n"
    )


def test_what_was_changed_by_options_and_what_is_rounded_is_said(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("model: small_cnn\ndataset: digits\n")
    loaded = load_recipe(str(path), parse_settings(("lr_scheduler=exponentiallr", "lr_gamma=0.97")))
    text = to_yaml(scaled(loaded))
    assert "1000 training examples, lr_scheduler, lr_gamma changed by options\n" in text
    assert "ratio 0.5 (to rounding, since lr_gamma changes)\n" in text


def test_the_command_for_torchvision_and_what_differs_there_stand_at_the_end(load: Loader) -> None:
    run = scaled(load(epochs=20, lr_scheduler="cosineannealinglr", data_path="my data"))
    run = replace(run, recipe=run.recipe.model_copy(update={"model": "resnet18"}))
    tail = to_yaml(run).partition("\n\n")[2].splitlines()
    assert tail == [
        "# The same for torchvision's reference script, references/classification/train.py:",
        f"#   {command_line(run)}",
        "# What differs there:",
        *(f"# - {difference}" for difference in differences(run)),
    ]


@given(path=st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_any_path_is_written_so_that_it_is_read_back_and_adds_no_line(path: str) -> None:
    recipe = Recipe.model_validate({"model": "small_cnn", "dataset": "digits", "data_path": path})
    text = to_yaml(scaled(LoadedRecipe(recipe, "r", Path("r.yaml"), {"data_path": "r.yaml:3"})))
    assert read_mapping(text.encode(), "r.yaml").values["data_path"] == path
    assert yaml.safe_load(text)["data_path"] == path
    assert len([line for line in text.splitlines() if line.startswith("data_path: ")]) == 1
    assert all(line.startswith(("#", *Recipe.model_fields)) or not line for line in text.splitlines())


@pytest.mark.parametrize(
    "path", ["no", "null", "True", "1e-3", "010", "1:30", "~", "a: b", "# x", "- x", "x\n# y", "[a]"]
)
def test_a_path_that_looks_like_something_else_stays_a_text(path: str) -> None:
    recipe = Recipe.model_validate({"model": "small_cnn", "dataset": "digits", "data_path": path})
    text = to_yaml(scaled(LoadedRecipe(recipe, "r", Path("r.yaml"), {"data_path": "r.yaml:3"})))
    assert read_mapping(text.encode(), "r.yaml").values["data_path"] == path
    assert yaml.safe_load(text)["data_path"] == path


def test_a_hostile_name_stays_in_its_comment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "x\nlr: 7\x1b[31m.yaml"
    Path(name).write_text("model: small_cnn\ndataset: digits\n")
    text = to_yaml(scaled(load_recipe(name)))
    assert "lr" not in read_mapping(text.encode(), "r.yaml").values
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"lr_warmup_epochs": 0.5}, "lr_warmup_epochs: 0.5ep"),
        ({"lr_warmup_epochs": "7ba"}, "lr_warmup_epochs: 7ba"),
        ({"scale_warmup": True}, "scale_warmup: true"),
        ({"lr_scheduler": "multisteplr", "lr_milestones": "[8, 9.5, 400ba, 0.9dur]"}, "[4, 4.75ep, 200ba, 0.9dur]"),
        ({"lr_scheduler": "wsd", "lr_cooldown_shape": "1-sqrt"}, 'lr_cooldown_shape: "1-sqrt"'),
        ({"weight_decay": "1e-10"}, "weight_decay: 1.0e-10"),
        ({"lr": "1e30"}, "lr: 1.0e+30"),
        ({"threads": "null"}, "threads: null"),
        ({"price": 2}, "price: 2.0"),
        ({"method": "steps"}, "epochs: 320ba\n"),
        ({"method": "steps"}, "method: steps\n"),
    ],
)
def test_a_value_is_written_as_the_loader_reads_it(load: Loader, keys: dict[str, Any], line: str) -> None:
    run = scaled(load(epochs=20, **keys))
    text = to_yaml(run)
    assert line in text
    Path("mine.yaml").write_text(text)
    assert load_recipe("./mine.yaml").recipe == run.recipe


def test_every_line_of_the_comments_is_a_comment(load: Loader) -> None:
    text = to_yaml(scaled(load(epochs=20, lr_scheduler="wsd", lr_warmup_epochs=0.3)))
    keys = [line.partition(":")[0] for line in text.splitlines() if line and line not in comments(text)]
    assert keys == list(read_mapping(text.encode(), "r.yaml").values)
    with pytest.raises(RecipeError):
        read_mapping(text.replace("\n# -", "\n-").encode(), "r.yaml")
