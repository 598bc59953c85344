"""Ratios and durations are exact, and whatever else is typed is refused by name."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import UsageError
from sweep.recipe.duration import MAX_RATIOS, Duration, Ratio, Unit, decimal_text, parse_ratios, round_half_up


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.7", "7/10"),
        ("7/10", "7/10"),
        ("70%", "7/10"),
        ("1", "1"),
        ("1.", "1"),
        (".5", "1/2"),
        (" 2 ", "2"),
        ("12.5%", "1/8"),
    ],
)
def test_a_ratio_is_the_fraction_that_was_typed(text, value):
    assert Ratio.parse(text).value == Fraction(value)
    assert str(Ratio.parse(text)) == text.strip()


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_every_fraction_is_read_exactly(over, under):
    assert Ratio.parse(f"{over}/{under}").value == Fraction(over, under)


@given(st.decimals("0.0001", "1000", places=4))
def test_every_decimal_is_read_exactly(decimal):
    assert Ratio.parse(f"{decimal:f}").value == Fraction(decimal)


IMPOSSIBLE = [
    "0",
    "0.0",
    "0%",
    "0/3",
    "1/0",
    "-1",
    "-0.5",
    "+1",
    "nan",
    "inf",
    "1e-1",
    "1e999999999",
    "1_000",
    "٣",
    "½",
    "１",
    "∞",
    "Infinity",
    "",
    "1 2",
    "1/2/3",
    "1/0.5",
    "-1/2",
    "50%%",
    "0.5.5",
    "0." + "1" * 19,
]


@pytest.mark.parametrize("text", IMPOSSIBLE)
def test_what_is_no_ratio_is_refused_by_option_and_name(text):
    with pytest.raises(UsageError) as refused:
        parse_ratios(text)
    [problem] = refused.value.problems
    assert (problem.where, problem.ratio) == ("--ratios", repr(text))
    assert refused.value.exit_code == 2


def test_a_ratio_of_more_than_twenty_characters_is_refused_before_it_is_read():
    assert Ratio.parse("0." + "1" * 18).value > 0
    with pytest.raises(ValueError, match="at most 20 characters"):
        Ratio.parse("0." + "1" * 19)
    with pytest.raises(ValueError, match="…"):
        Ratio.parse("9" * 10_000)


@given(st.text(max_size=30))
def test_whatever_is_typed_is_read_or_refused(text):
    try:
        ratios = parse_ratios(text)
    except UsageError:
        return
    assert all(ratio.value > 0 for ratio in ratios)


def test_everything_that_is_no_ratio_is_refused_at_once():
    with pytest.raises(UsageError) as refused:
        parse_ratios(",".join(["0.5", *IMPOSSIBLE, "1"]))
    assert [problem.ratio for problem in refused.value.problems] == [repr(text) for text in IMPOSSIBLE]
    assert {problem.where for problem in refused.value.problems} == {"--ratios"}


def test_every_mistake_in_a_list_is_reported():
    with pytest.raises(UsageError) as refused:
        parse_ratios("0.5,x,1/2,,0,0.5")
    assert [problem.ratio for problem in refused.value.problems] == ["'x'", "'1/2'", "''", "'0'", "'0.5'"]
    assert "given twice (as 0.5 and 1/2)" in str(refused.value)


def test_ratios_come_back_ascending():
    assert [ratio.text for ratio in parse_ratios("1.0, 1/4,50%")] == ["1/4", "50%", "1.0"]


def test_a_range_is_exact_and_meets_its_end():
    ratios = parse_ratios("0.1:1:0.1")
    assert [ratio.value for ratio in ratios] == [Fraction(n, 10) for n in range(1, 11)]
    assert [ratio.text for ratio in ratios][:2] == ["0.1", "0.2"]
    assert ratios[-1].text == "1.0"


def test_a_range_that_does_not_meet_its_end_stops_before_it():
    assert [ratio.text for ratio in parse_ratios("1/3:1:1/3,0.5:0.9:0.25")] == ["1/3", "0.5", "2/3", "0.75", "1.0"]


@pytest.mark.parametrize("text", ["0.1:1", "1:0.1:0.1", "0.1:1:0", "0.1:1:0.1:2", "a:b:c", "::"])
def test_a_range_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="--ratios"):
        parse_ratios(text)


def test_a_range_of_endless_steps_is_refused_without_being_written_out():
    with pytest.raises(UsageError, match=f"more than {MAX_RATIOS} ratios"):
        parse_ratios("0.1:99999999:0.001")


def test_a_range_makes_only_ratios_that_can_be_read_again():
    with pytest.raises(UsageError, match="at most 20 characters"):
        parse_ratios("0.523456789012:1:0.5")


@given(st.fractions(0, 10**6))
def test_halves_round_upwards_and_nothing_moves_by_more_than_half(position):
    assert -Fraction(1, 2) < position - round_half_up(position) + 0 <= Fraction(1, 2) or position - round_half_up(
        position
    ) == -Fraction(1, 2)
    assert round_half_up(Fraction(5, 2)) == 3
    assert round_half_up(Fraction(7, 2)) == 4


@pytest.mark.parametrize(
    ("value", "amount", "unit"),
    [
        (5, "5", Unit.EPOCH),
        (0, "0", Unit.EPOCH),
        (0.5, "1/2", Unit.EPOCH),
        (29.7, "297/10", Unit.EPOCH),
        (0.1, "1/10", Unit.EPOCH),
        (1e-05, "1/100000", Unit.EPOCH),
        ("90ep", "90", Unit.EPOCH),
        ("5000ba", "5000", Unit.STEP),
        ("0.5dur", "1/2", Unit.RUN),
        (" 1.5ep ", "3/2", Unit.EPOCH),
        ("22/3ep", "22/3", Unit.EPOCH),
        ("44/2ba", "22", Unit.STEP),
        ("1/3dur", "1/3", Unit.RUN),
    ],
)
def test_a_duration_is_exactly_what_was_written(value, amount, unit):
    assert Duration.parse(value) == Duration(Fraction(amount), unit)


@pytest.mark.parametrize(
    "value", [5, 29.7, "90ep", "5000ba", "0.5dur", "0.125ep", 0.3333333, 1e-7, f".{'1' * 17}ep", "22/3ep"]
)
def test_a_duration_survives_being_written_and_read(value):
    duration = Duration.parse(value)
    assert Duration.parse(str(duration)) == duration


@given(st.decimals(0, 10**7, places=7), st.sampled_from(["ep", ""]))
def test_every_decimal_duration_is_exact_and_survives_being_written_and_read(decimal, unit):
    duration = Duration.parse(f"{decimal:f}ep" if unit else float(decimal))
    assert duration == Duration(Fraction(decimal))
    assert Duration.parse(str(duration)) == duration


# The longest that a decimal of 18 characters becomes when it is dilated: 36 digits over 36.
FRACTIONS = st.builds(Fraction, st.integers(0, 10**36), st.integers(1, 10**36))


@given(FRACTIONS)
def test_every_fraction_of_epochs_is_exact_and_survives_being_written_and_read(amount):
    duration = Duration.parse(f"{amount.numerator}/{amount.denominator}ep")
    assert duration == Duration(amount)
    assert Duration.parse(str(duration)) == duration


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("22/3ep", "22/3ep"),
        ("15/2ep", "7.5ep"),
        ("4/2ep", "2ep"),
        ("1/1024ep", "0.0009765625ep"),
        ("1/1048576ep", "1/1048576ep"),  # 20 decimals: exact, but no short text
        (f"1{'0' * 30}/1ep", f"1{'0' * 30}/1ep"),
    ],
)
def test_a_duration_is_written_as_a_decimal_where_it_is_a_short_one(value, text):
    assert str(Duration.parse(value)) == text


def test_a_duration_has_at_most_twenty_characters_or_eighty_as_a_fraction():
    assert Duration.parse(f"{'9' * 18}ep").amount == 10**18 - 1
    assert Duration.parse(f"{'9' * 76}/3ep").unit is Unit.EPOCH
    for text in (f"{'9' * 19}ep", f"0.{'1' * 18}ep", f"{'9' * 77}/3ep", f"{'9' * 10_000}/3ep"):
        with pytest.raises(ValueError, match="in at most 20 characters, or a fraction such as '22/3ep', in at most 80"):
            Duration.parse(text)


@pytest.mark.parametrize(
    ("value", "words"),
    [(value, "is not a duration") for value in ["5", "ep", "-5ep", "5 ep", "5sp", "1e3ep", "", True, None, [5], -1]]
    + [(value, "is not a duration") for value in [float("nan"), float("inf"), "1/ep", "/2ep", "1/2", "1/2/3ep"]]
    + [(value, "is not a duration") for value in ["1/0.5ep", "-1/2ep", "1/-2ep", "1 / 2ep", "٣/2ep", "1_0/2ep"]]
    + [(value, "is not a whole number of steps") for value in ["1.5ba", "22/3ba"]]
    + [(value, "is more than the whole run") for value in ["1.5dur", "4/3dur"]]
    + [(value, "divides by zero") for value in ["1/0ep", "0/0ba", "1/00dur"]],
)
def test_what_is_no_duration_is_refused(value, words):
    with pytest.raises(ValueError, match=words):
        Duration.parse(value)


def test_decimals_are_shown_as_decimals_and_thirds_as_thirds():
    assert [decimal_text(Fraction(text)) for text in ("7/10", "1", "1/3", "1/8", "5/2")] == [
        "0.7",
        "1.0",
        "1/3",
        "0.125",
        "2.5",
    ]
