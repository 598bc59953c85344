"""A Plan as a table and as JSON, without pandas: what will run at each ratio."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from sweep.plan.lengths import examples_per_step
from sweep.plan.stages import Plan
from sweep.plan.timeline import Timeline
from sweep.printable import one_line
from sweep.processor import bf16_instructions
from sweep.recipe.schema import Recipe
from sweep.report.approximation import approximation_notes, is_approximate
from sweep.report.cells import realised_text
from sweep.report.command_view import command_grid, command_run
from sweep.report.forest_view import stages_document, steps_notes
from sweep.report.grid import Grid
from sweep.report.methods_view import methods_document

JSON_FORMAT = 1
_BARS = "▁▂▃▄▅▆▇█"
_SPARK_WIDTH = 16
# More decays than this are counted, not listed.
_MAX_LISTED = 6


_HEADERS = (
    *("ratio", "realised", "epochs", "steps", "warm-up", "decays at epoch"),
    *("lr first", "peak", "last", "rate"),
)


def plan_grid(plan: Plan) -> Grid:
    """The plan, with its warnings and its totals below it."""
    recipe = plan.loaded.recipe
    if recipe.kind == "command":
        return command_grid(plan)
    seeds = len(plan.trials) // len(plan.timelines)
    times = "" if seeds == 1 else f" x {seeds} seeds"
    return Grid(
        one_line(f"{plan.loaded.name}: {recipe.lr_scheduler}, {_scaled_text(recipe)}"),
        _HEADERS,
        tuple(tuple(one_line(cell) for cell in _cells(timeline)) for timeline in plan.timelines),
        (
            *(one_line(f"warning: {warning}") for warning in plan.warnings),
            f"{len(plan.timelines)} ratios{times}: {len(plan.trials)} trials",
            *(approximation_notes() if is_approximate(recipe.method) else []),
            *steps_notes(plan),
            *_device_notes(recipe),
            *_precision_notes(recipe),
        ),
        texts=frozenset({"rate"}),
    )


def _scaled_text(recipe: Recipe) -> str:
    return "ratios are the ends of cycles" if is_approximate(recipe.method) else f"ratios scale {recipe.method}"


def _device_notes(recipe: Recipe) -> list[str]:
    if recipe.devices_per_trial == 1:
        return []
    size = examples_per_step(recipe)
    return [f"{recipe.devices_per_trial} devices a trial: a step takes {size} examples, {recipe.batch_size} a device"]


def _precision_notes(recipe: Recipe) -> list[str]:
    """What is known of `amp: auto` before anything is asked of torch and of a GPU."""
    if recipe.amp != "auto":
        return []
    here = bf16_instructions() or "this one is not known to"
    where = "bf16 on a GPU or, with large enough batches, on a processor that computes in it"
    return [f"amp: auto is decided where it trains: {where} ({here})"]


def scaled_grid(timelines: Sequence[Timeline]) -> Grid:
    """What each ratio changes in a recipe, without a plan around it."""
    rows = tuple(tuple(one_line(cell) for cell in _cells(timeline)) for timeline in timelines)
    return Grid("what each ratio changes", _HEADERS, rows, texts=frozenset({"rate"}))


def _cells(timeline: Timeline) -> list[str]:
    lengths = timeline.lengths
    first, peak, last = _landmark_rates(timeline)
    return [
        lengths.ratio.text,
        realised_text(lengths.realised),
        f"{float(lengths.num_epochs):.4g}",
        str(lengths.num_steps),
        str(lengths.warmup_steps),
        _decays_text(timeline),
        f"{first:.4g}",
        f"{peak:.4g}",
        f"{last:.4g}",
        sparkline(timeline),
    ]


def _decays_text(timeline: Timeline) -> str:
    epochs = _decay_epochs(timeline)
    if len(epochs) <= _MAX_LISTED:
        return ", ".join(f"{epoch:.4g}" for epoch in epochs)
    if _are_even(_decay_steps(timeline)):
        return f"{len(epochs)}, every {(epochs[-1] - epochs[0]) / (len(epochs) - 1):.4g}"
    return f"{len(epochs)}, from {epochs[0]:.4g} to {epochs[-1]:.4g}"


def _are_even(steps: list[int]) -> bool:
    """Whether they lie equally far apart, but for the rounding to whole steps."""
    gaps = [later - earlier for earlier, later in pairwise(steps)]
    return max(gaps) - min(gaps) <= 1


def _decay_epochs(timeline: Timeline) -> list[float]:
    return [float(timeline.lengths.in_epochs(step)) for step in _decay_steps(timeline)]


def _decay_steps(timeline: Timeline) -> list[int]:
    """When the rate jumps inside the run; one at its very end never acts."""
    return [step for step in timeline.positions if step < timeline.num_steps]


def _landmark_rates(timeline: Timeline) -> tuple[float, float, float]:
    """The first, the highest and the last rate."""
    first, last = timeline.rates_at(np.array([0, timeline.num_steps - 1])).tolist()
    return first, timeline.peak, last


def sparkline(timeline: Timeline, width: int = _SPARK_WIDTH) -> str:
    """The rate over the run in eight heights, the highest of the run filling the line."""
    steps = np.linspace(0, timeline.num_steps - 1, min(width, timeline.num_steps)).round().astype(np.int64)
    rates = timeline.rates_at(steps)
    highest = float(rates.max()) or 1.0
    return "".join(_BARS[min(int(rate / highest * len(_BARS)), len(_BARS) - 1)] for rate in rates)


def plan_to_json(plan: Plan, estimate: dict[str, Any] | None = None) -> str:
    """The plan as a document: `runs`, one a ratio, `stages`, those of one seed, and `warnings`; and its `estimate`.

    `steps_shared` is what is trained, `steps_alone` what it would be if each trial were trained alone. Of a command
    neither is known.
    """
    document = _document(plan) | ({"estimate": estimate} if estimate is not None else {})
    return json.dumps(document, indent=2, allow_nan=False)


def plans_to_json(plans: Mapping[str, Plan]) -> str:
    """Several of them, by the names of their sweeps."""
    return json.dumps({name: _document(plan) for name, plan in plans.items()}, indent=2, allow_nan=False)


def _document(plan: Plan) -> dict[str, Any]:
    is_command = plan.loaded.recipe.kind == "command"
    return {
        "format": JSON_FORMAT,
        "recipe": plan.loaded.recipe.model_dump(mode="json"),
        "fingerprint": plan.loaded.recipe.fingerprint,
        "is_approximate": is_approximate(plan.loaded.recipe.method),
        "seeds": sorted({trial.seed for trial in plan.trials}),
        "total_steps": None if is_command else plan.num_steps,
        "steps_alone": None if is_command else plan.num_steps_alone,
        "steps_shared": None if is_command else plan.num_steps,
        "runs": [command_run(timeline) if is_command else _run(timeline) for timeline in plan.timelines],
        "stages": [] if is_command else stages_document(plan),
        "warnings": [{"where": w.where, "key": w.key, "ratio": w.ratio, "message": w.message} for w in plan.warnings],
    }


def _run(timeline: Timeline) -> dict[str, Any]:
    lengths = timeline.lengths
    first, peak, last = _landmark_rates(timeline)
    methods = methods_document(timeline)
    return {
        "ratio": float(lengths.ratio.value),
        "ratio_text": lengths.ratio.text,
        "realised_ratio": float(lengths.realised),
        "epochs": float(lengths.num_epochs),
        "steps": lengths.num_steps,
        "steps_per_epoch": lengths.steps_per_epoch,
        "examples_per_epoch": lengths.num_examples,
        "warmup_steps": lengths.warmup_steps,
        "decay_epochs": _decay_epochs(timeline),
        "lr_first": first,
        "lr_peak": peak,
        "lr_last": last,
        **({"methods": methods} if methods else {}),
    }
