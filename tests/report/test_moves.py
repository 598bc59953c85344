"""What other seeds do to a curve's means: Student's t of each, and what they share."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats
from tables import contender_through, make_frame

from sweep.report.analysis import Curve, make_curves
from sweep.report.moves import draw_moves

NUM = 200_000


def moves_of(curve: Curve) -> np.ndarray:
    return draw_moves(curve.measured, curve.noise, NUM, np.random.default_rng(0))


def curve_of(*accuracies: Sequence[float]) -> Curve:
    return contender_through(*((place, float(place), row) for place, row in enumerate(accuracies, 1))).curve


def trials(seeds: Sequence[int | None], *accuracies: Sequence[float]) -> Curve:
    (curve,) = make_curves(
        make_frame(
            *(
                {"ratio": place, "train_seconds": place, "accuracy": accuracy, "seed": seed}
                for place, row in enumerate(accuracies, 1)
                for seed, accuracy in zip(seeds, row, strict=True)
            )
        )
    )
    return curve


def half_widths(moves: np.ndarray) -> list[float]:
    return [float(width) for width in np.quantile(np.abs(moves), 0.95, axis=0)]


def shared(moves: np.ndarray) -> float:
    """The correlation of the first two lengths' moves, by ranks: heavy tails leave it alone."""
    rank = stats.spearmanr(moves[:20_000, 0], moves[:20_000, 1]).statistic
    return float(2 * math.sin(math.pi * rank / 6))


NOT_KNOWN = trials((None, None, None), (0.90, 0.91, 0.92), (0.93, 0.94, 0.96))
UNPAIRED = trials((0, 1, 2), (0.91, 0.90, 0.92), (0.93, 0.96, 0.94))  # who is lucky at one is unlucky at the other
ALONE = curve_of((0.90, 0.91, 0.92))


@pytest.mark.parametrize("curve", [NOT_KNOWN, ALONE])
def test_where_seeds_are_not_compared_with_themselves_means_move_as_students_t_each_by_itself(curve: Curve) -> None:
    moves = moves_of(curve)
    for width, row in zip(half_widths(moves), curve.measured, strict=True):
        assert row.ci95 is not None
        assert width == pytest.approx(row.ci95, rel=0.02)
    if moves.shape[1] > 1:
        assert shared(moves) == pytest.approx(0, abs=0.02)


def test_a_seed_that_moves_its_whole_curve_moves_all_means_alike_with_its_few_degrees_of_freedom() -> None:
    curve = curve_of((0.90, 0.91, 0.93), (0.92, 0.93, 0.95), (0.93, 0.94, 0.96))
    assert curve.noise.single is not None
    moves = moves_of(curve)
    assert moves[:, 1:] == pytest.approx(moves[:, :1].repeat(2, axis=1), abs=1e-6)
    expected = stats.t.ppf(0.975, 2) * curve.noise.single.sd / math.sqrt(3)
    assert half_widths(moves) == pytest.approx([expected] * 3, rel=0.02)


def test_what_is_shared_and_what_is_not_have_the_variances_of_the_two_spreads() -> None:
    curve = curve_of((0.90, 0.91, 0.93), (0.93, 0.92, 0.95), (0.93, 0.945, 0.955))
    single, paired = curve.noise.single, curve.noise.paired
    assert single is not None
    assert paired is not None
    assert 0.3 < paired.sd / single.sd < 0.7
    assert shared(moves_of(curve)) == pytest.approx(1 - (paired.sd / single.sd) ** 2, abs=0.03)


def test_luck_that_does_not_last_is_not_shared() -> None:
    assert UNPAIRED.noise.paired is not None
    assert shared(moves_of(UNPAIRED)) == pytest.approx(0, abs=0.02)


def test_lengths_share_only_the_seeds_that_both_have() -> None:
    """Where seeds do nearly all, two means of two seeds each, one of them common, move half alike."""
    lucky = {0: -0.02, 1: 0.0, 2: 0.02, 3: 0.04}
    rows = [
        {"ratio": place, "train_seconds": place, "accuracy": 0.9 + 0.01 * place + lucky[seed], "seed": seed}
        for place, seeds in enumerate(((0, 1), (1, 2), (0, 1, 2, 3), (0, 1, 2, 3)), 1)
        for seed in seeds
    ]
    (curve,) = make_curves(make_frame(*rows))
    assert shared(moves_of(curve)) == pytest.approx(0.5, abs=0.03)


def test_where_nothing_scatters_nothing_moves() -> None:
    assert not moves_of(curve_of((0.9, 0.9), (0.95, 0.95))).any()
