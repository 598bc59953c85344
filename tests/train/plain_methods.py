"""The recipe's methods in an ordinary PyTorch loop, written without the tool's own: see plain_loop.

Averages are torch's AveragedModel, mixing is torchvision's own transforms, precision torch's own; the values that are
scheduled are given by the job of a whole run, and everything else is written out.
"""

import math
from contextlib import nullcontext
from unittest.mock import patch

import numpy as np
import torch
from plain_loop import PlainRun, cut_out, framed, plain_normalised
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn, update_bn
from torchvision.transforms.v2 import CutMix, MixUp
from torchvision.transforms.v2.functional import resize

from sweep.recipe.duration import Unit
from sweep.recipe.schema import Recipe
from sweep.store.records import decode_rates
from sweep.train.data import draw_augmentation, epoch_order
from sweep.train.models import build_model

CPU = torch.device("cpu")


def train_with_methods(job, data) -> PlainRun:
    """Train all the steps of `job`, a whole run; the model is the one that the recipe deploys."""
    recipe = Recipe.model_validate(job.recipe, strict=False)
    model = build_model(recipe.builtin_model, 1, 10, job.seed).train()
    if recipe.channels_last:
        model = model.to(memory_format=torch.channels_last)
    optimizer = optimizer_with_decays(recipe, model)
    scaler = torch.amp.GradScaler("cpu", enabled=recipe.amp == "fp16")
    rates = decode_rates(job.rates)
    momenta = decode_rates(job.momenta) if job.momenta else None
    ema = Ema(recipe, model)
    swa = AveragedModel(model, multi_avg_fn=get_swa_multi_avg_fn())
    losses = []
    for step, batches in enumerate(steps_of(recipe, data, job, len(rates))):
        group_values(optimizer, rates[step], momenta[step] if momenta else None)
        freeze(model, value(job, "frozen_share", step, 0.0))
        optimizer.zero_grad()
        size = sum(len(labels) for _, labels in batches)
        parts = []
        for number, (images, labels) in enumerate(batches):
            share = len(labels) / size
            inputs, targets = altered(images, labels, recipe, job, step, number)
            with precision(recipe):
                loss = cross_entropy(model(inputs), targets, label_smoothing=recipe.label_smoothing)
            loss = loss * share if recipe.gradient_accumulation_steps > 1 else loss
            scaler.scale(loss).backward()
            parts.append(loss.detach())
        if recipe.clip_grad_norm:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_grad_norm)
        scaler.step(optimizer)
        scaler.update()
        ema.after(step, model)
        if step + 1 in job.swa_steps:
            swa.update_parameters(model)
        losses.append(sum(parts).item())
    if recipe.model_ema and len(losses) >= recipe.model_ema_steps:
        return PlainRun(ema.average.module, losses)
    if swa.n_averaged > 0:
        [*epoch] = steps_of(recipe, data, job, -(-job.num_examples // step_size(recipe)))
        inputs = [laid_out(images, recipe) for batches in epoch for images, _ in batches]
        with precision(recipe):
            update_bn(inputs, swa.module)
        return PlainRun(swa.module, losses)
    return PlainRun(model, losses)


def step_size(recipe):
    return recipe.batch_size * recipe.gradient_accumulation_steps


def steps_of(recipe, data, job, count):
    """The (images, labels) batches of each of the first `count` steps."""
    padding, labels = recipe.random_crop_padding, data.train.labels
    frames = framed(data.train.pixels, padding)
    done = epoch = 0
    while done < count:
        order = epoch_order(job.seed, epoch, job.num_examples, recipe.method, labels.numpy()).tolist()
        draws = draw_augmentation(job.seed, epoch, len(labels), padding, recipe.hflip_prob, CPU)
        top, left, mirrored = draws.top.tolist(), draws.left.tolist(), draws.mirrored.tolist()
        for first in range(0, len(order), step_size(recipe)):
            if done == count:
                return
            of_step = order[first : first + step_size(recipe)]
            batches = [of_step[at : at + recipe.batch_size] for at in range(0, len(of_step), recipe.batch_size)]
            yield [
                (
                    plain_normalised(
                        torch.stack([cut_out(frames[i], padding, top[i], left[i], mirrored[i]) for i in batch])
                    ),
                    labels[batch],
                )
                for batch in batches
            ]
            done += 1
        epoch += 1


def optimizer_with_decays(recipe, model):
    """Two groups in torchvision's order, by the names that BatchNorm has in our small network."""
    norms = {id(p) for module in model.modules() if isinstance(module, nn.BatchNorm2d) for p in module.parameters()}
    groups = [{"params": list(model.parameters())}]
    if recipe.norm_weight_decay is not None:
        groups = [
            {"params": [p for p in model.parameters() if id(p) not in norms]},
            {"params": [p for p in model.parameters() if id(p) in norms], "weight_decay": recipe.norm_weight_decay},
        ]
    if recipe.opt == "adamw":
        return torch.optim.AdamW(groups, lr=1.0, weight_decay=recipe.weight_decay, foreach=False)
    nesterov = recipe.opt == "sgd_nesterov"
    momentum, decay = recipe.momentum, recipe.weight_decay
    return torch.optim.SGD(groups, lr=1.0, momentum=momentum, weight_decay=decay, nesterov=nesterov, foreach=False)


def group_values(optimizer, rate, momentum):
    for group in optimizer.param_groups:
        group["lr"] = rate
        if momentum is not None and "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        elif momentum is not None:
            group["momentum"] = momentum


def value(job, name, step, default=None):
    """The last of the changes up to `step`."""
    return [number for first, number in job.values.get(name, ((0, default),)) if first <= step][-1]


def freeze(model, share):
    layers = [module for module in model.modules() if not list(module.children()) and list(module.parameters())]
    frozen = layers[: int(share * (len(layers) - 1) + 1e-9)]
    for layer in layers:
        layer.requires_grad_(layer not in frozen)


def precision(recipe):
    kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
    return torch.autocast("cpu", kinds[recipe.amp]) if recipe.amp != "none" else nullcontext()


def laid_out(images, recipe):
    return images.contiguous(memory_format=torch.channels_last) if recipe.channels_last else images


def altered(images, labels, recipe, job, step, number):
    """A batch as it is trained: resized and mixed."""
    side = value(job, "image_size", step)
    if side is not None and int(side) != images.shape[-1]:
        images = resize(images, [int(side), int(side)], antialias=True)
    if value(job, "mixup", step, 0.0):
        images, labels = mixed(images, labels, recipe, np.random.default_rng([job.seed, step, 16, number]))
    return laid_out(images, recipe), labels


class Sampled:
    """In place of a distribution: what it is to draw."""

    def __init__(self, number):
        self.number = number

    def sample(self, shape):
        return torch.tensor(self.number, dtype=torch.float64)


def mixed(images, labels, recipe, random):
    """By torchvision's own transforms, which draw what `random` does."""
    kinds = [(MixUp, recipe.mixup_alpha), (CutMix, recipe.cutmix_alpha)]
    kinds = [(kind, alpha) for kind, alpha in kinds if alpha > 0]
    kind, alpha = kinds[random.integers(len(kinds))]
    transform = kind(alpha=alpha, num_classes=10)
    transform._dist = Sampled(float(random.beta(alpha, alpha)))
    with patch.object(torch, "randint", lambda high, size: torch.tensor([int(random.integers(high))])):
        return transform(images, labels)


class Ema:
    """torchvision's reference script's, but for the count of its steps: over the run, not anew in each epoch."""

    def __init__(self, recipe, model):
        epochs = float(recipe.epochs.amount)
        alpha = (1.0 - recipe.model_ema_decay) * (step_size(recipe) * recipe.model_ema_steps / epochs)
        self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(1 - min(1.0, alpha)), use_buffers=True)
        self.recipe = recipe
        per_epoch = math.ceil(1442 / step_size(recipe))
        in_run = recipe.lr_warmup_epochs.unit is Unit.RUN
        self.warmup_steps = recipe.lr_warmup_epochs.amount * per_epoch * (recipe.epochs.amount if in_run else 1)

    def after(self, step, model):
        recipe = self.recipe
        if not recipe.model_ema or (step + 1) % recipe.model_ema_steps:
            return
        self.average.update_parameters(model)
        for mine, its in zip(self.average.module.buffers(), model.buffers(), strict=True):
            if not mine.is_floating_point():
                mine.copy_(its)
        if step < self.warmup_steps:
            self.average.n_averaged.fill_(0)
