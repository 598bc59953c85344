"""The JSON Schema of a recipe file, for editors: keys, types, limits and the names that there are.

It says less than the loader checks (that a length of whole epochs is asked for, say), and refuses nothing that the
loader takes.
"""

from __future__ import annotations

import json
from typing import Any, get_args

from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from sweep.recipe.duration import Duration
from sweep.recipe.schedule import SCHEDULES
from sweep.recipe.schema import Recipe

_KINDS = (("model", "dataset"), ("task",), ("command",))
_KEYS_OF = {"task": ("task_args",), "command": ("metrics", "resume_args", "time_limit")}
_UNITS = "A number counts epochs; a text has its unit: 5ep or 22/3ep (epochs), 400ba (optimizer steps), 0.2dur (run)."


def recipe_schema_text() -> str:
    """`recipe_schema` as JSON."""
    return json.dumps(recipe_schema(), indent=2, ensure_ascii=False)


def recipe_schema() -> dict[str, Any]:
    """The schema in draft 2020-12, every key with its description."""
    schema = Recipe.model_json_schema(schema_generator=_Generator)
    for name, field in Recipe.model_fields.items():
        schema["properties"][name]["description"] = _description(field)
    head = {"$schema": _Generator.schema_dialect, "title": "sweep recipe"}
    return head | {key: value for key, value in schema.items() if key != "title"} | {"allOf": _demands()}


class _Generator(GenerateJsonSchema):
    """Without a title for each key, which would only repeat it, and with times as they are written."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def encode_default(self, dft: Any) -> Any:
        return str(dft) if isinstance(dft, Duration) else super().encode_default(dft)


def _description(field: FieldInfo) -> str:
    text = (field.description or "").replace("ours", "not in torchvision", 1)
    return f"{text}. {_UNITS}" if _holds_times(field.annotation) else text


def _holds_times(annotation: Any) -> bool:
    return annotation is Duration or any(_holds_times(part) for part in get_args(annotation))


def _demands() -> list[dict[str, Any]]:
    """What it is that is trained, the keys of each kind, and those that a scheduler cannot do without."""
    of_kinds = [_when(_has(key), _has(kind)) for kind, keys in _KEYS_OF.items() for key in keys]
    of_schedulers = [
        _when(_is("lr_scheduler", name), {"required": sorted(schedule.required)})
        for name, schedule in SCHEDULES.items()
        if schedule.required
    ]
    return [{"oneOf": [_kind(keys) for keys in _KINDS]}, *of_kinds, *of_schedulers]


def _kind(keys: tuple[str, ...]) -> dict[str, Any]:
    """A recipe that names `keys`, and nothing that only a recipe of another kind does."""
    others = [key for other in _KINDS for key in other if key not in keys]
    title = f"a recipe with a {' and a '.join(keys)}"
    return {"title": title, "allOf": [_has(key) for key in keys], "not": {"anyOf": [_has(key) for key in others]}}


def _has(key: str) -> dict[str, Any]:
    """Is there, and not left empty."""
    return {"required": [key], "properties": {key: {"not": {"enum": [None, {}]}}}}


def _is(key: str, value: str) -> dict[str, Any]:
    return {"required": [key], "properties": {key: {"const": value}}}


def _when(condition: dict[str, Any], demand: dict[str, Any]) -> dict[str, Any]:
    return {"if": condition, "then": demand}
