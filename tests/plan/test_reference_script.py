"""The command for torchvision's reference script, against what the script makes of it, and why there is none."""

import argparse
import re
import shlex
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import UsageError
from sweep.plan.reference_script import TORCHVISION_MODELS, command_line, differences, reasons
from sweep.plan.scaled import ScaledRecipe, scale
from sweep.plan.timeline import Timeline
from sweep.recipe.duration import Ratio
from sweep.recipe.library import LoadedRecipe, load_recipe, parse_settings
from sweep.recipe.schedule import SCHEDULES
from sweep.recipe.schema import Recipe

Keys = dict[str, Any]
Loader = Callable[..., LoadedRecipe]

EXAMPLES = 1000

# The script's options as its parser has them.
SIZES = ("train-crop-size", "val-resize-size", "val-crop-size")
INTEGERS = ("batch-size", "epochs", "lr-warmup-epochs", "lr-step-size", "model-ema-steps", *SIZES)
NUMBERS = (
    *("lr", "momentum", "weight-decay", "label-smoothing", "lr-warmup-decay", "lr-gamma", "lr-min"),
    *("norm-weight-decay", "clip-grad-norm", "random-erase", "mixup-alpha", "cutmix-alpha", "model-ema-decay"),
)
TEXTS = ("data-path", "model", "opt", "lr-scheduler", "lr-warmup-method", "auto-augment")
FLAGS = ("amp", "model-ema", "sync-bn")


def parsed(command: str) -> argparse.Namespace:
    """The script's arguments, with its own defaults where the schedule has any."""
    words = shlex.split(command)
    assert words[:2] == ["python", "train.py"]
    parser = argparse.ArgumentParser(exit_on_error=False, allow_abbrev=False)
    for kind, names in ((int, INTEGERS), (float, NUMBERS), (str, TEXTS)):
        for name in names:
            parser.add_argument(f"--{name}", type=kind)
    for name in FLAGS:
        parser.add_argument(f"--{name}", action="store_true")
    parser.set_defaults(lr_step_size=30, lr_gamma=0.1, lr_min=0.0)
    parser.set_defaults(lr_warmup_epochs=0, lr_warmup_method="constant", lr_warmup_decay=0.01)
    return parser.parse_args(words[2:])


def rates_of_the_script(args: argparse.Namespace) -> list[float]:
    """The learning rate of each epoch, by torch's own schedulers, put together and stepped as the script does."""
    import torch
    from torch.optim import lr_scheduler as schedulers

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=args.lr)
    build = {
        "steplr": lambda: schedulers.StepLR(optimizer, args.lr_step_size, args.lr_gamma),
        "cosineannealinglr": lambda: schedulers.CosineAnnealingLR(
            optimizer, args.epochs - args.lr_warmup_epochs, args.lr_min
        ),
        "exponentiallr": lambda: schedulers.ExponentialLR(optimizer, args.lr_gamma),
    }
    rates = []
    with warnings.catch_warnings():
        # torch 2.7's SequentialLR itself calls step(epoch), and is warned for it.
        warnings.filterwarnings("ignore", "The epoch parameter in `scheduler.step", UserWarning)
        scheduler: Any = build[args.lr_scheduler]()
        if args.lr_warmup_epochs:
            decay, epochs = args.lr_warmup_decay, args.lr_warmup_epochs
            if args.lr_warmup_method == "linear":
                ramp: Any = schedulers.LinearLR(optimizer, start_factor=decay, total_iters=epochs)
            else:
                ramp = schedulers.ConstantLR(optimizer, factor=decay, total_iters=epochs)
            scheduler = schedulers.SequentialLR(optimizer, [ramp, scheduler], milestones=[epochs])
        for _ in range(args.epochs):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    return rates


def of_resnet18(scaled: ScaledRecipe) -> ScaledRecipe:
    return replace(scaled, recipe=scaled.recipe.model_copy(update={"model": "resnet18"}))


def scaled(ratio: str = "1", examples: int = EXAMPLES, **keys: Any) -> ScaledRecipe:
    """A recipe of torchvision's resnet18 at `ratio`; given keys stand on the lines of r.yaml from 3 on."""
    fixed = {"model": "small_cnn", "dataset": "digits", "batch_size": 10}
    places = {key: f"r.yaml:{line}" for line, key in enumerate(fixed | keys, start=1)}
    loaded = LoadedRecipe(Recipe.model_validate(fixed | keys), "r", Path("r.yaml"), places)
    return of_resnet18(scale(loaded, Ratio.parse(ratio), examples))


def complaints(run: ScaledRecipe) -> dict[str | None, str | None]:
    """The key of every reason, with its advice."""
    found = reasons(run)
    if found:
        with pytest.raises(UsageError) as refused:
            command_line(run)
        assert refused.value.exit_code == 2
        assert list(refused.value.problems) == found
    else:
        command_line(run)
    return {problem.key: problem.fix for problem in found}


@st.composite
def whole(draw: st.DrawFn) -> tuple[str, Keys]:
    """A ratio and a recipe that the script can train."""
    scheduler = draw(st.sampled_from(["steplr", "cosineannealinglr", "exponentiallr"]))
    factor, epochs = draw(st.integers(1, 4)), draw(st.integers(2, 12))
    keys = {
        "lr": 0.3,
        "epochs": factor * epochs,
        "lr_scheduler": scheduler,
        "lr_interval": "epoch",
        "lr_warmup_epochs": draw(st.integers(0, epochs - 1)),
        "lr_warmup_method": draw(st.sampled_from(["constant", "linear"])),
        "lr_warmup_decay": draw(st.floats(0.001, 1)),
        "method": draw(st.sampled_from(["epochs", "steps"])),
    }
    if scheduler == "steplr":
        # From the end of the warm-up; to stay whole the interval is one of a run that is scaled with its warm-up.
        keys |= {"lr_step_size": factor * draw(st.integers(1, 6)), "lr_gamma": draw(st.floats(0.01, 1))}
        keys |= {"lr_step_origin": "warmup", "scale_warmup": True}
        keys["lr_warmup_epochs"] *= factor
    elif scheduler == "exponentiallr":
        keys["lr_gamma"] = draw(st.floats(0.5, 1))
    else:
        keys["lr_min"] = draw(st.floats(0, 0.3))
    return f"1/{factor}", keys


@given(whole())
def test_the_script_has_the_rates_of_the_run(arguments: tuple[str, Keys]) -> None:
    ratio, keys = arguments
    run = scaled(ratio, **keys)
    timeline = Timeline(run.loaded.recipe, run.lengths)
    theirs = np.repeat(rates_of_the_script(parsed(command_line(run))), run.lengths.steps_per_epoch)
    np.testing.assert_allclose(timeline.rates(0, timeline.num_steps), theirs, rtol=0, atol=1e-12)


def test_the_whole_command() -> None:
    run = scaled(
        "0.5",
        data_path="my data",
        epochs=20,
        opt="sgd_nesterov",
        lr=0.5,
        lr_scheduler="steplr",
        lr_step_size=6,
        lr_step_origin="warmup",
        lr_warmup_epochs=2,
        lr_warmup_method="linear",
        scale_warmup=True,
        label_smoothing=0.1,
    )
    assert command_line(run) == (
        "python train.py --model resnet18 --data-path 'my data' --epochs 10 --batch-size 10 --opt sgd_nesterov "
        "--lr 0.5 --momentum 0.9 --weight-decay 0.0001 --label-smoothing 0.1 --lr-scheduler steplr --lr-step-size 3 "
        "--lr-gamma 0.1 --lr-warmup-epochs 1 --lr-warmup-method linear --lr-warmup-decay 0.01"
    )


def test_what_a_run_has_no_use_for_is_not_said() -> None:
    command = command_line(
        scaled(opt="adamw", lr_scheduler="cosineannealinglr", lr_gamma=0.2, lr_warmup_method="linear")
    )
    assert "--lr-min 0.0" in command
    for option in ("momentum", "gamma", "step-size", "warmup"):
        assert option not in command
    # It rounds to no step at all.
    assert "warmup" not in command_line(scaled(lr_scheduler="cosineannealinglr", lr_warmup_epochs=0.001))


def test_every_key_of_a_recipe_is_passed_on_or_known_not_to_be() -> None:
    known = {
        "dataset": "the script reads image folders: said as a difference",
        "random_crop_padding": "the script augments in its own way: said as a difference",
        "hflip_prob": "the same",
        "seed": "the script takes none: said as a difference",
        "lr_interval": "always an epoch there: said as a difference where it is one",
        "scale_warmup": "the lengths are those of the scaled run",
        "method": "the same",
        "lr_step_origin": "refused where it matters",
        "stem": "refused unless it is the default",
        "min_shared_steps": "no matter of the training",
        "threads": "no matter of the training",
        "workers": "the same",
        "price": "the same",
        "gradient_accumulation_steps": "refused unless it is the default",
        "devices_per_trial": "the launcher is told",
        "mixup_off": "refused where images are mixed",
        "channels_last": "said as a difference",
        "compile": "said as a difference",
        "scale_methods": "the times are those of the scaled run",
        "metric": "the script tells both",
        "mode": "goes with it",
    }
    known |= dict.fromkeys(("swa", "progressive_resizing", "layer_freezing"), "refused")
    refused = ("swa_", "progressive_resizing_", "layer_freezing_")
    known |= {key: "read with what is refused" for key in Recipe.model_fields if key.startswith(refused)}
    known |= dict.fromkeys(("task", "task_args", "command", "metrics", "resume_args", "time_limit"), "refused")
    of_other_schedulers = {"lr_milestones", "lr_t_0", "lr_t_mult", "lr_power", "lr_start_factor", "lr_end_factor"}
    of_other_schedulers |= {"lr_cooldown", "lr_cooldown_shape"} | SCHEDULES["onecyclelr"].keys
    passed = {name.replace("-", "_") for name in (*INTEGERS, *NUMBERS, *TEXTS, *FLAGS)}
    assert set(Recipe.model_fields) == known.keys() | of_other_schedulers | passed


def test_the_classic_recipe_of_imagenet_is_its_command_at_any_ratio() -> None:
    half = scale(load_recipe("imagenet_resnet50"), Ratio.parse("0.5"), 1_281_167)
    assert command_line(half) == (
        "python train.py --model resnet50 --data-path data/imagenet --epochs 45 --batch-size 256 --opt sgd --lr 0.1 "
        "--momentum 0.9 --weight-decay 0.0001 --label-smoothing 0.0 --lr-scheduler steplr --lr-step-size 15 "
        "--lr-gamma 0.1 --train-crop-size 224 --val-resize-size 256 --val-crop-size 224"
    )


METHODS: Keys = {
    "norm_weight_decay": 0.0,
    "clip_grad_norm": 1.5,
    "auto_augment": "ta_wide",
    "random_erase": 0.1,
    "mixup_alpha": 0.2,
    "cutmix_alpha": 1.0,
    "amp": "fp16",
    "model_ema": True,
    "model_ema_steps": 16,
}


def test_methods_are_told_under_the_scripts_names() -> None:
    run = scaled("0.5", epochs=20, lr_scheduler="cosineannealinglr", dataset="CIFAR10", **METHODS)
    command = command_line(run)
    assert command.endswith(
        "--lr-min 0.0 --norm-weight-decay 0.0 --clip-grad-norm 1.5 --auto-augment ta_wide --random-erase 0.1 "
        "--mixup-alpha 0.2 --cutmix-alpha 1.0 --amp --model-ema --model-ema-steps 16 --model-ema-decay 0.99999"
    )
    told = parsed(command)
    assert {key: getattr(told, key) for key in METHODS} == METHODS | {"amp": True}


def test_the_scripts_average_forgets_an_update_what_the_runs_does() -> None:
    run = scaled("0.25", epochs=40, lr_scheduler="cosineannealinglr", model_ema=True, model_ema_decay=0.999)
    told = parsed(command_line(run))
    forgets = (1 - told.model_ema_decay) * 10 * 32 / told.epochs  # by the script's adjustment, on one GPU
    assert forgets == pytest.approx((1 - 0.999) * 10 * 32 / 40)


def test_what_is_off_or_at_the_scripts_default_is_not_told() -> None:
    command = command_line(scaled(lr_scheduler="cosineannealinglr", model_ema_steps=16, mixup_off=3, swa_start=2))
    assert not {"ema", "mixup", "amp", "augment", "clip", "norm"} & set(command.replace("-", " ").split())


def test_several_devices_are_the_launchers() -> None:
    run = scaled(lr_scheduler="cosineannealinglr", devices_per_trial=4, sync_bn=True)
    command = command_line(run)
    assert command.startswith("torchrun --nproc_per_node=4 train.py --model ")
    assert command.endswith(" --sync-bn")
    assert not any("divide" in said for said in differences(run))


def test_what_the_script_does_otherwise_with_methods_is_said() -> None:
    keys = {"lr_scheduler": "cosineannealinglr", "lr_interval": "epoch", "channels_last": True, "compile": True}
    found = differences(scaled(**keys, model_ema=True))
    assert [text for text in found if "every 32 steps" in text and "first step of each epoch" in text]
    assert [text for text in found if "EMA" in text]
    assert [text.split(":")[0] for text in found if "another speed" in text] == [
        "the script has no channels_last",
        "the script has no compile",
    ]
    assert not [text for text in differences(scaled(lr_scheduler="cosineannealinglr")) if "average" in text]


@pytest.mark.parametrize(
    ("keys", "key", "fix"),
    [
        ({"gradient_accumulation_steps": 2}, "gradient_accumulation_steps", "--set gradient_accumulation_steps=1"),
        (
            {"mixup_alpha": 0.2, "mixup_off": "0.9dur"},
            "mixup_off",
            "--set mixup_alpha=0 --set cutmix_alpha=0, or leave mixup_off out",
        ),
        ({"swa": True}, "swa", "--set swa=false"),
        ({"progressive_resizing": True}, "progressive_resizing", "--set progressive_resizing=false"),
        ({"layer_freezing": True}, "layer_freezing", "--set layer_freezing=false"),
        ({"amp": "bf16"}, "amp", "--set amp=fp16, or --set amp=none"),
        ({"amp": "auto"}, "amp", "--set amp=fp16, or --set amp=none"),
        ({"lr_scheduler": "onecyclelr"}, "lr_scheduler", None),
    ],
)
def test_a_method_that_the_script_does_not_have_is_refused(keys: Keys, key: str, fix: str | None) -> None:
    assert complaints(scaled(**{"lr_scheduler": "cosineannealinglr"} | keys)) == {key: fix}


def test_a_task_of_ones_own_is_refused() -> None:
    recipe = Recipe(task="mine:make_task", lr_scheduler="cosineannealinglr")
    run = scale(LoadedRecipe(recipe, "r", Path("r.yaml"), {"task": "r.yaml:1"}), Ratio.parse("1"), EXAMPLES)
    [problem] = reasons(run)
    assert (problem.where, problem.key) == ("r.yaml:1", "task")


def test_a_small_stem_is_refused() -> None:
    [problem] = reasons(scale(load_recipe("cifar10_resnet18"), Ratio.parse("1"), 50_000))
    assert problem.key == "stem"


@pytest.mark.parametrize("path", ["a b", "it's", "$HOME", "-x", "größer", ";rm", "a\\b"])
def test_a_path_is_quoted_for_the_shell_and_reaches_the_script_whole(path: str) -> None:
    assert parsed(command_line(scaled(data_path=path, lr_scheduler="cosineannealinglr"))).data_path == path


@pytest.mark.parametrize(
    ("ratio", "keys", "expected"),
    [
        ("1", {"lr_scheduler": "wsd"}, {"lr_scheduler": None}),
        ("1", {"lr_scheduler": "multisteplr", "lr_milestones": [30]}, {"lr_scheduler": None}),
        ("1", {"lr_warmup_epochs": 5}, {"lr_step_origin": "--set lr_step_origin=warmup"}),
        (
            "1",
            {"lr_scheduler": "cosineannealinglr", "lr_warmup_epochs": 5, "lr_warmup_method": "linear"}
            | {"lr_warmup_decay": 0},
            {"lr_warmup_decay": "--set lr_warmup_decay=0.01"},
        ),
        ("1", {"data_path": "a\nb"}, {"data_path": "rename the folder"}),
        (
            "0.33",
            {"epochs": 20, "method": "steps", "lr_scheduler": "cosineannealinglr"},
            {"epochs": "the nearest ratio that works is 0.35"},
        ),
        ("0.5", {"epochs": 20, "lr_step_size": 5}, {"lr_step_size": "the nearest ratio that works is 0.4"}),
        ("0.5", {"epochs": 90, "lr_step_size": 31}, {"lr_step_size": "the nearest ratio that works is 1.0"}),
        ("0.5", {"epochs": 20, "lr_step_size": "0.31dur"}, {"lr_step_size": "--set lr_step_size=6ep"}),
        (
            "0.5",
            {"epochs": 20, "lr_scheduler": "exponentiallr", "lr_warmup_epochs": 2.5},
            {"lr_warmup_epochs": "--set lr_warmup_epochs=3ep"},
        ),
        (
            "0.5",
            {"epochs": 20, "lr_scheduler": "exponentiallr", "lr_warmup_epochs": "10ba"},
            {"lr_warmup_epochs": "--set lr_warmup_epochs=1ep"},
        ),
        (
            "0.5",
            {"epochs": 20, "lr_scheduler": "exponentiallr", "lr_warmup_epochs": 5, "scale_warmup": True},
            {"lr_warmup_epochs": "the nearest ratio that works is 0.4"},
        ),
        (
            "1/3",
            {"epochs": 20, "method": "steps", "lr_step_size": 5, "lr_warmup_epochs": 1},
            {
                "lr_step_origin": "--set lr_step_origin=warmup",
                "epochs": "the nearest ratio that works is 0.4",
                "lr_step_size": "the nearest ratio that works is 0.4",
            },
        ),
        # Where no ratio helps, a setting does.
        ("1", {"epochs": 20, "method": "subset", "lr_step_size": 2.5}, {"lr_step_size": "--set lr_step_size=3ep"}),
        (
            "0.5",
            {"epochs": 26, "lr_scheduler": "exponentiallr", "lr_warmup_epochs": "15ba", "scale_warmup": True},
            {"lr_warmup_epochs": "--set lr_warmup_epochs=2ep"},
        ),
        (
            "0.5",
            {"epochs": 7, "lr_step_size": "15ba", "lr_step_origin": "warmup", "lr_warmup_epochs": 1},
            {"lr_step_size": "--set lr_step_size=3ep"},
        ),
        # Under one epoch.
        (
            "1",
            {"epochs": "7ba", "method": "steps", "lr_scheduler": "exponentiallr"},
            {"epochs": "the nearest ratio that works is 100/7"},
        ),
        # No ratio near it makes everything whole: epochs come first.
        (
            "1/5",
            {"epochs": 2, "method": "steps", "lr_step_size": 1},
            {"epochs": "the nearest ratio of whole epochs is 0.5", "lr_step_size": None},
        ),
        # The warm-up has no part in the ratio that the rest needs.
        (
            "1/3",
            {"epochs": 20, "method": "steps", "lr_scheduler": "exponentiallr", "lr_warmup_epochs": 1.4},
            {"epochs": "the nearest ratio that works is 0.35", "lr_warmup_epochs": "--set lr_warmup_epochs=1ep"},
        ),
    ],
)
def test_what_the_script_cannot_train_is_refused_with_what_would_help(
    ratio: str, keys: Keys, expected: dict[str, str | None]
) -> None:
    assert complaints(scaled(ratio, **keys)) == expected


def test_every_reason_stands_beside_the_others_with_its_place(load: Loader) -> None:
    loaded = load(epochs=20, method="steps", lr_warmup_epochs=0.3, lr_scheduler="wsd")
    with pytest.raises(UsageError) as refused:
        command_line(scale(loaded, Ratio.parse("1/3"), EXAMPLES))
    places = [(problem.where, problem.key, problem.ratio) for problem in refused.value.problems]
    assert places == [
        ("r.yaml:1", "model", None),
        ("r.yaml:6", "lr_scheduler", None),
        ("r.yaml:3", "epochs", "1/3"),
        ("r.yaml:5", "lr_warmup_epochs", "1/3"),
    ]


@given(
    epochs=st.integers(2, 40),
    size=st.integers(1, 12),
    over=st.integers(1, 20),
    under=st.integers(1, 20),
    method=st.sampled_from(["epochs", "steps"]),
    scale_warmup=st.booleans(),
    warmup=st.sampled_from([0, 1, 2, 0.5, "15ba"]),
)
def test_advice_that_is_followed_helps(
    tmp_path_factory: pytest.TempPathFactory,
    epochs: int,
    size: int,
    over: int,
    under: int,
    method: str,
    scale_warmup: bool,
    warmup: object,
) -> None:
    path = tmp_path_factory.mktemp("advice") / "r.yaml"
    path.write_text(f"model: small_cnn\ndataset: digits\nbatch_size: 10\nepochs: {epochs}\nlr_step_size: {size}\n")
    settings = {"method": method, "scale_warmup": str(scale_warmup).lower(), "lr_warmup_epochs": warmup}
    ratio = f"{over}/{under}"
    for _ in range(6):  # one piece of advice can change what the next is about
        texts = tuple(f"{key}={value}" for key, value in settings.items())
        try:
            run = of_resnet18(scale(load_recipe(str(path), parse_settings(texts)), Ratio.parse(ratio), EXAMPLES))
        except UsageError:
            return  # what plan refuses has advice of its own
        advice = [fix for fix in complaints(run).values() if fix]
        for fix in advice:
            if match := re.fullmatch(r"the nearest ratio (?:that works|of whole epochs) is (\S+)", fix):
                ratio = match[1]
            else:
                key, _, value = fix.removeprefix("--set ").partition("=")
                settings[key] = value
        if not advice:
            assert complaints(run) == {}
            return
    pytest.fail(f"{complaints(run)} after all advice")


def test_what_differs_there_is_said() -> None:
    smooth = differences(scaled(lr_scheduler="cosineannealinglr"))
    assert smooth[0].startswith("--batch-size counts the images of one GPU: on several of them, divide 10")
    assert "once an epoch" in smooth[1]
    assert "train and val" in smooth[2]
    assert "seed" in smooth[3]


@pytest.mark.parametrize(
    ("keys", "changes"),
    [
        ({"lr_scheduler": "cosineannealinglr"}, True),
        ({"lr_scheduler": "cosineannealinglr", "lr_interval": "epoch"}, False),
        ({"lr_scheduler": "exponentiallr"}, True),
        ({"lr_scheduler": "steplr"}, False),
        ({"lr_scheduler": "steplr", "lr_step_origin": "warmup", "lr_warmup_epochs": 2}, False),
        (
            {"lr_scheduler": "steplr", "lr_step_origin": "warmup", "lr_warmup_epochs": 2, "lr_warmup_method": "linear"},
            True,
        ),
    ],
)
def test_rates_by_the_epoch_are_a_difference_where_they_are_one(keys: Keys, changes: bool) -> None:
    run = scaled(**keys)
    assert any("once an epoch" in difference for difference in differences(run)) == changes
    timeline = Timeline(run.loaded.recipe, run.lengths)
    epochs = timeline.rates(0, timeline.num_steps).reshape(-1, run.lengths.steps_per_epoch)
    assert (epochs != epochs[:, :1]).any() == changes


def test_the_models_are_torchvisions_classifiers() -> None:
    from torchvision import models

    # googlenet and inception_v3 answer in training with a tuple.
    assert set(models.list_models(models)) - {"googlenet", "inception_v3"} == TORCHVISION_MODELS
