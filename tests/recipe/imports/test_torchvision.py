"""Commands of torchvision's reference script as recipes: what its README and blog have published, and hostile ones."""

import shlex
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import UsageError
from sweep.plan.reference_script import TORCHVISION_MODELS, command_line
from sweep.plan.scaled import ScaledRecipe, scale
from sweep.recipe.duration import Duration, Ratio
from sweep.recipe.imports.torchvision import import_command
from sweep.recipe.imports.torchvision_options import OPTIONS
from sweep.recipe.library import LoadedRecipe, load_recipe
from sweep.recipe.schema import Recipe
from sweep.recipe.strict_yaml import read_mapping

# https://pytorch.org/blog/how-to-train-state-of-the-art-models-using-torchvision-latest-primitives
V2 = """torchrun --nproc_per_node=8 train.py --model resnet50 --batch-size 128 --lr 0.5 \\
--lr-scheduler cosineannealinglr --lr-warmup-epochs 5 --lr-warmup-method linear \\
--auto-augment ta_wide --epochs 600 --random-erase 0.1 --weight-decay 0.00002 \\
--norm-weight-decay 0.0 --label-smoothing 0.1 --mixup-alpha 0.2 --cutmix-alpha 1.0 \\
--train-crop-size 176 --model-ema --val-resize-size 232 --ra-sampler --ra-reps 4"""
# The README of references/classification.
MOBILENET_V2 = """torchrun --nproc_per_node=8 train.py\\
     --model mobilenet_v2 --epochs 300 --lr 0.045 --wd 0.00004\\
     --lr-step-size 1 --lr-gamma 0.98"""
MOBILENET_V3 = """torchrun --nproc_per_node=8 train.py\\
     --model mobilenet_v3_large --epochs 600 --opt rmsprop --batch-size 128 --lr 0.064\\
     --wd 0.00001 --lr-step-size 2 --lr-gamma 0.973 --auto-augment imagenet --random-erase 0.2"""
VIT = """torchrun --nproc_per_node=8 train.py\\
    --model vit_b_16 --epochs 300 --batch-size 512 --opt adamw --lr 0.003 --wd 0.3\\
    --lr-scheduler cosineannealinglr --lr-warmup-method linear --lr-warmup-epochs 30\\
    --lr-warmup-decay 0.033 --amp --label-smoothing 0.11 --mixup-alpha 0.2 --auto-augment ra\\
    --clip-grad-norm 1 --ra-sampler --cutmix-alpha 1.0 --model-ema"""


def recipe_of(text: str, folder: Path, gpus: int | None = None) -> Recipe:
    """The recipe as the loader reads what was written."""
    path = folder / "imported.yaml"
    path.write_text(import_command(text, gpus).text)
    return load_recipe(str(path)).recipe


def given_keys(recipe: Recipe) -> dict[str, object]:
    return recipe.model_dump(mode="json", exclude_defaults=True)


# What the script does always, or by its own defaults.
SCRIPT = {"dataset": "ImageNet", "data_path": "data/imagenet", "hflip_prob": 0.5, "lr_interval": "epoch"}


def test_the_recipe_of_resnet50s_second_weights(tmp_path):
    expected = SCRIPT | {"model": "resnet50", "epochs": "600ep", "batch_size": 1024, "lr": 0.5, "weight_decay": 2e-5}
    expected |= {"lr_scheduler": "cosineannealinglr", "lr_warmup_epochs": "5ep", "lr_warmup_method": "linear"}
    expected |= {"label_smoothing": 0.1, "mixup_alpha": 0.2, "cutmix_alpha": 1.0, "auto_augment": "ta_wide"}
    expected |= {"random_erase": 0.1, "norm_weight_decay": 0.0, "model_ema": True}
    expected |= {"train_crop_size": 176, "val_resize_size": 232}
    assert given_keys(recipe_of(V2, tmp_path)) == expected


def test_the_recipe_of_mobilenet_v2(tmp_path):
    expected = SCRIPT | {"model": "mobilenet_v2", "epochs": "300ep", "batch_size": 256, "lr": 0.045}
    expected |= {"weight_decay": 4e-5, "lr_step_size": "1ep", "lr_gamma": 0.98}
    assert given_keys(recipe_of(MOBILENET_V2, tmp_path)) == expected


def test_the_recipe_of_vit_b_16(tmp_path):
    expected = SCRIPT | {"model": "vit_b_16", "epochs": "300ep", "batch_size": 4096, "opt": "adamw", "lr": 0.003}
    expected |= {"weight_decay": 0.3, "lr_scheduler": "cosineannealinglr", "lr_warmup_method": "linear"}
    expected |= {"lr_warmup_epochs": "30ep", "lr_warmup_decay": 0.033, "amp": "fp16", "label_smoothing": 0.11}
    expected |= {
        "mixup_alpha": 0.2,
        "cutmix_alpha": 1.0,
        "auto_augment": "ra",
        "clip_grad_norm": 1.0,
        "model_ema": True,
    }
    assert given_keys(recipe_of(VIT, tmp_path)) == expected


def test_the_whole_text():
    text = import_command("torchrun --nproc_per_node=2 train.py --lr-warmup-epochs 5 --print-freq 5 --ra-sampler").text
    assert text == (
        "# resnet18, imported from the command line of torchvision's references/classification/train.py\n"
        "#\n"
        "# Source:            torchrun --nproc_per_node=2 train.py --lr-warmup-epochs 5 --print-freq 5 --ra-sampler\n"
        "# Expected accuracy: not measured by us\n"
        "model: resnet18\n"
        "dataset: ImageNet   # the script takes any train/CLASS and val/CLASS\n"
        'data_path: "data/imagenet"   # its default is a folder of its authors\'\n'
        "epochs: 90\n"
        "batch_size: 64   # 32 on each of 2 GPUs\n"
        "opt: sgd\n"
        "lr: 0.1\n"
        "momentum: 0.9\n"
        "weight_decay: 0.0001\n"
        "lr_scheduler: steplr\n"
        "lr_interval: epoch   # the script sets the rate once an epoch\n"
        "lr_warmup_epochs: 5\n"
        "lr_warmup_method: constant\n"
        "lr_warmup_decay: 0.01\n"
        "lr_step_size: 30\n"
        "lr_gamma: 0.1\n"
        "lr_step_origin: warmup   # the script counts from the end of the warm-up\n"
        "train_crop_size: 224\n"
        "val_resize_size: 256\n"
        "val_crop_size: 224\n"
        "hflip_prob: 0.5   # always, in the script\n"
        "\n"
        "# Left out, although it changes the training:\n"
        "# - --ra-sampler: repeated augmentation: several variants of an image in an epoch, of fewer images\n"
        "\n"
        "# Left out, and no matter of the training:\n"
        "# - --print-freq: where and how often the script writes\n"
        "\n"
        "# What differs all the same:\n"
        "# - BatchNorm saw the 32 images of a GPU; for that, and for less memory, write batch_size: 32 and\n"
        "#   gradient_accumulation_steps: 2\n"
        "# - the script takes no seed, and draws the order of images and their crops otherwise\n"
    )


def test_an_optimizer_that_there_is_none_of_is_left_out_with_a_warning(tmp_path):
    imported = import_command(MOBILENET_V3)
    assert "opt" not in imported.values
    assert imported.warnings == [
        "left out, although it changes the training: --opt rmsprop: there are only sgd, sgd_nesterov and adamw"
    ]
    assert recipe_of(MOBILENET_V3, tmp_path).auto_augment == "imagenet"


@pytest.mark.parametrize(
    ("opt", "expected"), [("SGD", "sgd"), ("sgd_nesterov", "sgd_nesterov"), ("AdamW", "adamw"), ("SGDnesterov", None)]
)
def test_optimizers_are_spelled_as_the_script_takes_them(opt, expected, tmp_path):
    assert recipe_of(f"python train.py --opt {opt}", tmp_path).opt == (expected or "sgd_nesterov")


# A value other than the default for each option.
VALUES = {int: "7", float: "0.25", bool: None}
TEXTS = {"model": "vgg11", "opt": "adamw", "lr_scheduler": "exponentiallr", "lr_warmup_method": "linear"}
TEXTS |= {"auto_augment": "ra", "interpolation": "bicubic"}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_becomes_a_key_or_is_left_out_with_a_reason(option):
    value = TEXTS.get(option.name, "x") if option.kind is str else VALUES[option.kind]
    words = [option.shown] if value is None else [option.shown, value]
    if option.name == "test_only":
        with pytest.raises(UsageError, match="trains nothing"):
            import_command(shlex.join(["python", "train.py", *words]))
        return
    plain, imported = (import_command(shlex.join(["python", "train.py", *more])) for more in ([], words))
    left_out = [left.option.split()[0] for left in imported.left_out]
    assert (imported.values != plain.values) or option.shown in left_out
    assert option.shown not in left_out or imported.values == plain.values


def test_every_shorter_spelling_means_its_option():
    assert {spelling: option.name for option in OPTIONS for spelling in option.also} == {
        "-b": "batch_size",
        "-j": "workers",
        "--wd": "weight_decay",
    }
    assert import_command("python train.py -b 7 --wd 0.5").values["batch_size"] == 7


def test_what_is_of_no_use_is_left_out():
    imported = import_command(
        "python train.py --opt adamw --momentum 0.8 --lr-scheduler cosineannealinglr --lr-step-size 3 --lr-gamma 0.3 "
        "--lr-warmup-decay 0.5 --model-ema-decay 0.9"
    )
    assert {left.option: left.reason for left in imported.left_out} == {
        "--momentum": "adamw has none",
        "--lr-step-size": "cosineannealinglr has no use for it",
        "--lr-gamma": "cosineannealinglr has no use for it",
        "--lr-warmup-decay": "there is no warm-up",
        "--model-ema-decay": "there is no --model-ema",
    }
    assert imported.warnings == []


def test_every_mistake_is_reported_at_once():
    with pytest.raises(UsageError) as refused:
        import_command(
            "python train.py --model resnet51 --epochs x --learning-rate 1 --opt adam --lr-scheduler onecycle "
            "--lr -1 --test-only --label-smoothing 2 | tee log"
        )
    assert refused.value.exit_code == 2
    assert {problem.where for problem in refused.value.problems} == {
        *("--model", "--epochs", "'--learning-rate'", "--opt", "--lr-scheduler", "--lr", "--test-only"),
        *("--label-smoothing", "the command"),
    }


@pytest.mark.parametrize(
    "path", ["a b", "$(touch hacked)", "`x`", "no", "x # y", "größer", "-x", "a: b", "\x1b[31m", "\uffff"]
)
def test_any_path_reaches_the_recipe_whole_and_nothing_else_does(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = import_command(shlex.join(["python", "train.py", f"--data-path={path}"])).text
    assert read_mapping(text.encode(), "r.yaml").values["data_path"] == path
    assert recipe_of(shlex.join(["python", "train.py", f"--data-path={path}"]), tmp_path).data_path == path
    assert "\x1b" not in text
    assert [file.name for file in tmp_path.iterdir()] == ["imported.yaml"]


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=6))
def test_any_words_make_a_recipe_that_is_read_or_are_refused(words):
    try:
        imported = import_command(shlex.join(["python", "train.py", *words]))
    except UsageError:
        return
    assert read_mapping(imported.text.encode(), "r.yaml").values.keys() == imported.values.keys()


def exported(recipe: Recipe) -> str:
    loaded = LoadedRecipe(recipe, "r", Path("r.yaml"), {})
    return command_line(scale(loaded, Ratio.parse("1"), 1_281_167))


def there_and_back(scaled: ScaledRecipe) -> None:
    command = command_line(scaled)
    again = import_command(command)
    assert exported(Recipe.model_validate(again.values)) == command
    assert [left.option for left in again.left_out] == []


@pytest.mark.parametrize("ratio", ["0.1", "0.5", "1", "2"])
def test_the_shipped_recipe_of_imagenet_comes_back_from_its_command(ratio):
    there_and_back(scale(load_recipe("imagenet_resnet50"), Ratio.parse(ratio), 1_281_167))


NUMBER = st.floats(0, 0.9).map(lambda number: round(number, 4))
METHODS = {
    "norm_weight_decay": NUMBER,
    "clip_grad_norm": st.sampled_from([0.5, 1.0]),
    "auto_augment": st.sampled_from(["ra", "ta_wide", "augmix", "imagenet"]),
    "random_erase": NUMBER,
    "mixup_alpha": NUMBER,
    "cutmix_alpha": NUMBER,
    "label_smoothing": NUMBER,
    "amp": st.just("fp16"),
    "model_ema": st.just(True),
    "model_ema_steps": st.integers(1, 99),
    "model_ema_decay": NUMBER,
    "momentum": NUMBER,
    "weight_decay": NUMBER,
    "lr_warmup_decay": st.sampled_from([0.01, 0.5]),
    "lr_warmup_method": st.sampled_from(["linear", "constant"]),
    "lr_warmup_epochs": st.integers(0, 5),
    "lr_gamma": st.sampled_from([0.1, 0.98]),
    "lr_step_size": st.integers(1, 40),
    "train_crop_size": st.integers(1, 300),
    "opt": st.sampled_from(["sgd", "sgd_nesterov", "adamw"]),
    "data_path": st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=9),
}


@given(
    model=st.sampled_from(sorted(TORCHVISION_MODELS)),
    scheduler=st.sampled_from(["steplr", "cosineannealinglr", "exponentiallr"]),
    epochs=st.integers(6, 600),
    keys=st.fixed_dictionaries({}, optional=METHODS),
)
def test_any_recipe_that_the_script_can_train_comes_back_from_its_command(model, scheduler, epochs, keys):
    keys = {"lr_step_origin": "warmup", "batch_size": 256} | keys
    recipe = Recipe.model_validate(
        {"model": model, "dataset": "ImageNet", "epochs": epochs, "lr_scheduler": scheduler, **keys}
    )
    scaled = scale(LoadedRecipe(recipe, "r", Path("r.yaml"), {}), Ratio.parse("1"), 1_281_167)
    there_and_back(scaled)
    again = Recipe.model_validate(import_command(command_line(scaled)).values)
    # What the script does in any case, and what it has no use for, does not travel.
    said = {"hflip_prob", "lr_interval", "lr_step_origin"}
    for key in recipe.model_dump(exclude_defaults=True).keys() - said - unused(recipe):
        assert getattr(again, key) == getattr(recipe, key), key


def unused(recipe: Recipe) -> set[str]:
    keys = set()
    if not recipe.lr_warmup_epochs.amount:
        keys |= {"lr_warmup_decay", "lr_warmup_method"}
    if not recipe.model_ema:
        keys |= {"model_ema_steps", "model_ema_decay"}
    if recipe.opt == "adamw":
        keys |= {"momentum"}
    if recipe.lr_scheduler != "steplr":
        keys |= {"lr_step_size"}
    if recipe.lr_scheduler == "cosineannealinglr":
        keys |= {"lr_gamma"}
    return keys


def test_the_batch_of_all_gpus_is_that_of_each_times_their_number():
    for gpus in (1, 8):
        imported = import_command("torchrun --nproc_per_node=3 train.py -b 16", gpus)
        assert imported.values["batch_size"] == 16 * gpus
    assert Duration(Fraction(90)) == Recipe.model_validate(imported.values).epochs
    assert replace(imported, source="x").text != imported.text
