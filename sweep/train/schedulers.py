"""Scales a live torch scheduler in place, exactly: the mathematics of sweep/recipe/schedule.py on torch's own objects.

A position is an exact fraction, rounded once, half up. Where the baseline's length N is known, everything follows the
run that there really is, of N_r = floor(N x ratio) steps, so that the schedule ends where the run ends. A warm-up (a
LinearLR or ConstantLR that rises, first in a SequentialLR or anywhere in a ChainedScheduler) keeps its length, and what
a SequentialLR does after it is stretched by what is left, (N_r - w) / (N - w): torch counts it from the warm-up's end,
as a recipe does with `lr_step_origin: warmup`. In a ChainedScheduler everything counts from the start. The idea is
Composer's `scale_pytorch_scheduler`.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import Any

from torch.optim import lr_scheduler as torch_schedulers

from sweep.errors import Complaints, Problem, UsageError
from sweep.recipe.duration import Ratio
from sweep.train.dilated import DilatedStepLR, DilatedWarmRestarts
from sweep.train.scaling import Rule, Scaling, Span, length_of, parts, steps_made
from sweep.train.single_rules import (
    scale_cosine,
    scale_exponentiallr,
    scale_multisteplr,
    scale_onecyclelr,
    scale_restarts,
    scale_steplr,
    scale_total_iters,
    show_rates,
)


def scale_scheduler(
    scheduler: object, ratio: object, total_steps: int | None = None, scale_warmup: bool = False
) -> int | None:
    """Stretch `scheduler`, and all that it holds, to a training `ratio` times as long. Call it before the first step.

    `ratio` is a number, a text such as "0.7" or "1/3", or a Fraction; of a float, the decimal that it shows.
    `total_steps` is how many steps of the scheduler (epochs, if it steps once an epoch) the baseline makes; without
    it, what T_max, total_iters or OneCycleLR's total_steps say. With `scale_warmup` a warm-up is stretched as well.

    Returns how many steps the scaled run makes, floor(total_steps x ratio); None where the baseline's are not known.

    Raises:
        UsageError: with everything that cannot be scaled; then nothing has changed.
    """
    scaling = Scaling(RULES, _parsed(ratio, total_steps), scale_warmup)
    name = type(scheduler).__name__
    if (stepped := steps_made(scheduler)) > 0:
        fix = "scale it before its first step, and before its state is loaded"
        raise UsageError(Problem(f"has already made {stepped} steps", where=name, fix=fix))
    span = _whole_run(total_steps or length_of(scheduler), scaling.ratio, name)
    if scaling.is_warmup(scheduler):
        message = "rises, and a warm-up by itself keeps its length: nothing would change"
        scaling.complain(name, message, fix="pass scale_warmup=True to stretch it")
    else:
        scaling.plan(scheduler, span, name)
    scaling.carry_out()
    return span.scaled


def _parsed(ratio: object, total_steps: object) -> Ratio:
    complaints, parsed = Complaints(), None
    try:
        parsed = Ratio.of(ratio)
    except ValueError as error:
        complaints.problems.append(Problem(str(error), where="ratio"))
    if total_steps is not None and (type(total_steps) is not int or total_steps < 1):
        message = f"{total_steps!r} is no number of steps"
        complaints.problems.append(Problem(message, where="total_steps", fix="give a whole number, such as 90"))
    complaints.raise_any()
    assert parsed is not None
    return parsed


def _whole_run(length: int | None, ratio: Ratio, where: str) -> Span:
    if length is None:
        return Span(None, None, ratio.value)
    scaled = floor(length * ratio.value)
    if scaled == 0:
        fix = f"take a ratio of at least 1/{length}"
        raise UsageError(Problem(f"of {length} steps that is none", where, ratio=ratio.text, fix=fix))
    return Span(length, scaled, Fraction(scaled, length))


def _scale_chained(scaling: Scaling, scheduler: Any, span: Span, where: str) -> None:
    held = parts(scheduler)
    for number, part in enumerate(held, start=1):
        if not scaling.is_warmup(part):
            scaling.plan(part, span, _place(where, number, part))
        elif span.scaled is not None and part.total_iters >= span.scaled:
            scaling.complain(_place(where, number, part), *_fills(part.total_iters, span.scaled))
    scaling.changes.append(lambda: show_rates(scheduler))


def _scale_sequential(scaling: Scaling, scheduler: Any, span: Span, where: str) -> None:
    held, milestones = parts(scheduler), list(scheduler._milestones)
    warmup = milestones[0] if milestones and scaling.is_warmup(held[0]) else 0
    after = _after_warmup(scaling, warmup, span, where)
    if after is None:
        return
    scaled = [warmup + after.position(milestone - warmup) for milestone in milestones]
    ends = [0, *scaled, *([span.scaled] if span.scaled is not None else [])]
    if any(end <= start for start, end in pairwise(ends)):
        message = f"with its milestones at {', '.join(map(str, scaled))} one of its schedulers would have no step"
        scaling.complain(where, message, "milestones", "take a larger ratio")
        return
    scaling.change(scheduler, _milestones=scaled)
    spans = _spans([0, *milestones, span.length], [0, *scaled, span.scaled], after.stretch)
    for number, (part, its_span) in enumerate(zip(held, spans, strict=True), start=1):
        if warmup == 0 or number > 1:
            scaling.plan(part, its_span, _place(where, number, part))
    scaling.changes.append(lambda: show_rates(scheduler))


def _after_warmup(scaling: Scaling, warmup: int, span: Span, where: str) -> Span | None:
    """What is left of `span`, and how it is stretched."""
    if warmup == 0:
        return span
    if span.length is None or span.scaled is None:
        message = (
            "how far what follows the warm-up is stretched depends on the baseline's length, which it does not say"
        )
        scaling.complain(where, message, fix="pass total_steps=…, of the baseline")
        return None
    if warmup >= min(span.scaled, span.length):
        scaling.complain(where, *_fills(warmup, min(span.scaled, span.length)))
        return None
    left, scaled = span.length - warmup, span.scaled - warmup
    return Span(left, scaled, Fraction(scaled, left))


def _fills(warmup: int, run: int) -> tuple[str, str, str]:
    message = f"the warm-up of {warmup} steps fills the run of {run}"
    return message, "total_iters", "shorten it, pass scale_warmup=True, or take a larger ratio"


def _spans(milestones: list[int | None], scaled: list[int | None], stretch: Fraction) -> list[Span]:
    """Each part's own steps, from one milestone to the next; stretched by what it really gets."""
    found = []
    for (start, end), (new_start, new_end) in zip(pairwise(milestones), pairwise(scaled), strict=True):
        if start is None or end is None or new_start is None or new_end is None:
            found.append(Span(None, None, stretch))
        else:
            found.append(Span(end - start, new_end - new_start, Fraction(new_end - new_start, end - start)))
    return found


def _place(where: str, number: int, part: object) -> str:
    return f"{where}, scheduler {number} ({type(part).__name__})"


RULES: dict[type, Rule] = {
    torch_schedulers.StepLR: scale_steplr,
    DilatedStepLR: scale_steplr,
    torch_schedulers.MultiStepLR: scale_multisteplr,
    torch_schedulers.ConstantLR: scale_total_iters,
    torch_schedulers.LinearLR: scale_total_iters,
    torch_schedulers.PolynomialLR: scale_total_iters,
    torch_schedulers.ExponentialLR: scale_exponentiallr,
    torch_schedulers.CosineAnnealingLR: scale_cosine,
    torch_schedulers.CosineAnnealingWarmRestarts: scale_restarts,
    DilatedWarmRestarts: scale_restarts,
    torch_schedulers.OneCycleLR: scale_onecyclelr,
    torch_schedulers.SequentialLR: _scale_sequential,
    torch_schedulers.ChainedScheduler: _scale_chained,
}
