"""The args.yaml of timm's train.py as recipes: every key accounted for, the rates those of timm's own schedulers."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import RecipeError
from sweep.plan.lengths import measure
from sweep.plan.timeline import Timeline
from sweep.recipe.duration import Ratio
from sweep.recipe.imports.draft import Imported
from sweep.recipe.imports.source import import_recipe
from sweep.recipe.imports.timm import import_args
from sweep.recipe.imports.timm_options import OPTIONS, TRANSLATED
from sweep.recipe.library import load_recipe
from sweep.recipe.schema import Recipe
from sweep.recipe.strict_yaml import read_mapping

FILE = Path(__file__).with_name("args.yaml")
ARGS = yaml.safe_load(FILE.read_text())
STEPS = 10  # in an epoch of the schedules below: every length there is a whole number of steps


def imported(gpus: int | None = 1, **changed: object) -> Imported:
    """Of the file, with some of its arguments changed; written as timm writes them."""
    return import_args(yaml.safe_dump(ARGS | changed, default_flow_style=False).encode(), "args.yaml", gpus)


def left_out(made: Imported) -> dict[str, str]:
    return {left.option: left.reason for left in made.left_out if left.changes}


def recipe_of(made: Imported) -> Recipe:
    return Recipe.model_validate(read_mapping(made.text.encode(), "r.yaml").values)


def test_the_whole_recipe(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(import_recipe(str(FILE), 4).text)
    assert load_recipe(str(path)).recipe.model_dump(mode="json", exclude_defaults=True) == {
        "model": "timm/resnet50",
        "dataset": "ImageNet",
        "data_path": "/data/imagenet",
        "epochs": "305ep",
        "batch_size": 1024,
        "gradient_accumulation_steps": 2,
        "opt": "sgd_nesterov",
        "lr": 0.8,
        "weight_decay": 2e-5,
        "norm_weight_decay": 0.0,
        "label_smoothing": 0.1,
        "lr_scheduler": "cosineannealinglr",
        "lr_warmup_epochs": "5ep",
        "lr_warmup_method": "linear",
        "lr_warmup_decay": 1e-5 / 0.8,
        "lr_min": 1e-6,
        "val_resize_size": 235,
        "hflip_prob": 0.5,
        "seed": 42,
        "amp": "fp16",
        "channels_last": True,
        "compile": True,
        "auto_augment": "ra",
        "mixup_alpha": 0.2,
        "cutmix_alpha": 1.0,
        "model_ema": True,
        "model_ema_steps": 1,
        "model_ema_decay": 1 - (1 - 0.9998) * 305 / 2048,
    }


def test_every_argument_is_a_key_or_left_out_with_a_reason():
    made = imported()
    told = {name for left in made.left_out for name in left.option.replace(":", ",").split(", ")}
    assert ARGS.keys() - told <= {option.name for option in TRANSLATED}
    assert len({option.name for option in OPTIONS}) == len(OPTIONS)
    assert left_out(made) == {"train_interpolation": "images are resized with bilinear interpolation"}


def test_how_many_gpus_there_were_is_asked_for():
    made = imported(gpus=None)
    assert "the number of GPUs" in left_out(made)
    assert any("--gpus" in warning for warning in made.warnings)
    assert made.values["batch_size"] == 256


@pytest.mark.parametrize(
    ("changed", "rate"),
    [
        ({"lr": 0.3}, 0.3),
        ({}, 0.1 * 512 / 256),
        ({"lr": 0.0}, 0.1 * 512 / 256),
        ({"opt": "adamw"}, 0.1 * 2**0.5),
        ({"opt": "lamb", "lr_base_size": 128}, 0.1 * 2),
        ({"lr_base_scale": "sqrt"}, 0.1 * 2**0.5),
        ({"opt": "adamw", "lr_base_scale": "linear", "lr_base": 0.2}, 0.4),
    ],
)
def test_the_rate_is_timms(changed, rate):
    assert imported(**changed).values["lr"] == pytest.approx(rate, rel=1e-15)


@pytest.mark.parametrize(
    ("changed", "keys"),
    [
        ({"opt": "momentum"}, {"opt": "sgd"}),
        ({"opt": "AdamW"}, {"opt": "adamw", "momentum": None}),
        ({"weight_decay": 0.0}, {"norm_weight_decay": None}),
        ({"amp_dtype": "bfloat16"}, {"amp": "bf16"}),
        ({"amp": False}, {"amp": None}),
        ({"amp": False, "native_amp": True}, {"amp": "fp16"}),
        ({"clip_grad": 2.0}, {"clip_grad_norm": 2.0}),
        ({"clip_grad": 2.0, "clip_mode": "agc"}, {"clip_grad_norm": None}),
        ({"mixup_off_epoch": 200}, {"mixup_off": 200}),
        ({"mixup_off_epoch": 200, "mixup": 0.0, "cutmix": 0.0}, {"mixup_off": None}),
        ({"aa": "original"}, {"auto_augment": "imagenet"}),
        ({"aa": "augmix-m5-w4-d2"}, {"auto_augment": "augmix"}),
        ({"aa": "3a"}, {"auto_augment": None}),
        ({"reprob": 0.25, "remode": "const"}, {"random_erase": 0.25}),
        ({"dataset": "torch/cifar10"}, {"dataset": "CIFAR10"}),
        ({"dataset": "wds/imagenet"}, {"dataset": "ImageNet"}),
        ({"num_classes": 10}, {"dataset": "ImageFolder"}),
        ({"dataset": "hfds/pets"}, {"dataset": "ImageFolder"}),
        ({"data_dir": None, "data": "x"}, {"data_path": "x"}),
        ({"img_size": 160, "crop_pct": None}, {"train_crop_size": 160, "val_resize_size": 182}),
        ({"input_size": [3, 288, 288], "crop_pct": 1.0}, {"val_crop_size": 288, "val_resize_size": 288}),
        ({"sched_on_updates": False}, {"lr_interval": "epoch"}),
        ({"warmup_epochs": 0}, {"lr_warmup_epochs": None, "lr_warmup_decay": None, "epochs": 300}),
    ],
)
def test_an_argument_is_the_keys_that_mean_it(changed, keys):
    made = imported(**changed)
    assert {key: made.values.get(key) for key in keys} == keys
    assert recipe_of(made).model_dump(mode="json")["model"] == "timm/resnet50"


@pytest.mark.parametrize(
    ("changed", "option"),
    [
        ({"opt": "rmsproptf"}, "opt: rmsproptf"),
        ({"drop_path": 0.1}, "drop_path"),
        ({"bce_loss": True}, "bce_loss"),
        ({"pretrained": True}, "pretrained"),
        ({"cooldown_epochs": 10}, "cooldown_epochs"),
        ({"aa": None}, "color_jitter"),
        ({"reprob": 0.25}, "remode, recount"),
        ({"scale": [0.5, 1.0]}, "scale"),
        ({"mixup_prob": 0.5}, "mixup_prob"),
        ({"sched": "tanh"}, "sched: tanh"),
        ({"sched": "plateau"}, "sched: plateau"),
        ({"sched": "poly"}, "min_lr"),
        ({"warmup_lr": 5.0}, "warmup_lr"),
        ({"lr_cycle_limit": 2}, "lr_cycle_decay"),
        ({"lr_cycle_limit": 2, "lr_cycle_mul": 1.5}, "lr_cycle_mul"),
        ({"opt_betas": [0.9, 0.95]}, "opt_betas"),
        ({"clip_grad": 1.0, "clip_mode": "agc"}, "clip_mode: agc"),
        ({"my_own": 3}, "my_own"),
    ],
)
def test_what_changes_the_training_and_cannot_be_said_is_left_out_with_a_warning(changed, option):
    made = imported(**changed)
    assert option in left_out(made)
    assert any(option in warning for warning in made.warnings)
    assert recipe_of(made)


def test_a_cosine_that_the_warm_up_covers_is_told_apart():
    assert any("counts from the start" in line for line in imported(warmup_prefix=False).differences)
    assert not any("counts from the start" in line for line in imported().differences)


def test_every_mistake_is_reported_at_once_with_its_line():
    with pytest.raises(RecipeError) as refused:
        imported(epochs="many", batch_size=1.5, amp=1, decay_milestones=3, model="no such?", lr=-1.0)
    assert {problem.key for problem in refused.value.problems} == {
        *("epochs", "batch_size", "amp", "decay_milestones", "model", "lr")
    }
    assert all(str(problem).startswith("args.yaml:") for problem in refused.value.problems)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("- 1", "not a mapping"),
        ("model: resnet50\nepochs: 3\n", "it has no sched, opt, batch_size"),
        ("model: &x resnet50\nopt: *x\nsched: cosine\nepochs: 3\nbatch_size: 2\n", "anchor"),
        ("model: !!python/object/apply:os.system [ls]\nopt: a\nsched: b\nepochs: 3\nbatch_size: 2", "a tag"),
        ("a: \0", "no printable character"),
        ("x: " + "y" * 10**6, "over 65536 bytes"),
        ("a: [" * 500, "nested"),
        ("model: {a: b}\nopt: sgd\nsched: cosine\nepochs: 3\nbatch_size: 2\n", "is not a text"),
    ],
)
def test_a_file_that_is_none_of_timms_is_refused(text, message):
    with pytest.raises(RecipeError, match=message):
        import_args(text.encode(), "args.yaml", 1)


def test_hostile_texts_stay_texts():
    made = imported(data_dir="$(rm x)\n# lr: 9\x1b", model_own="x\nlr: 7", aa="rand\nlr: 8\x07")
    values = read_mapping(made.text.encode(), "r.yaml").values
    assert values["data_path"] == "$(rm x)\n# lr: 9\x1b"
    assert values["lr"] == made.values["lr"]
    assert "\x1b" not in made.text
    assert "\x07" not in made.text


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**30),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.one_of(st.integers(-3, 400), st.floats(), st.text(max_size=3)), max_size=4),
    st.sampled_from(
        [0, 1, 2, 1e-300, 1e308, "wsd", "poly", "multistep", "step", "tanh", "adamw", "rand", {}, {"a": 1}]
    ),
)


@given(st.dictionaries(st.sampled_from([option.name for option in TRANSLATED]), ODD, max_size=6), st.integers(1, 9))
def test_any_values_make_a_recipe_that_is_read_or_are_refused(changed, gpus):
    try:
        made = imported(gpus, **changed)
    except RecipeError:
        return
    assert recipe_of(made).model_dump().keys() >= made.values.keys()


def test_a_recipe_that_would_be_no_page_of_text_is_refused():
    with pytest.raises(RecipeError, match="over 65536 bytes"):
        imported(data_dir="ü" * 20_000)


def rates_of_timm(rate: float, **changed: object) -> list[float]:
    """The rate of every step, by timm's own scheduler, stepped as its script does."""
    import torch
    from timm.scheduler import create_scheduler

    args = Namespace(**ARGS | changed)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler, epochs = create_scheduler(args, optimizer, updates_per_epoch=STEPS)
    rates = []
    for epoch in range(epochs):
        for step in range(epoch * STEPS, (epoch + 1) * STEPS):
            rates.append(optimizer.param_groups[0]["lr"])
            if scheduler is not None:
                scheduler.step_update(step + 1)
        if scheduler is not None:
            scheduler.step(epoch + 1)
    return rates


COMMON = {
    "lr": st.just(0.4),
    "warmup_epochs": st.integers(0, 4),
    "warmup_lr": st.sampled_from([0.0, 1e-5, 0.1]),
    "sched_on_updates": st.booleans(),
    "epochs": st.integers(6, 30),
    "warmup_prefix": st.just(True),
}
EXACT = {
    "cosine": {"min_lr": st.sampled_from([0.0, 1e-3])},
    "restarts": {"lr_cycle_limit": st.integers(2, 3), "lr_cycle_mul": st.sampled_from([1.0, 2.0])},
    "poly": {"min_lr": st.just(0.0), "decay_rate": st.sampled_from([0.5, 2.0])},
    "step": {"decay_epochs": st.sampled_from([1, 2.4, 5]), "warmup_prefix": st.booleans()},
    "multistep": {
        "decay_milestones": st.lists(st.integers(7, 30), min_size=1, max_size=3, unique=True).map(sorted),
        "warmup_prefix": st.booleans(),
        "sched_on_updates": st.just(False),
    },
    "wsd": {"decay_epochs": st.sampled_from([0.2, 0.5, 3]), "min_lr": st.just(1e-3), "warmup_prefix": st.booleans()}
    | {"epochs": st.integers(12, 30)},
    "constant": {"warmup_prefix": st.booleans()},
    "none": {"warmup_prefix": st.just(False)},
}


@st.composite
def schedules(draw: st.DrawFn) -> dict[str, object]:
    name = draw(st.sampled_from(sorted(EXACT)))
    changed = draw(st.fixed_dictionaries(COMMON | EXACT[name]))
    if name == "restarts":
        return changed | {"sched": "cosine", "lr_cycle_decay": 1.0}
    return changed | {"sched": name, "decay_epochs": changed.get("decay_epochs", 90)}


@pytest.mark.slow
@given(schedules())
def test_the_rates_are_those_of_timms_own_scheduler(changed):
    made = imported(batch_size=4, grad_accum_steps=1, **changed)
    assert not {"sched", "lr_cycle_decay", "min_lr", "warmup_lr"} & {name.split(":")[0] for name in left_out(made)}
    recipe = recipe_of(made)
    timeline = Timeline(recipe, measure(recipe, Ratio.parse("1"), 4 * STEPS))
    theirs = np.array(rates_of_timm(recipe.lr, **changed))
    assert timeline.num_steps == len(theirs)
    np.testing.assert_allclose(timeline.rates(0, timeline.num_steps), theirs, rtol=1e-9, atol=1e-15)


def test_an_argument_that_a_file_lacks_has_timms_default():
    shorter = {name: value for name, value in ARGS.items() if name not in ("hflip", "seed", "smoothing")}
    recipe = recipe_of(import_args(yaml.safe_dump(shorter).encode(), "args.yaml", 1))
    assert (recipe.hflip_prob, recipe.seed, recipe.label_smoothing) == (0.5, 42, 0.1)


def test_what_goes_with_the_network_is_said_unless_the_file_has_it():
    said = "timm takes the network's own"
    given = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic"}
    assert any(said in difference for difference in imported().differences)
    made = imported(**given)
    assert not any(said in difference for difference in made.differences)
    assert given.keys() <= left_out(made).keys()
