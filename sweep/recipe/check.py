"""The values of a recipe's keys -> a Recipe, or everything that is wrong with them, all at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import ValidationError

from sweep.errors import Problem
from sweep.recipe.command import command_problems
from sweep.recipe.datasets import DATASETS
from sweep.recipe.fields import shown
from sweep.recipe.models import MODELS, SMALL_STEM_FAMILIES, TIMM, has_small_stem
from sweep.recipe.schedule import SCHEDULES
from sweep.recipe.schema import Recipe
from sweep.recipe.spelling import nearest

# What torchvision's auto-augmentation takes for the brightest pixel.
_WHITE = 255


def check_recipe(values: Mapping[str, object], place: Mapping[str, str], default_place: str) -> Recipe | list[Problem]:
    """The recipe that `values` spell, or everything that is wrong with them.

    `place` says where each key was given (`file:line`, or an option); `default_place` serves keys that were not.
    """

    def problem(key: str, message: str) -> Problem:
        return Problem(message, where=place.get(key, default_place), key=key)

    known = {key: value for key, value in values.items() if key in Recipe.model_fields}
    problems = [
        problem(key, f"unknown key{nearest(key, list(Recipe.model_fields))}") for key in values if key not in known
    ]
    problems += [problem(key, message) for key, message in _cross_checks(known)]
    try:
        recipe = Recipe.model_validate(known)
    except ValidationError as error:
        problems += [problem(str(entry["loc"][0]), _message(dict(entry))) for entry in error.errors()]
    else:
        problems += [problem(key, message) for key, message in command_problems(recipe)]
    order = {key: index for index, key in enumerate(place)}  # as in the file, with what is missing at the end
    return sorted(problems, key=lambda found: order.get(found.key or "", len(order))) or recipe


def _message(entry: dict[str, Any]) -> str:
    key = str(entry["loc"][0])
    item = f"item {entry['loc'][1] + 1}: " if len(entry["loc"]) > 1 and isinstance(entry["loc"][1], int) else ""
    match entry["type"]:
        case "value_error":
            return f"{item}{entry['ctx']['error']}"
        case "string_pattern_mismatch" if key == "task":
            return f"write module:function, such as my_task:make_task, not {shown(entry['input'])}"
    text = str(entry["msg"]).replace("Input should", "should").replace("String should", "should")
    value = entry["input"]
    hint = nearest(value, _choices(key)) if entry["type"] == "literal_error" and isinstance(value, str) else ""
    return f"{item}{text}, not {shown(value)}{hint}"


def _choices(key: str) -> list[str]:
    return [choice for choice in get_args(Recipe.model_fields[key].annotation) if isinstance(choice, str)]


# What only a recipe of one kind has.
_OF_KIND = {"task_args": "task", "metrics": "command", "resume_args": "command", "time_limit": "command"}
_IN_PLACE_OF = ("model", "dataset")
# What only the tool's own image tasks do: a user's task makes its own examples, and has its own loss.
_OF_IMAGES = (
    "stem",
    "label_smoothing",
    "random_crop_padding",
    "train_crop_size",
    "val_resize_size",
    "val_crop_size",
    "hflip_prob",
    "auto_augment",
    "random_erase",
    "mixup_off",
    "progressive_resizing_initial_scale",
    "progressive_resizing_start",
    "progressive_resizing_end",
    "progressive_resizing_increment",
)


def _kind_checks(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Exactly one of: a model with a dataset, a task, a command; and nothing of another kind."""
    values = {key: value for key, value in values.items() if value not in (None, {})}
    if "task" in values and "command" in values:
        yield "command", "a recipe has a task or a command, not both"
    kind = next((kind for kind in ("task", "command") if kind in values), None)
    for key in _IN_PLACE_OF:
        if kind is None and key not in values:
            yield key, "missing: a recipe must name it, or have a task or a command"
        elif kind is not None and key in values:
            yield key, f"a {kind} brings its own: remove one of them"
    for key in _OF_IMAGES:
        if kind == "task" and key in values and not _is_default(key, values[key]):
            yield key, "of the tool's own images: a task does this itself, with values from task_args"
    if kind is not None and values.get("progressive_resizing") is True:
        yield "progressive_resizing", f"the images of a {kind}, if any, are not known here: leave it out"
    for key, of in _OF_KIND.items():
        if key in values and of not in values:
            yield key, f"of a recipe with a {of}, which this is not"


def _is_default(key: str, value: object) -> bool:
    default = Recipe.model_fields[key].default
    return value == default or str(value) == str(default)


def _method_checks(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    if values.get("model_ema") is True and values.get("swa") is True:
        yield "swa", "model_ema deploys other weights: leave one of them out"
    for key in ("mixup_alpha", "cutmix_alpha"):
        if values.get("task") is not None and values.get(key) not in (None, 0):
            yield key, "the targets of a task are not known to be classes: leave it out, and mix in the task's own data"


def _device_checks(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    is_several = values.get("devices_per_trial", 1) != 1
    if values.get("sync_bn") is True and not is_several:
        yield "sync_bn", "there is one device: it needs devices_per_trial"
    if is_several and values.get("command") is not None:
        yield "devices_per_trial", "a command starts its processes itself: leave it out"
    if is_several and values.get("compile") is True:
        yield "compile", "not for several devices a trial: leave one of them out"


def _metric_checks(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    metric, mode = values.get("metric", "accuracy"), values.get("mode", "max")
    if metric == "accuracy" and mode == "min":
        yield "mode", "more accuracy is better: write mode: max"
    if metric == "loss" and mode == "max":
        yield "mode" if "mode" in values else "metric", "less loss is better: write mode: min"
    is_builtin = values.get("task") is None and values.get("command") is None
    if is_builtin and isinstance(metric, str) and metric not in ("accuracy", "loss"):
        yield "metric", f"{shown(metric)} is not measured here: accuracy or loss"


def _cross_checks(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """What one key demands of another, from the raw values: so it is reported beside a wrong type elsewhere."""
    yield from _kind_checks(values)
    yield from _method_checks(values)
    yield from _device_checks(values)
    yield from _metric_checks(values)
    name = values.get("lr_scheduler", "steplr")
    if isinstance(name, str) and name in SCHEDULES:
        for key in sorted(SCHEDULES[name].required):
            if values.get(key) in (None, [], ()):
                yield key, f"missing: lr_scheduler {name} needs it"
    model = values.get("model")
    is_known = isinstance(model, str) and (model in MODELS or model.startswith(TIMM))
    if values.get("stem") == "small" and isinstance(model, str) and is_known and not has_small_stem(model):
        *families, last = SMALL_STEM_FAMILIES.values()
        yield "stem", f"small is not defined for {model}, only for {', '.join(families)} and {last}"
    dataset = DATASETS.get(str(values.get("dataset")))
    if values.get("auto_augment", "none") != "none" and dataset is not None and dataset.white != _WHITE:
        yield "auto_augment", f"is made for pixels of 0 to {_WHITE}, and those of {dataset.name} go to {dataset.white}"
    lr, lr_min = values.get("lr", 0.1), values.get("lr_min", 0.0)
    if isinstance(lr, int | float) and isinstance(lr_min, int | float) and lr_min > lr > 0:
        yield "lr_min", f"{lr_min:g} is above lr ({lr:g})"
    unit_is_steps = isinstance(values.get("epochs"), str) and str(values["epochs"]).strip().endswith("ba")
    if unit_is_steps and values.get("method", "epochs") not in ("steps", "cyclic"):
        yield "epochs", "a length in steps scales only with `method: steps`, or `cyclic`"
