"""The placeholders of a command: a fixed list, exact until they are written, and every mistake named at once."""

import shlex
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sweep.errors import RecipeError
from sweep.recipe.command import OwnCommand
from sweep.recipe.duration import Duration, Ratio, Unit, round_half_up
from sweep.recipe.library import load_recipe, parse_settings
from sweep.recipe.placeholders import (
    NAMES,
    TIMES,
    Placeholder,
    epochs_of_run,
    exact_times,
    parse_command,
    rounded,
)
from sweep.recipe.schedule import Dilation
from sweep.recipe.schema import Recipe


def recipe(command="train --epochs {epochs}", **keys):
    return Recipe.model_validate({"command": command, "epochs": 90, **keys}, strict=False)


def filled(command, epochs=45, of_the_run=None, **keys):
    own = OwnCommand.of(recipe(command, **keys))
    return own.fill(own.arguments, epochs, of_the_run)


WORDS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0{}"), max_size=12)


@given(st.lists(WORDS, min_size=1, max_size=5))
def test_a_command_without_placeholders_is_split_as_a_shell_splits_it_and_never_interpreted(words):
    assert parse_command(shlex.join(words)).fill({}) == words


@given(st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=12))
def test_doubled_braces_are_braces(text):
    word = text.replace("{", "{{").replace("}", "}}")
    assert parse_command(shlex.join(["train", word])).fill({}) == ["train", text]


@pytest.mark.parametrize("text", ["$(touch x)", "`touch x`", "a; touch x", "a && b", "> x", "| sh", "*", "~", "$HOME"])
def test_what_a_shell_would_do_is_done_by_nobody(text):
    assert filled(f"train --epochs {{epochs}} {text}")[:3] == ["train", "--epochs", "45"]
    assert filled("train {epochs} {output_dir}", of_the_run={"output_dir": text}) == ["train", "45", text]


epochs_ = st.integers(1, 400)
warmups = st.one_of(
    st.integers(0, 30).map(lambda n: Duration(Fraction(n))),
    st.fractions(0, Fraction(1, 4), max_denominator=20).map(lambda f: Duration(f, Unit.RUN)),
)
times_ = st.one_of(
    st.fractions(Fraction(1, 4), 100, max_denominator=12).map(Duration),
    st.fractions(Fraction(1, 50), 1, max_denominator=50).map(lambda f: Duration(f, Unit.RUN)),
)


@given(epochs_, epochs_, warmups, times_, st.booleans(), st.sampled_from(["start", "warmup"]))
def test_lengths_are_those_of_the_pure_schedules(baseline, run, warmup, at, scale_warmup, origin):
    keys = {"lr_step_size": at, "lr_t_0": at, "lr_cooldown": at, "lr_milestones": (at,), "lr_warmup_epochs": warmup}
    own = recipe(epochs=baseline, scale_warmup=scale_warmup, lr_step_origin=origin, **keys)
    of_baseline = warmup.amount * (baseline if warmup.unit is Unit.RUN else 1)
    follows = scale_warmup or warmup.unit is Unit.RUN
    of_run = of_baseline * Fraction(run, baseline) if follows else of_baseline
    # The oracle counts whole steps; a warm-up of parts of an epoch is this module's own.
    assume(of_baseline.denominator == of_run.denominator == 1 and of_baseline < baseline and of_run < run)
    pure, times = Dilation(baseline, int(of_baseline), run, int(of_run), 1), exact_times(own, run)
    from_warmup = origin == "warmup"
    assert times["epochs"] == run
    assert times["lr_warmup_epochs"] == of_run
    assert times["lr_step_size"] == pure.interval(at, from_warmup)
    assert times["lr_t_0"] == pure.interval(at, from_warmup=True)
    assert times["lr_cooldown"] == pure.length(at, from_warmup=True)
    counted_from = of_run if from_warmup and at.unit is Unit.RUN else 0
    assert times["lr_milestones"] == (pure.length(at, from_warmup) - counted_from,)


@given(st.sampled_from(TIMES), st.fractions(0, 1000))
def test_rounding_is_half_up_and_never_to_nothing_but_for_what_may_be_nothing(name, value):
    number = rounded(name, value)
    assert number == round_half_up(value) or (number, round_half_up(value)) == (1, 0)
    may_be_zero = name.startswith(("lr_warmup", "mixup", "swa", "progressive", "layer"))
    assert number >= (0 if may_be_zero else 1)


@given(epochs_, st.integers(1, 300), st.integers(1, 100))
def test_the_three_forms_say_the_same_length(run, step_size, percent):
    exact = Fraction(step_size * run, 90)
    texts = filled("t {epochs} {lr_step_size} {lr_step_size:float}", run, lr_step_size=step_size)
    assert texts[2] == str(max(1, round_half_up(exact)))
    assert float(texts[3]) == float(exact)
    if exact.denominator == 1:
        assert filled("t {epochs} {lr_step_size:exact}", run, lr_step_size=step_size)[2] == str(exact)
    assert epochs_of_run(recipe(), Ratio.parse(f"{percent}%")) == 90 * percent // 100


def test_several_values_are_several_arguments_or_joined_by_commas_inside_one():
    keys = {"lr_scheduler": "multisteplr", "lr_milestones": (30, 60, 80)}
    assert filled("t {epochs} --decay-milestones {lr_milestones} --x", **keys)[2:] == [
        *("--decay-milestones", "15", "30", "40", "--x")
    ]
    assert filled("t {epochs} --at={lr_milestones} '[{lr_milestones:float}]'", **keys)[2:] == [
        *("--at=15,30,40", "[15.0,30.0,40.0]")
    ]


def test_methods_times_in_dur_follow_the_run_and_others_only_where_the_recipe_says_so():
    command = "t {epochs} {mixup_off} {swa_start}"
    assert filled(command, mixup_off=20, swa_start="0.5dur")[2:] == ["20", "23"]  # 22.5, half up
    assert filled(command, mixup_off=20, swa_start="0.5dur", scale_methods=True)[2:] == ["10", "23"]


def test_the_gamma_of_exponentiallr_is_scaled_with_its_epochs():
    keys = {"lr_scheduler": "exponentiallr", "lr_gamma": 0.9}
    [_, _, gamma] = filled("t {epochs} {lr_gamma}", 45, **keys)
    assert float(gamma) ** 45 == pytest.approx(0.9**90)
    assert filled("t {epochs} {lr_gamma}", 45, lr_gamma=0.9)[2] == "0.9"


def test_settings_are_written_as_the_recipe_has_them():
    texts = filled("t {epochs} {lr} {weight_decay} {batch_size} {opt} {lr_scheduler}", lr=0.05, weight_decay=5e-5)
    assert texts[2:] == ["0.05", "5e-05", "32", "sgd", "steplr"]


def test_every_name_is_a_key_of_the_recipe_or_of_the_run():
    assert set(NAMES) - Recipe.model_fields.keys() == {"ratio", "output_dir", "device"}
    times = {name for name, field in Recipe.model_fields.items() if "Duration" in str(field.annotation)}
    assert times == set(TIMES)
    page = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    assert {name for name in NAMES if f"`{{{name}}}`" not in page} == set()


@pytest.fixture
def problems(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def problems(text, *settings):
        Path("r.yaml").write_text(text)
        with pytest.raises(RecipeError) as refused:
            load_recipe("./r.yaml", parse_settings(settings))
        return [str(problem) for problem in refused.value.problems]

    return problems


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("command: t {epochs} {lr_stepsize}", "unknown placeholder {lr_stepsize}; did you mean 'lr_step_size'?"),
        ("command: t {epochs} {zzz}", "unknown placeholder {zzz}; docs/commands.md lists them"),
        ("command: t {epochs} {}", "unknown placeholder {}"),
        ("command: t {epochs} {0}", "unknown placeholder {0}"),
        ("command: t {epochs!r}", "unknown placeholder {epochs!r}; did you mean 'epochs'?"),
        ("command: t {epochs.real}", "unknown placeholder {epochs.real}"),
        ("command: t {epochs:int}", "{epochs:int}: write {epochs}, {epochs:exact} or {epochs:float}"),
        ("command: t {epochs} {lr:exact}", "{lr:exact}: lr is no length that is scaled: write {lr}"),
        ("command: t {epochs} a{b", "an unbalanced { in 'a{b': write {{ for a brace"),
        ("command: t {epochs} a}b", "an unbalanced } in 'a}b': write }} for a brace"),
        ("command: t {epochs} 'a", "cannot be split into arguments: no closing quotation"),
        ("command: '  '", "empty: write the program and its arguments"),
        ("command: python train.py", "it does not use {epochs}: every ratio would train the same"),
        ("command: t {epochs} {lr_t_0}", "{lr_t_0}: the recipe does not set lr_t_0"),
        ("command: t {epochs} {clip_grad_norm}", "{clip_grad_norm}: the recipe does not set clip_grad_norm"),
        ("command: t {epochs}\nmethod: steps", "method: a command is scaled by epochs"),
        (
            "command: t {epochs} {amp}\namp: auto",
            "amp: auto is chosen for the tool's own loop: write none, bf16 or fp16",
        ),
        ("command: t {epochs}\nlr_step_size: 100ba", "lr_step_size: a command counts epochs: write 5 or '0.2dur'"),
        ("command: t {epochs}\nresume_args: --resume", "resume_args: the command does not use {output_dir}"),
        ("command: t {epochs}\nresume_args: '{nope}'", "resume_args: unknown placeholder {nope}"),
        (
            "command: t {epochs}\nmetrics: {json: '{output_dir}/m.json'}",
            "metrics: json: it is in {output_dir}, which the command does not use",
        ),
        ("command: t {epochs}\nmetrics: {json: '{x}/m.json'}", "metrics: json: unknown placeholder {x}"),
        ("command: t {epochs}\nmetrics: {accuracy: '([0-9'}", "metrics: accuracy: '([0-9' is no regular expression"),
        ("command: t {epochs}\nmetrics: {accuracy: 'Acc@1'}", "metrics: accuracy: 'Acc@1' has 0 groups: write one"),
        ("command: t {epochs}\nmetrics: {accuracy: '(a)(b)'}", "has 2 groups"),
        ("command: t {epochs}\nmetrics: {top1: '(a)'}", "metrics: accuracy: missing: it is what is judged (metric)"),
        ("command: t {epochs}\nmetrics: {accuracy: '(a)', scale: 0.01}", "metrics"),
        ("command: t {epochs}\nmetrics: {accuracy: '(a)', scale: share}", "scale: 'share': the only one is percent"),
        ("command: t {epochs}\nmetrics: {'a b': '(a)', accuracy: (a)}", "metrics: 'a b' is no name of a figure"),
    ],
)
def test_a_mistake_is_named_before_anything_runs(problems, keys, words):
    assert any(words in problem for problem in problems(keys + "\n")), problems(keys + "\n")


def test_all_mistakes_are_named_at_once(problems):
    found = problems("command: t {epcohs} {zzz} a}b\nmetrics: {accuracy: 'x'}\nresume_args: '{'\nmethod: samples\n")
    assert [problem.split(": ")[1] for problem in found] == [*["command"] * 3, "metrics", "resume_args", "method"]
    assert {problem.split(": ")[0] for problem in found} == {"r.yaml:1", "r.yaml:2", "r.yaml:3", "r.yaml:4"}


def test_a_zero_byte_is_refused():
    with pytest.raises(ValueError, match="zero byte"):
        parse_command("train 'a\0b'")


def test_a_placeholder_is_shown_as_it_is_written():
    assert str(Placeholder("lr_step_size", "exact")) == "{lr_step_size:exact}"
    assert str(Placeholder("epochs")) == "{epochs}"
