"""Recipes as a user writes them: every mistake named with its place, and a fingerprint that means what it should."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import RecipeError, UsageError
from sweep.recipe.library import find_recipe, load_recipe, parse_settings, shipped_recipes
from sweep.recipe.schema import NOT_IN_FINGERPRINT, Recipe

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
        ("zzz: 3", "zzz: unknown key"),
        ("lr: fast", "lr: should be a valid number, not 'fast'"),
        ("lr: .nan", "lr: should be a finite number, not nan"),
        ("lr: .inf", "lr: should be a finite number"),
        ("lr: -0.1", "lr: should be greater than 0, not -0.1"),
        ("lr: true", "lr: should be a valid number, not True"),
        ("batch_size: 64.0", "batch_size: should be a valid integer, not 64.0"),
        ("batch_size: 0", "batch_size: should be greater than or equal to 1"),
        ("batch_size: 010", "batch_size: should be a valid integer, not '010'"),
        ("scale_warmup: no", "scale_warmup: should be a valid boolean, not 'no'"),
        ("epochs: 0", "epochs: must be above zero"),
        ("epochs: 1.5", "epochs: the baseline trains whole epochs"),
        ("epochs: 0.5dur", "epochs: the baseline's length cannot be a fraction"),
        ("epochs: 500ba", "epochs: a length in steps scales only with `method: steps`"),
        ("epochs: -3", "epochs: '-3' is not a duration"),
        ("epochs:", "epochs: 'None' is not a duration"),
        ("lr_milestones: 30", "lr_milestones: write a list"),
        ("lr_milestones: [30, x]", "'x' is not a duration"),
        ("lr_scheduler: multisteplr", "lr_milestones: missing: lr_scheduler multisteplr needs it"),
        ("lr_scheduler: cosineannealingwarmrestarts", "lr_t_0: missing"),
        ("lr_scheduler: coslr", "lr_scheduler: should be 'steplr'"),
        ("lr_scheduler: steplrr", "did you mean 'steplr'?"),
        ("lr_min: 0.5", "lr_min: 0.5 is above lr (0.1)"),
        ("lr_gamma: 2", "lr_gamma: should be less than or equal to 1"),
        ("label_smoothing: 1", "label_smoothing: should be less than 1"),
        ("seed: -1", "seed: should be greater than or equal to 0"),
        ("method: half", "method: should be 'epochs', 'steps', 'samples' or 'subset', not 'half'"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_key(problems, line, words):
    [problem] = problems(f"# head\n{MINIMAL}{line}\n")
    place = "r.yaml" if "missing" in words else "r.yaml:4"
    assert problem.startswith(f"{place}: ")
    assert words in problem


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


@pytest.mark.parametrize("setting", ["lr", "=3", "lr=[", "lr=&a 1", "lr=1\nmomentum: 0.5", "lr=1\n---\na: 1"])
def test_a_setting_that_is_none_is_refused(setting):
    with pytest.raises(UsageError, match="--set"):
        parse_settings((setting,))


def test_a_key_set_twice_is_refused():
    with pytest.raises(UsageError, match="--set: lr: given twice"):
        parse_settings(("lr=1", "lr=2"))


@pytest.mark.parametrize("name", ["digit", "nope", "", "a\0b", "./absent.yaml", "absent.yml", "/dev/zero", "/"])
def test_a_recipe_that_is_not_there_is_refused(name):
    with pytest.raises(RecipeError):
        find_recipe(name)


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


# A value for every key that is not its default.
OTHER = {
    "model": "small_resnet",
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
    "hflip_prob": 0.5,
    "method": "steps",
    "seed": 1,
    "threads": 1,
    "price": 1,
}


@pytest.mark.parametrize("key", Recipe.model_fields)
def test_the_fingerprint_changes_with_every_key_that_changes_the_training(load, key):
    changed = load(MINIMAL, f"{key}={OTHER[key]}").recipe
    baseline = load(MINIMAL).recipe
    assert getattr(changed, key) != getattr(baseline, key)
    assert (changed.fingerprint == baseline.fingerprint) == (key in NOT_IN_FINGERPRINT)
    assert [line.split()[0] for line in changed.differences(baseline.model_dump(mode="json"))] == (
        [] if key in NOT_IN_FINGERPRINT else [key]
    )


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
    from sweep.recipe.schema import check_recipe

    checked = check_recipe({"model": "small_cnn", "dataset": "digits"} | values, {}, "r.yaml")
    assert isinstance(checked, Recipe) or all(str(problem).startswith("r.yaml: ") for problem in checked)
