"""A scaled recipe as the text of a recipe file: its keys, and around them what it is and what trains it elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from sweep.plan.reference_script import command_line, differences, reasons
from sweep.plan.scaled import ScaledRecipe
from sweep.recipe.duration import decimal_text
from sweep.recipe.library import shown_path
from sweep.recipe.written import comment, spelled


def to_yaml(scaled: ScaledRecipe) -> str:
    """The file, which the loader reads back as `scaled.recipe`."""
    keys = (f"{key}: {spelled(getattr(scaled.recipe, key))}" for key in scaled.keys)
    return "\n".join([*map(comment, _head(scaled)), *keys, "", *map(comment, _tail(scaled)), ""])


def _head(scaled: ScaledRecipe) -> Iterator[str]:
    loaded, run = scaled.loaded, scaled.lengths
    baseline = run.in_epochs(run.dilation.baseline_steps)
    lengths = f"{_number(run.num_epochs)} of {_number(baseline)} epochs"
    steps = f"{run.num_steps} of {run.dilation.baseline_steps} steps"
    yield f"{loaded.name} at ratio {run.ratio} (realised {_number(run.realised)}): {lengths}, {steps}"
    yield ""
    options = [key for key, place in loaded.places.items() if place.startswith("--")]
    changed = f", {', '.join(options)} changed by options" if options else ""
    yield f"Source:  {shown_path(loaded.path)}, scaled by sweep for {run.dataset_examples} training examples{changed}"
    rounding = " (to rounding, since lr_gamma changes)" if scaled.recipe.lr_scheduler == "exponentiallr" else ""
    yield f"Use:     as it is, at ratio 1; every step has its rate of the source at ratio {run.ratio}{rounding}"


def _tail(scaled: ScaledRecipe) -> Iterator[str]:
    if found := reasons(scaled):
        yield "torchvision's reference script, references/classification/train.py, cannot train it:"
        yield from (f"- {replace(reason, where=None, ratio=None)}" for reason in found)
        return
    yield "The same for torchvision's reference script, references/classification/train.py:"
    yield f"  {command_line(scaled)}"
    yield "What differs there:"
    yield from (f"- {difference}" for difference in differences(scaled))


def _number(value: Fraction) -> str:
    return decimal_text(value).removesuffix(".0")
