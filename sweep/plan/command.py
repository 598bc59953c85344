"""What a grid of a command's runs is refused for, and warned of. The unit is the epoch; its script does the rest."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from fractions import Fraction

from sweep.errors import Problem
from sweep.plan.lengths import Lengths
from sweep.recipe.command import OwnCommand
from sweep.recipe.duration import Duration, decimal_text
from sweep.recipe.library import LoadedRecipe
from sweep.recipe.placeholders import NAMES, OF_THE_RUN, TIMES, Placeholder, parts_of, rounded
from sweep.recipe.schema import Recipe

# An epoch of a command is a step of its plan; how many examples it draws is not known.
EXAMPLES_OF_A_COMMAND = 1
# Chosen: what counts iterations instead of epochs stays far below.
_MAX_EPOCHS = 10**9
# Chosen: as many as sweep/plan/reference_script.py looks at; it takes a tenth of a second.
_MAX_TRIED = 500
# Keys that say how the rest is read, or how the sweep is run.
_READ_HERE = frozenset(
    {
        *("command", "metrics", "resume_args", "time_limit", "metric", "mode", "epochs", "method", "seed", "threads"),
        *("price", "data_path", "lr_scheduler", "lr_step_origin", "scale_warmup", "scale_methods", "workers"),
    }
)


def command_refusals(loaded: LoadedRecipe, runs: tuple[Lengths, ...]) -> list[Problem]:
    """Everything that makes the grid impossible to train."""
    command = OwnCommand.of(loaded.recipe)
    found: list[Problem] = []
    for run in runs:
        if run.num_steps == 0:
            fix = f"take a ratio of at least 1/{loaded.recipe.epochs.amount}"
            found.append(_problem(loaded, "epochs", f"of {loaded.recipe.epochs.amount} epochs that is none", run, fix))
        elif max(run.num_steps, run.dilation.baseline_steps) > _MAX_EPOCHS:
            found.append(_problem(loaded, "epochs", f"a run has at most {_MAX_EPOCHS} epochs", run, "train less"))
        else:
            found += [*_filled(loaded, command, run), *_broken(loaded, command, run)]
    return [*found, *_equal_lengths(runs)]


def command_warnings(loaded: LoadedRecipe, runs: tuple[Lengths, ...], num_seeds: int) -> list[Problem]:
    """Everything that is odd and can be trained all the same."""
    command = OwnCommand.of(loaded.recipe)
    found = [*_unused_keys(loaded, command), *_defaults(loaded, command), *_same_seeds(loaded, command, num_seeds)]
    found += _same_file(loaded, command)
    for run in runs:
        found += [*_shifts(loaded, command, run), *_lost_milestones(loaded, command, run)]
    return found


def used_times(command: OwnCommand) -> list[Placeholder]:
    """The placeholders of lengths that the command uses, in its order."""
    return [placeholder for placeholder in command.arguments.placeholders if placeholder.name in TIMES]


def _problem(
    loaded: LoadedRecipe, key: str, message: str, run: Lengths | None = None, fix: str | None = None
) -> Problem:
    return Problem(message, loaded.place(key), key, run.ratio.text if run else None, fix)


def _filled(loaded: LoadedRecipe, command: OwnCommand, run: Lengths) -> Iterator[Problem]:
    """A warm-up that leaves nothing of the run, or of the baseline."""
    baseline = run.dilation.baseline_steps
    for epochs, whose in ((run.num_steps, "the run"), (baseline, "the baseline")):
        warmup = _warmup(command, epochs)
        if warmup >= epochs:
            message = f"the warm-up of {_number(warmup)} epochs fills {whose} of {epochs}"
            fix = "shorten it, set scale_warmup: true, or take a larger ratio"
            yield _problem(loaded, "lr_warmup_epochs", message, run, fix)
            return


def _warmup(command: OwnCommand, epochs: int) -> Fraction:
    return parts_of(command.times(epochs)["lr_warmup_epochs"])[0]


def _broken(loaded: LoadedRecipe, command: OwnCommand, run: Lengths) -> Iterator[Problem]:
    """Lengths that have to be whole, and are not."""
    broken = _broken_times(command, run.num_steps)
    advice = _advice(command, run) if broken else None
    for placeholder, parts in broken.items():
        message = f"{placeholder} is {', '.join(map(_number, parts))}: no whole number of epochs"
        yield _problem(loaded, placeholder.name, message, run, advice)


def _broken_times(command: OwnCommand, epochs: int) -> dict[Placeholder, list[Fraction]]:
    times = command.times(epochs)
    exact = [placeholder for placeholder in used_times(command) if placeholder.form == "exact"]
    broken = {
        placeholder: [at for at in parts_of(times[placeholder.name]) if at.denominator != 1] for placeholder in exact
    }
    return {placeholder: parts for placeholder, parts in broken.items() if parts}


def _advice(command: OwnCommand, run: Lengths) -> str:
    """The nearest ratios, shorter and longer, at which everything is whole; the furthest is twice this length."""
    epochs, baseline = run.num_steps, run.dilation.baseline_steps
    shorter = range(epochs - 1, max(0, epochs - _MAX_TRIED, epochs // 4), -1)
    longer = range(epochs + 1, min(2 * epochs, epochs + _MAX_TRIED) + 1)
    found = [next((tried for tried in way if _works(command, tried)), None) for way in (shorter, longer)]
    ratios = [decimal_text(Fraction(tried, baseline)) for tried in found if tried is not None]
    if not ratios:
        return "no ratio near it makes it whole: change the recipe, or let it be rounded without :exact"
    return f"ratios near it that work: {' and '.join(ratios)}"


def _works(command: OwnCommand, epochs: int) -> bool:
    return _warmup(command, epochs) < epochs and not _broken_times(command, epochs)


def _equal_lengths(runs: tuple[Lengths, ...]) -> Iterator[Problem]:
    same: defaultdict[int, list[Lengths]] = defaultdict(list)
    for run in runs:
        if run.num_steps:
            same[run.num_steps].append(run)
    for epochs, group in same.items():
        if len(group) > 1:
            texts = " and ".join(run.ratio.text for run in group)
            yield Problem(f"{texts} are runs of the same length ({epochs} epochs)", "--ratios", fix="keep one of them")


def _unused_keys(loaded: LoadedRecipe, command: OwnCommand) -> Iterator[Problem]:
    """Keys that somebody has set, and that the command is not told."""
    recipe = loaded.recipe
    used = {placeholder.name for template in command.templates.values() for placeholder in template.placeholders}
    for key in sorted(loaded.places.keys() - used - _READ_HERE):
        if key not in NAMES:
            yield _problem(loaded, key, "ignored: no command is told it")
        elif _is_scaled(key, recipe):
            yield _problem(loaded, key, f"not scaled: the command does not use {{{key}}}")
        elif key != "lr_warmup_epochs":  # it keeps its length, and is what others are counted from
            yield _problem(loaded, key, f"ignored: the command does not use {{{key}}}")


def _is_scaled(key: str, recipe: Recipe) -> bool:
    if key == "lr_warmup_epochs":
        return recipe.scale_warmup or recipe.lr_warmup_epochs.unit == "dur"
    if key == "lr_gamma":
        return recipe.lr_scheduler == "exponentiallr"
    return key in TIMES


def _defaults(loaded: LoadedRecipe, command: OwnCommand) -> Iterator[Problem]:
    """What the command is told, and the recipe does not say."""
    given = {*loaded.places, *OF_THE_RUN, "data_path"}
    for name in dict.fromkeys(placeholder.name for placeholder in command.arguments.placeholders):
        if name not in given:
            message = f"the recipe does not set it, and the command is told {{{name}}}"
            yield _problem(loaded, name, f"{message}: its default is {_default(loaded.recipe, name)}")


def _default(recipe: Recipe, name: str) -> str:
    value = getattr(recipe, name)
    return f"{value.amount} epochs" if isinstance(value, Duration) and value.unit == "ep" else str(value)


def _same_seeds(loaded: LoadedRecipe, command: OwnCommand, num_seeds: int) -> Iterator[Problem]:
    if num_seeds > 1 and Placeholder("seed") not in command.arguments.placeholders:
        message = f"it does not use {{seed}}: {num_seeds} seeds differ only by what the command draws itself"
        yield _problem(loaded, "command", message)


def _same_file(loaded: LoadedRecipe, command: OwnCommand) -> Iterator[Problem]:
    """A file of figures that is no trial's own."""
    file = command.figures.file
    names = {placeholder.name for placeholder in file.placeholders} if file is not None else {"output_dir"}
    if "output_dir" not in names and not ("seed" in names and names & {"epochs", "ratio"}):
        message = "json: every trial writes this file, and with --jobs one may read the figures of another"
        yield _problem(loaded, "metrics", message, fix="put it into {output_dir}")


def _shifts(loaded: LoadedRecipe, command: OwnCommand, run: Lengths) -> Iterator[Problem]:
    """Lengths that were rounded for the command."""
    times = command.times(run.num_steps)
    for placeholder in used_times(command):
        parts = parts_of(times[placeholder.name]) if not placeholder.form else ()
        shifts = [f"{_number(at)} → {whole}" for at in parts if (whole := rounded(placeholder.name, at)) != at]
        if shifts:
            yield _problem(loaded, placeholder.name, f"rounded to whole epochs: {', '.join(shifts)}", run)


def _lost_milestones(loaded: LoadedRecipe, command: OwnCommand, run: Lengths) -> Iterator[Problem]:
    """Milestones that rounding lays onto one epoch, or onto the run's end and behind it."""
    if Placeholder("lr_milestones") not in used_times(command):
        return
    epochs = [rounded("lr_milestones", at) for at in parts_of(command.times(run.num_steps)["lr_milestones"])]
    for epoch, times in Counter(epochs).items():
        if epoch >= run.num_steps:
            yield _problem(loaded, "lr_milestones", f"epoch {epoch} is not within the run: it is never reached", run)
        elif times > 1:
            message = f"{times} milestones merge at epoch {epoch}: the rate decays {times} times at once"
            yield _problem(loaded, "lr_milestones", message, run)


def _number(value: Fraction) -> str:
    return f"{float(value):.2f}".rstrip("0").rstrip(".")
