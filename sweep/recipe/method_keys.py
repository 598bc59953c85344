"""The keys of what a step does beside following the gradient, and of the methods that a recipe is made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from sweep.recipe.duration import Duration
from sweep.recipe.fields import AnyDuration, Length, Number, as_float
from sweep.recipe.keys import BaselineKeys

_PositiveNumber = Annotated[float, Field(gt=0), BeforeValidator(as_float)]
_AnyNumber = Annotated[float, Field(ge=0), BeforeValidator(as_float)]


class MethodKeys(BaselineKeys):
    """A method's time in `dur` follows the run; an absolute one does not, unless `scale_methods` is set."""

    gradient_accumulation_steps: int = Field(
        1, ge=1, le=10**6, description="ours: batches whose gradients make one optimizer step"
    )
    clip_grad_norm: _PositiveNumber | None = Field(None, description="largest norm of a step's gradient")
    norm_weight_decay: _AnyNumber | None = Field(
        None, description="weight decay of normalisation layers; default: `weight_decay`"
    )
    amp: Literal["none", "auto", "bf16", "fp16"] = Field(
        "none",
        description="ours: precision of automatic mixed precision; `auto`: `bf16` where the device computes in it and "
        "a step is large enough, else `none`; `fp16`, with a scaled loss, on a GPU only",
    )
    channels_last: bool = Field(False, description="ours: keep images and network in the memory format channels_last")
    compile: bool = Field(False, description="ours: compile the network with torch.compile")

    auto_augment: Literal["none", "ra", "ta_wide", "augmix", "imagenet", "cifar10", "svhn"] = Field(
        "none",
        description="augmentation of training images: RandAugment, TrivialAugment, AugMix or a policy of AutoAugment",
    )
    random_erase: Number = Field(0.0, ge=0, le=1, description="probability that a part of a training image is erased")
    mixup_alpha: Number = Field(0.0, ge=0, le=1000, description="alpha of mixup; 0: off")
    cutmix_alpha: Number = Field(0.0, ge=0, le=1000, description="alpha of cutmix; 0: off")
    mixup_off: Length | None = Field(None, description="ours: time from which mixup and cutmix are off")
    model_ema: bool = Field(
        False, description="deploy the exponential moving average of the weights, and evaluate that"
    )
    model_ema_steps: int = Field(32, ge=1, le=10**9, description="model_ema: steps between two updates")
    model_ema_decay: Number = Field(
        0.99998, ge=0, lt=1, description="model_ema: its decay, adjusted as torchvision does by batch and epochs"
    )
    swa: bool = Field(False, description="ours: deploy the plain average of late weights (SWA)")
    swa_start: AnyDuration = Field(Duration.parse("0.7dur"), description="ours, swa: time from which it averages")
    swa_end: AnyDuration = Field(Duration.parse("0.97dur"), description="ours, swa: time up to which it averages")
    swa_interval: Length = Field(Duration.parse("1ep"), description="ours, swa: time between two updates")
    progressive_resizing: bool = Field(False, description="ours: begin with smaller images")
    progressive_resizing_initial_scale: Number = Field(
        0.5, gt=0, le=1, description="ours, progressive_resizing: side at the beginning, as a share of the full one"
    )
    progressive_resizing_start: AnyDuration = Field(
        Duration.parse("0.5dur"), description="ours, progressive_resizing: time up to which images keep that side"
    )
    progressive_resizing_end: AnyDuration = Field(
        Duration.parse("0.8dur"), description="ours, progressive_resizing: time from which they are full-sized"
    )
    progressive_resizing_increment: int = Field(
        4,
        ge=1,
        le=4096,
        description="ours, progressive_resizing: a smaller side is a multiple of so many pixels",
    )
    layer_freezing: bool = Field(False, description="ours: freeze layers one by one, from the network's beginning")
    layer_freezing_start: AnyDuration = Field(
        Duration.parse("0.5dur"), description="ours, layer_freezing: time at which it begins"
    )
    layer_freezing_level: Number = Field(
        1.0, ge=0, le=1, description="ours, layer_freezing: share of the layers that is frozen at the run's end"
    )
    scale_methods: bool = Field(False, description="ours: absolute times of methods scale with the run too")
