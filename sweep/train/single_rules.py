"""How each of torch's schedulers that holds no others is scaled. See sweep/train/schedulers.py for the mathematics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from typing import Any

from torch import Tensor

from sweep.recipe.duration import decimal_text
from sweep.train.dilated import DilatedStepLR, DilatedWarmRestarts
from sweep.train.scaling import Scaling, Span

_LARGER = "take a larger ratio"


def scale_steplr(scaling: Scaling, scheduler: Any, span: Span, where: str) -> None:
    _scale_interval(scaling, scheduler, span, where, "step_size", DilatedStepLR)


def scale_restarts(scaling: Scaling, scheduler: Any, span: Span, where: str) -> None:
    _scale_interval(scaling, scheduler, span, where, "T_0", DilatedWarmRestarts)


def _scale_interval(scaling: Scaling, scheduler: Any, span: Span, where: str, key: str, dilated: type) -> None:
    interval = Fraction(*getattr(scheduler, "exact_interval", (getattr(scheduler, key), 1))) * span.stretch
    if interval < 1:
        message = f"an interval of {float(interval):.3g} steps is under one step"
        scaling.complain(where, message, key, f"take a longer one, or {_LARGER.removeprefix('take ')}")
        return
    values: dict[str, object] = {key: int(interval) if interval.denominator == 1 else float(interval)}
    if key == "T_0":
        values["T_i"] = values[key]  # by which torch steps
    if interval.denominator != 1 or type(scheduler) is dilated:
        values["exact_interval"] = interval.as_integer_ratio()
        scaling.changes.append(lambda: setattr(scheduler, "__class__", dilated))
    scaling.change(scheduler, **values)


def scale_multisteplr(scaling: Scaling, scheduler: Any, span: Span, where: str) -> None:
    milestones: Counter[int] = Counter()
    for milestone, count in sorted(scheduler.milestones.items()):
        milestones[span.position(milestone)] += count
        if span.length and milestone < span.length and span.position(milestone) == span.scaled:
            message = f"{milestone} falls on the end of the run, step {span.scaled}: it is never reached"
            scaling.remark(where, message, "milestones")
    for position in _merged(map(span.position, scheduler.milestones)):
        message = f"milestones merge at step {position}: the rate decays {milestones[position]} times at once"
        scaling.remark(where, message, "milestones")
    sooner = milestones[0] - scheduler.milestones[0]
    if sooner:
        scaling.remark(where, "falls on step 0: the run starts with it", "milestones")
        if scheduler.last_epoch == 0:  # one that is still below it begins with the decay by itself
            factor = scheduler.gamma**sooner
            scaling.changes.append(lambda: _decay_at_once(scheduler, factor))
    scaling.change(scheduler, milestones=milestones)


def _merged(positions: Iterable[int]) -> list[int]:
    return [position for position, count in Counter(positions).items() if count > 1]


def _decay_at_once(scheduler: Any, factor: float) -> None:
    for group in scheduler.optimizer.param_groups:
        group["lr"] *= factor
    show_rates(scheduler)


def show_rates(scheduler: Any) -> None:
    """Let get_last_lr say what the optimizer has."""
    rates = [group["lr"] for group in scheduler.optimizer.param_groups]
    scheduler._last_lr = [rate.clone() if isinstance(rate, Tensor) else rate for rate in rates]


def scale_total_iters(scaling: Scaling, scheduler: Any, span: Span, where: str) -> None:
    """ConstantLR, LinearLR, PolynomialLR: where their change ends."""
    total_iters = span.position(scheduler.total_iters)
    if total_iters == 0 and scheduler.total_iters > 0:
        scaling.complain(where, f"its {scheduler.total_iters} steps become none", "total_iters", _LARGER)
    scaling.change(scheduler, total_iters=total_iters)


def scale_exponentiallr(scaling: Scaling, scheduler: Any, span: Span, where: str) -> None:
    scaling.change(scheduler, gamma=scheduler.gamma ** float(1 / span.stretch))


def scale_cosine(scaling: Scaling, scheduler: Any, span: Span, where: str) -> None:
    t_max = Fraction(scheduler.T_max) * span.stretch
    is_whole = t_max.denominator == 1
    # torch steps it by quotients, which are right around its low points only where these lie on whole steps.
    if not is_whole and span.length is not None and scheduler.T_max < span.length:
        message = f"it rises again within the run, and its {scheduler.T_max} steps become {decimal_text(t_max)}"
        fix = "take a ratio that makes them a whole number, or CosineAnnealingWarmRestarts"
        scaling.complain(where, message, "T_max", fix)
    scaling.change(scheduler, T_max=int(t_max) if is_whole else float(t_max))


def scale_onecyclelr(scaling: Scaling, scheduler: Any, span: Span, where: str) -> None:
    total, phases = span.position(scheduler.total_steps), scheduler._schedule_phases
    stretch = Fraction(total, scheduler.total_steps)
    # A phase ends at its share of the steps, less one for each phase so far; the last one with the last step.
    ends = [float((Fraction(phase["end_step"]) + n) * stretch - n) for n, phase in enumerate(phases[:-1], start=1)]
    ends.append(total - 1)
    before = [phase["end_step"] for phase in phases]
    if any(is_real and not has_room for is_real, has_room in zip(_last(before), _last(ends), strict=True)):
        message = f"{total} steps have no room for its {len(phases)} phases"
        scaling.complain(where, message, "total_steps", _LARGER)
    scaled = [phase | {"end_step": end} for phase, end in zip(phases, ends, strict=True)]
    scaling.change(scheduler, total_steps=total, _schedule_phases=scaled)


def _last(ends: list[float]) -> list[bool]:
    """Whether each phase lasts any time."""
    return [end > start for start, end in pairwise([0.0, *ends])]
