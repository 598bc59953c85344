"""Writes docs/recipe-keys.md from the recipe's schema: `python docs/make_recipe_keys.py`."""

from __future__ import annotations

from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from sweep.recipe.datasets import DATASETS
from sweep.recipe.duration import Duration
from sweep.recipe.models import OWN
from sweep.recipe.schema import Recipe

PAGE = Path(__file__).with_name("recipe-keys.md")
HEAD = """\
# Recipe keys

A recipe is a flat YAML file. Names, meanings and defaults are those of torchvision's reference scripts, in snake_case; keys that torchvision does not have are marked *ours*. Unknown keys are refused.

A **time** is a plain number of epochs (`5`), or a text: `5ep` (epochs), `400ba` (optimizer steps), `0.2dur` (a fraction of the run). Its amount is a decimal or an exact fraction (`22/3ep`). In the `lr_*` keys epochs and steps are the baseline's, and stretch with the run, the warm-up excepted; a fraction always follows the run: as a position or a length it is that part of this run, and as an interval that repeats (`lr_step_size`, `lr_t_0`) it is that part of the baseline, dilated, so that every run holds as many of them. A milestone given as a fraction counts from the start of the run, whatever `lr_step_origin` says.

| key | values | default | meaning |
| --- | --- | --- | --- |
"""


def page() -> str:
    """The whole page."""
    rows = [_row(name, field) for name, field in Recipe.model_fields.items()]
    return HEAD + "\n".join(rows) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    description = (field.description or "").replace("ours: ", "*ours* · ").replace("ours, ", "*ours* · ")
    return f"| `{name}` | {_values(name, field.annotation)} | {_default(field)} | {description} |"


def _values(name: str, annotation: Any) -> str:
    if name == "model":
        names = ", ".join(f"`{model}`" for model in OWN)
        return f"{names}, or a classification network of torchvision (`resnet18`, `vit_b_16`, …)"
    if name == "dataset":
        return ", ".join(f"`{dataset}`" for dataset in DATASETS)
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if get_origin(annotation) is tuple:
        return "list of times"
    plain = next((part for part in get_args(annotation) if part is not NoneType), annotation)
    while get_args(plain):
        plain = get_args(plain)[0]
    return {Duration: "time", int: "whole number", float: "number", bool: "`true`, `false`", str: "text"}[plain]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default in (None, ()):
        return ""
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
