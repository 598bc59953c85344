"""The plan of a command: the lengths that it is told at each ratio. Of its steps and rates nothing is known."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sweep.plan.command import used_times
from sweep.plan.lengths import Lengths
from sweep.plan.stages import Plan
from sweep.plan.timeline import Timeline
from sweep.printable import one_line
from sweep.recipe.command import OwnCommand
from sweep.recipe.placeholders import Placeholder, Template
from sweep.report.cells import realised_text
from sweep.report.grid import Grid

# What a plan knows of a training of our own, and of no command.
_NOT_KNOWN = (
    *("steps", "steps_per_epoch", "examples_per_epoch", "warmup_steps", "decay_epochs"),
    *("lr_first", "lr_peak", "lr_last"),
)
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./{}-]+")


def command_grid(plan: Plan) -> Grid:
    """A row a ratio: every length that the command is told. Its warnings and totals below it."""
    lengths = told_grid(plan.timelines)
    seeds = len(plan.trials) // len(plan.timelines)
    times = "" if seeds == 1 else f" x {seeds} seeds"
    return replace(
        lengths,
        title=one_line(f"{plan.loaded.name}: a command, ratios scale epochs"),
        notes=(
            *(one_line(f"warning: {warning}") for warning in plan.warnings),
            f"{len(plan.timelines)} ratios{times}: {len(plan.trials)} trials, {plan.num_steps} epochs",
            "each trial runs the command from its beginning: what it trains cannot be shared",
            one_line(f"at ratio {plan.timelines[-1].lengths.ratio}: {_shown(arguments(plan.timelines[-1]))}"),
        ),
    )


def told_grid(timelines: Sequence[Timeline]) -> Grid:
    """What each ratio changes in what the command is told, without a plan around it."""
    own = OwnCommand.of(timelines[0].recipe)
    lengths = [placeholder for placeholder in used_times(own) if placeholder != Placeholder("epochs")]
    rows = [_cells(own, lengths, timeline.lengths) for timeline in timelines]
    headers = ("ratio", "realised", "epochs", *(f"{{{_header(placeholder)}}}" for placeholder in lengths))
    return Grid("what each ratio changes", headers, tuple(tuple(one_line(cell) for cell in row) for row in rows))


def _shown(words: list[str]) -> str:
    """As a shell would take it, but for the placeholders that are left."""
    return " ".join(word if _PLAIN.fullmatch(word) else shlex.quote(word) for word in words)


def _header(placeholder: Placeholder) -> str:
    return f"{placeholder.name}:{placeholder.form}" if placeholder.form else placeholder.name


def _cells(own: OwnCommand, lengths: list[Placeholder], run: Lengths) -> list[str]:
    told = [" ".join(own.fill(Template(((placeholder,),)), run.num_steps)) for placeholder in lengths]
    return [run.ratio.text, realised_text(run.realised), str(run.num_steps), *told]


def arguments(timeline: Timeline) -> list[str]:
    """The command of a run; what is known of a trial only (`{seed}`, `{output_dir}`, …) stays a placeholder."""
    own = OwnCommand.of(timeline.recipe)
    return own.fill(own.arguments, timeline.num_steps)


def command_run(timeline: Timeline) -> dict[str, Any]:
    """A run for a program, with the command's `arguments`; what is not known is null."""
    run = timeline.lengths
    return {
        "ratio": float(run.ratio.value),
        "ratio_text": run.ratio.text,
        "realised_ratio": float(run.realised),
        "epochs": float(run.num_epochs),
        **dict.fromkeys(_NOT_KNOWN),
        "arguments": arguments(timeline),
    }
