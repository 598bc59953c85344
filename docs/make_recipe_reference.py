"""Writes docs/recipe-reference.md from the recipe's schema: `python docs/make_recipe_reference.py`."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from sweep.recipe.datasets import DATASETS
from sweep.recipe.duration import Duration
from sweep.recipe.models import OWN
from sweep.recipe.placeholders import OF_THE_RUN, SETTINGS, TIMES
from sweep.recipe.schema import NOT_IN_FINGERPRINT, Recipe

PAGE = Path(__file__).with_name("recipe-reference.md")
HEAD = """\
# Recipe reference

A recipe is a flat YAML file. Names, meanings and defaults are those of torchvision's reference scripts, in snake_case; keys that torchvision does not have are marked *ours*. Unknown keys are refused, with the nearest spelling.

A **time** is a plain number of epochs (`5`), or a text: `5ep` (epochs), `400ba` (optimizer steps), `0.2dur` (a fraction of the run). Its amount is a decimal or an exact fraction (`22/3ep`). In the `lr_*` keys epochs and steps are the baseline's, and stretch with the run, the warm-up excepted; a fraction always follows the run: as a position or a length it is that part of this run, and as an interval that repeats (`lr_step_size`, `lr_t_0`) it is that part of the baseline, dilated, so that every run holds as many of them. A milestone given as a fraction counts from the start of the run, whatever `lr_step_origin` says. [The scaling rules](scaling-rules.md) have the formulas.

The last column says what a ratio does to a key:

- **scales**: this is what the ratio is about.
- **stretches**: with the run.
- **stays**: epochs and steps are the baseline's own at every ratio; in `dur`, or with the key that is named, they stretch.
- **same**: the value is that of the recipe at every ratio.
- **apart**: no matter of the training; two recipes that differ in it are the same baseline.
"""

# A key belongs to the first subject that has it, or a pattern that it fits.
SUBJECTS = {
    "What is trained": ("model", "stem", "dataset", "data_path"),
    "Your own training": ("task", "task_args", "command", "metrics", "resume_args", "time_limit", "metric", "mode"),
    "Length": ("epochs", "method"),
    "Optimizer": (
        *("batch_size", "gradient_accumulation_steps", "devices_per_trial", "sync_bn"),
        *("opt", "lr", "momentum", "weight_decay", "norm_weight_decay", "clip_grad_norm"),
    ),
    "Schedule": ("lr_*", "scale_warmup"),
    "Data": ("random_crop_padding", "*_size", "hflip_prob", "auto_augment", "random_erase"),
    "Methods": (
        *("label_smoothing", "mixup_*", "cutmix_*", "model_ema*", "swa*", "progressive_resizing*", "layer_freezing*"),
        "scale_methods",
    ),
    "Running": ("seed", "min_shared_steps", "threads", "workers", "price", "amp", "channels_last", "compile"),
}
INTRODUCTIONS = {
    "What is trained": "A recipe names a model and a dataset, or else a task or a command of your own.",
    "Your own training": "Code of your own runs only when the recipe is given by its path.",
    "Methods": "Each is off unless it is asked for.",
}
_TABLE = "| key | values | default | meaning | at a ratio |\n| --- | --- | --- | --- | --- |"
_PLAIN = {Duration: "time", int: "whole number", float: "number", bool: "`true`, `false`", str: "text"}
_COMPOUND = {tuple: "list of times", dict: "mapping"}
# What a ratio does, of the keys whose type does not say it.
_AT_A_RATIO = {
    "epochs": "scales",
    "lr_warmup_epochs": "stays, unless `scale_warmup`",
    "lr_gamma": "same; that of an epoch: stretches",
    "model_ema_decay": "same, by the baseline's epochs",
    "method": "says what scales",
}


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_sections(), *_placeholders()])


def subject_of(key: str) -> str:
    """The subject of a key.

    Raises:
        LookupError: it has none.
    """
    for subject, patterns in SUBJECTS.items():
        if any(fnmatchcase(key, pattern) for pattern in patterns):
            return subject
    raise LookupError(f"{key} has no subject: give it one in SUBJECTS")


def _sections() -> Iterator[str]:
    keys: dict[str, list[str]] = {subject: [] for subject in SUBJECTS}
    for key in Recipe.model_fields:
        keys[subject_of(key)].append(key)
    for subject, its_keys in keys.items():
        yield f"## {subject}\n"
        if subject in INTRODUCTIONS:
            yield f"{INTRODUCTIONS[subject]}\n"
        yield _TABLE
        yield from (_row(key, Recipe.model_fields[key]) for key in its_keys)
        yield ""


def _placeholders() -> Iterator[str]:
    yield "## Placeholders of a command\n"
    yield "In `command`, `resume_args` and a file's name in `metrics`; [commands.md](commands.md#placeholders) has the rest.\n"
    yield "| placeholder | stands for |\n| --- | --- |"
    meanings = {
        TIMES: "epochs of the run at this ratio, as above, whole ones; `{name:exact}` refuses to round, and "
        "`{name:float}` is the fraction",
        SETTINGS: "the key at this ratio, as above",
        OF_THE_RUN: "the trial's own",
    }
    for names, meaning in meanings.items():
        yield f"| {', '.join(f'`{{{name}}}`' for name in names)} | {meaning} |"
    yield ""


def _row(key: str, field: FieldInfo) -> str:
    description = (field.description or "").replace("ours: ", "*ours* · ").replace("ours, ", "*ours* · ")
    cells = (f"`{key}`", _values(key, field.annotation), _default(field), description, at_a_ratio(key))
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def at_a_ratio(key: str) -> str:
    """What a ratio does to a key."""
    if key in _AT_A_RATIO:
        return _AT_A_RATIO[key]
    if key in NOT_IN_FINGERPRINT:
        return "apart"
    if not _is_time(Recipe.model_fields[key].annotation):
        return "same"
    return "stretches" if subject_of(key) == "Schedule" else "stays, unless `scale_methods`"


def _is_time(annotation: Any) -> bool:
    return annotation is Duration or any(_is_time(part) for part in get_args(annotation))


def _values(key: str, annotation: Any) -> str:
    if key == "model":
        names = ", ".join(f"`{model}`" for model in OWN)
        return f"{names}, a classification network of torchvision (`resnet18`, `vit_b_16`, …), or `timm/NAME`"
    if key == "dataset":
        return ", ".join(f"`{dataset}`" for dataset in DATASETS)
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if get_origin(annotation) in _COMPOUND:
        return _COMPOUND[get_origin(annotation)]
    plain = next((part for part in get_args(annotation) if part is not NoneType), annotation)
    while get_args(plain):
        plain = get_args(plain)[0]
    return _PLAIN[plain]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default in (None, (), {}):
        return ""
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
