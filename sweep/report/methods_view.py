"""When each training method acts in the runs of a plan: a table, and the same for a program. Without pandas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sweep.plan.methods import is_on
from sweep.plan.stages import Plan
from sweep.plan.timeline import Timeline
from sweep.recipe.schedule import OneCycle
from sweep.report.grid import Grid

_HEADERS = ("method", "ratio", "when")
# More changes than this are counted, not listed.
_MAX_LISTED = 4


def methods_grid(plan: Plan) -> Grid | None:
    """A row for each method that is on and each ratio; None where none has a time."""
    rows = [
        (name, timeline.lengths.ratio.text, text)
        for name, said in _SAID.items()
        for timeline in plan.timelines
        if (text := said(timeline)) is not None
    ]
    if not rows or plan.loaded.recipe.kind == "command":  # which does what it does by itself
        return None
    title = "methods: in steps of each run"
    return Grid(title, _HEADERS, tuple(rows), texts=frozenset({"method", "when"}))


def _swa(timeline: Timeline) -> str | None:
    averaging = timeline.methods.averaging
    if averaging is None:
        return None
    steps = averaging.steps
    if len(steps) < 2:
        return f"after step {steps[0]}" if steps else "never"
    return f"after steps {steps[0]} to {steps[-1]}, every {float(averaging.interval):.4g}: {len(steps)} times"


def _image_size(timeline: Timeline) -> str | None:
    return _listed(timeline, "image_size", lambda side: f"{side:g} px")


def _frozen_share(timeline: Timeline) -> str | None:
    return _listed(timeline, "frozen_share", lambda share: f"{100 * share:.3g} %")


def _listed(timeline: Timeline, name: str, spelled: Callable[[float], str]) -> str | None:
    """The first value, and the steps at which it changes."""
    track = timeline.methods.tracks.get(name)
    if track is None:
        return None
    (_, first), *later = track.between(0, timeline.num_steps)
    if len(later) > _MAX_LISTED:
        (begin, _), (end, last) = later[0], later[-1]
        return f"{spelled(first)}, in {len(later)} changes from step {begin} to {spelled(last)} from step {end}"
    return ", ".join([spelled(first), *(f"{spelled(value)} from step {step}" for step, value in later)])


def _mixup(timeline: Timeline) -> str | None:
    if not is_on(timeline.recipe, "mixup_off"):
        return None
    changes = timeline.methods.tracks["mixup"].between(0, timeline.num_steps)
    if len(changes) == 1:
        return "throughout" if changes[0][1] else "never"
    return f"until step {changes[1][0]}"


def _momentum(timeline: Timeline) -> str | None:
    if not (timeline.cycles_momentum and isinstance(timeline.shape, OneCycle)):
        return None
    cycle = timeline.shape
    return f"{cycle.high:g}, {cycle.low:g} at step {float(cycle.peak):.4g}, {cycle.high:g} at the end"


_SAID: dict[str, Callable[[Timeline], str | None]] = {
    "mixup": _mixup,
    "swa": _swa,
    "progressive_resizing": _image_size,
    "layer_freezing": _frozen_share,
    "momentum": _momentum,
}


def methods_document(timeline: Timeline) -> dict[str, Any]:
    """The values that methods schedule, by name: (first step, value) pairs; for `swa` the steps done at the first and
    the last average, how many there are, and how many steps apart."""
    found: dict[str, Any] = {
        name: [list(change) for change in track.between(0, timeline.num_steps)]
        for name, track in timeline.methods.tracks.items()
    }
    if (averaging := timeline.methods.averaging) is not None:
        steps = averaging.steps
        found["swa"] = {
            "first_step": steps[0] if steps else None,
            "last_step": steps[-1] if steps else None,
            "count": len(steps),
            "every_steps": float(averaging.interval),
        }
    if timeline.cycles_momentum and isinstance(timeline.shape, OneCycle):
        cycle = timeline.shape
        found["momentum"] = {"highest": cycle.high, "lowest": cycle.low, "lowest_at_step": float(cycle.peak)}
    return found
