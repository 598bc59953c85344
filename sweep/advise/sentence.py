"""What a search has found, in a sentence or two."""

from __future__ import annotations

from sweep.advise.decision import Verdict
from sweep.advise.search import Search, Trained
from sweep.report.cells import dollars_text, duration_text
from sweep.report.findings import Findings
from sweep.report.fit import Fit
from sweep.report.fitted import fit_of
from sweep.store.history import History

# Beyond this many nines a probability says more of the model than of the curve.
_NEARLY_SURE = 0.99
_ROUNDING = 1e-9  # the mean of equal values can come out one ulp beside them


def sentences(found: Search) -> list[str]:
    """The answer with what it has cost; or why there is none."""
    if found.failed is not None:
        entry, outcome = found.failed.entry, found.failed.outcome
        return [f"the search has stopped: ratio {entry.ratio}, seed {entry.seed}: {found.failed.reason or outcome}"]
    if found.verdict is None:
        return []
    trained = found.trained
    answer = _answer_text(trained, found.verdict)
    closed = ", ".join(trained.ratio_text(place) for place in sorted(trained.closed))
    said = [f"{answer}: {_spent_text(found)}"]
    if found.verdict.place is None and found.verdict.is_known and trained.seen:
        said.append(_beyond_text(trained))
    if closed:
        said.append(f"passed over, since a run of it has diverged: {closed}")
    if trained.seen and not trained.has_seeds:
        said.append(_seeds_text(trained))
    return said


def _answer_text(trained: Trained, verdict: Verdict) -> str:
    goal, sure = trained.goal, f"(probability {_probability_text(verdict.probability)}{_tie_text(trained, verdict)})"
    named = "none of them" if verdict.place is None else trained.ratio_text(verdict.place)
    if not verdict.is_known:
        limit = f" within {goal.max_cost}" if goal.max_cost is not None else ""
        return f"the cheapest ratio {_wanted_text(trained)} cannot be known{limit}: most likely {named} {sure}"
    if verdict.place is None:
        return f"no ratio reaches {goal.target_text} {sure}"
    if goal.within_points is not None and verdict.place == trained.baseline:
        return f"no ratio cheaper than {named} is within {goal.metric.limit_text(goal.within_points)} of it {sure}"
    return f"{named} is the cheapest ratio {_wanted_text(trained)} {sure}"


def _tie_text(trained: Trained, verdict: Verdict) -> str:
    """Of a ratio whose mean falls short of what is wanted, and that is right all the same, up to what seeds do."""
    goal, mean = trained.goal, None if verdict.place is None else trained.mean(verdict.place)
    wanted = goal.target_score
    if goal.within_score is not None and trained.baseline is not None:
        whole = trained.mean(trained.baseline)
        wanted = None if whole is None else whole - goal.within_score
    if mean is None or wanted is None or mean >= wanted - _ROUNDING * abs(wanted):
        return ""
    return f"; a tie, its mean being {goal.metric.value_text(mean)}"


def _wanted_text(trained: Trained) -> str:
    goal = trained.goal
    if goal.within_points is None:
        return f"that reaches {goal.target_text}"
    assert trained.baseline is not None
    return f"within {goal.metric.limit_text(goal.within_points)} of {trained.ratio_text(trained.baseline)}"


def _probability_text(probability: float) -> str:
    return f"over {_NEARLY_SURE}" if probability > _NEARLY_SURE else f"{probability:.2f}"


def _spent_text(found: Search) -> str:
    """What this search has trained, against one run of every ratio."""
    grid_seconds = sum(found.trained.costs)
    before = f"; {_counted(found.num_before)} had finished before" if found.num_before else ""
    if not found.num_trained:
        return f"no run was trained for it{before}"
    share = f"{100 * found.seconds / grid_seconds:.0f} % of the full grid's {_cost_text(found, grid_seconds)}"
    return f"{_counted(found.num_trained)}, {_cost_text(found, found.seconds)}, {share}{before}"


def _counted(number: int) -> str:
    return f"{number} run{'s' if number != 1 else ''}"


def _cost_text(found: Search, seconds: float) -> str:
    """`12m 10s`, and dollars where an hour has a price."""
    price = found.trained.goal.price
    dollars = f" ({dollars_text(price * seconds / 3600)})" if price is not None else ""
    return f"{duration_text(seconds)}{dollars}"


def _seeds_text(trained: Trained) -> str:
    metric = trained.goal.metric
    sd = metric.spread_text(trained.goal.seed_sd(trained.largest))
    return f"no ratio has two seeds: they are taken to differ by about {sd} {metric.unit} (sd)"


def _beyond_text(trained: Trained) -> str:
    """Of a target that no ratio reaches: the best that was seen, and what the fit says there is to gain."""
    metric, target = trained.goal.metric, trained.goal.target_score
    assert target is not None
    means = {place: mean for place in range(len(trained.costs)) if (mean := trained.mean(place)) is not None}
    best = max(means, key=lambda place: means[place])
    above = "below" if metric.is_lower_better else "above"
    side = f"is {above} all that was seen" if means[best] < target else "is a tie with the best that was seen"
    seen = f"{trained.goal.target_text} {side} ({metric.value_text(means[best])} at {trained.ratio_text(best)})"
    fit = _fit(trained.history, trained.plan.loaded.recipe.method)
    if fit is None:
        return seen
    low, high = fit.ceiling_interval
    name = "floor" if metric.is_lower_better else "ceiling"
    ceiling = f"the fit's {name} is {metric.value_text(fit.ceiling)} ({metric.range_text(low, high)})"
    if high < target:
        return f"{seen}; {ceiling}: not reached at any length"
    return f"{seen}; {ceiling}: whether a longer run reaches it is not known"


def _fit(history: History, method: str) -> Fit | None:
    """None of fewer than three ratios."""
    curve = next(curve for curve in Findings.of_history(history).curves if curve.method == method)
    try:
        return fit_of(curve)
    except ValueError:
        return None
