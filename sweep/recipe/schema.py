"""The Recipe: a baseline to scale, every key known and typed, and frozen.

Keys are those of torchvision's reference scripts in snake_case, with torchvision's meaning and defaults; keys that
torchvision does not have are marked "ours" in their description.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)

from sweep.errors import Problem
from sweep.recipe.datasets import DATASETS
from sweep.recipe.duration import DURATION_PATTERN, Duration, Unit
from sweep.recipe.models import MODELS, OWN, SMALL_STEM_FAMILIES, has_small_stem
from sweep.recipe.schedule import SCHEDULES

Method = Literal["epochs", "steps", "samples", "subset"]
Scheduler = Literal[
    "steplr",
    "multisteplr",
    "exponentiallr",
    "cosineannealinglr",
    "cosineannealingwarmrestarts",
    "linearlr",
    "polynomiallr",
    "constantlr",
    "wsd",
]
assert set(get_args(Scheduler)) == set(SCHEDULES)

# What may differ between two runs of one baseline: how it is scaled and repeated, where it runs, what an hour costs.
NOT_IN_FINGERPRINT = frozenset({"method", "seed", "min_shared_steps", "threads", "workers", "price", "data_path"})
MAX_SEED = 2**32 - 1


def _not_zero(duration: Duration) -> Duration:
    if duration.amount == 0:
        raise ValueError("must be above zero")
    return duration


def _whole(duration: Duration) -> Duration:
    if duration.unit is Unit.RUN:
        raise ValueError("the baseline's length cannot be a fraction of the run: write epochs (20) or steps ('5000ba')")
    if duration.amount.denominator != 1:
        raise ValueError("the baseline trains whole epochs; for parts of one write steps ('5000ba')")
    return duration


def _known_dataset(name: str) -> str:
    if name not in DATASETS:
        raise ValueError(f"unknown dataset {name!r}{nearest(name, DATASETS)}; known: {', '.join(DATASETS)}")
    return name


def _known_model(name: str) -> str:
    if name not in MODELS:
        hint = nearest(name, list(MODELS)) or f"; known: {', '.join(OWN)} and torchvision's, such as resnet18"
        raise ValueError(f"unknown model {_shown(name)}{hint}")
    return name


def _as_tuple(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise ValueError("write a list, for example [30, 60]")
    return tuple(value)


def _as_float(value: object) -> object:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _time_schema(minimum: str) -> WithJsonSchema:
    text = {"type": "string", "pattern": DURATION_PATTERN}
    return WithJsonSchema({"anyOf": [{"type": "number", minimum: 0}, text]}, mode="validation")


AnyDuration = Annotated[
    Duration,
    PlainValidator(Duration.parse),
    PlainSerializer(str, return_type=str),
    _time_schema("minimum"),
]
Length = Annotated[AnyDuration, AfterValidator(_not_zero), _time_schema("exclusiveMinimum")]
Number = Annotated[float, BeforeValidator(_as_float)]


class Recipe(BaseModel):
    """A baseline: what is trained at ratio 1. A plain number in a time key counts epochs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    model: Annotated[str, AfterValidator(_known_model)] = Field(
        description="the network", json_schema_extra={"enum": list(MODELS)}
    )
    stem: Literal["default", "small"] = Field(
        "default",
        description="ours: how the network begins; `small`, for images of about 32x32 pixels, is a 3x3 convolution of "
        "stride 1 and no pooling (ResNet, ResNeXt, Wide ResNet and DenseNet)",
    )
    dataset: Annotated[str, AfterValidator(_known_dataset)] = Field(
        description="what it is trained and evaluated on", json_schema_extra={"enum": list(DATASETS)}
    )
    data_path: str = Field("data", min_length=1, description="folder that holds the dataset")
    epochs: Annotated[Length, AfterValidator(_whole)] = Field(
        Duration.parse(90),
        description="length of the baseline: whole epochs, or steps (`5000ba`) with `method: steps`",
    )
    batch_size: int = Field(
        32, ge=1, description="examples in a batch; the last, smaller one of an epoch is trained too"
    )
    opt: Literal["sgd", "sgd_nesterov", "adamw"] = Field("sgd", description="optimizer")
    lr: Number = Field(0.1, gt=0, le=1e30, description="base learning rate")
    momentum: Number = Field(0.9, ge=0, lt=1, description="momentum of sgd and sgd_nesterov")
    weight_decay: Number = Field(1e-4, ge=0, description="weight decay of every parameter")
    label_smoothing: Number = Field(0.0, ge=0, lt=1, description="label smoothing of the training loss")

    lr_scheduler: Scheduler = Field("steplr", description="shape of the learning rate after the warm-up")
    lr_interval: Literal["step", "epoch"] = Field(
        "step", description="ours: whether the rate changes at every step, or once an epoch as in torchvision"
    )
    lr_warmup_epochs: AnyDuration = Field(
        Duration.parse(0),
        description="length of the warm-up; absolute, unless given in `dur` or `scale_warmup` is set",
    )
    lr_warmup_method: Literal["constant", "linear"] = Field("constant", description="shape of the warm-up")
    lr_warmup_decay: Number = Field(0.01, ge=0, le=1, description="multiplier of `lr` at step 0 of the warm-up")
    scale_warmup: bool = Field(False, description="ours: scale the warm-up with the run")
    lr_step_size: Length = Field(Duration.parse(30), description="steplr: time between two decays")
    lr_milestones: Annotated[tuple[Length, ...], BeforeValidator(_as_tuple)] = Field(
        (), description="ours, multisteplr: list of times at which the rate decays"
    )
    lr_gamma: Number = Field(0.1, gt=0, le=1, description="factor of a decay; exponentiallr: factor of an epoch")
    lr_step_origin: Literal["start", "warmup"] = Field(
        "start",
        description="ours: steps and milestones count from the start of the run, or as in torchvision from the "
        "end of the warm-up",
    )
    lr_min: Number = Field(0.0, ge=0, description="rate at the end of a cosine or of wsd's cool-down (absolute)")
    lr_t_0: Length | None = Field(None, description="ours, cosineannealingwarmrestarts: length of the first cycle")
    lr_t_mult: int = Field(
        1, ge=1, le=1000, description="ours, warm restarts: each cycle is this many times the one before"
    )
    lr_power: Number = Field(1.0, gt=0, le=1000, description="ours, polynomiallr: the exponent")
    lr_start_factor: Number = Field(1.0, ge=0, le=1000, description="ours, linearlr: multiplier after the warm-up")
    lr_end_factor: Number = Field(0.0, ge=0, le=1000, description="ours, linearlr: multiplier at the end of the run")
    lr_cooldown: Length = Field(Duration.parse("0.2dur"), description="ours, wsd: length of the cool-down at the end")
    lr_cooldown_shape: Literal["linear", "1-sqrt"] = Field("linear", description="ours, wsd: shape of the cool-down")

    random_crop_padding: int = Field(
        0,
        ge=0,
        le=64,
        description="ours: pixels of zero padding around an image before a random crop of its own size",
    )
    train_crop_size: int = Field(
        224, ge=1, le=4096, description="datasets of image files: side of the random resized crop of a training image"
    )
    val_resize_size: int = Field(
        256, ge=1, le=4096, description="datasets of image files: the shorter side of an evaluation image"
    )
    val_crop_size: int = Field(
        224, ge=1, le=4096, description="datasets of image files: side of the centre crop of an evaluation image"
    )
    hflip_prob: Number = Field(0.0, ge=0, le=1, description="probability that a training image is mirrored")

    method: Method = Field("epochs", description="ours: what a ratio scales")
    seed: int = Field(0, ge=0, le=MAX_SEED, description="ours: first seed of a sweep")
    min_shared_steps: int = Field(
        100,
        ge=1,
        le=10**9,
        description="ours: steps that runs have in common are trained once where that saves so many steps or more",
    )
    threads: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="ours: CPU threads of a training process; default: the cores, shared among the jobs",
    )
    workers: int | None = Field(
        None, ge=0, le=1024, description="datasets of image files: processes that decode; default: as many as threads"
    )
    price: Annotated[float, Field(ge=0, le=1e9), BeforeValidator(_as_float)] | None = Field(
        None, description="ours: dollars for an hour of one device"
    )

    @property
    def fingerprint(self) -> str:
        """What makes two baselines the same: 16 hex digits over every key that changes the training.

        Defaults are left out, so that a key added later changes no old fingerprint.
        """
        keys = self.model_dump(mode="json", exclude_defaults=True, exclude=set(NOT_IN_FINGERPRINT))
        return hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()[:16]

    def differences(self, recorded: Mapping[str, object]) -> dict[str, str]:
        """Each key of the fingerprint that differs from a recorded recipe, with `key was recorded, now mine`.

        A key that was not there when it was recorded had what is its default now.
        """
        mine = self.model_dump(mode="json")
        theirs = Recipe(model=self.model, dataset=self.dataset).model_dump(mode="json") | dict(recorded)
        keys = sorted((mine.keys() | theirs.keys()) - NOT_IN_FINGERPRINT)
        changed = [key for key in keys if mine.get(key) != theirs.get(key)]
        return {key: f"{key} was {theirs.get(key)}, now {mine.get(key)}" for key in changed}


def nearest(name: str, known: Mapping[str, object] | Iterator[str] | list[str]) -> str:
    """The known spelling that is closest to `name`, as the tail of a message; empty where none is close."""
    spellings = {spelling.casefold(): spelling for spelling in known}
    matches = get_close_matches(name.casefold().replace("-", "_"), list(spellings), n=1, cutoff=0.6)
    return f"; did you mean {spellings[matches[0]]!r}?" if matches else ""


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
    order = {key: index for index, key in enumerate(place)}  # as in the file, with what is missing at the end
    return sorted(problems, key=lambda found: order.get(found.key or "", len(order))) or recipe


def _message(entry: dict[str, Any]) -> str:
    key = str(entry["loc"][0])
    item = f"item {entry['loc'][1] + 1}: " if len(entry["loc"]) > 1 and isinstance(entry["loc"][1], int) else ""
    match entry["type"]:
        case "missing":
            return "missing: a recipe must name it"
        case "value_error":
            return f"{item}{entry['ctx']['error']}"
    text = str(entry["msg"]).replace("Input should", "should").replace("String should", "should")
    value = entry["input"]
    hint = nearest(value, _choices(key)) if entry["type"] == "literal_error" and isinstance(value, str) else ""
    return f"{item}{text}, not {_shown(value)}{hint}"


def _choices(key: str) -> list[str]:
    return [choice for choice in get_args(Recipe.model_fields[key].annotation) if isinstance(choice, str)]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _cross_checks(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """What one key demands of another, from the raw values: so it is reported beside a wrong type elsewhere."""
    name = values.get("lr_scheduler", "steplr")
    if isinstance(name, str) and name in SCHEDULES:
        for key in sorted(SCHEDULES[name].required):
            if values.get(key) in (None, [], ()):
                yield key, f"missing: lr_scheduler {name} needs it"
    model = values.get("model")
    if values.get("stem") == "small" and isinstance(model, str) and model in MODELS and not has_small_stem(model):
        *families, last = SMALL_STEM_FAMILIES.values()
        yield "stem", f"small is not defined for {model}, only for {', '.join(families)} and {last}"
    lr, lr_min = values.get("lr", 0.1), values.get("lr_min", 0.0)
    if isinstance(lr, int | float) and isinstance(lr_min, int | float) and lr_min > lr > 0:
        yield "lr_min", f"{lr_min:g} is above lr ({lr:g})"
    unit_is_steps = isinstance(values.get("epochs"), str) and str(values["epochs"]).strip().endswith("ba")
    if unit_is_steps and values.get("method", "epochs") != "steps":
        yield "epochs", "a length in steps scales only with `method: steps`"
