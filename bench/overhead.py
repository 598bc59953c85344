"""What a Stage costs beside its training and evaluation: `python bench/overhead.py`, or `make bench`.

Real sweeps in a Worker process of their own, as `sweep run` makes them: a warm-up-stable-decay grid of twenty ratios,
cut into 39 Stages of a few steps each. A Stage's span goes from the moment it is begun to that at which the next one
is: handing it to the Worker, making its network, taking over the state that it goes on from, training and evaluating,
keeping its own state where others go on from it, the answer, the journal, the choice of the next. What its record says
of training and evaluation is taken off. The first Stage is left out: in it torch starts, and warms up.

Every second Stage keeps its state for others, on disk: 44 KB of the digits recipe, or 1 MB of bench/wide_task.py.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from measuring import median_of, median_of_ratios

from results import Row, report
from sweep.api import run_request
from sweep.clock import monotonic_seconds
from sweep.events import Event, StageEnded, StageStarted
from sweep.request import SweepRequest
from sweep.store.records import Measurement

RATIOS = "0.05:1:0.05"
FEW_STEPS = ("lr_scheduler=wsd", "lr_cooldown=0.2dur", "lr_warmup_epochs=0", "min_shared_steps=1")


@dataclass(frozen=True)
class Case:
    """A recipe that is swept, and how many milliseconds are wanted at most of a Stage that keeps its state, or none."""

    name: str
    recipe: str
    settings: tuple[str, ...]
    kept_wanted: float | None = None
    other_wanted: float | None = None

    def wanted(self, is_kept: bool) -> float | None:
        return self.kept_wanted if is_kept else self.other_wanted


CASES = (
    Case("digits", "digits", FEW_STEPS, other_wanted=15),
    Case("1 MB task", str(Path(__file__).with_name("wide.yaml")), (), kept_wanted=60),
)


@dataclass(frozen=True)
class Span:
    """A Stage of a sweep. `beside_seconds` are neither of training nor of evaluation; the others are parts of them."""

    is_kept: bool
    beside_seconds: float
    begin_seconds: float
    keep_seconds: float


def main(rounds: Annotated[int, typer.Option(help="How often each sweep is made, twice.")] = 7) -> None:
    rows: list[Row] = []
    notes = ["Milliseconds a Stage, by the mean over a sweep's Stages; medians over the sweeps."]
    for case in CASES:
        sweeps = [(sweep(case), sweep(case)) for _ in range(rounds)]
        for is_kept in (False, True):
            rows.append(row_of(case, is_kept, sweeps))
            notes.append(note_of(case, is_kept, [first for first, _ in sweeps]))
    report("overhead", rows, notes)


def sweep(case: Case) -> list[Span]:
    """Sweep it once, one Stage after the other."""
    moments: list[tuple[float, Event]] = []
    with tempfile.TemporaryDirectory() as folder:
        done = run_request(
            SweepRequest(case.recipe, RATIOS, method="steps", results=Path(folder), settings=case.settings),
            tell=lambda event: moments.append((monotonic_seconds(), event)),
        )
    begun = [(seconds, event.stage) for seconds, event in moments if isinstance(event, StageStarted)]
    end = max(seconds for seconds, event in moments if isinstance(event, StageEnded))
    spans = [(stage, later - start) for (start, stage), (later, _) in pairwise([*begun, (end, "")])]
    records = done.history.stages
    return [_span(records[stage].measurement, seconds, stage in done.plan.children) for stage, seconds in spans[1:]]


def _span(measured: Measurement | None, seconds: float, is_kept: bool) -> Span:
    assert measured is not None, "a Stage has failed"
    beside = seconds - measured.train_seconds - measured.eval_seconds
    return Span(is_kept, beside, measured.startup_seconds, measured.checkpoint_seconds)


def row_of(case: Case, is_kept: bool, sweeps: list[tuple[list[Span], list[Span]]]) -> Row:
    first, again = (
        np.array([mean_milliseconds("beside_seconds", pair[which], is_kept) for pair in sweeps]) for which in (0, 1)
    )
    figure, itself = median_of(first), median_of_ratios(again, first)
    wanted = case.wanted(is_kept)
    verdict = "" if wanted is None else figure.at_most(wanted)
    what = f"{case.name}, a Stage that {'keeps its state' if is_kept else 'keeps no state'}"
    return Row(what, "", f"{figure} ms", f"{wanted} ms" if wanted else "", verdict, str(itself))


def note_of(case: Case, is_kept: bool, sweeps: list[list[Span]]) -> str:
    parts = defaultdict(float)
    for name in ("beside_seconds", "begin_seconds", "keep_seconds"):
        parts[name] = float(np.median([mean_milliseconds(name, spans, is_kept) for spans in sweeps]))
    rest = parts["beside_seconds"] - parts["begin_seconds"] - parts["keep_seconds"]
    kind = "keeps its state" if is_kept else "keeps no state"
    return (
        f"{case.name}, a Stage that {kind}: {parts['begin_seconds']:.1f} ms to begin (network, optimizer, state), "
        f"{parts['keep_seconds']:.1f} ms to keep the state, {rest:.1f} ms for dispatch, journal and answer."
    )


def mean_milliseconds(name: str, spans: list[Span], is_kept: bool) -> float:
    return 1000 * float(np.mean([getattr(span, name) for span in spans if span.is_kept == is_kept]))


if __name__ == "__main__":
    typer.run(main)
