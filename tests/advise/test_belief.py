"""What is believed of a curve: exact where it can be worked out by hand, and the same whatever the scale."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.advise.belief import Prior, Seen

RATIOS = tuple(place / 10 for place in range(1, 11))
PRIOR = Prior(RATIOS)
UNIT = 0.002

some_runs = st.lists(
    st.builds(Seen, st.integers(0, 9), st.integers(-50, 50).map(lambda units: 0.9 + units * UNIT / 2)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40)
@given(some_runs)
def test_the_same_runs_give_the_same_belief_in_whatever_order(seen):
    first, again, turned = (PRIOR.given(runs, UNIT) for runs in (seen, seen, seen[::-1]))
    assert np.array_equal(first.means, again.means)
    assert np.allclose(first.means, turned.means, atol=UNIT / 100)
    assert np.isfinite(first.means).all()


@settings(max_examples=40)
@given(some_runs, st.sampled_from([0.01, 3.0, 1e6]), st.sampled_from([-7.0, 0.0, 100.0]))
def test_another_unit_or_origin_is_the_same_belief_in_it(seen, factor, shift):
    own = PRIOR.given(seen, UNIT)
    other = PRIOR.given([Seen(run.place, shift + factor * run.score) for run in seen], factor * UNIT)
    assert np.allclose((other.means - shift) / factor, own.means, atol=UNIT / 10)
    assert other.seed_sd == pytest.approx(factor * own.seed_sd)


@settings(max_examples=40)
@given(some_runs, st.integers(0, 9))
def test_more_seeds_of_a_ratio_make_it_better_known(seen, place):
    few = PRIOR.given([*seen, Seen(place, 0.9)], UNIT)
    many = PRIOR.given([*seen, *(Seen(place, 0.9 + UNIT * ((-1) ** run)) for run in range(40))], UNIT)
    runs = [run.score for run in seen if run.place == place] + [0.9] * 40
    assert abs(many.means[:, place].mean() - np.mean(runs)) < 8 * many.seed_sd / np.sqrt(len(runs)) + UNIT
    assert many.means[:, place].std() <= few.means[:, place].std() * 1.1


@pytest.mark.parametrize("sd", [0.0005, 0.0015, 0.008])
def test_what_seeds_do_is_learned_from_them(sd):
    noise = np.random.default_rng(1).standard_normal(60)
    seen = [Seen(place, 0.9 + sd * float(noise[6 * place + run])) for place in range(10) for run in range(6)]
    assert PRIOR.given(seen, UNIT).seed_sd == pytest.approx(sd, rel=0.5)


def test_one_run_says_little_of_other_lengths_and_that_longer_ones_are_rather_better():
    belief = PRIOR.given([Seen(0, 0.8)], UNIT)
    assert belief.means[:, 0].mean() == pytest.approx(0.8, abs=UNIT)
    assert belief.means[:, 9].std() > 20 * UNIT
    assert 0.7 < (belief.means[:, 9] > belief.means[:, 0]).mean() < 0.95


def test_between_two_lengths_that_are_known_there_is_little_room():
    seen = [Seen(place, score) for place, score in ((2, 0.900), (3, 0.906), (5, 0.912), (6, 0.914))]
    belief = PRIOR.given(seen, UNIT)
    assert belief.means[:, 4].mean() == pytest.approx(0.9095, abs=UNIT)
    assert belief.means[:, 4].std() < belief.means[:, 9].std()
    assert belief.means[:, 4].std() < 2 * UNIT


@pytest.mark.parametrize("ratios", [(1.0,), (0.5, 1.0), (0.001, 1000.0), tuple(np.linspace(0.02, 1, 50))])
def test_any_grid_of_ratios_can_be_believed_of(ratios):
    belief = Prior(ratios).given([Seen(0, 0.5), Seen(len(ratios) - 1, 0.6)], UNIT)
    assert belief.means.shape == (len(belief.seed_sds), len(ratios))
    assert np.isfinite(belief.means).all()
