"""What scaling a live scheduler would change, and what stands against it: nothing is touched before all is known."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from torch.optim import lr_scheduler as torch_schedulers
from torch.optim.swa_utils import SWALR

from sweep.errors import Problem, UsageError
from sweep.recipe.duration import Ratio, round_half_up

_MAKE_ANEW = "make it anew from the scaled numbers, which sweep.scale_schedule gives"
REFUSED: dict[type, str] = {
    torch_schedulers.LambdaLR: f"nothing can look inside its function: {_MAKE_ANEW}, or take one of torch's shapes",
    torch_schedulers.MultiplicativeLR: f"nothing can look inside its function: {_MAKE_ANEW}, or take ExponentialLR",
    torch_schedulers.ReduceLROnPlateau: "it follows what is measured and has no length: use it as it is, or take a "
    "MultiStepLR with the milestones at which it decayed",
    torch_schedulers.CyclicLR: "its cycles have no end to follow: make it anew with scaled step_size_up and "
    "step_size_down, or take OneCycleLR or CosineAnnealingWarmRestarts",
    SWALR: "it anneals from where the averaging begins: make it anew with scaled anneal_epochs, and begin to average "
    "at the scaled epoch",
}


@dataclass(frozen=True)
class Span:
    """The steps of one scheduler: `length` in the baseline, `scaled` in the run, None where it is not known."""

    length: int | None
    scaled: int | None
    stretch: Fraction

    def position(self, at: float) -> int:
        """Where a position of the baseline lies in the run."""
        return round_half_up(Fraction(at) * self.stretch)


@dataclass
class Scaling:
    """One call of `scale_scheduler`. `rules` say for each class what is planned."""

    rules: dict[type, Rule]
    ratio: Ratio
    scale_warmup: bool
    problems: list[Problem] = field(default_factory=list)
    remarks: list[Problem] = field(default_factory=list)
    changes: list[Callable[[], None]] = field(default_factory=list)

    def is_warmup(self, scheduler: Any) -> bool:
        """Whether it is one that keeps its length."""
        return not self.scale_warmup and rises(scheduler)

    def plan(self, scheduler: Any, span: Span, where: str) -> None:
        """Find out what scales `scheduler`, `where` in those that hold it, or why that cannot be."""
        rule = self.rules.get(type(scheduler))
        if rule is not None:
            rule(self, scheduler, span, where)
        elif (reason := REFUSED.get(type(scheduler))) is not None:
            self.complain(where, "cannot be scaled", fix=reason)
        else:
            self.complain(where, "is no scheduler of torch's", fix=_MAKE_ANEW)

    def change(self, scheduler: Any, **values: object) -> None:
        self.changes.append(lambda: scheduler.__dict__.update(values))

    def complain(self, where: str, message: str, key: str | None = None, fix: str | None = None) -> None:
        self.problems.append(Problem(message, where, key, self.ratio.text, fix))

    def remark(self, where: str, message: str, key: str) -> None:
        self.remarks.append(Problem(message, where, key, self.ratio.text))

    def carry_out(self) -> None:
        """Change everything, or nothing; warns of what is odd, on behalf of whoever called our caller.

        Raises:
            UsageError: with everything that stands against it.
        """
        if self.problems:
            raise UsageError(self.problems)
        for change in self.changes:
            change()
        for remark in self.remarks:
            warnings.warn(str(remark), stacklevel=3)


Rule = Callable[[Scaling, Any, Span, str], None]


def parts(scheduler: Any) -> list[Any]:
    """The schedulers that one holds."""
    return list(getattr(scheduler, "_schedulers", ()))


def steps_made(scheduler: Any) -> int:
    """How many steps it has made; a ChainedScheduler counts none itself."""
    if type(scheduler) is torch_schedulers.ChainedScheduler:
        return max(map(steps_made, parts(scheduler)))
    return int(getattr(scheduler, "last_epoch", 0))


def rises(scheduler: Any) -> bool:
    """Whether it is a LinearLR or ConstantLR that begins below what it ends with."""
    if type(scheduler) is torch_schedulers.LinearLR:
        return bool(scheduler.start_factor < scheduler.end_factor)
    return type(scheduler) is torch_schedulers.ConstantLR and scheduler.factor < 1


def length_of(scheduler: Any) -> int | None:
    """How many steps a scheduler is made for, where it says so."""
    match type(scheduler).__name__:
        case "CosineAnnealingLR":
            length = scheduler.T_max
        case "PolynomialLR" | "LinearLR":
            length = scheduler.total_iters
        case "OneCycleLR":
            length = scheduler.total_steps
        case "SequentialLR":
            last = length_of(parts(scheduler)[-1])
            length = last and sum([*scheduler._milestones[-1:], last])
        case "ChainedScheduler":
            lengths = {length_of(part) for part in parts(scheduler) if not rises(part)} - {None}
            length = lengths.pop() if len(lengths) == 1 else None
        case _:
            length = None
    return int(length) if length is not None and length >= 1 and length == int(length) else None
