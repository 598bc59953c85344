"""`--fail-if-worse`, both ways: by the means, and beyond noise."""

import numpy as np
import pytest
from tables import contender_through

from sweep.errors import SweepError, UsageError
from sweep.report.comparison import Comparison, compare
from sweep.report.comparison_gate import ComparisonGate
from sweep.report.contender import Contender, Lineup
from sweep.report.metric import ACCURACY

MEANS = (0.75, 0.8125, 0.875)
SPREAD = (-0.002, 0.0, 0.002)


def contender(name: str, moved: float, spread: tuple[float, ...] = (0.0,), seconds: float = 100.0) -> Contender:
    lengths = zip((0.5, 1.0, 2.0), MEANS, strict=True)
    return contender_through(
        *((ratio, seconds * ratio, [mean + moved + away for away in spread]) for ratio, mean in lengths), name=name
    )


def compared(moved: float, spread: tuple[float, ...] = (0.0,), seconds: float = 100.0) -> Comparison:
    return compare(contender("a", 0.0, spread), contender("b", moved, spread, seconds))


def check(points: str, *comparisons: Comparison, left_out: tuple[str, ...] = ()) -> None:
    lineup = Lineup((comparisons[0].old, *(one.new for one in comparisons)), (), left_out)
    ComparisonGate.parse(points).check(lineup, comparisons)


@pytest.mark.parametrize(("text", "points"), [("0.5", 0.5), ("0", 0.0), ("100", 100.0), (" 1.25 ", 1.25)])
def test_points_are_read(text: str, points: float) -> None:
    assert ComparisonGate.parse(text).points == points


@pytest.mark.parametrize("text", ["", "-1", "100.5", "nan", "inf", "1e1", "0,5", "5%", "٠", "half"])
def test_what_is_no_number_of_points_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        ComparisonGate.parse(text).check_metric(ACCURACY)
    (problem,) = caught.value.problems
    assert (caught.value.exit_code, problem.where) == (2, "--fail-if-worse")
    assert repr(text) in problem.message


@pytest.mark.parametrize("moved", [0.05, 0.0, -0.01])
def test_a_curve_that_is_no_worse_than_that_passes(moved: float) -> None:
    check("1", compared(moved))


def test_a_curve_that_is_worse_fails_with_where_and_by_how_much() -> None:
    with pytest.raises(SweepError) as caught:
        check("1", compared(-0.0125))
    assert caught.value.exit_code == 1
    assert str(caught.value) == (
        "--fail-if-worse: b is worse than a by 1.25 points at 50.0 s, more than 1 (by the means: noise is not known)"
    )


def test_one_cost_at_which_it_is_worse_is_enough() -> None:
    old = contender("a", 0.0)
    new = contender_through((0.5, 50, [0.8]), (1, 100, [0.78]), (2, 200, [0.9]), name="b")
    with pytest.raises(SweepError, match=r"by 3\.86 points at 1m 55s"):
        check("2", compare(old, new))


def test_what_lies_between_two_measured_costs_is_judged_too() -> None:
    """Nearly equal at every measured cost; one length more bends the new curve otherwise between two of them."""
    old = contender_through((0.5, 50, [0.5]), (1, 100, [0.9]), (2, 200, [0.91]), name="a")
    straight = contender_through((0.5, 50, [0.5]), (0.51, 51, [0.5]), (1, 100, [0.9]), (2, 200, [0.91]), name="b")
    comparison = compare(old, straight)
    at_measured = min(at.points.value for at in comparison.measured)
    between = min(at.points.value for at in comparison.by_cost)
    assert between < at_measured - 1
    with pytest.raises(SweepError, match=f"by {-between:.2f} points at "):
        check(f"{-at_measured:.2f}", comparison)


def test_what_seeds_do_fails_no_gate() -> None:
    comparison = compared(-0.002, SPREAD)
    widths = [at.simultaneous for at in comparison.measured]
    assert all(width is not None and width > 0.2 for width in widths)
    check("0", comparison)


def test_what_is_worse_beyond_what_seeds_do_fails() -> None:
    comparison = compared(-0.02, SPREAD)
    check("1.8", comparison)  # 2 points worse, but noise allows that it be 1.4
    with pytest.raises(SweepError, match=r"by 2\.00 ± 0\.\d\d points at .*, more than 1 \(beyond what seeds do\)"):
        check("1", comparison)


def test_noise_is_judged_at_all_costs_at_once() -> None:
    """So that half-widths are wider than those of one cost by itself."""
    comparison = compared(-0.002, SPREAD)
    for at in comparison.measured:
        assert at.points.low is not None
        assert at.simultaneous is not None
        assert at.simultaneous > at.points.value - at.points.low


def test_equal_sweeps_rarely_fail_a_gate_of_nothing() -> None:
    random = np.random.default_rng(7)
    failed = 0
    for _ in range(60):
        spreads = [tuple(0.002 * random.standard_normal(3)) for _ in "ab"]
        comparison = compare(*(contender(name, 0.0, spread) for name, spread in zip("ab", spreads, strict=True)), 200)
        try:
            check("0", comparison)
        except SweepError:
            failed += 1
    assert failed <= 6


def test_curves_without_a_common_cost_fail() -> None:
    with pytest.raises(SweepError, match="b and a have no cost in common") as caught:
        check("50", compared(0.0, seconds=1.0))
    assert caught.value.exit_code == 1


def test_every_curve_that_is_worse_is_named() -> None:
    old = contender("a", 0.0)
    comparisons = [compare(old, contender(name, moved)) for name, moved in (("b", -0.1), ("c", 0.1), ("d", -0.2))]
    with pytest.raises(SweepError) as caught:
        check("1", *comparisons)
    assert [problem.message.split()[0] for problem in caught.value.problems] == ["b", "d"]


def test_what_has_nothing_measured_fails_too() -> None:
    with pytest.raises(SweepError, match="nothing of c has been measured") as caught:
        check("1", compared(0.1), left_out=("c",))
    assert caught.value.exit_code == 1
