"""The JSON Schema that editors check recipes against: valid itself, and of one mind with the loader."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sweep.recipe.check import check_recipe
from sweep.recipe.datasets import DATASETS
from sweep.recipe.json_schema import recipe_schema, recipe_schema_text
from sweep.recipe.library import shipped_recipes
from sweep.recipe.schedule import SCHEDULES
from sweep.recipe.schema import Recipe
from sweep.recipe.strict_yaml import read_mapping

SCHEMA = recipe_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
MINIMAL = {"model": "small_cnn", "dataset": "digits"}


def complaints(**keys):
    """The keys that the schema complains of in a recipe with these keys; of the whole recipe as an empty text."""
    return [".".join(map(str, error.path)) for error in VALIDATOR.iter_errors(MINIMAL | keys)]


def test_the_schema_is_one_of_draft_2020_12():
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert SCHEMA["title"] == "sweep recipe"
    assert json.loads(recipe_schema_text()) == SCHEMA


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_valid(name):
    path = shipped_recipes()[name]
    assert list(VALIDATOR.iter_errors(read_mapping(path.read_bytes(), name).values)) == []


def test_every_key_is_there_with_its_description_and_nothing_else_is_allowed():
    assert list(SCHEMA["properties"]) == list(Recipe.model_fields)
    for name, field in Recipe.model_fields.items():
        assert field.description.removeprefix("ours") in SCHEMA["properties"][name]["description"]
    assert SCHEMA["additionalProperties"] is False
    assert complaints(epocs=3) == [""]


@pytest.mark.parametrize(
    "name", ["epochs", "lr_warmup_epochs", "lr_step_size", "lr_milestones", "lr_t_0", "lr_cooldown"]
)
def test_a_time_says_its_units(name):
    description = SCHEMA["properties"][name]["description"]
    for unit in ("5ep or 22/3ep (epochs)", "400ba (optimizer steps)", "0.2dur (run)"):
        assert unit in description


def test_only_a_time_says_units():
    times = [name for name, key in SCHEMA["properties"].items() if "optimizer steps" in key["description"]]
    of_methods = ["mixup_off", "swa_start", "swa_end", "swa_interval"]
    of_methods += ["progressive_resizing_start", "progressive_resizing_end", "layer_freezing_start"]
    of_schedules = ["lr_warmup_epochs", "lr_step_size", "lr_milestones", "lr_t_0", "lr_cooldown"]
    assert times == ["epochs", *of_schedules, *of_methods]


def names_of(key):
    """The list that a key's value is one of; None where it is no name."""
    schemas = [SCHEMA["properties"][key], *SCHEMA["properties"][key].get("anyOf", [])]
    return next((schema["enum"] for schema in schemas if "enum" in schema), None)


LISTS = {key: names for key in SCHEMA["properties"] if (names := names_of(key))}


def test_a_key_that_names_one_of_a_list_has_the_list():
    lists = LISTS
    assert lists["dataset"] == list(DATASETS)
    assert lists["lr_scheduler"] == list(SCHEDULES)
    assert lists["method"] == ["epochs", "steps", "samples", "subset", "cyclic"]
    assert {"model", "opt", "lr_interval", "lr_warmup_method", "lr_step_origin", "lr_cooldown_shape"} < lists.keys()


@pytest.mark.parametrize("key", LISTS)
def test_the_loader_takes_the_names_of_the_list_and_no_other(key):
    demands = {"lr_milestones": [1], "lr_t_0": 1, "epochs": 8, "model": "resnet18", "dataset": "CIFAR10"}
    minimal = {"task": "mine:make_task", "metric": "perplexity"} if key == "mode" else MINIMAL | demands
    for name in LISTS[key]:
        recipe = check_recipe(minimal | {key: name}, {}, "recipe")
        assert isinstance(recipe, Recipe), recipe
    assert set(complaints(**{key: "no such name"})) == {key}
    assert not isinstance(check_recipe(MINIMAL | {key: "no such name"}, {}, "recipe"), Recipe)


def test_every_default_is_the_schemas_and_valid():
    for name, field in Recipe.model_fields.items():
        key = SCHEMA["properties"][name]
        if not field.is_required():
            assert Draft202012Validator(key).is_valid(key["default"]), name
            read = Recipe.model_validate(MINIMAL | {name: key["default"]})
            assert getattr(read, name) == field.default


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dataset", "MNISTS"),
        ("model", "resnet"),
        ("epochs", True),
        ("epochs", "5 epochs"),
        ("epochs", "5"),
        ("epochs", 0),
        ("epochs", "1/-2ep"),
        ("lr_warmup_epochs", -1),
        ("lr", "fast"),
        ("lr", 0),
        ("price", -1),
        ("batch_size", 1.5),
        ("batch_size", None),
        ("scale_warmup", "no"),
        ("lr_milestones", 30),
        ("threads", 0),
    ],
)
def test_a_wrong_value_is_complained_of_where_it_stands(key, value):
    assert complaints(**{key: value}) == [key]


def test_a_wrong_item_of_a_list_is_complained_of_by_its_number():
    assert complaints(lr_milestones=[30, "6O"]) == ["lr_milestones.1"]


@pytest.mark.parametrize("name", [name for name in SCHEDULES if SCHEDULES[name].required])
def test_a_scheduler_demands_its_keys(name):
    assert complaints(lr_scheduler=name) == ["" for _ in SCHEDULES[name].required]
    assert complaints(lr_scheduler=name, lr_milestones=[30], lr_t_0=3) == []


KIND_KEYS = {
    "model": "small_cnn",
    "dataset": "digits",
    "task": "mine:make",
    "command": "python train.py {epochs} {output_dir}",
    "task_args": {"width": 3},
    "metrics": {"accuracy": "acc ([0-9.]+)"},
    "resume_args": "--resume {output_dir}/last",
    "time_limit": 60,
}


def of_one_mind(keys):
    """Whether a recipe of these keys is one, as the schema and the loader say."""
    taken = isinstance(check_recipe(keys, {}, "recipe"), Recipe)
    assert (list(VALIDATOR.iter_errors(keys)) == []) == taken, keys
    return taken


def test_a_recipe_is_of_one_kind():
    for keys in ({"model": "small_cnn", "dataset": "digits"}, {"task": "mine:make"}, {"command": "train {epochs}"}):
        assert of_one_mind(keys)
    for keys in ({}, {"model": "small_cnn"}, {"dataset": "digits"}, {"task": "mine:make", "command": "train {epochs}"}):
        assert not of_one_mind(keys)
    assert of_one_mind({"model": None, "dataset": None, "task": "mine:make", "metrics": {}})


@given(st.sets(st.sampled_from(sorted(KIND_KEYS))), st.sets(st.sampled_from(["model", "dataset", "task", "command"])))
def test_schema_and_loader_agree_on_the_keys_of_each_kind(names, empty):
    of_one_mind({name: None if name in empty else KIND_KEYS[name] for name in names})


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**6),
    st.floats(-1, 100, allow_nan=False),
    st.sampled_from(["5ep", "22/3ep", "400ba", "0.2dur", "1/0ep", " 3ep", "1e3ep", "x", "", "-1ep", "3"]),
)


@given(key=st.sampled_from(sorted(Recipe.model_fields)), value=st.one_of(SCALARS, st.lists(SCALARS, max_size=3)))
def test_what_the_loader_takes_the_schema_takes(key, value):
    if isinstance(check_recipe(MINIMAL | {key: value}, {}, "recipe"), Recipe):
        assert complaints(**{key: value}) == []
