"""torchvision's reference script, references/classification/train.py: the command line that trains a scaled recipe
there, or every reason why there is none.

The script has the recipe's names with hyphens, three schedulers and whole numbers of epochs. It steps its schedule once
an epoch, and after a warm-up (SequentialLR) counts from the warm-up's end.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from sweep.errors import Problem, UsageError
from sweep.plan.checks import refusals
from sweep.plan.lengths import Lengths, follows_run, measure
from sweep.plan.methods import unused_keys
from sweep.plan.scaled import ScaledRecipe
from sweep.printable import one_line
from sweep.recipe.datasets import DATASETS
from sweep.recipe.duration import Duration, Ratio, decimal_text, round_half_up
from sweep.recipe.imports.torchvision_options import OF_SCHEDULERS, SCHEDULERS
from sweep.recipe.library import LoadedRecipe
from sweep.recipe.models import TORCHVISION
from sweep.recipe.schedule import SCHEDULES
from sweep.recipe.schema import Recipe

# Those two answer in training with a tuple, for which the script has no loss.
TORCHVISION_MODELS = frozenset(TORCHVISION) - {"googlenet", "inception_v3"}
_ALWAYS = (
    *("model", "data_path", "epochs", "batch_size", "opt", "lr", "momentum", "weight_decay", "label_smoothing"),
    "lr_scheduler",
)
_WARMUP = ("lr_warmup_epochs", "lr_warmup_method", "lr_warmup_decay")
_SIZES = ("train_crop_size", "val_resize_size", "val_crop_size")
# Told where they are not at the default, which is the script's own.
_METHODS = (
    *("norm_weight_decay", "clip_grad_norm", "auto_augment", "random_erase", "mixup_alpha", "cutmix_alpha", "amp"),
    *("model_ema", "model_ema_steps", "model_ema_decay", "sync_bn"),
)
# What the script cannot do, with what makes a recipe do without.
_UNKNOWN = {
    "gradient_accumulation_steps": "--set gradient_accumulation_steps=1",
    "mixup_off": "--set mixup_alpha=0 --set cutmix_alpha=0, or leave mixup_off out",
    "swa": "--set swa=false",
    "progressive_resizing": "--set progressive_resizing=false",
    "layer_freezing": "--set layer_freezing=false",
}
# Chosen: a ratio that works is looked for among so many lengths on either side; it takes a tenth of a second.
_MAX_TRIED = 500


def command_line(scaled: ScaledRecipe) -> str:
    """The command that trains `scaled`, quoted for a shell.

    Raises:
        UsageError: with every reason why the script cannot train it.
    """
    if found := reasons(scaled):
        raise UsageError(found)
    values = scaled.recipe.model_dump() | _in_epochs(scaled.loaded.recipe, scaled.lengths)
    options = [part for key in _keys(scaled) for part in _option(key, values[key])]
    return shlex.join([*_program(scaled.recipe), *options])


def _program(recipe: Recipe) -> list[str]:
    processes = recipe.devices_per_trial
    return ["torchrun", f"--nproc_per_node={processes}", "train.py"] if processes > 1 else ["python", "train.py"]


def _keys(scaled: ScaledRecipe) -> Iterator[str]:
    """The keys that the script is told."""
    recipe = scaled.recipe
    yield from (key for key in _ALWAYS if key != "momentum" or recipe.opt != "adamw")
    yield from (key for key in OF_SCHEDULERS if key in SCHEDULES[recipe.lr_scheduler].keys)
    if scaled.lengths.warmup_steps > 0:
        yield from _WARMUP
    if DATASETS[recipe.builtin_dataset].image_files:
        yield from _SIZES
    unused = unused_keys(recipe)
    yield from (key for key in _METHODS if _is_set(recipe, key) and key not in unused)


def _is_set(recipe: Recipe, key: str) -> bool:
    return bool(getattr(recipe, key) != Recipe.model_fields[key].default)


def _option(key: str, value: object) -> list[str]:
    option, text = f"--{key.replace('_', '-')}", str(value)
    if value is True or key == "amp":  # of those the script has only fp16
        return [option]
    return [f"{option}={text}"] if text.startswith("-") else [option, text]


def differences(scaled: ScaledRecipe) -> list[str]:
    """What the script does otherwise although the command is right."""
    size, found = scaled.recipe.batch_size, []
    if scaled.recipe.devices_per_trial == 1:
        found = [f"--batch-size counts the images of one GPU: on several of them, divide {size} by their number"]
    if scaled.recipe.lr_interval == "step" and _changes_within_epochs(scaled):
        found.append("the rate changes once an epoch, as it does here with lr_interval: epoch, not at every step")
    found += _differences_of_methods(scaled.recipe)
    own_way = "cropped, mirrored and normalised in the script's own way"
    found.append(f"images are read from the folders train and val in --data-path, and {own_way}")
    found.append("the script takes no seed")
    return found


def _differences_of_methods(recipe: Recipe) -> Iterator[str]:
    if recipe.model_ema:
        every = f"every {recipe.model_ema_steps} steps"
        yield f"the average is updated at the first step of each epoch and {every} from there, here {every} of the run"
        yield "the accuracy of the average is the one that the script marks with EMA"
    for key in ("channels_last", "compile"):
        if getattr(recipe, key):
            yield f"the script has no {key}: it trains the same, at another speed"


def _changes_within_epochs(scaled: ScaledRecipe) -> bool:
    ramps = scaled.lengths.warmup_steps > 0 and scaled.recipe.lr_warmup_method == "linear"
    return ramps or scaled.recipe.lr_scheduler != "steplr"


def reasons(scaled: ScaledRecipe) -> list[Problem]:
    """Why the script cannot train `scaled`, each with what would help; empty where it can."""
    return [*_wrong_settings(scaled), *_broken_epochs(scaled)]


def _wrong_settings(scaled: ScaledRecipe) -> Iterator[Problem]:
    recipe = scaled.recipe

    def problem(key: str, message: str, fix: str | None = None) -> Problem:
        return Problem(message, scaled.loaded.place(key), key, fix=fix)

    if recipe.kind != "builtin":
        yield problem(recipe.kind, f"torchvision's script trains networks and data of its own, not a {recipe.kind}")
    elif recipe.model not in TORCHVISION_MODELS:
        yield problem(
            "model", f"torchvision's script cannot train {recipe.model}", "take one of torchvision's, such as resnet50"
        )
    if recipe.stem != "default":
        yield problem("stem", "torchvision's script builds its models with their own stem", "leave stem at its default")
    if recipe.lr_scheduler not in SCHEDULERS:
        message = f"torchvision's script has no {recipe.lr_scheduler}, only {', '.join(SCHEDULERS)}"
        yield problem("lr_scheduler", message)
    if scaled.lengths.warmup_steps:
        if recipe.lr_scheduler == "steplr" and recipe.lr_step_origin == "start":
            message = "torchvision's script counts steps from the end of the warm-up, this recipe from the start"
            yield problem("lr_step_origin", message, "--set lr_step_origin=warmup")
        if recipe.lr_warmup_method == "linear" and recipe.lr_warmup_decay == 0:
            message = "torch's LinearLR, which torchvision's script uses, cannot start at 0"
            yield problem("lr_warmup_decay", message, "--set lr_warmup_decay=0.01")
    for key, fix in _UNKNOWN.items():
        if _is_set(recipe, key) and key not in unused_keys(recipe):
            yield problem(key, f"torchvision's script has no {key}", fix)
    if recipe.amp in ("auto", "bf16"):
        yield problem("amp", "torchvision's script has fp16 alone", "--set amp=fp16, or --set amp=none")
    if one_line(recipe.data_path) != recipe.data_path:
        yield problem("data_path", "a control character cannot stand in a command line", "rename the folder")


def _in_epochs(recipe: Recipe, run: Lengths) -> dict[str, Fraction]:
    """The lengths that the script is told, in epochs of the run."""
    steps = {"epochs": Fraction(run.num_steps), "lr_warmup_epochs": Fraction(run.warmup_steps)}
    if recipe.lr_scheduler == "steplr":
        steps["lr_step_size"] = run.dilation.interval(recipe.lr_step_size, recipe.lr_step_origin == "warmup")
    return {key: length / run.steps_per_epoch for key, length in steps.items()}


def _broken(recipe: Recipe, run: Lengths) -> dict[str, Fraction]:
    """Those of them that are no whole numbers of epochs."""
    return {key: epochs for key, epochs in _in_epochs(recipe, run).items() if epochs.denominator != 1}


def _broken_epochs(scaled: ScaledRecipe) -> Iterator[Problem]:
    loaded, run = scaled.loaded, scaled.lengths
    broken = _broken(loaded.recipe, run)
    advice = _advice(loaded, run, broken) if broken else {}
    for key, epochs in broken.items():
        message = f"{decimal_text(epochs)} epochs: torchvision's script takes whole ones"
        yield Problem(message, loaded.place(key), key, run.ratio.text, advice.get(key))


def _advice(loaded: LoadedRecipe, run: Lengths, broken: dict[str, Fraction]) -> dict[str, str]:
    """What makes each length whole: the nearest ratio where there is one, else a setting."""
    settings = {key: _setting(key, epochs, loaded.recipe, run) for key, epochs in broken.items() if key != "epochs"}
    of_warmup = {}
    if "lr_warmup_epochs" in broken and not follows_run(loaded.recipe):
        # No ratio helps a warm-up that keeps its length: that of the rest is looked for with the warm-up mended.
        of_warmup = {"lr_warmup_epochs": settings["lr_warmup_epochs"]}
        whole = Duration(_whole(broken["lr_warmup_epochs"]))
        loaded = replace(loaded, recipe=loaded.recipe.model_copy(update={"lr_warmup_epochs": whole}))
    if nearest := _nearest_ratio(loaded, run):
        return dict.fromkeys(broken, f"the nearest ratio that works is {nearest}") | of_warmup
    if "epochs" in broken:  # the settings depend on it
        return {"epochs": f"the nearest ratio of whole epochs is {_ratio_of(_whole(run.num_epochs), run)}"} | of_warmup
    return settings


def _whole(epochs: Fraction) -> Fraction:
    return Fraction(max(1, round_half_up(epochs)))


def _setting(key: str, epochs: Fraction, recipe: Recipe, run: Lengths) -> str:
    """The nearest setting whose length is whole in this run, in epochs of the baseline."""
    if key == "lr_step_size":
        an_epoch = run.dilation.interval(Duration(Fraction(1)), recipe.lr_step_origin == "warmup")
        stretch = an_epoch / run.steps_per_epoch
    else:
        # In epochs it follows the run by `scale_warmup` alone.
        stretch = run.realised if recipe.scale_warmup else Fraction(1)
    return f"--set {key}={Duration(_whole(epochs) / stretch)}"


def _nearest_ratio(loaded: LoadedRecipe, run: Lengths) -> Ratio | None:
    """The ratio whose length is nearest to this one's, of those at which everything is whole epochs.

    Half and twice this length are the furthest: beyond, another setting is the lesser change.
    """
    if loaded.recipe.method in ("samples", "subset"):
        return None
    middle = round_half_up(run.num_epochs)
    first, last = max(1, middle // 2, middle - _MAX_TRIED), max(1, min(2 * middle, middle + _MAX_TRIED))
    for epochs in sorted(range(first, last + 1), key=lambda length: abs(length - run.num_epochs)):
        tried = measure(loaded.recipe, _ratio_of(Fraction(epochs), run), run.dataset_examples)
        if not refusals(loaded, (tried,)) and not _broken(loaded.recipe, tried):
            return tried.ratio
    return None


def _ratio_of(epochs: Fraction, run: Lengths) -> Ratio:
    """The ratio at which the baseline of `run` has so many epochs."""
    value = epochs * run.steps_per_epoch / run.dilation.baseline_steps
    return Ratio(value, decimal_text(value))
