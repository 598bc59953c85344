"""Which trial to train next: its chance against the formula, what it costs, and what is said where little is known."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from statistics import fmean

import pytest
from histories import RECIPE, a_start, a_trial, ended, finished, make_history
from judged_sweep import falling, judged_records
from scipy import stats

from sweep.errors import Outcome
from sweep.report.findings import Findings
from sweep.report.next_trial import Effect, Lacking, NextTrial, Prospect, Unfinished, look_ahead
from sweep.report.next_view import next_grid
from sweep.report.verdict import choose
from sweep.store.history import History
from sweep.store.workspace import Workspace

CALM = (-0.0001, 0.0001)


def kept(
    folder: Path,
    accuracies: Mapping[str, Sequence[float]],
    method: str = "epochs",
    price: float | None = None,
    **keys: str,
) -> History:
    """A sweep that has measured these, seeds 0, 1, …: a step takes a quarter of a second."""
    trials = [
        (a_trial(ratio, seed, method), accuracy)
        for ratio, each in accuracies.items()
        for seed, accuracy in enumerate(each)
    ]
    recipe = RECIPE.model_dump(mode="json") | {"method": method} | keys
    begun = a_start([trial for trial, _ in trials], recipe=recipe, price=price)
    folder.mkdir(exist_ok=True)
    return make_history(folder / "journal.jsonl", begun, *(finished(trial, accuracy) for trial, accuracy in trials))


def ahead_of(history: History, within_points: float | None = None) -> Unfinished | Lacking | Prospect:
    return look_ahead(Findings.of_history(history, within_points), history)


def effects_of(history: History, within_points: float | None = None) -> dict[tuple[str, int], Effect]:
    ahead = ahead_of(history, within_points)
    assert isinstance(ahead, Prospect)
    return {(effect.trial.ratio, effect.trial.seed): effect for effect in ahead.effects}


def notes_of(history: History, folder: Path, within_points: float | None = None) -> str:
    findings = Findings.of_history(history, within_points)
    return "\n".join(next_grid(findings, history, Workspace(folder / "mine")).notes)


def around(mean: float, spread: Sequence[float] = CALM) -> list[float]:
    return [mean + away for away in spread]


def test_the_chance_of_another_seed_is_that_its_mean_passes_the_limit(tmp_path: Path) -> None:
    spread = (-0.002, 0.0, 0.002)
    history = kept(tmp_path, {"0.5": around(0.893, spread), "1.0": around(0.9, spread)})
    effect = effects_of(history)["0.5", 3]
    # Its mean has to come to 0.895, half a point below the baseline's, so that the fourth seed has to be 0.901.
    sd = 0.002 * (1 + 1 / 3) ** 0.5
    assert effect.chance == pytest.approx(stats.t(4, loc=0.893, scale=sd).sf(0.901), abs=0.005)
    assert effect.to == "0.5"
    # The other way round: the baseline's mean has to fall to 0.898, and its own fourth seed to 0.892.
    effect = effects_of(history)["1.0", 3]
    assert effect.chance == pytest.approx(stats.t(4, loc=0.9, scale=sd).cdf(0.892), abs=0.005)


def test_a_trial_costs_what_its_ratio_took_and_a_new_one_what_the_cost_model_says(tmp_path: Path) -> None:
    history = kept(tmp_path, {"0.25": around(0.8), "0.5": around(0.88), "1.0": around(0.9)}, price=3.6)
    effects = effects_of(history)
    assert effects["0.5", 2].trial == NextTrial("epochs", "0.5", 2, 25.0, pytest.approx(0.025))
    assert effects["0.7", 0].trial == NextTrial("epochs", "0.7", 0, pytest.approx(35.0), pytest.approx(0.035))
    assert effects["0.5", 2].chance_per_hour == pytest.approx(effects["0.5", 2].chance * 3600 / 25)


def test_a_new_ratio_is_no_cheaper_than_a_shorter_one_that_was_disturbed(tmp_path: Path) -> None:
    trials = [a_trial(ratio, seed) for ratio in ("0.25", "0.5", "1.0") for seed in range(2)]
    seconds = {"0.25": 12.5, "0.5": 40.0, "1.0": 50.0}  # of which 25 would be as much a step as the others took
    accuracy = {"0.25": 0.80, "0.5": 0.899, "1.0": 0.90}
    measured = [finished(trial, accuracy[trial.ratio] + trial.seed / 1e4, seconds[trial.ratio]) for trial in trials]
    effects = effects_of(make_history(tmp_path / "j", a_start(trials), *measured))
    assert effects["0.7", 0].trial.train_seconds == 40.0
    assert effects["0.7", 0].chance == 0  # the verdict has 0.5 already, which stays the cheaper one


def test_new_ratios_are_whole_epochs_between_neighbours_and_below_the_shortest(tmp_path: Path) -> None:
    history = kept(tmp_path, {"0.1": around(0.7), "0.15": around(0.75), "0.5": around(0.88), "1.0": around(0.9)})
    new = {ratio for ratio, seed in effects_of(history) if seed == 0}
    assert new == {"0.25", "0.7"}  # 5 and 14 of 20 epochs; between 2 and 3, and between 1 and 2, there is none


def test_other_methods_have_ratios_of_two_digits(tmp_path: Path) -> None:
    accuracies = {"0.25": around(0.8), "0.5": around(0.88), "1.0": around(0.9)}
    history = kept(tmp_path, accuracies, method="steps")
    effects = effects_of(history)
    assert {ratio for ratio, seed in effects if seed == 0} == {"0.18", "0.35", "0.71"}
    assert effects["0.71", 0].trial.method == "steps"


def test_no_ratio_is_proposed_that_cannot_be_trained(tmp_path: Path) -> None:
    accuracies = {"0.25": around(0.8), "0.5": around(0.88), "1.0": around(0.9)}
    assert ("0.2", 0) in effects_of(kept(tmp_path / "short", accuracies))
    warm = kept(tmp_path / "warm", accuracies, lr_warmup_epochs="4ep")
    assert ("0.2", 0) not in effects_of(warm)  # all of its 4 epochs would be warm-up
    assert ("0.35", 0) in effects_of(warm)


def test_of_a_recipe_that_cannot_be_read_there_are_further_seeds_alone(tmp_path: Path) -> None:
    history = kept(tmp_path, {"0.25": around(0.8), "0.5": around(0.88), "1.0": around(0.9)}, lr="of another version")
    assert set(effects_of(history)) == {("0.25", 2), ("0.5", 2), ("1.0", 2)}


def test_the_best_is_the_one_with_the_most_chance_per_hour(tmp_path: Path) -> None:
    history = kept(tmp_path, {"0.25": around(0.8), "0.5": around(0.889, (-0.003, 0.003)), "1.0": around(0.9)})
    ahead = ahead_of(history)
    assert isinstance(ahead, Prospect)
    rates = [effect.chance_per_hour for effect in ahead.effects]
    assert rates == sorted(rates, reverse=True)
    assert ahead.best == ahead.effects[0]
    assert ahead.best is not None
    assert ahead.best.chance > 0.01
    again = ahead_of(history)
    assert isinstance(again, Prospect)
    assert again.effects == ahead.effects  # the same journal, the same proposal


def test_where_nothing_would_change_the_verdict_that_is_said(tmp_path: Path) -> None:
    history = kept(tmp_path, {"0.25": around(0.6), "0.5": around(0.8), "1.0": around(0.9)})
    found = notes_of(history, tmp_path)
    assert "no single trial would change the verdict: each has a chance under 1 %" in found
    assert "train it" not in found


def test_how_many_points_may_be_lost_is_asked_for(tmp_path: Path) -> None:
    history = kept(tmp_path, {"0.5": around(0.892), "1.0": around(0.9)})
    assert effects_of(history)["1.0", 2].chance < 0.01
    assert effects_of(history, 0.8)["1.0", 2].chance == pytest.approx(0.5, abs=0.02)  # it is just within


def test_what_is_planned_comes_first(tmp_path: Path) -> None:
    missing = [a_trial("0.5", 2), a_trial("1.0", 2)]
    trials = [a_trial(ratio, seed) for ratio in ("0.5", "1.0") for seed in range(2)]
    history = make_history(tmp_path / "j", a_start([*trials, *missing]), *map(finished, trials))
    assert ahead_of(history) == Unfinished(tuple(missing))
    assert (
        "next: what is missing, since 2 planned trials are not trained yet: ratio 0.5, seed 2; ratio 1.0, seed 2\n"
        "train it: sweep run ./mine.yaml --ratios 0.5,1.0 --set seed=2 --method epochs --results"
    ) in notes_of(history, tmp_path)


def test_one_that_failed_is_not_waited_for_and_its_seed_not_taken_again(tmp_path: Path) -> None:
    trials = [a_trial(ratio, seed) for ratio in ("0.5", "1.0") for seed in range(3)]
    diverged = ended(trials[2], Outcome.DIVERGED, "diverged")
    measured = [finished(trial, 0.9) for trial in trials if trial is not trials[2]]
    history = make_history(tmp_path / "j", a_start(trials), *measured, diverged)
    assert ("0.5", 3) in effects_of(history)


@pytest.mark.parametrize(
    ("accuracies", "message", "trial"),
    [
        ({"0.5": (0.8, 0.81)}, "no trial at ratio 1.0 has finished", NextTrial("epochs", "1.0", 0, None, None)),
        ({"1.0": (0.9, 0.91)}, "only ratio 1.0 has been measured", NextTrial("epochs", "0.5", 0, 25.0, None)),
        ({"0.5": [0.8], "1.0": [0.9]}, "what seeds do is not known", NextTrial("epochs", "1.0", 1, 50.0, None)),
        ({"0.5": [0.9], "1.0": [0.9]}, "what seeds do is not known", NextTrial("epochs", "0.5", 1, 25.0, None)),
    ],
)
def test_with_too_little_the_obvious_is_proposed_and_what_is_missing_said(
    tmp_path: Path, accuracies: Mapping[str, Sequence[float]], message: str, trial: NextTrial
) -> None:
    history = kept(tmp_path, accuracies)
    lacking = ahead_of(history)
    assert isinstance(lacking, Lacking)
    assert message in lacking.message
    assert lacking.trial == trial
    assert f"train it: sweep run ./mine.yaml --ratios {trial.ratio} --set seed={trial.seed}" in notes_of(
        history, tmp_path
    )


def test_where_no_shorter_run_can_be_trained_none_is_proposed(tmp_path: Path) -> None:
    history = kept(tmp_path, {"1.0": (0.9, 0.91)}, epochs="1ep")
    assert ahead_of(history) == Lacking("only ratio 1.0 has been measured: there is nothing to compare it with", None)
    assert "train it" not in notes_of(history, tmp_path)


def test_where_less_is_better_a_chance_is_found_all_the_same(tmp_path: Path) -> None:
    records = judged_records()
    history = make_history(tmp_path / "j", *records)
    effects = effects_of(history)
    assert all(0 <= effect.chance <= 1 for effect in effects.values())
    mirrored = make_history(tmp_path / "other", *judged_records("gain", "max", lambda ratio: -falling(ratio)))
    # Noise is not turned around with the metric: about as likely, not exactly.
    turned = effects_of(mirrored)
    assert turned.keys() == effects.keys()
    assert "val_loss by seeds" in notes_of(history, tmp_path)


def test_the_method_of_the_last_run_counts(tmp_path: Path) -> None:
    history = kept(tmp_path, {"0.5": around(0.88), "1.0": around(0.9)})
    other = kept(tmp_path / "both", {"0.5": around(0.88), "1.0": around(0.9)}, method="steps")
    merged = History((*history.starts, *other.starts), history.stages | other.stages, ())
    ahead = ahead_of(merged)
    assert isinstance(ahead, Prospect)
    assert {effect.trial.method for effect in ahead.effects} == {"steps"}


def test_the_table_has_dollars_where_there_is_a_price_and_a_sentence_names_them(tmp_path: Path) -> None:
    accuracies = {"0.5": around(0.893, (-0.002, 0.002)), "1.0": around(0.9, (-0.002, 0.002))}
    grids = []
    for price in (None, 3.6):
        history = kept(tmp_path / str(price), accuracies, price=price)
        grids.append(next_grid(Findings.of_history(history), history, Workspace(tmp_path / "mine")))
    assert [grid.headers for grid in grids] == [
        ("ratio", "seed", "train time", "chance", "then chosen"),
        ("ratio", "seed", "train time", "dollars", "chance", "then chosen"),
    ]
    assert any("s of training ($0.0" in note for note in grids[1].notes)


def test_nothing_is_trained_in_a_reference(tmp_path: Path) -> None:
    history = kept(tmp_path, {"0.5": around(0.893, (-0.002, 0.002)), "1.0": around(0.9)})
    grid = next_grid(Findings.of_history(history), history, Workspace(tmp_path / "reference-mine"))
    assert "reference-mine is kept as it is: nothing is trained in it" in grid.notes
    assert not any(note.startswith("train it") for note in grid.notes)


@pytest.mark.slow
def test_of_a_hundred_chances_as_many_come_true_as_they_say(tmp_path: Path) -> None:
    random = Random(7)
    said, came_true = [], []
    for number in range(60):
        gap, sd, power = random.choice((0.005, 0.01)), random.choice((0.001, 0.003)), random.choice((0.5, 1.0, 1.5))

        def drawn(ratio: float, gap: float = gap, sd: float = sd, power: float = power) -> float:
            return 0.95 - gap * ratio**-power + random.gauss(0, sd)

        accuracies = {ratio: [drawn(float(ratio)) for _ in range(3)] for ratio in ("0.25", "0.5", "1.0")}
        now = kept(tmp_path / f"{number}", accuracies)
        for effect in effects_of(now).values():
            trial = a_trial(effect.trial.ratio, effect.trial.seed)
            result = finished(trial, drawn(float(effect.trial.ratio)), effect.trial.train_seconds)
            start = now.starts[0].model_copy(update={"trials": (*now.trials, trial)})
            then = History((now.starts[0], start), now.stages | {trial.stages[0]: result}, ())
            said.append(effect.chance)
            came_true.append(chosen(then) != chosen(now))
    assert len(said) == 360
    assert 0.1 < fmean(said) < 0.2
    assert fmean(came_true) == pytest.approx(fmean(said), abs=0.03)


def chosen(history: History) -> str:
    (curve,) = Findings.of_history(history).curves
    assert curve.baseline is not None
    return choose(curve, curve.baseline, None).row.ratio_text
