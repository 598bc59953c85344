"""What a comparison says in sentences: the verdicts first, and what they rest on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from sweep.report.approximation import approximation_notes
from sweep.report.cells import duration_text, times_text
from sweep.report.comparison import Comparison
from sweep.report.contender import Contender, Lineup
from sweep.report.crossings import Crossing
from sweep.report.leads import Lead, find_leads
from sweep.report.metric import Metric
from sweep.report.replicates import NUM_REPLICATES, Interval
from sweep.report.summary import RatioSummary


def comparison_notes(lineup: Lineup, comparisons: Sequence[Comparison]) -> list[str]:
    """A verdict on each contender, which is best at which budget, what else there is to say of each, and what the
    numbers rest on."""
    return [
        *(verdict_text(comparison) for comparison in comparisons),
        leads_text(lineup),
        *(text for comparison in comparisons for text in (_mean_text(comparison), *_crossing_texts(comparison))),
        *(approximation_notes() if lineup.is_approximate else []),
        *_anchor(comparisons[0]),
        *_intervals(lineup),
        *lineup.remarks,
    ]


def verdict_text(comparison: Comparison) -> str:
    """At equal quality how much cheaper, and at equal cost how much better."""
    return f"{comparison.new.name} {_cost_text(comparison)}; {_quality_text(comparison)}"


def _cost_text(comparison: Comparison) -> str:
    quality = f"{comparison.old.name}'s {comparison.metric.value_text(comparison.anchor.score)}"
    times, seconds = comparison.times_cheaper, comparison.new_seconds
    if times is None or seconds is None:
        return _unreached_text(comparison, quality)
    instead = f"{duration_text(seconds)} instead of {duration_text(comparison.old_seconds)}"
    return f"reaches {quality} {_times_cheaper_text(times)}: {instead}"


def _times_cheaper_text(times: Interval) -> str:
    ends = ends_text(times, times_text)
    if round(times.value, 9) == 1.0:
        return "at the same cost"
    if times.low == -math.inf and times.ties_with(1.0):
        doubt = "by the means; within what seeds do, it may not reach it"
        return f"{times_text(times.value)} cheaper{_in_brackets(f'{ends}, {doubt}' if ends else doubt)}"
    if times.ties_with(1.0):
        return f"at a cost that is a tie ({times_text(times.value)} cheaper, {ends})"
    if times.value > 1:
        return f"{times_text(times.value)} cheaper{_in_brackets(ends)}"
    return f"at {times_text(1 / times.value)} the cost{_in_brackets(_inverse(times))}"


def _inverse(times: Interval) -> str:
    if times.low is None or times.high is None:
        return ""
    low = -math.inf if math.isinf(times.high) else 1 / times.high
    high = math.inf if math.isinf(times.low) else 1 / times.low
    return ends_text(Interval(1 / times.value, low, high), times_text)


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""


def _unreached_text(comparison: Comparison, quality: str) -> str:
    cheapest = comparison.new.points[0]
    if is_above_with_cheapest(comparison):
        instead = f"{duration_text(cheapest.train_seconds)} instead of {duration_text(comparison.old_seconds)}"
        side = "below" if comparison.metric.is_lower_better else "above"
        above = f"is {side} {quality} with its cheapest ratio, {cheapest.ratio_text}, already"
        return f"{above}{_tie_text(comparison, cheapest)}: {instead}"
    best = max(comparison.new.points, key=lambda row: row.sample.mean)
    return (
        f"never reaches {quality}: its best is {comparison.metric.value_text(best.score)}{_tie_text(comparison, best)}"
    )


def _tie_text(comparison: Comparison, row: RatioSummary) -> str:
    """Where a length of the new curve differs from the anchor by no more than seeds do."""
    anchor = comparison.anchor
    gap = row.sample.mean - anchor.sample.mean
    halves = (comparison.new.curve.noise.mean(row.sample).ci95, comparison.old.curve.noise.mean(anchor.sample).ci95)
    known = [half for half in halves if half is not None]
    return ", a tie with it" if len(known) == 2 and abs(gap) <= math.hypot(*known) else ""


def _quality_text(comparison: Comparison) -> str:
    cost, points = comparison.anchor.train_seconds or 0.0, comparison.points
    if points is None:
        is_longer = (comparison.new.points[0].train_seconds or 0.0) > cost
        return f"even its cheapest ratio costs more than {duration_text(cost)}" if is_longer else _too_short_text(cost)
    return f"at that one's cost, {duration_text(cost)}, it is {_better_text(comparison.metric, points)}"


def _better_text(metric: Metric, points: Interval) -> str:
    ends = points_ends_text(metric, points)
    if points.ties_with(0.0):
        return f"a tie ({metric.points_text(points.value)}, {ends})"
    if metric.is_nothing(points.value):
        return metric.as_good
    better = "better" if points.value > 0 else "worse"
    return f"{metric.amount_text(points.value)} {metric.unit} {better}{_in_brackets(ends)}"


def points_ends_text(metric: Metric, points: Interval) -> str:
    """The ends in the metric's own differences, the lower one first."""
    shown = points.negated if metric.is_lower_better else points
    return ends_text(shown, lambda end: metric.signed_text(metric.turned(end)))


def _too_short_text(cost: float) -> str:
    return f"it was not trained for as long as {duration_text(cost)}"


def _mean_text(comparison: Comparison) -> str:
    texts = (_mean_cost_text(comparison), _mean_quality_text(comparison))
    return f"{comparison.new.name}, averaged (Bjøntegaard): {'; '.join(texts)}"


def _mean_cost_text(comparison: Comparison) -> str:
    change, common = comparison.cost_change, comparison.quality_range
    if change is None or common is None:
        return f"no range of quality in common with {comparison.old.name}"
    ends, tie = _in_brackets(ends_text(change, change_text)), ", a tie" if change.ties_with(0.0) else ""
    return f"cost {change_text(change.value)}{ends}{tie}, from {comparison.metric.range_text(*common)}"


def _mean_quality_text(comparison: Comparison) -> str:
    points, common = comparison.mean_points, comparison.cost_range
    if points is None or common is None:
        return f"no range of cost in common with {comparison.old.name}"
    metric, tie = comparison.metric, ", a tie" if points.ties_with(0.0) else ""
    low, high = (duration_text(end) for end in common)
    ends = _in_brackets(points_ends_text(metric, points))
    return f"{metric.points_text(points.value)}{ends}{tie}, from {low} to {high}"


def leads_text(lineup: Lineup) -> str:
    """`best by budget: a below a run of 12m 03s (11m 40s to 12m 31s), b above it; compared from 3m 00s to 40m 10s`."""
    leads = find_leads(lineup)
    if not leads:
        return "best by budget: not known, since there is no range of costs that all of them were trained for"
    span = f"compared from {duration_text(leads[0].start.value)} to {duration_text(leads[-1].stop_seconds)}"
    if all(lead.is_sure is False for lead in leads):
        starts = [duration_text(lead.start.value) for lead in leads]
        return f"best by budget: a tie, within what seeds do; by the means {_led_text(leads, starts)}; {span}"
    starts = [f"{duration_text(lead.start.value)}{_in_brackets(_start_ends(lead.start))}" for lead in leads]
    return f"best by budget: {_led_text(leads, starts)}; {span}{_doubt_text(leads)}"


def _led_text(leads: Sequence[Lead], starts: Sequence[str]) -> str:
    names = [lead.contender.name for lead in leads]
    if len(leads) == 1:
        return f"{names[0]} at every cost of a run"
    first = f"{names[0]} below a run of {starts[1]}"
    if len(leads) == 2:
        return f"{first}, {names[1]} above it"
    between = [
        f"{name} from there to {start}" if place == 0 else f"{name} up to {start}"
        for place, (name, start) in enumerate(zip(names[1:-1], starts[2:], strict=True))
    ]
    return ", ".join([first, *between, f"{names[-1]} above it"])


def _start_ends(start: Interval) -> str:
    """As of a crossing."""
    is_doubtful = any(end is not None and math.isinf(end) for end in (start.low, start.high))
    return "within what seeds do, perhaps nowhere" if is_doubtful else ends_text(start, duration_text)


def _doubt_text(leads: Sequence[Lead]) -> str:
    if any(lead.is_sure is None for lead in leads):
        return " (of one seed: how sure that is, is not known)"
    names = [lead.contender.name for lead in leads]
    unsure = [
        name if names.count(name) == 1 else f"{name} {_span_text(leads, place)}"
        for place, (name, lead) in enumerate(zip(names, leads, strict=True))
        if not lead.is_sure
    ]
    return f"; where {' or '.join(unsure)} leads, that is within what seeds do" if unsure else ""


def _span_text(leads: Sequence[Lead], place: int) -> str:
    """Of one of several leads of a contender."""
    start, stop = duration_text(leads[place].start.value), duration_text(leads[place].stop_seconds)
    if place == 0:
        return f"(below {stop})"
    return f"(above {start})" if place == len(leads) - 1 else f"(from {start} to {stop})"


def _crossing_texts(comparison: Comparison) -> list[str]:
    if comparison.crossings:
        return [_crossing_text(comparison, crossing) for crossing in comparison.crossings]
    points = comparison.mean_points
    if points is None:
        return []
    if all(comparison.metric.is_nothing(at.points.value) for at in comparison.by_cost):
        return [f"{comparison.new.name} is {comparison.old.name}'s equal at every common cost"]
    better = comparison.new if points.value > 0 else comparison.old
    return [f"no crossing: by the means {better.name} is ahead at every common cost"]


def _crossing_text(comparison: Comparison, crossing: Crossing) -> str:
    pair = (comparison.new.name, comparison.old.name)
    ahead, behind = pair if crossing.is_new_ahead else pair[::-1]
    seconds = crossing.train_seconds
    ends = _in_brackets(_start_ends(seconds))
    ratio = f"about {comparison.new.name}'s ratio {_nearest_ratio(comparison.new, seconds.value)}"
    return f"{ahead} overtakes {behind} from {duration_text(seconds.value)}{ends}, {ratio}"


def _nearest_ratio(contender: Contender, seconds: float) -> str:
    return min(contender.points, key=lambda row: abs(math.log((row.train_seconds or 0.0) / seconds))).ratio_text


def _anchor(comparison: Comparison) -> list[str]:
    old, ratio = comparison.old, comparison.anchor.ratio_text
    if comparison.is_at_baseline:
        return []
    side = "below" if comparison.metric.is_lower_better else "above"
    why = "no finished trial at ratio 1.0" if old.curve.baseline is None else f"a cheaper ratio {side} its ratio 1.0"
    return [f"{old.name} has {why}: compared at its best, ratio {ratio}"]


def _intervals(lineup: Lineup) -> list[str]:
    unknown = [contender.name for contender in lineup.contenders if contender.curve.noise.single is None]
    if lineup.reference.curve.noise.single is None or len(unknown) == len(lineup.others):
        return [f"one seed a ratio in {', '.join(unknown)}: no intervals, since one seed tells nothing of noise"]
    notes = [
        f"in brackets: 95 % intervals, from {NUM_REPLICATES:,} simulated repetitions of both; the seeds of two recipes "
        "count as independent, times as exact, and a tie is a difference inside its interval"
    ]
    without = f"one seed a ratio in {', '.join(unknown)}: no intervals there, since one seed tells nothing of noise"
    return [*notes, *([without] if unknown else [])]


def is_above_with_cheapest(comparison: Comparison) -> bool:
    """Whether the new curve's cheapest length is better already than what is asked of it."""
    return comparison.new.points[0].sample.mean > comparison.anchor.sample.mean


def change_text(share: float) -> str:
    return f"{100 * share:+.1f} %"


def ends_text(interval: Interval, text: Callable[[float], str]) -> str:
    """`2.10x to 2.94x`, `at least 2.10x`; empty where nothing is known of noise."""
    if interval.low is None or interval.high is None:
        return ""
    low, high = ("" if math.isinf(end) else text(end) for end in (interval.low, interval.high))
    if low and high:
        return f"{low} to {high}"
    return f"at least {low}" if low else f"at most {high}" if high else "no end known"
