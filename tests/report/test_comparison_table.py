"""What a comparison says: the table, its sentences, and JSON."""

import json
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tables import contender_through

from sweep.report.comparison import Comparison, compare, compare_all
from sweep.report.comparison_json import comparison_to_json
from sweep.report.comparison_notes import comparison_notes, verdict_text
from sweep.report.comparison_table import comparison_table
from sweep.report.contender import Contender, Lineup
from sweep.report.markup import to_markdown
from sweep.report.replicates import Interval

RATIOS = (0.25, 0.5, 1.0, 2.0)
OLD = (0.75, 0.8125, 0.875, 0.90625)
SEEDS = (-0.004, 0.0, 0.004)


def contender(
    name: str, means: Sequence[float] = OLD, seconds: float = 100, spread: tuple[float, ...] = (0.0,)
) -> Contender:
    lengths = zip(RATIOS, means, strict=False)
    return contender_through(
        *((ratio, seconds * ratio, [mean + away for away in spread]) for ratio, mean in lengths), name=name
    )


def moved(points: float) -> list[float]:
    return [mean + points / 100 for mean in OLD]


def verdict(new: Contender, old: Contender | None = None) -> str:
    return verdict_text(compare(old or contender("a"), new))


def notes(*contenders: Contender) -> list[str]:
    lineup = Lineup(contenders, ())
    return comparison_notes(lineup, compare_all(lineup))


def test_a_row_each_and_the_verdicts_first() -> None:
    lineup = Lineup((contender("a"), contender("b", seconds=40), contender("c", moved(-2))), ())
    grid = comparison_table(lineup, compare_all(lineup))
    assert grid.headers[:5] == ("recipe", "time to 87.50 %", "cheaper", "accuracy at 1m 40s", "points")
    assert grid.rows[0] == ("a", "1m 40s", "", "87.50 %", "", "", "", "")
    assert grid.rows[1] == ("b", "40.0 s", "2.50x", "", "", "-60.0 %", "+7.49", "")
    assert grid.rows[2][0] == "c"
    assert [note.split()[0] for note in grid.notes[:2]] == ["b", "c"]


@pytest.mark.parametrize(
    ("new", "text"),
    [
        (
            contender("b", seconds=40),
            "b reaches a's 87.50 % 2.50x cheaper: 40.0 s instead of 1m 40s; it was not trained for as long as 1m 40s",
        ),
        (
            contender("b", seconds=150),
            "b reaches a's 87.50 % at 1.50x the cost: 2m 30s instead of 1m 40s; "
            "at that one's cost, 1m 40s, it is 3.45 points worse",
        ),
        (
            contender("b"),
            "b reaches a's 87.50 % at the same cost: 1m 40s instead of 1m 40s; "
            "at that one's cost, 1m 40s, it is as accurate",
        ),
        (
            contender("b", moved(-10)),
            "b never reaches a's 87.50 %: its best is 80.62 %; at that one's cost, 1m 40s, it is 10.00 points worse",
        ),
        (
            contender("b", (0.9, 0.92), seconds=1000),
            "b is above a's 87.50 % with its cheapest ratio, 0.25, already: 4m 10s instead of 1m 40s; "
            "even its cheapest ratio costs more than 1m 40s",
        ),
    ],
)
def test_the_verdict_says_both_in_a_sentence(new: Contender, text: str) -> None:
    assert verdict(new) == text


def test_what_is_inside_its_interval_is_a_tie() -> None:
    text = verdict(contender("b", moved(0.1), spread=SEEDS), contender("a", spread=SEEDS))
    assert "at a cost that is a tie (1.0" in text
    assert "it is a tie (+0.10 points, -" in text
    clear = verdict(contender("b", moved(3), spread=SEEDS), contender("a", spread=SEEDS))
    assert "tie" not in clear
    assert "3.00 points better (+1." in clear


def with_times(low: float, value: float, high: float) -> Comparison:
    return replace(compare(contender("a"), contender("b")), times_cheaper=Interval(value, low, high))


def test_a_missing_end_is_said_as_such() -> None:
    inf = float("inf")
    assert "3.00x cheaper (at least 2.00x)" in verdict_text(with_times(2, 3, inf))
    assert "3.00x cheaper (2.00x to 4.00x)" in verdict_text(with_times(2, 3, 4))
    assert "at 2.00x the cost (at least 1.25x)" in verdict_text(with_times(-inf, 0.5, 0.8))
    assert "at 2.00x the cost (1.25x to 4.00x)" in verdict_text(with_times(0.25, 0.5, 0.8))
    doubt = "by the means; within what seeds do, it may not reach it"
    assert f"2.00x cheaper (at most 3.00x, {doubt})" in verdict_text(with_times(-inf, 2, 3))
    assert "a tie (2.00x cheaper, at least 0.50x)" in verdict_text(with_times(0.5, 2, inf))


def test_crossings_are_told_with_cost_and_the_nearest_ratio() -> None:
    texts = notes(contender("a"), contender("b", (0.70, 0.80, 0.88, 0.92)))
    (text,) = [text for text in texts if "overtakes" in text]
    assert text.startswith("b overtakes a from 1m ")
    assert text.endswith(", about b's ratio 1")
    texts = notes(contender("b", (0.70, 0.80, 0.88, 0.92)), contender("a"))
    (back,) = [text for text in texts if "overtakes" in text]
    assert back == text.replace("b's ratio", "a's ratio")  # the ratio is the new one's, whoever overtakes


def test_a_crossing_has_an_interval_or_is_doubted() -> None:
    crossed = (0.70, 0.80, 0.88, 0.92)
    calm = tuple(away / 4 for away in SEEDS)
    texts = notes(contender("a", spread=calm), contender("b", crossed, spread=calm))
    assert any(re.search(r"overtakes a from 1m \d\ds \(.* to .*\), about b's ratio 1$", text) for text in texts)
    doubtful = [value + moved for value, moved in zip(OLD, (-0.001, -0.0005, 0.0005, 0.001), strict=True)]
    texts = notes(contender("a", spread=SEEDS), contender("b", doubtful, spread=SEEDS))
    assert any("(within what seeds do, perhaps nowhere), about b's ratio" in text for text in texts)
    assert not any("perhaps nowhere" in text for text in notes(contender("a"), contender("b", crossed)))


def test_without_a_crossing_who_is_ahead_is_said() -> None:
    for points, ahead in ((1, "b"), (-1, "a")):
        texts = notes(contender("a"), contender("b", moved(points)))
        assert f"no crossing: by the means {ahead} is ahead at every common cost" in texts
    assert "b is a's equal at every common cost" in notes(contender("a"), contender("b"))


def test_a_quality_that_is_missed_by_less_than_seeds_do_is_a_tie() -> None:
    def through(name: str, short: float, whole: float) -> Contender:
        return contender_through(*((r, 100 * r, [a, a + 0.02]) for r, a in ((0.5, short), (1, whole))), name=name)

    old, just_missed, far_below = through("old", 0.8, 0.9), through("new", 0.79, 0.899), through("far", 0.5, 0.6)
    assert "never reaches old's 91.00 %: its best is 90.90 %, a tie with it" in verdict_text(compare(old, just_missed))
    assert "its best is 61.00 %;" in verdict_text(compare(old, far_below))
    above = verdict_text(compare(old, through("new", 0.901, 0.95)))
    assert "with its cheapest ratio, 0.5, already, a tie with it: 50.0 s instead of" in above


def test_a_curve_compared_with_itself_costs_the_same_however_noisy_it_is() -> None:
    one = contender_through(*((r, 100 * r, [a, a + 0.05]) for r, a in ((0.5, 0.8), (1, 0.9))), name="one")
    assert "reaches one's 92.50 % at the same cost" in verdict_text(compare(one, one))


def test_an_interval_without_ends_is_no_tie() -> None:
    assert not Interval(0.1, -math.inf, math.inf).ties_with(0.0)
    assert Interval(0.1, -math.inf, 0.2).ties_with(0.0)


def test_averages_name_their_ranges_or_that_there_is_none() -> None:
    texts = notes(contender("a"), contender("b", seconds=50))
    (averaged,) = [text for text in texts if "averaged" in text]
    assert averaged.startswith("b, averaged (Bjøntegaard): cost -50.0 %, from 75.00 to 90.62 %; +")
    assert averaged.endswith(" points, from 25.0 s to 1m 40s")
    apart = notes(contender("a"), contender("b", [mean / 10 for mean in OLD], seconds=1e6))
    assert "b, averaged (Bjøntegaard): no range of quality in common with a; no range of cost in common with a" in apart


def test_without_a_baseline_the_note_says_where_they_are_compared() -> None:
    assert "a has no finished trial at ratio 1.0: compared at its best, ratio 0.5" in notes(
        contender("a", OLD[:2]), contender("b")
    )
    assert "a has a cheaper ratio above its ratio 1.0: compared at its best, ratio 2" in notes(
        contender("a", (0.75, 0.6, 0.7, 0.8)), contender("b")
    )


def test_what_the_intervals_are_or_why_there_are_none() -> None:
    several, single = [contender(name, spread=SEEDS) for name in "ab"], contender("c")
    assert notes(*several)[-1].startswith("in brackets: 95 % intervals, from 2,000 simulated repetitions")
    assert notes(several[0], single)[-1].startswith("one seed a ratio in c: no intervals")
    assert [note[:20] for note in notes(*several, single)[-2:]] == ["in brackets: 95 % in", "one seed a ratio in "]


def refuse(name: str) -> None:
    raise AssertionError(name)


@pytest.mark.parametrize("spread", [(0.0,), SEEDS])
def test_json_is_json_and_holds_the_curves(spread: tuple[float, ...]) -> None:
    lineup = Lineup((contender("a", spread=spread), contender("b", moved(-0.6), spread=spread)), ())
    (comparison,) = comparisons = compare_all(lineup)
    document = json.loads(comparison_to_json(lineup, comparisons), parse_constant=refuse)
    assert document["format"] == 2
    assert [one["name"] for one in document["contenders"]] == ["a", "b"]
    assert len(document["contenders"][0]["lengths"]) == 4
    (told,) = document["comparisons"]
    assert told["at_equal_cost"]["points"]["value"] == pytest.approx(-0.6)
    assert (told["at_equal_cost"]["points"]["low"] is None) == (spread == (0.0,))
    assert len(told["by_cost"]) == len(comparison.by_cost)
    assert document["notes"] == comparison_notes(lineup, comparisons)


@pytest.mark.parametrize("name", ["[bold]x[/bold]", "\x1b[31mred", "two\nlines", "\u202ea", "a|b"])
def test_a_hostile_name_is_harmless(name: str) -> None:
    lineup = Lineup((contender(name), contender("b" + name, moved(1))), ())
    comparisons = compare_all(lineup)
    grid = comparison_table(lineup, comparisons)
    texts = [grid.title, *grid.headers, *grid.notes, *(cell for row in grid.rows for cell in row)]
    assert not [char for text in texts for char in text if unicodedata.category(char) in ("Cc", "Cf")]
    assert len(to_markdown([grid]).split("\n")) == 5 + len(grid.notes)
    assert json.loads(comparison_to_json(lineup, comparisons))["contenders"][0]["name"] == name
