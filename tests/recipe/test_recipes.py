"""Recipes as a user writes them: every mistake named with its place, and a fingerprint that means what it should."""

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.errors import RecipeError, UsageError
from sweep.recipe.library import load_recipe, parse_settings, shipped_recipes
from sweep.recipe.schema import Recipe

MINIMAL = "model: small_cnn\ndataset: digits\n"


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def load(text, *settings):
        Path("r.yaml").write_text(text)
        return load_recipe("./r.yaml", parse_settings(settings))

    return load


@pytest.fixture
def problems(load):
    def problems(text, *settings):
        with pytest.raises(RecipeError) as refused:
            load(text, *settings)
        assert refused.value.exit_code == 2
        return [str(problem) for problem in refused.value.problems]

    return problems


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("epocs: 3", "epocs: unknown key; did you mean 'epochs'?"),
        ("lr-step-size: 3", "lr-step-size: unknown key; did you mean 'lr_step_size'?"),
        ("LR: 3", "LR: unknown key; did you mean 'lr'?"),
        ("zzz: 3", "zzz: unknown key"),
        ("1: 3", "1: unknown key"),
        ("<<: {lr: 1}", "<<: unknown key"),
        ('"\\ud800": 3', ": unknown key"),
        ("lr: fast", "lr: should be a valid number, not 'fast'"),
        ("lr: .nan", "lr: should be a finite number, not nan"),
        ("lr: .inf", "lr: should be a finite number"),
        ("lr: -0.1", "lr: should be greater than 0, not -0.1"),
        ("lr: true", "lr: should be a valid number, not True"),
        ("lr: '0.1'", "lr: should be a valid number, not '0.1'"),
        ("lr: 1_000", "lr: should be a valid number, not '1_000'"),
        ("lr: 1e999999999", "lr: should be a finite number, not inf"),
        ("lr: [0.1]", "lr: should be a valid number, not [0.1]"),
        ("lr:", "lr: should be a valid number, not None"),
        ("momentum: .inf", "momentum: should be a finite number, not inf"),
        ("lr_min: -1", "lr_min: should be greater than or equal to 0, not -1.0"),
        ("data_path: ''", "data_path: should have at least 1 character, not ''"),
        ('data_path: "\\ud800"', "data_path: should be a valid string"),
        ("opt: SGD", "not 'SGD'; did you mean 'sgd'?"),
        ("batch_size: 64.0", "batch_size: should be a valid integer, not 64.0"),
        ("batch_size: 0", "batch_size: should be greater than or equal to 1"),
        ("batch_size: 010", "batch_size: should be a valid integer, not '010'"),
        ("scale_warmup: no", "scale_warmup: should be a valid boolean, not 'no'"),
        ("epochs: 0", "epochs: must be above zero"),
        ("epochs: 1.5", "epochs: the baseline trains whole epochs"),
        ("epochs: 0.5dur", "epochs: the baseline's length cannot be a fraction"),
        ("epochs: 500ba", "epochs: a length in steps scales only with `method: steps`, or `cyclic`"),
        ("epochs: -3", "epochs: '-3' is not a duration"),
        ("epochs:", "epochs: 'None' is not a duration"),
        ("epochs: 1:30", "epochs: '1:30' is not a duration"),
        ("epochs: 1e999999999", "epochs: 'inf' is not a duration"),
        ("epochs: '1e999999999'", "epochs: '1e999999999' is not a duration"),
        ("epochs: ٣", "epochs: '٣' is not a duration"),
        ("epochs: 99999999999999999999", "in at most 20 characters"),
        ("lr_warmup_epochs: 1.5ba", "lr_warmup_epochs: '1.5ba' is not a whole number of steps"),
        ("lr_cooldown: 1.1dur", "lr_cooldown: '1.1dur' is more than the whole run"),
        ("lr_milestones: 30", "lr_milestones: write a list"),
        ("lr_milestones: [30, x]", "lr_milestones: item 2: 'x' is not a duration"),
        ("lr_milestones: [0, 30]", "lr_milestones: item 1: must be above zero"),
        ("lr_scheduler: multisteplr", "lr_milestones: missing: lr_scheduler multisteplr needs it"),
        ("lr_scheduler: cosineannealingwarmrestarts", "lr_t_0: missing"),
        ("lr_scheduler: coslr", "lr_scheduler: should be 'steplr'"),
        ("lr_scheduler: steplrr", "did you mean 'steplr'?"),
        ("lr_min: 0.5", "lr_min: 0.5 is above lr (0.1)"),
        ("lr_gamma: 2", "lr_gamma: should be less than or equal to 1"),
        ("label_smoothing: 1", "label_smoothing: should be less than 1"),
        ("seed: -1", "seed: should be greater than or equal to 0"),
        ("train_crop_size: 0", "train_crop_size: should be greater than or equal to 1"),
        ("val_crop_size: 224.0", "val_crop_size: should be a valid integer"),
        ("workers: -1", "workers: should be greater than or equal to 0"),
        ("stem: smal", "did you mean 'small'?"),
        ("stem: small", "stem: small is not defined for small_cnn, only for ResNet, ResNeXt, Wide ResNet and DenseNet"),
        ("method: half", "method: should be 'epochs', 'steps', 'samples', 'subset' or 'cyclic', not 'half'"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_key(problems, line, words):
    [problem] = problems(f"# head\n{MINIMAL}{line}\n")
    place = "r.yaml" if "missing" in words else "r.yaml:4"
    assert problem.startswith(f"{place}: ")
    assert words in problem


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("dataset: FashionMnist", "unknown dataset 'FashionMnist'; did you mean 'FashionMNIST'?"),
        ("dataset: 3", "dataset: should be a valid string, not 3"),
        ("", "dataset: missing: a recipe must name it, or have a task or a command"),
    ],
)
def test_a_dataset_that_is_not_known_is_named(problems, lines, words):
    [problem] = problems(f"model: small_cnn\n{lines}\n")
    assert words in problem


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("resnet19", "unknown model 'resnet19'; did you mean 'resnet18'?"),
        ("ResNet50", "did you mean 'resnet50'?"),
        ("wide-resnet50-2", "did you mean 'wide_resnet50_2'?"),
        ("zzz", "unknown model 'zzz'; known: small_cnn, small_resnet and torchvision's, such as resnet18"),
        ("3", "model: should be a valid string, not 3"),
        ('"\\e[31m"', "unknown model"),
    ],
)
def test_a_model_that_is_not_known_is_named(problems, model, words):
    [problem] = problems(f"model: {model}\ndataset: digits\n")
    assert problem.startswith("r.yaml:1: model: ")
    assert words in problem


@pytest.mark.parametrize("model", ["resnet18", "resnext50_32x4d", "wide_resnet50_2", "densenet121"])
def test_a_small_stem_is_for_these_families(load, model):
    assert load(f"model: {model}\nstem: small\ndataset: CIFAR10\n").recipe.stem == "small"


@pytest.mark.parametrize("model", ["small_resnet", "regnet_x_400mf", "vgg11", "mnasnet0_5"])
def test_a_small_stem_is_for_no_other_family(problems, model):
    [problem] = problems(f"model: {model}\ndataset: CIFAR10\nstem: small\n")
    assert problem.startswith(f"r.yaml:3: stem: small is not defined for {model}")


def test_mistakes_of_reading_and_of_meaning_are_reported_together(problems):
    text = """\
model: small_cnn
model: small_cnn
dataset: digits
lrr: 1
momentum: .nan
lr: &fast 1
lr_min: *fast
opt: !!str 3
batch_size: -1
{a: b}: 1
label_smoothing: 1e-999 # nothing wrong
epochs: many
"""
    found = [problem.split(":")[:3] for problem in problems(text)]
    assert sorted((int(line), key.strip()) for _, line, key in found) == [
        (2, "model"),
        (4, "lrr"),
        (5, "momentum"),
        (6, "lr"),
        (7, "lr_min"),
        (8, "opt"),
        (9, "batch_size"),
        (10, "a key must be a plain word"),
        (12, "epochs"),
    ]


def test_mistakes_of_meaning_come_in_the_order_of_the_file_and_what_is_missing_last(problems):
    found = problems("seed: x\nzz: 1\ndataset: nope\nlr: 0\n", "momentum=2")
    assert [problem.split(":")[1].strip() for problem in found] == ["1", "2", "3", "4", "momentum", "model"]


def test_a_setting_mends_a_key_of_the_file_but_not_its_yaml(load, problems):
    assert load(f"{MINIMAL}lr: fast\n", "lr=0.5").recipe.lr == 0.5
    assert problems(f"{MINIMAL}lr: 1\nlr: 2\n", "lr=x") == [
        "r.yaml:4: lr: given twice; first on line 3 (keep one of them)",
        "--set: lr: should be a valid number, not 'x'",
    ]


def test_every_mistake_of_a_recipe_is_reported_at_once(problems):
    found = problems("dataset: digit\nlr: x\nlr_scheduler: multisteplr\nepochs: -1\nlr_gama: 3\n", "momentum=2", "zz=1")
    assert sorted(re.match(r"[^ ]+(?: [a-z_]+:)?", problem).group() for problem in found) == sorted(
        [
            "r.yaml: model:",
            "r.yaml:1: dataset:",
            "r.yaml:2: lr:",
            "r.yaml: lr_milestones:",
            "r.yaml:4: epochs:",
            "r.yaml:5: lr_gama:",
            "--set: momentum:",
            "--set: zz:",
        ]
    )


def test_numbers_may_be_written_with_an_exponent(load):
    recipe = load(f"{MINIMAL}lr: 1e-3\nweight_decay: 5E-4\n").recipe
    assert (recipe.lr, recipe.weight_decay) == (0.001, 0.0005)


def test_a_setting_takes_the_place_of_a_key_and_names_itself(load):
    loaded = load(f"{MINIMAL}lr: 0.1\n", "lr=0.5", "lr_milestones=[3, 4ep]", "lr_scheduler=multisteplr")
    assert loaded.recipe.lr == 0.5
    assert [str(milestone) for milestone in loaded.recipe.lr_milestones] == ["3ep", "4ep"]
    assert loaded.place("lr") == "--set"
    assert loaded.place("model") == "r.yaml:1"
    assert loaded.place("epochs") == "r.yaml"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("lr", "--set: 'lr' is not key=value"),
        ("=3", "--set: '=3' is not key=value"),
        ("lr=[", "--set: lr: not YAML"),
        ("lr=&a 1", "--set: lr: an anchor (&a)"),
        ("lr=!t 1", "--set: lr: a tag (!t)"),
        ("lr=1\nmomentum: 0.5", "--set: lr: more than one value"),
        ("lr=1\nvalue: 0.5", "--set: lr: given twice"),
        ("lr=1\n---\na: 1", "--set: lr: a second document"),
        ("lr=" + "9" * 70_000, "--set: lr: over 65536 bytes"),
        ("lr=\udcff", r"--set: 'lr=\udcff' is not UTF-8"),
        ("l\ud800=1", r"--set: 'l\ud800=1' is not UTF-8"),
    ],
)
def test_a_setting_that_is_none_is_refused(setting, message):
    with pytest.raises(UsageError) as refused:
        parse_settings((setting,))
    assert str(refused.value).startswith(message)


def test_every_setting_that_is_none_is_refused_at_once():
    with pytest.raises(UsageError) as refused:
        parse_settings(("lr", "epochs=[", "seed=1", "seed=2", "momentum=0.5"))
    assert [problem.key for problem in refused.value.problems] == [None, "epochs", "seed"]


def test_a_setting_may_hold_equals_signs_and_spaces(load):
    assert load(MINIMAL, " data_path = a=b c ").recipe.data_path == "a=b c"


def test_a_key_set_twice_is_refused():
    with pytest.raises(UsageError, match="--set: lr: given twice"):
        parse_settings(("lr=1", "lr=2"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", "RECIPE: there is no recipe 'digit'; did you mean 'digits'? (shipped: "),
        ("Fashion-MNIST", "RECIPE: there is no recipe 'Fashion-MNIST'; did you mean 'fashion_mnist'?"),
        ("nope", "RECIPE: there is no recipe 'nope' (shipped: "),
        ("", "RECIPE: there is no recipe '' (shipped: "),
        ("a\0b", r"RECIPE: 'a\x00b' is no path"),
        ("./absent.yaml", "./absent.yaml: there is no such file (sweep recipes list shows the shipped ones)"),
        ("absent.yml", "absent.yml: there is no such file"),
        ("digits.yaml/", "digits.yaml/: there is no such file"),
        (f"./{'x' * 5000}", f"./{'x' * 5000}: there is no such file"),
        ("\udcff.yaml", "\udcff.yaml: there is no such file"),
        ("/dev/zero", "/dev/zero: not a regular file"),
        ("/", "/: not a regular file"),
        ("./pipe.yaml", "./pipe.yaml: not a regular file"),
        ("folder.yaml", "folder.yaml: not a regular file"),
        ("zero.yaml", "zero.yaml: not a regular file"),
        ("to_pipe.yaml", "to_pipe.yaml: not a regular file"),
        ("loop.yaml", "loop.yaml: there is no such file"),
        ("dangling.yaml", "dangling.yaml: there is no such file"),
        ("../", "../: not a regular file"),
        ("x/" * 3000 + ".yaml", "x/x/"),
    ],
)
def test_a_recipe_that_is_not_there_is_refused(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.yaml")
    Path("folder.yaml").mkdir()
    for link, target in {"zero": "/dev/zero", "to_pipe": "pipe.yaml", "loop": "loop.yaml", "dangling": "no"}.items():
        Path(f"{link}.yaml").symlink_to(target)
    with pytest.raises(RecipeError) as refused:
        load_recipe(name)
    assert str(refused.value).startswith(message)
    assert refused.value.exit_code == 2


def test_a_recipe_that_goes_away_before_it_is_read_is_refused(load, monkeypatch):
    load(MINIMAL)
    monkeypatch.setattr(os.path, "isfile", lambda path: True)
    with pytest.raises(RecipeError, match=r"gone\.yaml: cannot be read: No such file"):
        load_recipe("gone.yaml")


def test_a_pipe_that_comes_into_a_recipes_place_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "isfile", lambda path: True)
    os.mkfifo(tmp_path / "r.yaml")
    with pytest.raises(RecipeError, match=r"r\.yaml:1: empty"):
        load_recipe(str(tmp_path / "r.yaml"))


def test_of_a_file_as_large_as_a_disk_no_more_than_a_page_is_read(tmp_path):
    with open(tmp_path / "r.yaml", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(RecipeError, match=r"r\.yaml: over 65536 bytes"):
        load_recipe(str(tmp_path / "r.yaml"))


def test_a_recipe_may_be_a_link(load, tmp_path):
    whole = load(MINIMAL)
    (tmp_path / "target").write_text(MINIMAL)
    (tmp_path / "link.yaml").symlink_to(tmp_path / "target")
    assert load_recipe(str(tmp_path / "link.yaml")).recipe == whole.recipe


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "r.yaml:1: empty"),
        (b"model: small_cnn\0\n", "r.yaml:1: not YAML: '\\x00' is no printable character"),
        (b"model: small_cnn\nlr: &a 1\nlr_min: *a\n", "r.yaml:2: lr: an anchor (&a) (remove it)"),
        (b"a: &a {x: 1}\nb: {<<: [*a, *a]}\n", "r.yaml:1: a: an anchor (&a)"),
        (b"lr: !!python/object/apply:os.system [id]\n", "r.yaml:1: lr: a tag ("),
        (b"model: small_cnn\nepochs: " + b"9" * 60_000, "r.yaml:2: epochs: a number of 60000 characters"),
        (b"model: small_cnn\n# caf\xe9\n", "r.yaml:2: not UTF-8: byte 0xe9"),
        (b"#" * 70_000, "r.yaml: over 65536 bytes"),
        (b"[" * 60_000, "r.yaml:1: not a mapping"),
        (b"model: " + b"[" * 60_000, "r.yaml:1: nested more than 4 deep"),
        (b"model: a\n---\nmodel: b\n", "r.yaml:2: a second document"),
    ],
)
def test_a_file_that_is_no_recipe_is_named_as_it_was_given(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_bytes(content)
    with pytest.raises(RecipeError) as refused:
        load_recipe("r.yaml")
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_shipped_recipe_says_where_it_is_from_and_what_to_expect(name):
    head = [line for line in shipped_recipes()[name].read_text().splitlines() if line.startswith("#")]
    assert head[0].startswith(f"# {name}: ")
    for word in ("Source:", "Expected accuracy:", "Device:", "Time:"):
        assert any(line.startswith(f"# {word}") and len(line.split(word)[1].strip()) > 2 for line in head), word
    assert load_recipe(name).name == name


def test_the_fingerprint_ignores_how_a_recipe_is_written(load):
    first = load(f"{MINIMAL}lr: 0.1\nepochs: 5\n").recipe.fingerprint
    second = load("# other\nepochs: 5ep\ndataset: digits\nmodel: small_cnn\nmomentum: 0.9\n").recipe.fingerprint
    assert first == second


def test_the_fingerprint_ignores_defaults_that_are_written_out_and_the_order_of_keys(load):
    short = load(MINIMAL).recipe
    explicit = sorted(short.model_dump(mode="json").items(), reverse=True)
    text = "".join(f"{key}: {json.dumps(value)} # as it is\n" for key, value in explicit)
    assert load(text).places.keys() == Recipe.model_fields.keys()
    assert load(text).recipe.fingerprint == short.fingerprint


@pytest.mark.parametrize("key", ["epochs", "lr_warmup_epochs", "lr_step_size", "lr_t_0", "lr_cooldown"])
def test_a_plain_number_of_epochs_and_the_same_written_as_a_duration_are_one_recipe(load, key):
    assert load(MINIMAL, f"{key}=5").recipe == load(MINIMAL, f"{key}=5ep").recipe
    assert load(MINIMAL, f"{key}=5").recipe.fingerprint == load(MINIMAL, f"{key}=5.0ep").recipe.fingerprint


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "lr": st.floats(1e-9, 1e9),
            "lr_warmup_epochs": st.decimals(0, 1000, places=7).map(float),
            "lr_milestones": st.lists(st.decimals("0.0000001", 1000, places=7).map(float), max_size=3),
            "lr_cooldown": st.decimals("0.001", 1, places=7).map(lambda amount: f"{amount:f}dur"),
        },
    )
)
def test_a_recipe_that_is_written_down_is_read_back_the_same(keys):
    recipe = Recipe.model_validate({"model": "small_cnn", "dataset": "digits"} | keys)
    again = Recipe.model_validate(json.loads(json.dumps(recipe.model_dump(mode="json"))), strict=False)
    assert again == recipe
    assert again.fingerprint == recipe.fingerprint


def test_the_fingerprint_of_a_recipe_is_what_it_was_when_its_results_were_written(load):
    text = (
        "lr: 0.2\nepochs: 20\nlr_warmup_epochs: 0.5\nlr_scheduler: multisteplr\nlr_milestones: [10, 300ba, 0.75dur]\n"
    )
    assert load(MINIMAL).recipe.fingerprint == "53e33deb8e729920"
    assert load(MINIMAL + text).recipe.fingerprint == "79ed769d738e1fac"


# How a baseline is scaled and repeated, where it runs and what that costs make it no other baseline.
SAME_BASELINE = {"method", "seed", "min_shared_steps", "threads", "workers", "price", "data_path"} | {
    "resume_args",
    "time_limit",
}

# A value for every key that is not its default.
OTHER = {
    "model": "small_resnet",
    "stem": "small",
    "dataset": "FashionMNIST",
    "data_path": "elsewhere",
    "epochs": 3,
    "batch_size": 7,
    "opt": "adamw",
    "lr": 0.2,
    "momentum": 0.5,
    "weight_decay": 0,
    "label_smoothing": 0.1,
    "lr_scheduler": "wsd",
    "lr_interval": "epoch",
    "lr_warmup_epochs": 1,
    "lr_warmup_method": "linear",
    "lr_warmup_decay": 0,
    "scale_warmup": "true",
    "lr_step_size": 3,
    "lr_milestones": "[3]",
    "lr_gamma": 0.5,
    "lr_step_origin": "warmup",
    "lr_min": 0.01,
    "lr_t_0": 3,
    "lr_t_mult": 2,
    "lr_power": 2,
    "lr_start_factor": 0.5,
    "lr_end_factor": 0.5,
    "lr_cooldown": 3,
    "lr_cooldown_shape": "1-sqrt",
    "random_crop_padding": 1,
    "train_crop_size": 176,
    "val_resize_size": 232,
    "val_crop_size": 176,
    "hflip_prob": 0.5,
    "method": "steps",
    "seed": 1,
    "min_shared_steps": 1,
    "threads": 1,
    "workers": 1,
    "price": 1,
    "lr_pct_start": 0.2,
    "lr_div_factor": 10,
    "lr_final_div_factor": 100,
    "lr_anneal": "linear",
    "lr_cycle_momentum": "false",
    "lr_base_momentum": 0.8,
    "lr_max_momentum": 0.9,
    "gradient_accumulation_steps": 2,
    "devices_per_trial": 2,
    "sync_bn": "true",
    "clip_grad_norm": 1,
    "norm_weight_decay": 0,
    "amp": "bf16",
    "channels_last": "true",
    "compile": "true",
    "auto_augment": "ra",
    "random_erase": 0.1,
    "mixup_alpha": 0.2,
    "cutmix_alpha": 1,
    "mixup_off": 3,
    "model_ema": "true",
    "model_ema_steps": 1,
    "model_ema_decay": 0.9,
    "swa": "true",
    "swa_start": "0.5dur",
    "swa_end": "1dur",
    "swa_interval": "10ba",
    "progressive_resizing": "true",
    "progressive_resizing_initial_scale": 0.75,
    "progressive_resizing_start": 0,
    "progressive_resizing_end": "1dur",
    "progressive_resizing_increment": 1,
    "layer_freezing": "true",
    "layer_freezing_start": 3,
    "layer_freezing_level": 0.5,
    "scale_methods": "true",
    "task": "other:make_task",
    "task_args": "{width: 3}",
    "command": "python train.py --epochs {epochs}",
    "metrics": "{accuracy: 'top1 ([0-9.]+)'}",
    "resume_args": "--resume",
    "time_limit": 60,
    "metric": "top5",
    "mode": "min",
}
# What a changed key needs beside it: a stem, a network that has one.
BESIDE = {
    "stem": ["model=resnet18"],
    "mode": ["metric=perplexity"],
    "auto_augment": ["dataset=MNIST"],
    "sync_bn": ["devices_per_trial=2"],
}
# Recipes of other kinds, for the keys that only those have.
TASK = "task: mine:make_task\n"
COMMAND = "command: train --epochs {epochs} --to {output_dir}\n"
KIND = {"task": TASK, "task_args": TASK, "metric": TASK, "mode": TASK} | dict.fromkeys(
    ("command", "metrics", "resume_args", "time_limit"), COMMAND
)


@pytest.mark.parametrize("key", Recipe.model_fields)
def test_the_fingerprint_changes_with_every_key_that_changes_the_training(load, key):
    text, beside = KIND.get(key, MINIMAL), BESIDE.get(key, [])
    changed = load(text, f"{key}={OTHER[key]}", *beside).recipe
    baseline = load(text, *beside).recipe
    assert getattr(changed, key) != getattr(baseline, key)
    assert (changed.fingerprint == baseline.fingerprint) == (key in SAME_BASELINE)
    assert list(changed.differences(baseline.model_dump(mode="json"))) == ([] if key in SAME_BASELINE else [key])


def test_a_key_that_came_later_differs_from_no_recipe_that_was_recorded_before(load):
    recipe = load(MINIMAL, "lr=0.2").recipe
    recorded = load(MINIMAL).recipe.model_dump(mode="json", exclude={"stem", "train_crop_size"})
    assert recipe.differences(recorded) == {"lr": "lr was 0.1, now 0.2"}
    cropped = load(MINIMAL, "train_crop_size=176").recipe
    assert cropped.differences(recorded) == {"train_crop_size": "train_crop_size was 224, now 176"}


def test_a_key_that_is_no_longer_there_is_a_difference(load):
    recipe = load(MINIMAL).recipe
    assert recipe.differences(recipe.model_dump(mode="json") | {"gone": 3}) == {"gone": "gone was 3, now None"}


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        (MINIMAL, ["sync_bn=true"], "sync_bn: there is one device: it needs devices_per_trial"),
        (MINIMAL, ["devices_per_trial=2", "compile=true"], "compile: not for several devices a trial"),
        (COMMAND, ["devices_per_trial=2"], "devices_per_trial: a command starts its processes itself"),
        (MINIMAL, ["devices_per_trial=0"], "devices_per_trial: should be greater than or equal to 1, not 0"),
    ],
)
def test_what_does_not_go_with_several_devices_is_refused(load, text, settings, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        load(text, *settings)


def test_a_recipe_is_frozen(load):
    recipe = load(MINIMAL).recipe
    with pytest.raises(ValueError, match="frozen"):
        recipe.lr = 1.0


@given(
    st.dictionaries(
        st.sampled_from([*Recipe.model_fields, "x", ""]),
        st.one_of(st.text(max_size=12), st.floats(), st.integers(), st.booleans(), st.none(), st.lists(st.integers())),
        max_size=6,
    )
)
def test_any_values_make_a_recipe_or_are_refused(values):
    from sweep.recipe.check import check_recipe

    checked = check_recipe({"model": "small_cnn", "dataset": "digits"} | values, {}, "r.yaml")
    assert isinstance(checked, Recipe) or all(str(problem).startswith("r.yaml: ") for problem in checked)


# What hurts a reader of YAML, put at any place of a recipe that is whole.
BARBS = [
    *(
        b"&a ",
        b"*a",
        b"!!python/name:os ",
        b"<<: ",
        b"[",
        b"{",
        b"]",
        b"}",
        b": ",
        b"- ",
        b"? ",
        b"|",
        b">",
        b"'",
        b'"',
    ),
    *(b"#", b"%", b"\t", b"\n", b"\r", b"\n---\n", b"\n...\n", b"\0", b"\x1b", b"\xff", b"\xef\xbb\xbf", b"\xc2\x85"),
    *(
        b'"\\ud800"',
        b'"\\ud800": 1\n',
        b"lr: 1\n",
        b" 1e999999999",
        b"-",
        b".nan",
        b"9" * 50,
        b"0x1",
        b"ep",
        b"dur",
        b"ba",
    ),
]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(shipped_recipes())),
    edits=st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 30), st.sampled_from(BARBS)), min_size=1, max_size=5),
)
def test_a_mutilated_recipe_is_read_or_refused_by_name(tmp_path, name, edits):
    text = shipped_recipes()[name].read_bytes()
    for start, length, barb in edits:
        text = text[:start] + barb + text[start + length :]
    assert_read_or_refused(tmp_path / "r.yaml", text)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.sampled_from([b"", b"lr: ", b"epochs: [", b"? "]))
def test_any_bytes_are_read_or_refused_by_name(tmp_path, data, head):
    assert_read_or_refused(tmp_path / "r.yaml", MINIMAL.encode() + head + data)


def assert_read_or_refused(path, text):
    path.write_bytes(text)
    problems = []
    try:
        load_recipe(str(path))
    except RecipeError as refused:
        problems = refused.problems
        assert problems, "refused for no reason"
    assert all(str(problem).startswith(str(path)) for problem in problems)


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(st.characters(codec=None), max_size=20),
            st.builds("{}={}".format, st.sampled_from(["lr", "seed", "x"]), st.text("[]{}&*!-:\n 1", max_size=20)),
        ),
        max_size=4,
    )
)
def test_any_settings_are_read_or_refused_by_option(texts):
    problems = []
    try:
        parse_settings(tuple(texts))
    except UsageError as refused:
        problems = refused.problems
    assert all(problem.where == "--set" for problem in problems)


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("", "model", "missing: a recipe must name it, or have a task or a command"),
        (TASK + "model: resnet18\n", "model", "a task brings its own: remove one of them"),
        (COMMAND + "dataset: digits\n", "dataset", "a command brings its own: remove one of them"),
        (TASK + COMMAND, "command", "a recipe has a task or a command, not both"),
        (MINIMAL + "time_limit: 3\n", "time_limit", "of a recipe with a command, which this is not"),
        (COMMAND + "task_args: {width: 3}\n", "task_args", "of a recipe with a task, which this is not"),
        ("task: make_task\n", "task", "write module:function"),
        (TASK + "progressive_resizing: true\n", "progressive_resizing", "the images of a task, if any, are not known"),
        (TASK + "mixup_alpha: 0.2\n", "mixup_alpha", "the targets of a task are not known to be classes"),
        (TASK + "cutmix_alpha: 1\n", "cutmix_alpha", "the targets of a task are not known to be classes"),
        (MINIMAL + "model_ema: true\nswa: true\n", "swa", "model_ema deploys other weights: leave one of them out"),
        (COMMAND + "progressive_resizing: true\n", "progressive_resizing", "the images of a command, if any, are not"),
        (MINIMAL + "metric: loss\n", "metric", "less loss is better: write mode: min"),
        (MINIMAL + "mode: min\n", "mode", "more accuracy is better: write mode: max"),
        (MINIMAL + "metric: top5\n", "metric", "'top5' is not measured here: accuracy or loss"),
    ],
)
def test_a_recipe_is_of_one_kind_and_judged_by_what_it_measures(load, text, key, message):
    with pytest.raises(RecipeError) as caught:
        load(text or "epochs: 3\n")
    assert [problem.message for problem in caught.value.problems if problem.key == key and message in problem.message]


def test_a_recipe_says_its_kind(load):
    assert [load(text).recipe.kind for text in (MINIMAL, TASK, COMMAND)] == ["builtin", "task", "command"]


def test_recipes_with_mappings_can_be_keys_of_a_dict(load):
    recipe = load(TASK, "task_args={width: 3}").recipe
    assert {recipe: 1}[load(TASK, "task_args={width: 3}").recipe] == 1
