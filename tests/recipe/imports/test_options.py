"""Words of a command line, read as argparse reads them: argparse itself is the oracle."""

import argparse
import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.recipe.imports.options import Option, read_options

OPTIONS = (
    Option("epochs", int),
    Option("batch_size", int, also=("-b",)),
    Option("lr", float),
    Option("lr_min", float),
    Option("model", str),
    Option("model_ema", bool),
    Option("weight_decay", float, also=("--wd",)),
    Option("amp", bool),
)
WORDS = [
    *(
        "--epochs",
        "--epo",
        "--e",
        "--batch-size",
        "-b",
        "-b64",
        "-b=64",
        "--lr",
        "--lr-min",
        "--lr-m",
        "--l",
        "--model",
    ),
    *("--model-ema", "--model-e", "--mod", "--wd", "--w", "--weight-decay=0.1", "--lr=-1", "--amp", "--amp=1", "--wd="),
    *(
        "3",
        "-3",
        "-.5",
        "0.5",
        "1e-3",
        "nan",
        "x",
        "",
        "--",
        "-",
        "--epochs=4",
        "--epochs=4=5",
        "-x",
        "--batch_size",
        "a b",
    ),
]


def by_argparse(words: list[str]) -> dict[str, object] | None:
    """What argparse makes of them; None where it refuses them."""
    parser = argparse.ArgumentParser(add_help=False)
    for option in OPTIONS:
        how = {"action": "store_true"} if option.kind is bool else {"type": option.kind}
        parser.add_argument(option.shown, *option.also, dest=option.name, default=argparse.SUPPRESS, **how)
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            return vars(parser.parse_args(words))
        except SystemExit:
            return None


@given(st.lists(st.sampled_from(WORDS), max_size=7))
def test_words_are_read_as_argparse_reads_them(words):
    ours, theirs = read_options(words, OPTIONS), by_argparse(words)
    if "--" in words:
        return  # ends the options there; no published command has one, and ours refuses it
    assert (theirs is None) == bool(ours.problems)
    if theirs is not None:
        assert repr(ours.values) == repr({**ours.values, **theirs})
        assert ours.values.keys() == theirs.keys()


def test_every_mistake_is_named_at_once():
    words = ["--epochs", "1.5", "--modle", "resnet50", "--lr", "--amp=1", "stray", "|", "-q"]
    problems = [(problem.where, problem.message) for problem in read_options(words, OPTIONS).problems]
    assert problems == [
        ("--epochs", "'1.5' is not a whole number"),
        ("'--modle'", "no option of the script's; did you mean '--model'?"),
        ("--lr", "its value is missing"),
        ("--amp", "takes no value"),
        ("'-q'", "no option of the script's"),
        ("the command", "belongs to no option: 'stray', '|'"),
    ]


def test_what_could_be_several_options_is_refused_with_their_names():
    [problem] = read_options(["--l", "3"], OPTIONS).problems
    assert problem.message == "could be --lr, --lr-min"


def test_many_stray_words_are_not_all_repeated():
    [problem] = read_options(["x"] * 9, OPTIONS).problems
    assert problem.message == "belongs to no option: 'x', 'x', 'x', 'x', 'x' and 4 more"


@pytest.mark.parametrize(("words", "value"), [(["-b", "3", "-b4"], 4), (["--batch-size=3", "--batch-s", "5"], 5)])
def test_the_last_of_several_counts(words, value):
    assert read_options(words, OPTIONS).values == {"batch_size": value}
