"""Which curve is best at which cost: against brute force, and as it is said."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import contender_through

from sweep.report.comparison_notes import leads_text
from sweep.report.contender import Contender, Lineup, line_up
from sweep.report.leads import Lead, find_leads
from sweep.report.replicates import Interval, Replicates
from sweep.report.source import Source

RATIOS = (0.25, 0.5, 1.0, 2.0)
FLAT = (0.75, 0.8125, 0.875, 0.90625)
STEEP = (0.70, 0.80, 0.88, 0.93)  # as with MixUp: worse on a small budget, better on a large one
SCORES = st.lists(st.integers(0, 100).map(lambda percent: percent / 100), min_size=4, max_size=4)
CALM, WILD = (-0.0005, 0.0, 0.0005), (-0.05, 0.0, 0.05)


def contender(name: str, means: Sequence[float], seconds: float = 100, spread: Sequence[float] = (0.0,)) -> Contender:
    lengths = zip(RATIOS, means, strict=True)
    return contender_through(
        *((ratio, seconds * ratio, [mean + away for away in spread]) for ratio, mean in lengths), name=name
    )


def leads_of(*contenders: Contender) -> tuple[Lead, ...]:
    return find_leads(Lineup(contenders, ()))


def text_of(*contenders: Contender) -> str:
    return leads_text(Lineup(contenders, ()))


@given(st.lists(SCORES, min_size=2, max_size=4), st.floats(30, 300))
@settings(max_examples=60)
def test_whoever_leads_is_the_highest_of_all_curves_at_every_cost(means: list[list[float]], seconds: float) -> None:
    contenders = [contender(str(number), each, seconds if number else 100) for number, each in enumerate(means)]
    leads = leads_of(*contenders)
    assert leads[0].start.value == pytest.approx(max(25, seconds * 0.25))
    assert leads[-1].stop_seconds == pytest.approx(min(200, seconds * 2))
    assert [lead.start.value for lead in leads[1:]] == [lead.stop_seconds for lead in leads[:-1]]
    for lead in leads:
        costs = np.log(np.geomspace(lead.start.value, lead.stop_seconds, 33))[1:-1]
        lines = [Replicates.draw(each.points, None, 0, 0).qualities_at(costs)[0] for each in contenders]
        own = lines[contenders.index(lead.contender)]
        assert (own >= np.max(lines, axis=0) - 1e-9).all()
    assert all(one.contender is not other.contender for one, other in pairwise(leads))


def test_the_same_in_another_order_leads_at_the_same_costs() -> None:
    there, back = (leads_of(*pair) for pair in ((contender("a", FLAT), contender("b", STEEP)),) * 2)
    assert [(lead.contender.name, lead.start) for lead in there] == [(lead.contender.name, lead.start) for lead in back]
    turned = leads_of(contender("b", STEEP), contender("a", FLAT))
    assert [lead.contender.name for lead in turned] == ["a", "b"]
    assert turned[1].start.value == pytest.approx(there[1].start.value)


def test_a_crossing_is_said_with_its_cost_and_interval_and_who_leads_on_either_side() -> None:
    text = text_of(contender("a", FLAT, spread=CALM), contender("b", STEEP, spread=CALM))
    assert re.fullmatch(
        r"best by budget: a below a run of 1m \d\ds \(1m \d\ds to 1m \d\ds\), b above it; "
        r"compared from 25\.0 s to 3m 20s",
        text,
    )


def test_of_three_whoever_leads_between_is_named_with_both_ends() -> None:
    slow = contender("c", (0.60, 0.70, 0.85, 0.96))
    text = text_of(contender("a", FLAT), contender("b", (0.73, 0.82, 0.885, 0.91)), slow)
    assert re.match(r"best by budget: a below a run of [\d.]+ s, b from there to 2m \d\ds, c above it; ", text)
    assert text.endswith("(of one seed: how sure that is, is not known)")


def test_a_lead_that_seeds_explain_is_no_lead() -> None:
    barely = [mean + 0.001 for mean in FLAT]
    text = text_of(contender("a", FLAT, spread=WILD), contender("b", barely, spread=WILD))
    assert text.startswith("best by budget: a tie, within what seeds do; by the means b at every cost of a run; ")
    sure = text_of(contender("a", FLAT, spread=CALM), contender("b", [mean + 0.02 for mean in FLAT], spread=CALM))
    assert sure == "best by budget: b at every cost of a run; compared from 25.0 s to 3m 20s"


def test_a_crossing_that_seeds_explain_is_doubted() -> None:
    text = text_of(contender("a", FLAT, spread=WILD), contender("b", STEEP, spread=WILD))
    assert re.match(r"best by budget: a tie, within what seeds do; by the means a below a run of 1m \d\ds, b abo", text)


def test_a_lead_that_seeds_explain_beside_one_that_they_do_not_is_doubted() -> None:
    barely = (0.7495, 0.8120, 0.8745, 0.96)
    text = text_of(contender("a", FLAT, spread=(-0.002, 0, 0.002)), contender("b", barely, spread=(-0.002, 0, 0.002)))
    assert re.match(r"best by budget: a below a run of [\dms. ]+ \(.*\), b above it; compared from .* to", text)
    assert text.endswith("; where a leads, that is within what seeds do")


def test_of_two_leads_of_one_curve_the_doubted_one_is_named_by_its_costs() -> None:
    spread = (-0.002, 0, 0.002)
    text = text_of(
        contender("a", (0.75, 0.80, 0.85, 0.95), spread=spread),
        contender("b", (0.7495, 0.8200, 0.87, 0.90), spread=spread),
    )
    assert re.search(r"a below a run of .*, b from there to .*, a above it", text)
    assert re.search(r"; where a \(below [\dms. ]+\) leads, that is within what seeds do$", text)


def test_of_equal_curves_the_first_one_leads_until_another_one_parts() -> None:
    (lead,) = leads_of(contender("a", FLAT), contender("b", FLAT))
    assert lead.contender.name == "a"
    level = (0.8, 0.8, 0.8, 0.8)
    (parting,) = leads_of(contender("a", level), contender("b", (*level[:3], 0.9)))
    assert parting.contender.name == "b"


def test_without_a_common_range_of_costs_nothing_is_said_of_who_leads() -> None:
    apart = (contender("a", FLAT), contender("b", FLAT, seconds=10_000))
    assert leads_of(*apart) == ()
    assert text_of(*apart).startswith("best by budget: not known, since there is no range of costs")


def test_two_that_were_equal_up_to_where_a_third_one_falls_behind_part_without_a_crossing() -> None:
    a, b = contender("a", (0.7, 0.8, 0.8, 0.8)), contender("b", (0.7, 0.8, 0.8, 0.9))
    leads = leads_of(a, b, contender("c", (0.9, 0.8, 0.7, 0.6)))
    assert [lead.contender.name for lead in leads] == ["c", "b"]
    assert isinstance(leads[1].start, Interval)


def test_mixup_in_a_csv_is_worse_below_and_better_above(tmp_path: Path) -> None:
    rows = ["recipe,ratio,seed,train_seconds,accuracy"]
    for name, means in (("baseline", FLAT), ("mixup", STEEP)):
        for ratio, mean in zip(RATIOS, means, strict=True):
            rows += [f"{name},{ratio},{seed},{36000 * ratio},{mean + away}" for seed, away in enumerate(CALM)]
    table = tmp_path / "both.csv"
    table.write_text("\n".join(rows) + "\n")
    lineup = line_up(Source(tmp_path).read_all([str(table)]))
    assert re.match(
        r"best by budget: baseline below a run of 8h \d\dm \(7h \d\dm to 9h \d\dm\), mixup above it; "
        r"compared from 2h 30m to 20h 00m",
        leads_text(lineup),
    )
