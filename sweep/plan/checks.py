"""What is refused before anything trains, and what is warned of: nothing is silently wrong.

Each finding names the ratio, the key and the place where the key was given.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from fractions import Fraction
from math import ceil, floor

from sweep.errors import Problem
from sweep.plan.command import command_refusals
from sweep.plan.cycle_checks import cycle_refusals
from sweep.plan.lengths import Lengths, examples_per_batch, steps_in_epoch
from sweep.plan.method_checks import ignored_keys, method_refusals, method_warnings, recipe_refusals
from sweep.plan.problems import problem as _problem
from sweep.plan.timeline import Timeline
from sweep.recipe.datasets import DATASETS
from sweep.recipe.duration import decimal_text, round_half_up
from sweep.recipe.library import LoadedRecipe
from sweep.recipe.schedule import SCHEDULES, exact_milestones
from sweep.recipe.schema import Recipe

# Chosen: four times 600 epochs of ImageNet in batches of 32; a slip of the keyboard ends here, not in memory.
MAX_STEPS = 100_000_000
# Keys that only datasets of image files read.
_OF_IMAGE_FILES = {"train_crop_size", "val_resize_size", "val_crop_size"}


def refusals(loaded: LoadedRecipe, runs: tuple[Lengths, ...]) -> list[Problem]:
    """Everything that makes the grid impossible to train."""
    if loaded.recipe.kind == "command":
        return command_refusals(loaded, runs)
    if loaded.recipe.method == "cyclic" and (found := list(cycle_refusals(loaded, runs))):
        return [*recipe_refusals(loaded), *found]
    found = []
    for run in runs:
        # A run of no steps has nothing else to be wrong with.
        found += list(_length(loaded, run)) or [
            *_last_batch(loaded, run),
            *(problem for part in _parts(run) for problem in _warmup_fills(loaded, part)),
            *(problem for part in _parts(run) for problem in _interval(loaded, part)),
            *method_refusals(loaded, run),
        ]
    return [*recipe_refusals(loaded), *dict.fromkeys(found), *_equal_lengths(loaded, runs)]


def _parts(run: Lengths) -> tuple[Lengths, ...]:
    """What the schedule is stretched over: the run, or each of its cycles, which it shares with longer ones."""
    return tuple(part for _, part in run.cycles) or (run,)


def _length(loaded: LoadedRecipe, run: Lengths) -> Iterator[Problem]:
    method = loaded.recipe.method
    draws_examples = method in ("samples", "subset")
    if draws_examples and run.ratio.value > 1:
        yield _problem(
            loaded,
            "method",
            f"there are no more than {run.dataset_examples} examples to draw",
            run,
            "take ratios up to 1",
        )
    elif (steps := max(run.num_steps, run.dilation.baseline_steps)) > MAX_STEPS:
        yield _problem(loaded, "epochs", f"{steps} steps: a run has at most {MAX_STEPS}", run, "train less")
    elif run.num_steps == 0:
        unit, total = {
            "epochs": ("epochs", int(loaded.recipe.epochs.amount)),
            "steps": ("steps", run.dilation.baseline_steps),
        }.get(method, ("examples", run.dataset_examples))
        # A last batch of one example is refused as well, unless every batch is one.
        fewest = _fewest(loaded.recipe.batch_size, loaded.recipe.devices_per_trial) if draws_examples else 1
        other = ", or use --method steps" if method == "epochs" else ""
        fix = f"take a ratio of at least {fewest}/{total}{other}"
        yield _problem(loaded, "epochs", f"of {total} {unit} that is none", run, fix)


def _last_batch(loaded: LoadedRecipe, run: Lengths) -> Iterator[Problem]:
    recipe = loaded.recipe
    size, devices = recipe.batch_size, recipe.devices_per_trial
    # SWA passes over all of an epoch, however short the run.
    reaches_it = recipe.swa or run.num_steps >= run.steps_per_epoch
    if not reaches_it or _leaves_enough(run.num_examples, size, devices):
        return
    message = f"the last batch of {run.num_examples} examples would hold one, and BatchNorm cannot train on it"
    if devices > 1:
        left, each = run.num_examples % examples_per_batch(recipe), "one" if size == 1 else "two, for BatchNorm"
        message = f"the last batch of {run.num_examples} examples would hold {left}"
        message += f", and each of {devices} devices needs {each}"
    if run.num_examples == run.dataset_examples:
        yield _problem(loaded, "batch_size", message, run, _nearest_batch_sizes(run.num_examples, size, devices))
    else:
        yield _problem(
            loaded, "batch_size", message, run, f"the nearest ratio that works is {_nearest_ratio(recipe, run)}"
        )


def _fewest(batch_size: int, devices: int) -> int:
    """The fewest examples of an epoch's last batch: two a device, or one where no batch holds more."""
    return devices * min(2, batch_size)


def _leaves_enough(num_examples: int, batch_size: int, devices: int) -> bool:
    left = num_examples % (batch_size * devices)
    return left == 0 or left >= _fewest(batch_size, devices)


def _nearest_batch_sizes(num_examples: int, size: int, devices: int) -> str | None:
    """What to take instead: the next larger and the next smaller size that leave enough for a last batch."""
    larger = next((s for s in range(size + 1, num_examples + 1) if _leaves_enough(num_examples, s, devices)), None)
    smaller = next((s for s in range(size - 1, 1, -1) if _leaves_enough(num_examples, s, devices)), None)
    sizes = [str(found) for found in (larger, smaller) if found]
    return f"take batch_size {' or '.join(sizes)}" if sizes else None


def _nearest_ratio(recipe: Recipe, run: Lengths) -> str:
    """The shortest text of a ratio that draws as few examples more as are enough; fewer, where there are no more."""
    left = run.num_examples % examples_per_batch(recipe)
    total, wanted = run.dataset_examples, run.num_examples - left + _fewest(recipe.batch_size, recipe.devices_per_trial)
    wanted = wanted if wanted <= total else run.num_examples - left
    for places in range(1, 7):
        candidate = Fraction(ceil(Fraction(wanted, total) * 10**places), 10**places)
        if floor(total * candidate) == wanted:
            return decimal_text(candidate)
    return decimal_text(Fraction(wanted, total))


def _warmup_fills(loaded: LoadedRecipe, run: Lengths) -> Iterator[Problem]:
    if run.warmup_steps >= run.num_steps:
        yield _problem(
            loaded,
            "lr_warmup_epochs",
            f"the warm-up of {run.warmup_steps} steps fills the run of {run.num_steps}",
            run,
            "shorten it, set scale_warmup: true, or take a larger ratio",
        )
    elif _baseline_is_all_warmup(run):
        message = f"the warm-up fills the baseline of {run.dilation.baseline_steps} steps: there is nothing to scale"
        yield _problem(loaded, "lr_warmup_epochs", message, run, "shorten it")


def _interval(loaded: LoadedRecipe, run: Lengths) -> Iterator[Problem]:
    recipe = loaded.recipe
    key = SCHEDULES[recipe.lr_scheduler].interval
    if key is None or run.warmup_steps >= run.num_steps or _baseline_is_all_warmup(run):
        return
    from_warmup = key != "lr_step_size" or recipe.lr_step_origin == "warmup"
    measure = run.dilation.length if key == "lr_cooldown" else run.dilation.interval
    interval = measure(getattr(recipe, key), from_warmup)
    if interval < 1:
        yield _problem(
            loaded,
            key,
            f"an interval of {float(interval):.3g} steps is under one step",
            run,
            "take a longer one, or a larger ratio",
        )


def _baseline_is_all_warmup(run: Lengths) -> bool:
    return run.dilation.baseline_warmup_steps >= run.dilation.baseline_steps


def _equal_lengths(loaded: LoadedRecipe, runs: tuple[Lengths, ...]) -> Iterator[Problem]:
    other = ", or use --method steps" if loaded.recipe.method == "epochs" else ""
    same: defaultdict[tuple[int, int], list[Lengths]] = defaultdict(list)
    for run in runs:
        if run.num_steps:
            same[run.num_steps, run.num_examples].append(run)
    for (num_steps, _), group in same.items():
        if len(group) > 1:
            texts = " and ".join(run.ratio.text for run in group)
            yield Problem(
                f"{texts} are runs of the same length ({num_steps} steps)",
                where="--ratios",
                ratio=group[-1].ratio.text,
                fix=f"keep one of them{other}",
            )


def warnings(loaded: LoadedRecipe, timelines: tuple[Timeline, ...]) -> list[Problem]:
    """Everything that trains, but perhaps not as it was meant."""
    found = [*_ignored_keys(loaded), *ignored_keys(loaded)]
    for timeline in timelines:
        for part in tuple(Timeline(loaded.recipe, run) for _, run in timeline.lengths.cycles) or (timeline,):
            found += [
                *_long_warmup(loaded, part),
                *_milestones(loaded, part),
                *_positions(loaded, part),
                *_merges(loaded, part),
                *_long_cooldown(loaded, part),
            ]
        found += method_warnings(loaded, timeline)
    return list(dict.fromkeys(found))


def _ignored_keys(loaded: LoadedRecipe) -> Iterator[Problem]:
    recipe = loaded.recipe
    of_schedulers = frozenset().union(*(schedule.keys for schedule in SCHEDULES.values()))
    ignored = (of_schedulers - SCHEDULES[recipe.lr_scheduler].keys) & loaded.places.keys()
    for key in sorted(ignored):
        yield _problem(loaded, key, f"ignored: lr_scheduler {recipe.lr_scheduler} does not use it")
    if recipe.lr_warmup_epochs.amount == 0:
        for key in sorted({"lr_warmup_method", "lr_warmup_decay", "scale_warmup"} & loaded.places.keys()):
            yield _problem(loaded, key, "ignored: there is no warm-up")
    if recipe.opt == "adamw" and "momentum" in loaded.places:
        yield _problem(loaded, "momentum", "ignored: opt adamw does not use it")
    if recipe.kind != "builtin":
        return
    image_files = DATASETS[recipe.builtin_dataset].image_files
    for key in sorted(({"random_crop_padding"} if image_files else _OF_IMAGE_FILES) & loaded.places.keys()):
        kind = "is" if image_files else "is not"
        yield _problem(loaded, key, f"ignored: dataset {recipe.builtin_dataset} {kind} read from image files")
    is_augmented = recipe.auto_augment != "none" or recipe.random_erase > 0
    if "workers" in loaded.places and not image_files and not is_augmented:
        yield _problem(loaded, "workers", f"ignored: dataset {recipe.builtin_dataset} is in memory, and not augmented")


def _long_warmup(loaded: LoadedRecipe, timeline: Timeline) -> Iterator[Problem]:
    run = timeline.lengths
    if 3 * run.warmup_steps > run.num_steps:
        share = float(Fraction(100 * run.warmup_steps, run.num_steps))
        yield _problem(loaded, "lr_warmup_epochs", f"the warm-up is {share:.0f} % of the run", run)


def _milestones(loaded: LoadedRecipe, timeline: Timeline) -> Iterator[Problem]:
    """Milestones that the recipe spells one by one, and whose decay no step of this run has."""
    recipe, run = loaded.recipe, timeline.lengths
    if recipe.lr_scheduler != "multisteplr":
        return
    for milestone, at in zip(recipe.lr_milestones, exact_milestones(recipe, run.dilation), strict=True):
        if at > run.num_steps:
            yield _problem(loaded, "lr_milestones", f"{milestone} lies past the end of the run", run)
        elif at < run.num_steps and round_half_up(at) == run.num_steps:
            message = f"{milestone} falls on the end of the run, step {run.num_steps}: it is never reached"
            yield _problem(loaded, "lr_milestones", message, run)


def _positions(loaded: LoadedRecipe, timeline: Timeline) -> Iterator[Problem]:
    key, run = _position_key(loaded.recipe.lr_scheduler), timeline.lengths
    if key is None:
        return
    steps = list(dict.fromkeys(timeline.positions))
    if inside := [step for step in steps if step < run.warmup_steps]:
        message = f"{_listed(inside)} inside the warm-up: it takes effect at its end, step {run.warmup_steps}"
        yield _problem(loaded, key, message, run)
    elif 0 in steps:
        yield _problem(loaded, key, "falls on step 0: the run starts with it", run)
    if unreached := [step for step in steps if step < run.num_steps <= _takes_effect(step, timeline)]:
        message = f"{_listed(unreached)} in the last epoch: with lr_interval epoch it is never reached"
        yield _problem(loaded, key, message, run)


def _listed(steps: list[int]) -> str:
    """The first of them, and how many follow: a short interval can have thousands."""
    return f"step {steps[0]} lies" if len(steps) == 1 else f"step {steps[0]} (and {len(steps) - 1} more) lies"


def _merges(loaded: LoadedRecipe, timeline: Timeline) -> Iterator[Problem]:
    """Decays that begin together: at one step, or with `lr_interval: epoch` at the start of one epoch."""
    key, run = _position_key(loaded.recipe.lr_scheduler), timeline.lengths
    if key is None:
        return
    counts = Counter(_takes_effect(step, timeline) for step in timeline.positions)
    merged = [step for step, times in counts.items() if times > 1 and step < run.num_steps]
    if merged:
        times = counts[merged[0]]
        more = f" (and others at {len(merged) - 1} more)" if len(merged) > 1 else ""
        message = f"{times} milestones merge at step {merged[0]}{more}: the rate decays {times} times at once"
        yield _problem(loaded, key, message, run)


def _long_cooldown(loaded: LoadedRecipe, timeline: Timeline) -> Iterator[Problem]:
    recipe, run = loaded.recipe, timeline.lengths
    if recipe.lr_scheduler != "wsd":
        return
    if run.num_steps - run.dilation.length(recipe.lr_cooldown, from_warmup=True) < run.warmup_steps:
        message = f"the cool-down reaches into the warm-up: it starts at its end, step {run.warmup_steps}"
        yield _problem(loaded, "lr_cooldown", message, run)


def _position_key(scheduler: str) -> str | None:
    keys = {"steplr": "lr_step_size", "multisteplr": "lr_milestones", "wsd": "lr_cooldown"}
    return keys.get(scheduler)


def _takes_effect(step: int, timeline: Timeline) -> int:
    """The first step with the value of `step`: the start of an epoch, where the rate changes once an epoch."""
    if timeline.recipe.lr_interval == "step":
        return step
    size = timeline.lengths.steps_per_epoch
    return steps_in_epoch(step, size) * size
