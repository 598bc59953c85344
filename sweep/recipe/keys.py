"""The keys of a baseline that is trained here: network, data, optimizer, schedule, and how it is run."""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from sweep.recipe.datasets import DATASETS
from sweep.recipe.duration import Duration
from sweep.recipe.fields import AnyDuration, Length, Number, as_float, as_tuple, names_schema, shown, whole
from sweep.recipe.models import MODELS, OWN, TIMM, TIMM_PATTERN
from sweep.recipe.schedule import SCHEDULES
from sweep.recipe.spelling import nearest

Method = Literal["epochs", "steps", "samples", "subset", "cyclic"]
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
    "onecyclelr",
]
assert set(get_args(Scheduler)) == set(SCHEDULES)

MAX_SEED = 2**32 - 1
MAX_DEVICES = 1024


def _known_dataset(name: str) -> str:
    if name not in DATASETS:
        raise ValueError(f"unknown dataset {name!r}{nearest(name, DATASETS)}; known: {', '.join(DATASETS)}")
    return name


def _known_model(name: str) -> str:
    if name.startswith(TIMM):
        if not re.fullmatch(TIMM_PATTERN, name):
            without = " (what follows a dot names trained weights, which are not taken)" if "." in name else ""
            raise ValueError(f"{shown(name)} is no network of timm{without}: write timm/NAME, such as timm/resnet18")
    elif name not in MODELS:
        hint = nearest(name, list(MODELS)) or f"; known: {', '.join(OWN)} and torchvision's, such as resnet18"
        raise ValueError(f"unknown model {shown(name)}{hint}")
    return name


class BaselineKeys(BaseModel):
    """Named and meant as in torchvision's reference scripts; "ours" marks those that it does not have."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)

    model: Annotated[str, AfterValidator(_known_model), names_schema(MODELS, TIMM_PATTERN)] | None = Field(
        None, description="the network; `timm/NAME` where timm is installed"
    )
    stem: Literal["default", "small"] = Field(
        "default",
        description="ours: how the network begins; `small`, for images of about 32x32 pixels, is a 3x3 convolution of "
        "stride 1 and no pooling (ResNet, ResNeXt, Wide ResNet and DenseNet)",
    )
    dataset: Annotated[str, AfterValidator(_known_dataset), names_schema(DATASETS)] | None = Field(
        None, description="what it is trained and evaluated on"
    )
    data_path: str = Field("data", min_length=1, description="folder that holds the dataset")
    epochs: Annotated[Length, AfterValidator(whole)] = Field(
        Duration.parse(90),
        description="length of the baseline: whole epochs, or steps (`5000ba`) with `method: steps` or `cyclic`",
    )
    batch_size: int = Field(
        32,
        ge=1,
        description="examples in a batch, on each device; the last, smaller one of an epoch is trained too",
    )
    devices_per_trial: int = Field(
        1,
        ge=1,
        le=MAX_DEVICES,
        description="ours: devices that train a trial together (DDP); a step takes `batch_size` examples of each",
    )
    sync_bn: bool = Field(
        False, description="`devices_per_trial`: BatchNorm's statistics are of all devices' examples; on GPUs only"
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
    lr_milestones: Annotated[tuple[Length, ...], BeforeValidator(as_tuple)] = Field(
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

    lr_pct_start: Number = Field(
        0.3, ge=0, le=1, description="ours, onecyclelr: share of the run in which the rate rises, up to `lr`"
    )
    lr_div_factor: Number = Field(25.0, gt=0, le=1e12, description="ours, onecyclelr: `lr` over the first rate")
    lr_final_div_factor: Number = Field(
        1e4, gt=0, le=1e12, description="ours, onecyclelr: first rate over the one at the end of the run"
    )
    lr_anneal: Literal["cos", "linear"] = Field("cos", description="ours, onecyclelr: shape of rise and fall")
    lr_cycle_momentum: bool = Field(
        True, description="ours, onecyclelr: momentum (beta1 of adamw) falls while the rate rises, and rises again"
    )
    lr_base_momentum: Number = Field(0.85, ge=0, lt=1, description="ours, onecyclelr: momentum at the highest rate")
    lr_max_momentum: Number = Field(0.95, ge=0, lt=1, description="ours, onecyclelr: momentum at both ends")

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

    method: Method = Field(
        "epochs",
        description="ours: what a ratio scales; `cyclic`: no scaled runs, but the ends of the cycles of one run",
    )
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
        None,
        ge=0,
        le=1024,
        description="processes that decode image files, and augment images (`auto_augment`, `random_erase`); default: "
        "as many as threads; of a task those that fetch the examples of its Datasets, default: none",
    )
    price: Annotated[float, Field(ge=0, le=1e9), BeforeValidator(as_float)] | None = Field(
        None, description="ours: dollars for an hour of one device"
    )
