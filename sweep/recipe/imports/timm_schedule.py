"""timm's schedules in a recipe's keys: exactly where they can be said, with the difference written down where not.

timm counts from the start of the run, and its warm-up covers the schedule's beginning; with `warmup_prefix` the warm-up
comes first and everything counts from its end. Cycles (cosine, tanh, poly) come to their own end, after which
`cooldown_epochs` go on at `min_lr`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import floor, inf

from sweep.recipe.imports.draft import Draft
from sweep.recipe.imports.timm_args import Args

_CYCLES = ("cosine", "tanh", "poly")


def translate_schedule(args: Args, draft: Draft, rate: float) -> None:
    """Set `epochs` and the `lr_*` keys, `lr` excepted, which is `rate`."""
    _Schedule(args, draft, rate).translate()


@dataclass(frozen=True)
class _Schedule:
    args: Args
    draft: Draft
    rate: float

    @property
    def name(self) -> str:
        return str(self.args["sched"])

    @property
    def is_prefix(self) -> bool:
        return bool(self.args["warmup_prefix"])

    @property
    def warmup(self) -> float:
        return 0 if self.name == "none" else self.args.number("warmup_epochs")

    def set(self, key: str, value: object, name: str, remark: str | None = None) -> None:
        self.draft.set(key, value, self.args.place(name), remark)

    def translate(self) -> None:
        self._length()
        by_update = bool(self.args["sched_on_updates"])
        remark = None if by_update else "timm sets the rate once an epoch, without sched_on_updates"
        self.set("lr_interval", "step" if by_update else "epoch", "sched_on_updates", remark)
        self._warmup()
        translate: Callable[[_Schedule], None] = _SHAPES.get(self.name, _unknown)
        translate(self)

    def _length(self) -> None:
        epochs = self.args.number("epochs")
        total = _cycles(epochs, self) if self.name in _CYCLES else epochs
        remark = None
        if self.is_prefix and self.warmup:
            total += self.warmup
            remark = f"{total - self.warmup:g}, after {self.warmup:g} of warm-up"
        cooldown = self.args.number("cooldown_epochs")
        if cooldown and self.name in (*_CYCLES, "wsd", "rsqrt"):
            reason = f"{cooldown:g} epochs at min_lr after the schedule's end: here a run ends with its schedule"
            self.draft.leave_out("cooldown_epochs", reason, changes=True)
        self.set("epochs", _whole(total), "epochs", remark)

    def _warmup(self) -> None:
        if not self.warmup:
            return
        self.set("lr_warmup_epochs", _whole(self.warmup), "warmup_epochs")
        self.set("lr_warmup_method", "linear", "warmup_epochs")
        first = self.args.number("warmup_lr")
        if 0 <= first <= self.rate and self.rate > 0:
            self.set("lr_warmup_decay", first / self.rate, "warmup_lr", f"warmup_lr {first:g} / lr {self.rate:g}")
        else:
            self.draft.leave_out("warmup_lr", f"a warm-up from {first:g} down to {self.rate:g}", changes=True)

    def floor(self) -> None:
        self.set("lr_min", self.args["min_lr"], "min_lr")

    def begins_late(self) -> None:
        """Said of a schedule whose beginning the warm-up covers, while ours begins after it."""
        if self.warmup and not self.is_prefix:
            length = self.args.number("epochs")
            self.draft.differs(
                f"timm's {self.name} counts from the start of the run, so that the rate drops from lr to its value at "
                f"{self.warmup:g} of {length:g} epochs when the warm-up ends; here it begins there, at lr"
            )

    def origin(self) -> None:
        if self.is_prefix and self.warmup:
            self.set("lr_step_origin", "warmup", "warmup_prefix")


def _whole(number: float) -> float | int:
    return int(number) if float(number).is_integer() else number


def _cycles(epochs: float, schedule: _Schedule) -> float:
    """The epochs of all cycles, of which the first has `epochs`; timm cuts off what is no whole epoch."""
    limit, factor = max(1, int(schedule.args.number("lr_cycle_limit"))), schedule.args.number("lr_cycle_mul")
    if factor == 1:
        return epochs * limit
    try:
        return floor(epochs * (float(factor) ** limit - 1) / (factor - 1))
    except OverflowError:
        return inf


def _cosine(schedule: _Schedule) -> None:
    schedule.floor()
    schedule.begins_late()
    if schedule.args.number("lr_cycle_limit") <= 1:
        schedule.set("lr_scheduler", "cosineannealinglr", "sched")
        return
    schedule.set("lr_scheduler", "cosineannealingwarmrestarts", "sched")
    schedule.set("lr_t_0", schedule.args["epochs"], "epochs", "the first of lr_cycle_limit cycles")
    factor = schedule.args.number("lr_cycle_mul")
    if factor != 1 and float(factor).is_integer():
        schedule.set("lr_t_mult", int(factor), "lr_cycle_mul")
    elif factor != 1:
        schedule.draft.leave_out("lr_cycle_mul", "each cycle is a whole number of times the one before", changes=True)
    if schedule.args["lr_cycle_decay"] != 1:
        schedule.draft.leave_out("lr_cycle_decay", "every cycle begins at lr", changes=True)


def _tanh(schedule: _Schedule) -> None:
    schedule.floor()
    remark = "the nearest shape there is"
    schedule.set("lr_scheduler", "cosineannealinglr", "sched", remark)
    schedule.draft.leave_out("sched: tanh", "a course of the rate that no schedule here has", changes=True)


def _poly(schedule: _Schedule) -> None:
    schedule.set("lr_scheduler", "polynomiallr", "sched")
    schedule.set("lr_power", schedule.args["decay_rate"], "decay_rate", "timm's decay_rate is the exponent")
    schedule.begins_late()
    if schedule.args["min_lr"]:
        schedule.draft.leave_out("min_lr", "the polynomial ends at 0", changes=True)
    if schedule.args.number("lr_cycle_limit") > 1:
        schedule.draft.leave_out("lr_cycle_limit", "the polynomial has one cycle", changes=True)


def _step(schedule: _Schedule) -> None:
    schedule.set("lr_scheduler", "steplr", "sched")
    schedule.set("lr_step_size", _whole(_or(schedule.args["decay_epochs"], 90)), "decay_epochs")
    schedule.set("lr_gamma", schedule.args["decay_rate"], "decay_rate")
    schedule.origin()


def _multistep(schedule: _Schedule) -> None:
    by_update = bool(schedule.args["sched_on_updates"])
    milestones = schedule.args["decay_milestones"]
    assert isinstance(milestones, list)
    wrong = [at for at in milestones if not isinstance(at, int | float) or isinstance(at, bool)]
    if wrong or not milestones:
        schedule.draft.refuse("a list of epochs is wanted", schedule.args.place("decay_milestones"))
        return
    schedule.set("lr_scheduler", "multisteplr", "sched")
    earlier = 0 if by_update else 1
    remark = None if by_update else "timm's decay comes an epoch sooner than its milestone"
    schedule.set("lr_milestones", [_whole(at - earlier) for at in milestones], "decay_milestones", remark)
    if by_update:
        schedule.draft.differs("timm's decay comes a step sooner than its milestone")
    schedule.set("lr_gamma", schedule.args["decay_rate"], "decay_rate")
    schedule.origin()


def _wsd(schedule: _Schedule) -> None:
    schedule.set("lr_scheduler", "wsd", "sched")
    length = schedule.args.number("epochs") - (0 if schedule.is_prefix else schedule.warmup)
    decay = _or(schedule.args["decay_epochs"], 0.2)
    epochs = float(Fraction(str(decay)) * Fraction(str(length))) if 0 < decay < 1 else decay
    if not schedule.args["sched_on_updates"]:
        epochs = round(epochs)
    schedule.set("lr_cooldown", _whole(epochs), "decay_epochs", f"{decay:g} of {length:g}" if decay < 1 else None)
    schedule.floor()
    shape = schedule.args["lr_decay_fn"] or "1-sqrt"
    if shape in ("linear", "1-sqrt"):
        schedule.set("lr_cooldown_shape", shape, "lr_decay_fn")
    else:
        schedule.draft.leave_out(f"lr_decay_fn: {shape}", "the cool-down is linear or 1-sqrt", changes=True)


def _or(value: object, default: float) -> float:
    return value if isinstance(value, int | float) else default


def _constant(schedule: _Schedule) -> None:
    schedule.set("lr_scheduler", "constantlr", "sched")


def _unknown(schedule: _Schedule) -> None:
    reason = "a course of the rate that no schedule here has: constantlr stands in for it"
    schedule.draft.leave_out(f"sched: {schedule.name}", reason, changes=True)
    _constant(schedule)


_SHAPES: dict[str, Callable[[_Schedule], None]] = {
    "cosine": _cosine,
    "tanh": _tanh,
    "poly": _poly,
    "step": _step,
    "multistep": _multistep,
    "wsd": _wsd,
    "constant": _constant,
    "none": _constant,
}
