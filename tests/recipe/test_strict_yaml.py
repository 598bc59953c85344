"""A recipe's text is read strictly: whatever it does not need is refused, with its line."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.errors import RecipeError
from sweep.recipe.strict_yaml import MAX_BYTES, read_mapping, read_value


def problems_of(data):
    with pytest.raises(RecipeError) as refused:
        read_mapping(data if isinstance(data, bytes) else data.encode(), "r.yaml")
    assert refused.value.exit_code == 2
    return [str(problem) for problem in refused.value.problems]


def test_keys_come_with_their_lines():
    document = read_mapping(b"# head\nlr: 0.1\n\nmodel: small_cnn # tail\n", "r.yaml")
    assert document.values == {"lr": 0.1, "model": "small_cnn"}
    assert document.lines == {"lr": 2, "model": 4}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E+3", 1000.0),
        ("-1", -1),
        ("10", 10),
        ("true", True),
        ("null", None),
        ("'5'", "5"),
        ("[1, 2.5, 3ep]", [1, 2.5, "3ep"]),
        # What YAML 1.1 makes of these, nobody means.
        ("no", "no"),
        ("010", "010"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("2024-01-01", "2024-01-01"),
    ],
)
def test_values_are_what_they_look_like(text, value):
    read = read_value(text, "--set", "key")
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("lr: 1\nlr: 2\n", 2, "given twice; first on line 1"),
        ("a: &x 1\n", 1, "an anchor (&x)"),
        ("a: 1\nb: *x\n", 2, "an alias (*x)"),
        ("a: !!python/object:os.system x\n", 1, "a tag"),
        ("a: 1\n---\nb: 2\n", 2, "a second document"),
        ("- 1\n- 2\n", 1, "not a mapping"),
        ("just words\n", 1, "not a mapping"),
        ("a: 1\nb: [1, 2\n", 3, "not YAML"),
        ("a: 1\n\tb: 2\n", 2, "not YAML"),
        ("? [a, b]\n: 1\n", 1, "a key must be a plain word"),
        ("a: {b: {c: {d: {e: {f: 1}}}}}\n", 1, "nested more than"),
        ("", 1, "empty"),
        ("# only a comment\n", 1, "empty"),
        ("a: " + "9" * 100, 1, "a number of 100 characters"),
        ("a: 1\r\nb: 2\r\na: 3\r\n", 3, "given twice; first on line 1"),
        ("a: 1\nb:\n  - 1\n  - &x 2\n", 4, "an anchor (&x)"),
        ("a: 1\nb: [1, {c: !t 2}]\n", 2, "a tag (!t)"),
        ("a: 1\nb: {c: 1,\n c: 2}\n", 3, "c: given twice; first on line 2"),
        ("a: 1\n\nb: \x07\n", 3, "not YAML"),
        ("~\n", 1, "not a mapping"),
        ("{}\n", 1, "empty"),
        ("---\n...\n", 1, "empty"),
    ],
)
def test_what_a_recipe_never_needs_is_refused_with_its_line(text, line, words):
    assert any(problem.startswith(f"r.yaml:{line}: ") and words in problem for problem in problems_of(text))


def test_bytes_that_are_not_utf8_are_named_with_their_line():
    assert problems_of(b"a: 1\nb: \xff\n") == ["r.yaml:2: not UTF-8: byte 0xff (save the file as UTF-8)"]
    assert problems_of("a: 1\n".encode("utf-16")) == ["r.yaml:1: not UTF-8: byte 0xff (save the file as UTF-8)"]


def test_a_byte_order_mark_is_no_part_of_a_key():
    assert read_mapping("\ufefflr: 1".encode(), "r.yaml").values == {"lr": 1}


def test_a_text_over_64_kilobytes_is_refused_unread():
    assert "over 65536 bytes" in problems_of(b"#" * (MAX_BYTES + 1))[0]


def test_a_text_of_64_kilobytes_is_read():
    text = b"lr: 1 #"
    assert read_mapping(text + b"-" * (MAX_BYTES - len(text)), "r.yaml").values == {"lr": 1}


def test_what_yaml_itself_refuses_does_not_hide_the_mistakes_before_it():
    found = problems_of("a: &x 1\na: 2\nb: [1\n")
    assert [problem.split(": ")[0] for problem in found] == ["r.yaml:1", "r.yaml:2", "r.yaml:4"]


def test_every_mistake_of_a_text_is_reported():
    found = problems_of("a: &x 1\nb: *x\na: 2\nc: !t 3\n")
    assert [problem.split(": ")[0] for problem in found] == ["r.yaml:1", "r.yaml:2", "r.yaml:3", "r.yaml:4"]


@pytest.mark.parametrize(
    "bomb",
    [
        "a: &a {x: 1}\n" + "".join(f"b{n}: &b{n} {{<<: [*a, *a, *a]}}\n" for n in range(40)),
        "[" * (MAX_BYTES - 1),
        "a: " + "[" * (MAX_BYTES - 10),
        "{a: " * 10_000,
        "- " * 30_000,
        "a: " + "9" * 60_000,
        "a: 1e999999999",
        "? " * 20_000,
        "a:\n" + "".join(" " * n + "b:\n" for n in range(1, 300)),
    ],
    ids=[
        "merge keys",
        "brackets",
        "nested lists",
        "nested mappings",
        "dashes",
        "digits",
        "exponent",
        "questions",
        "stairs",
    ],
)
def test_a_bomb_is_read_or_refused_at_once(bomb):
    if bomb == "a: 1e999999999":
        assert read_mapping(bomb.encode(), "r.yaml").values == {"a": float("inf")}
    else:
        assert problems_of(bomb)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data):
    try:
        document = read_mapping(data, "r.yaml")
    except RecipeError:
        return
    assert document.lines.keys() == document.values.keys()


@given(st.text(alphabet="ab:-[]{},&*!|>'\"#%@?\n\t 01.\ufeff\x85", max_size=60))
def test_any_punctuation_is_read_or_refused(text):
    with contextlib.suppress(RecipeError):
        read_mapping(text.encode(), "r.yaml")


@settings(deadline=None)
@given(st.text(alphabet="ab:-[]{},&*!|>'\"#%@?\n\t 01.\ufeff\x85", max_size=60))
def test_any_punctuation_behind_a_key_is_one_value_or_refused_without_lines(text):
    found = []
    try:
        read_value(text, "--set", "lr")
    except RecipeError as refused:
        found = refused.problems
    assert all((problem.where, problem.key) == ("--set", "lr") for problem in found)
