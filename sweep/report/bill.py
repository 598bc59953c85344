"""What a sweep itself has cost, beside what its trials would have cost if each were trained alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from sweep.report.cells import duration_text, number_text
from sweep.store.history import History
from sweep.store.records import Measurement, StageRecord


@dataclass(frozen=True)
class Cost:
    """What was paid: `steps` were trained in `train_seconds`; `steps_again` are those among them that had been trained
    before, since a state was lost, and those that were lost behind a checkpoint, which no clock has kept. The seconds
    beside training are None where not all of them are known."""

    train_seconds: float
    steps: int
    steps_again: int
    eval_seconds: float | None
    startup_seconds: float | None
    checkpoint_seconds: float | None


@dataclass(frozen=True)
class Bill(Cost):
    """A sweep's own bill, as far as its journal knows. `alone_seconds` and `alone_steps` count what trials share once
    for each of them."""

    alone_seconds: float
    alone_steps: int
    dollars: float | None
    alone_dollars: float | None


def make_bill(history: History) -> Bill | None:
    """The bill of all that was ever trained in a sweep; None where nothing was measured, or no number holds it."""
    costs = _costs(history)
    if not costs:
        return None
    alone = [
        record.measurement
        for entry in history.trials
        for record in (history.stages.get(stage) for stage in entry.stages)
        if record is not None and record.measurement is not None
    ]
    train_seconds, alone_seconds = sum(cost.train_seconds for cost in costs), sum(part.train_seconds for part in alone)
    price = _price(history)
    bill = Bill(
        train_seconds=train_seconds,
        steps=sum(cost.steps for cost in costs),
        steps_again=sum(cost.steps_again for cost in costs),
        eval_seconds=_sum_if_all_known(cost.eval_seconds for cost in costs),
        startup_seconds=_sum_if_all_known(cost.startup_seconds for cost in costs),
        checkpoint_seconds=_sum_if_all_known(cost.checkpoint_seconds for cost in costs),
        alone_seconds=alone_seconds,
        alone_steps=sum(part.steps for part in alone),
        dollars=price * train_seconds / 3600 if price is not None else None,
        alone_dollars=price * alone_seconds / 3600 if price is not None else None,
    )
    return bill if all(math.isfinite(value) for value in astuple(bill) if value is not None) else None


def _price(history: History) -> float | None:
    """That of all that was trained; None where there is none, or devices differ in it."""
    prices = {history.price_of(record.environment) for record in history.attempts if record.measurement is not None}
    return prices.pop() if len(prices) == 1 else None


def _sum_if_all_known(seconds: Iterable[float | None]) -> float | None:
    values = list(seconds)
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _costs(history: History) -> list[Cost]:
    """What the attempts that led to each measurement have cost, without what another record has counted already."""
    starts = _start_steps(history)
    has_own_record = {record.stage for record in history.attempts if record.measurement is not None}
    lost: dict[str, list[StageRecord]] = defaultdict(list)  # attempts since a Stage was last measured
    measured: set[str] = set()
    taken_over: set[str] = set()
    costs: list[Cost] = []
    for record in history.attempts:
        if record.measurement is None:
            lost[record.stage].append(record)
            continue
        start, before = starts.get(record.stage, 0), lost.pop(record.stage, [])
        steps_lost = _steps_lost(before, record.measurement.resumed_at, start)
        if record.stage in measured:
            costs.append(_repeated(record.measurement, len(before), start, steps_lost))
        else:
            source = record.measurement.taken_over
            is_counted = source is not None and (source.stage in has_own_record or source.stage in taken_over)
            taken_over |= {source.stage} if source is not None else set()
            costs.append(_first(record.measurement, is_counted, steps_lost))
        measured.add(record.stage)
    return costs


def _start_steps(history: History) -> dict[str, int]:
    """The step at which each Stage begins."""
    entries = [entry for start in history.starts for entry in start.trials]
    return {stage: step for entry in entries for stage, step in zip(entry.stages, (0, *entry.stops), strict=False)}


def _first(measurement: Measurement, is_counted: bool, steps_lost: int) -> Cost:
    """The cost of a Stage; what it has taken over from another one's checkpoint may be in that one's."""
    other = measurement.taken_over if is_counted else None
    return Cost(
        train_seconds=measurement.train_seconds - (other.train_seconds if other else 0),
        steps=measurement.steps - (other.steps if other else 0),
        steps_again=steps_lost,
        eval_seconds=_less(measurement.eval_seconds, other.eval_seconds if other else 0),
        startup_seconds=_less(measurement.startup_seconds, other.startup_seconds if other else 0),
        checkpoint_seconds=_less(measurement.checkpoint_seconds, other.checkpoint_seconds if other else 0),
    )


def _less(seconds: float | None, counted: float) -> float | None:
    return None if seconds is None else seconds - counted


def _repeated(measurement: Measurement, num_lost: int, start: int, steps_lost: int) -> Cost:
    """The cost of a Stage that was measured before, and trained once more since its state was lost: from the beginning,
    or from a checkpoint that was left of it. The seconds up to there are taken as its share of the steps."""
    begun_at = min(measurement.resumed_at[-num_lost - 1 :], default=start)
    steps = measurement.steps - (begun_at - start)
    share = steps / measurement.steps if measurement.steps else 1.0
    return Cost(
        train_seconds=share * measurement.train_seconds,
        steps=steps,
        steps_again=steps + steps_lost,
        eval_seconds=_share_of(measurement.eval_seconds, share),
        startup_seconds=_share_of(measurement.startup_seconds, share),
        checkpoint_seconds=_share_of(measurement.checkpoint_seconds, share),
    )


def _share_of(seconds: float | None, share: float) -> float | None:
    return None if seconds is None else share * seconds


def _steps_lost(attempts: Sequence[StageRecord], resumed_at: tuple[int, ...], start: int) -> int:
    """The steps that lost attempts had trained behind the checkpoint from which the next one went on.

    Attempts and resumptions go in pairs, but where a checkpoint served twice, or was damaged, or where the sweep itself
    was killed: then it is the furthest checkpoint that an attempt can have left.
    """
    in_pairs = len(attempts) == len(resumed_at)
    lost = 0
    for place, attempt in enumerate(attempts):
        reached = attempt.reached_step
        if reached is None:
            continue
        furthest = max((step for step in resumed_at if step <= reached), default=start)
        lost += max(0, reached - (resumed_at[place] if in_pairs else furthest))
    return lost


def bill_text(bill: Bill) -> str:
    """A sentence: the seconds of training and what sharing has saved of them, and what comes beside it."""
    parts = [
        _training_text(bill),
        *(
            f"{duration_text(seconds)} of {what}"
            for seconds, what in (
                (bill.eval_seconds, "evaluation"),
                (bill.startup_seconds, "start-up"),
                (bill.checkpoint_seconds, "writing states"),
            )
            if seconds is not None and seconds >= 0.005  # else it would say 0.00 s
        ),
    ]
    again = f"; {bill.steps_again} steps trained twice" if bill.steps_again else ""
    return f"the sweep itself: {', '.join(parts)}{again}"


def _training_text(bill: Bill) -> str:
    text = f"{duration_text(bill.train_seconds)} of training{_price_text(bill.dollars)}"
    if bill.steps == bill.alone_steps:
        return text
    alone = f"{duration_text(bill.alone_seconds)}{_price_text(bill.alone_dollars)} if each trial were trained alone"
    saved = 1 - bill.train_seconds / bill.alone_seconds if bill.alone_seconds else 0.0
    return f"{text} ({alone}: {100 * saved:.0f} % saved)" if saved > 0 else f"{text} ({alone})"


def _price_text(dollars: float | None) -> str:
    return number_text(dollars, " for ${:.4g}")
