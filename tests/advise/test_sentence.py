"""What a search has found, in words."""

import dataclasses
from pathlib import Path

from table_executor import TableExecutor, find, rising

from sweep.advise.decision import Verdict
from sweep.advise.sentence import sentences


def test_a_ceiling_below_the_target_says_that_no_length_reaches_it(tmp_path: Path) -> None:
    found = find(tmp_path, TableExecutor(lambda epochs, seed: 0.95 - 0.4 / epochs**3), target="99%")
    beyond = sentences(found)[1]
    assert beyond.startswith("99 % is above all that was seen (94.")
    assert "; the fit's ceiling is 9" in beyond
    assert beyond.endswith(": not reached at any length")


def test_a_ceiling_that_is_not_known_promises_nothing(tmp_path: Path) -> None:
    found = find(tmp_path, TableExecutor(lambda epochs, seed: 0.8 + 0.02 * epochs), target="97%", confidence=0.8)
    beyond = sentences(found)[1]
    assert beyond.startswith("97 % is above all that was seen (96.00 % at 1.0); the fit's ceiling is ")
    assert beyond.endswith(": whether a longer run reaches it is not known")


def test_a_fit_through_two_lengths_is_none(tmp_path: Path) -> None:
    found = find(tmp_path, TableExecutor(lambda epochs, seed: 0.9), target="99%", ratios="0.5,1.0")
    assert sentences(found)[1] == "99 % is above all that was seen (90.00 % at 0.5)"


def test_a_probability_is_never_said_to_be_one(tmp_path: Path) -> None:
    found = find(tmp_path, TableExecutor(lambda epochs, seed: 0.9), target="50%")
    assert "reaches 50 % (probability over 0.99): 1 run, 2.00 s, 6 % of the full grid's 35.0 s" in sentences(found)[0]


def test_a_mean_that_falls_short_by_no_more_than_seeds_do_is_said_to_be_a_tie(tmp_path: Path) -> None:
    found = find(tmp_path, TableExecutor(rising), target="95.9%")  # of seed 0 half of it gives 95.9 %
    half = dataclasses.replace(found, verdict=Verdict(2, 0.95))
    assert sentences(half)[0].startswith("0.5 is the cheapest ratio that reaches 95.9 % (probability 0.95): ")
    shorter = dataclasses.replace(found, verdict=Verdict(0, 0.95))
    said = "0.25 is the cheapest ratio that reaches 95.9 % (probability 0.95; a tie, its mean being 92.90 %): "
    assert sentences(shorter)[0].startswith(said)
