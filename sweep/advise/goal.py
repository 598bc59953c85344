"""What a search looks for, as it was typed and as it is read."""

from __future__ import annotations

from dataclasses import dataclass, field

from sweep.budget import Budget
from sweep.errors import Complaints, Problem, UsageError
from sweep.report.gate import read_value
from sweep.report.metric import Metric
from sweep.report.verdict import check_within
from sweep.request import Asked, SweepRequest, read_request

# Chosen: more than seeds let anybody tell apart; a decision takes a twentieth of a second then.
_MAX_RATIOS = 50
# Chosen: two fifths of what a shorter run may lose by default, so 0.2 points, as small networks have it, and of another
# metric 0.4 %. It is where the search begins: two runs of a ratio say more.
_SEED_SD = 0.4


@dataclass(frozen=True)
class SearchRequest:
    """What is asked of `sweep search`, as it was typed. Of `sweep`, the `seeds` are the search's own to choose.

    `target` is "0.92" or "92%", or a plain number of another metric than accuracy; `within_points` what may be lost
    against ratio 1; one of the two is given. `max_cost` is a time or dollars, of training.
    """

    sweep: SweepRequest = field(default_factory=lambda: SweepRequest(ratios="0.1:1:0.1"))
    target: str | None = None
    within_points: float | None = None
    confidence: float = 0.9
    max_cost: str | None = None


@dataclass(frozen=True)
class Goal:
    """`target` is a value of the `metric`, and `within_points` are points; one of the two is None. `max_cost` is as it
    was typed, and `max_seconds` what that is in seconds of training; `price` dollars for an hour of a trial."""

    metric: Metric
    confidence: float
    target: float | None = None
    within_points: float | None = None
    max_cost: str | None = None
    max_seconds: float | None = None
    price: float | None = None

    @property
    def target_score(self) -> float | None:
        return None if self.target is None else self.metric.turned(self.target)

    @property
    def within_score(self) -> float | None:
        return None if self.within_points is None else self.within_points / self.metric.per_score

    @property
    def target_text(self) -> str:
        """`92 %`, `0.35`."""
        assert self.target is not None
        return f"{100 * self.target:.6g} %" if self.metric.is_share else f"{self.target:.6g}"

    def seed_sd(self, score: float) -> float:
        """The sd that seeds are expected to have near `score`, in scores."""
        return _SEED_SD * self.metric.within(None, score or 1.0) / self.metric.per_score


def read_search(request: SearchRequest) -> tuple[Asked, Goal]:
    """What `request` means. Writes nothing.

    Raises:
        UsageError: with every mistake in the options and in the recipe.
    """
    complaints = Complaints()
    asked: Asked | None = None
    goal: Goal | None = None
    budget: Budget | None = None
    with complaints:
        asked = read_request(request.sweep)
    with complaints:
        _check_options(request)
    with complaints:
        budget = None if request.max_cost is None else Budget.parse(request.max_cost, "--max-cost")
    if asked is not None:
        with complaints:
            goal = _goal(request, asked, budget)
    complaints.raise_any()
    assert asked is not None
    assert goal is not None
    return asked, goal


def _check_options(request: SearchRequest) -> None:
    problems: list[Problem] = []
    fix = "give --target 92% or --within-points 0.5"
    if (request.target is None) == (request.within_points is None):
        given = "neither a target nor" if request.target is None else "both a target and"
        problems.append(Problem(f"{given} points within which to stay", where="--target", fix=fix))
    if request.target is not None and read_value(request.target) is None:
        problems.append(Problem(f"{request.target!r} is no value of a metric", "--target", fix="write 0.92 or 92%"))
    if not 0.5 < request.confidence < 1:
        message = f"{request.confidence:g} is not between 0.5 and 1"
        problems.append(Problem(message, "--confidence", fix="write 0.9 or 0.95"))
    complaints = Complaints()
    with complaints:
        check_within(request.within_points)
    if problems + complaints.problems:
        raise UsageError(problems + complaints.problems)


def _goal(request: SearchRequest, asked: Asked, budget: Budget | None) -> Goal:
    """What depends on the recipe and on the ratios."""
    recipe, complaints = asked.loaded.recipe, Complaints()
    metric = Metric(recipe.metric, recipe.mode == "min")
    price = None if recipe.price is None else recipe.price * recipe.devices_per_trial
    with complaints:
        _check_ratios(request, asked)
    with complaints:
        metric.check_within(request.within_points)
    target = read_value(request.target) if request.target is not None else None
    with complaints:
        if request.target is not None and target is not None:
            _check_target(metric, request.target, float(target))
    max_seconds: float | None = None
    with complaints:
        max_seconds = _seconds(budget, price) if budget is not None else None
    complaints.raise_any()
    return Goal(
        metric=metric,
        confidence=request.confidence,
        target=None if target is None else float(target),
        within_points=request.within_points,
        max_cost=request.max_cost,
        max_seconds=max_seconds,
        price=price,
    )


def _check_ratios(request: SearchRequest, asked: Asked) -> None:
    if asked.loaded.recipe.method == "cyclic":
        message = "a cyclic run is one run: there are no shorter ones to try first"
        raise UsageError(Problem(message, where="--method", fix="sweep run --mode cyclic shows its whole curve"))
    if len(asked.ratios) > _MAX_RATIOS:
        raise UsageError(Problem(f"{len(asked.ratios)} are more than {_MAX_RATIOS}", "--ratios", fix="take fewer"))
    if request.within_points is not None and all(ratio.value != 1 for ratio in asked.ratios):
        message = "ratio 1, against which --within-points holds the others, is not among them"
        raise UsageError(Problem(message, where="--ratios", fix="add 1.0"))


def _check_target(metric: Metric, text: str, target: float) -> None:
    if metric.is_share and not 0 < target <= 1:
        raise UsageError(Problem(f"{text!r} is no accuracy to reach", where="--target", fix="write 0.92 or 92%"))
    if not metric.is_share and text.strip().endswith("%"):
        raise UsageError(Problem(f"{metric.name} is not in percent", where="--target", fix="write a plain number"))


def _seconds(budget: Budget, price: float | None) -> float:
    if budget.seconds is not None:
        return budget.seconds
    assert budget.dollars is not None
    if not price:
        raise UsageError(Problem("dollars need a price", where="--max-cost", fix="give --price, dollars for an hour"))
    return 3600 * budget.dollars / price
