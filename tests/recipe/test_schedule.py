"""The rates against torch's own schedulers and against written-out formulas, and what holds at every ratio."""

import warnings
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import cos, gcd, pi, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sweep.plan.lengths import measure
from sweep.plan.timeline import Timeline
from sweep.recipe.duration import Ratio, round_half_up
from sweep.recipe.schedule import SCHEDULES
from sweep.recipe.schema import Recipe

LR = 0.3
Keys = dict[str, Any]


def timeline(ratio: Fraction | int | str = 1, steps_per_epoch: int = 10, **keys: Any) -> Timeline:
    """The timeline of a recipe of batches of one, so that an epoch has as many steps as there are examples."""
    fixed = {"model": "small_cnn", "dataset": "digits", "batch_size": 1, "lr": LR}
    recipe = Recipe.model_validate(fixed | keys)
    return Timeline(recipe, measure(recipe, Ratio(Fraction(ratio), str(ratio)), steps_per_epoch))


def rates(run: Timeline) -> np.ndarray:
    return run.rates(0, run.num_steps)


def after_warmup(run: Timeline) -> int:
    return run.num_steps - run.lengths.warmup_steps


def alpha_1(run: Timeline) -> float:
    """The multiplier that would follow the last step."""
    return run.shape.multipliers(np.array([run.num_steps]))[0]


def torch_rates(build: Callable[[Any], Any], num_steps: int, warmup_steps: int = 0, **warmup: Any) -> list[float]:
    """The rates that `build(optimizer)` gives when it is stepped once an optimizer step, behind torch's own warm-up."""
    import torch
    from torch.optim import lr_scheduler as schedulers

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    found = []
    with warnings.catch_warnings():
        # torch 2.7's SequentialLR itself calls step(epoch), and is warned for it.
        warnings.filterwarnings("ignore", "The epoch parameter in `scheduler.step", UserWarning)
        scheduler = build(optimizer)
        if warmup_steps:
            decay = warmup.get("lr_warmup_decay", 0.01)
            if warmup.get("lr_warmup_method", "constant") == "linear":
                ramp = schedulers.LinearLR(optimizer, start_factor=decay, total_iters=warmup_steps)
            else:
                ramp = schedulers.ConstantLR(optimizer, factor=decay, total_iters=warmup_steps)
            scheduler = schedulers.SequentialLR(optimizer, [ramp, scheduler], milestones=[warmup_steps])
        for _ in range(num_steps):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    return found


def assert_same_rates(ours: np.ndarray, torchs: list[float]) -> None:
    assert len(ours) == len(torchs)
    np.testing.assert_allclose(ours, torchs, rtol=0, atol=1e-12 * LR)


@st.composite
def lengths(draw: st.DrawFn, max_epochs: int = 12, max_steps_per_epoch: int = 12) -> Keys:
    """Arguments of `timeline`: a length, a ratio and a method."""
    epochs = draw(st.integers(1, max_epochs))
    steps_per_epoch = draw(st.integers(1, max_steps_per_epoch))
    method = draw(st.sampled_from(["epochs", "steps"]))
    units = epochs if method == "epochs" else epochs * steps_per_epoch
    ratio = Fraction(draw(st.integers(1, 2 * units)), units)
    return {"ratio": ratio, "steps_per_epoch": steps_per_epoch, "epochs": epochs, "method": method}


@st.composite
def warmed_up(draw: st.DrawFn, **limits: int) -> Keys:
    """Arguments of `timeline`: a length and a warm-up that leaves a step of the baseline and of the run."""
    length = draw(lengths(**limits))
    scaled = draw(st.booleans())
    bare = timeline(**length).lengths
    longest = bare.dilation.baseline_steps if scaled else min(bare.dilation.baseline_steps, bare.num_steps)
    warmup = {
        "lr_warmup_epochs": f"{draw(st.integers(0, longest - 1))}ba",
        "lr_warmup_method": draw(st.sampled_from(["constant", "linear"])),
        "lr_warmup_decay": draw(st.floats(0.001, 1)),
        "scale_warmup": scaled,
    }
    assume(after_warmup(timeline(**length, **warmup)) > 0)
    return length | warmup


def whole(draw: st.DrawFn, baseline: int, run: int) -> tuple[int, int]:
    """A length of the baseline that dilates to a whole number of steps of the run, and that number."""
    common = gcd(baseline, run)
    times = draw(st.integers(1, common))
    return times * baseline // common, times * run // common


def torch_warmup(run: Timeline) -> Keys:
    recipe = run.recipe
    return {
        "warmup_steps": run.lengths.warmup_steps,
        "lr_warmup_method": recipe.lr_warmup_method,
        "lr_warmup_decay": recipe.lr_warmup_decay,
    }


# What torch's scheduler takes for a run: the recipe's keys, and how to build it from the scaled number of steps.


def _exponential(optimizer: Any, run: Timeline) -> Any:
    from torch.optim.lr_scheduler import ExponentialLR

    dilation = run.lengths.dilation
    epochs = (dilation.baseline_steps - dilation.baseline_warmup_steps) / dilation.steps_per_epoch
    return ExponentialLR(optimizer, run.recipe.lr_gamma ** (epochs / after_warmup(run)))


def _cosine(optimizer: Any, run: Timeline) -> Any:
    from torch.optim.lr_scheduler import CosineAnnealingLR

    return CosineAnnealingLR(optimizer, T_max=after_warmup(run), eta_min=run.recipe.lr_min)


def _linear(optimizer: Any, run: Timeline) -> Any:
    from torch.optim.lr_scheduler import LinearLR

    recipe = run.recipe
    return LinearLR(optimizer, recipe.lr_start_factor, recipe.lr_end_factor, total_iters=after_warmup(run))


def _polynomial(optimizer: Any, run: Timeline) -> Any:
    from torch.optim.lr_scheduler import PolynomialLR

    return PolynomialLR(optimizer, total_iters=after_warmup(run), power=run.recipe.lr_power)


def _constant(optimizer: Any, run: Timeline) -> Any:
    from torch.optim.lr_scheduler import ConstantLR

    return ConstantLR(optimizer, factor=1.0, total_iters=run.num_steps)


SMOOTH: dict[str, tuple[st.SearchStrategy[Keys], Callable[[Any, Timeline], Any]]] = {
    "exponentiallr": (st.fixed_dictionaries({"lr_gamma": st.floats(0.5, 1)}), _exponential),
    "cosineannealinglr": (st.fixed_dictionaries({"lr_min": st.floats(0, 0.1)}), _cosine),
    "linearlr": (
        st.fixed_dictionaries({"lr_start_factor": st.floats(0.1, 1), "lr_end_factor": st.floats(0, 1)}),
        _linear,
    ),
    "polynomiallr": (st.fixed_dictionaries({"lr_power": st.floats(0.5, 3)}), _polynomial),
    "constantlr": (st.just({}), _constant),
}


@pytest.mark.parametrize("name", SMOOTH)
@given(data=st.data())
def test_a_smooth_schedule_agrees_with_torchs_of_the_scaled_length(name: str, data: st.DataObject) -> None:
    keys, build = SMOOTH[name]
    run = timeline(**data.draw(warmed_up()), lr_scheduler=name, **data.draw(keys))
    theirs = torch_rates(lambda optimizer: build(optimizer, run), run.num_steps, **torch_warmup(run))
    assert_same_rates(rates(run), theirs)


@pytest.mark.parametrize("origin", ["start", "warmup"])
@given(data=st.data())
def test_steplr_agrees_with_torchs_of_the_scaled_step_size(origin: str, data: st.DataObject) -> None:
    from torch.optim.lr_scheduler import MultiStepLR, StepLR

    args = data.draw(warmed_up())
    length, offset, size, scaled_size = _whole_length(data, args, from_warmup=origin == "warmup")
    keys = {"lr_scheduler": "steplr", "lr_step_size": f"{size}ba", "lr_step_origin": origin, "lr_gamma": 0.5}
    run = timeline(**args, **keys)

    def build(optimizer: Any) -> Any:
        if offset == 0:  # torch counts from the end of the warm-up, as we do
            return StepLR(optimizer, scaled_size, gamma=0.5)
        return MultiStepLR(optimizer, [at - offset for at in range(scaled_size, length + 1, scaled_size)], gamma=0.5)

    assert_same_rates(rates(run), torch_rates(build, run.num_steps, **torch_warmup(run)))


@pytest.mark.parametrize("origin", ["start", "warmup"])
@given(data=st.data())
def test_multisteplr_agrees_with_torchs_of_the_scaled_milestones(origin: str, data: st.DataObject) -> None:
    from torch.optim.lr_scheduler import MultiStepLR

    args = data.draw(warmed_up())
    drawn = [_whole_length(data, args, from_warmup=origin == "warmup") for _ in range(3)]
    milestones = [f"{at}ba" for _, _, at, _ in drawn]
    scaled = [at - offset for _, offset, _, at in drawn]
    keys = {"lr_scheduler": "multisteplr", "lr_milestones": milestones, "lr_step_origin": origin, "lr_gamma": 0.2}
    run = timeline(**args, **keys)
    theirs = torch_rates(
        lambda optimizer: MultiStepLR(optimizer, scaled, gamma=0.2), run.num_steps, **torch_warmup(run)
    )
    assert_same_rates(rates(run), theirs)


@given(data=st.data(), times=st.integers(1, 3))
def test_warm_restarts_agree_with_torchs_of_the_scaled_first_cycle(data: st.DataObject, times: int) -> None:
    from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts

    args = data.draw(warmed_up())
    _, _, first, scaled_first = _whole_length(data, args, from_warmup=True)
    keys = {"lr_scheduler": "cosineannealingwarmrestarts", "lr_t_0": f"{first}ba", "lr_t_mult": times, "lr_min": 0.01}
    run = timeline(**args, **keys)
    theirs = torch_rates(
        lambda optimizer: CosineAnnealingWarmRestarts(optimizer, scaled_first, times, eta_min=0.01),
        run.num_steps,
        **torch_warmup(run),
    )
    assert_same_rates(rates(run), theirs)


def torchs_one_cycle(run: Timeline, optimizer_class: str = "SGD") -> tuple[list[float], list[float]]:
    """Rates and momenta of torch's OneCycleLR; its last step has the value that ours has after it, so one step more."""
    import torch
    from torch.optim.lr_scheduler import OneCycleLR

    recipe, num_steps = run.recipe, run.num_steps
    # torch's rise ends a step before this share of all steps.
    share = float((Fraction(repr(recipe.lr_pct_start)) * num_steps + 1) / (num_steps + 1))
    optimizer = getattr(torch.optim, optimizer_class)([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler = OneCycleLR(
        optimizer,
        max_lr=LR,
        total_steps=num_steps + 1,
        pct_start=share,
        anneal_strategy=recipe.lr_anneal,
        cycle_momentum=recipe.lr_cycle_momentum,
        base_momentum=recipe.lr_base_momentum,
        max_momentum=recipe.lr_max_momentum,
        div_factor=recipe.lr_div_factor,
        final_div_factor=recipe.lr_final_div_factor,
    )
    found, momenta = [], []
    for _ in range(num_steps):
        [group] = optimizer.param_groups
        found.append(group["lr"])
        momenta.append(group["momentum"] if "momentum" in group else group["betas"][0])
        optimizer.step()
        scheduler.step()
    return found, momenta


@given(
    args=lengths(),
    keys=st.fixed_dictionaries(
        {
            "lr_pct_start": st.integers(1, 99).map(lambda percent: percent / 100),
            "lr_div_factor": st.sampled_from([1, 10, 25]),
            "lr_final_div_factor": st.sampled_from([1, 100, 1e4]),
            "lr_anneal": st.sampled_from(["cos", "linear"]),
            "lr_base_momentum": st.floats(0, 0.9),
            "opt": st.sampled_from(["sgd", "adamw"]),
        }
    ),
)
def test_onecyclelr_and_its_momentum_agree_with_torchs_that_ends_a_step_later(args: Keys, keys: Keys) -> None:
    run = timeline(**args, lr_scheduler="onecyclelr", **keys)
    theirs, their_momenta = torchs_one_cycle(run, "AdamW" if keys["opt"] == "adamw" else "SGD")
    assert_same_rates(rates(run), theirs)
    momenta = run.momenta(0, run.num_steps)
    assert momenta is not None
    np.testing.assert_allclose(momenta, their_momenta, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("share", "first", "last"), [(0.0, 1.0, 1e-2), (1.0, 0.1, 1.0), (0.25, 0.1, 1e-2)])
def test_onecyclelr_may_rise_or_fall_alone(share: float, first: float, last: float) -> None:
    keys = {"lr_pct_start": share, "lr_div_factor": 10, "lr_final_div_factor": 10, "lr_anneal": "linear"}
    run = timeline(epochs=2, lr_scheduler="onecyclelr", **keys)
    assert rates(run)[0] == pytest.approx(LR * first)
    assert alpha_1(run) == pytest.approx(last)
    assert max(rates(run)) <= LR
    if share == 0.25:
        assert rates(run)[5] == LR
        assert run.momenta(4, 7) == pytest.approx([0.87, 0.85, 0.85 + 0.1 / 15])


def test_momentum_that_is_not_cycled_is_not_scheduled() -> None:
    assert timeline(lr_scheduler="onecyclelr", lr_cycle_momentum=False).momenta(0, 3) is None
    assert timeline(lr_scheduler="cosineannealinglr").momenta(0, 3) is None


def test_with_lr_interval_epoch_momentum_too_changes_once_an_epoch() -> None:
    run = timeline(epochs=3, lr_scheduler="onecyclelr", lr_interval="epoch")
    momenta = run.momenta(0, 30)
    assert momenta is not None
    assert [len(set(momenta[start : start + 10])) for start in (0, 10, 20)] == [1, 1, 1]
    assert len(set(momenta)) == 3


def _whole_length(data: st.DataObject, args: Keys, from_warmup: bool) -> tuple[int, int, int, int]:
    """The run's length from its origin, what torch's origin is after ours, and `whole` of the length from there."""
    bare = timeline(**args).lengths
    dilation = bare.dilation
    if from_warmup:
        length, baseline = bare.num_steps - bare.warmup_steps, dilation.baseline_steps - dilation.baseline_warmup_steps
        return length, 0, *whole(data.draw, baseline, length)
    return bare.num_steps, bare.warmup_steps, *whole(data.draw, dilation.baseline_steps, bare.num_steps)


def test_ratio_1_is_torchs_scheduler_unscaled() -> None:
    from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, MultiStepLR, StepLR

    spelled: dict[str, tuple[Keys, Callable[[Any], Any]]] = {
        "steplr": ({"lr_step_size": 30, "lr_gamma": 0.1}, lambda o: StepLR(o, 300, gamma=0.1)),
        "multisteplr": ({"lr_milestones": [30, 60, 80]}, lambda o: MultiStepLR(o, [300, 600, 800])),
        "exponentiallr": ({"lr_gamma": 0.97}, lambda o: ExponentialLR(o, 0.97**0.1)),
        "cosineannealinglr": ({"lr_min": 1e-4}, lambda o: CosineAnnealingLR(o, 900, eta_min=1e-4)),
    }
    for name, (keys, build) in spelled.items():
        run = timeline(epochs=90, lr_scheduler=name, **keys)
        assert_same_rates(rates(run), torch_rates(build, 900))


@st.composite
def epochwise(draw: st.DrawFn) -> Keys:
    """Arguments of `timeline` whose epochs and warm-up epochs are whole in baseline and run, as torchvision's are."""
    epochs, run_epochs = draw(st.integers(2, 12)), draw(st.integers(2, 24))
    return {
        "ratio": Fraction(run_epochs, epochs),
        "steps_per_epoch": draw(st.integers(1, 9)),
        "epochs": epochs,
        "lr_interval": "epoch",
        "lr_warmup_epochs": draw(st.integers(0, min(epochs, run_epochs) - 1)),
        "lr_warmup_method": draw(st.sampled_from(["constant", "linear"])),
        "lr_warmup_decay": draw(st.floats(0.001, 1)),
        "lr_step_origin": "warmup",
    }


@pytest.mark.parametrize("name", ["steplr", "multisteplr", "exponentiallr", "cosineannealinglr"])
@given(data=st.data())
def test_lr_interval_epoch_is_torchvisions_stepping_once_an_epoch(name: str, data: st.DataObject) -> None:
    from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, MultiStepLR, StepLR

    args = data.draw(epochwise())
    warmup, size = args["lr_warmup_epochs"], args["steps_per_epoch"]
    epochs, run_epochs = args["epochs"] - warmup, args["epochs"] * args["ratio"] - warmup
    at, scaled_at = whole(data.draw, epochs, int(run_epochs))
    keys, build = {
        "steplr": ({"lr_step_size": at}, lambda o: StepLR(o, scaled_at)),
        "multisteplr": ({"lr_milestones": [at, at]}, lambda o: MultiStepLR(o, [scaled_at, scaled_at])),
        "exponentiallr": ({"lr_gamma": 0.9}, lambda o: ExponentialLR(o, 0.9 ** float(epochs / run_epochs))),
        "cosineannealinglr": ({"lr_min": 0.01}, lambda o: CosineAnnealingLR(o, int(run_epochs), eta_min=0.01)),
    }[name]
    run = timeline(**args, lr_scheduler=name, **keys)
    theirs = torch_rates(build, run.num_steps // size, **torch_warmup(run) | {"warmup_steps": warmup})
    assert_same_rates(rates(run), list(np.repeat(theirs, size)))


# Formulas, where torch has nothing of the kind.


@given(args=warmed_up())
def test_a_ramp_from_zero_is_t_of_w(args: Keys) -> None:
    run = timeline(**args | {"lr_warmup_method": "linear", "lr_warmup_decay": 0.0}, lr_scheduler="constantlr")
    warmup = run.lengths.warmup_steps
    expected = [LR * (t / warmup) for t in range(warmup)] + [LR] * after_warmup(run)
    assert list(rates(run)) == expected


@pytest.mark.parametrize("shape", ["linear", "1-sqrt"])
@given(args=warmed_up(), cooldown=st.fractions(Fraction(1, 100), 1, max_denominator=100), floor=st.floats(0, 1))
def test_wsd_is_a_plateau_and_a_cool_down_over_a_share_of_the_run(
    shape: str, args: Keys, cooldown: Fraction, floor: float
) -> None:
    share = Fraction(round(cooldown * 100), 100)
    keys = {"lr_cooldown": f"{float(share)}dur", "lr_cooldown_shape": shape, "lr_min": floor * LR}
    run = timeline(**args, lr_scheduler="wsd", **keys)
    assume(share * run.num_steps >= 1)
    warmup, end = run.lengths.warmup_steps, run.num_steps
    start = max(warmup, round_half_up(end - share * end))
    values = rates(run)
    for t in range(warmup, end):
        p = max(t - start, 0) / (end - start)
        left = 1 - (sqrt(p) if shape == "1-sqrt" else p)
        assert values[t] == pytest.approx(LR * (floor + (1 - floor) * left), abs=1e-12 * LR)


def test_warm_restarts_keep_their_precision_with_ten_decimals_and_many_steps() -> None:
    keys = {"lr_scheduler": "cosineannealingwarmrestarts", "lr_t_0": "3.3333333333ep", "method": "steps"}
    run = timeline("0.37", 1001, epochs=900, lr_warmup_epochs="7ba", lr_warmup_method="linear", **keys)
    n, n_r = 900 * 1001, 900 * 1001 * 37 // 100
    first = Fraction("3.3333333333") * 1001 * Fraction(n_r - 7, n - 7)
    for t in (7, 8, 1234, 33_333, 200_000, n_r - 1):
        cycle = sum(round_half_up(7 + k * first) <= t for k in range(1, n_r // int(first) + 2))
        progress = float(max(t - 7 - cycle * first, 0) / first)
        assert run.rates(t, t + 1)[0] == pytest.approx(LR * (1 + cos(pi * progress)) / 2, abs=1e-12 * LR)


# What holds at every ratio.

DURATIONS = st.one_of(
    st.decimals("0.01", 20, places=2).map(lambda epochs: f"{epochs}ep"), st.integers(1, 150).map(lambda n: f"{n}ba")
)


@st.composite
def dilating(draw: st.DrawFn, *names: str) -> Keys:
    """The keys of one of the schedulers `names` (else any), every length in a unit that dilates."""
    name = draw(st.sampled_from(names or tuple(SCHEDULES)))
    keys: Keys = {"lr_scheduler": name, "lr_min": 0.02, "lr_gamma": draw(st.floats(0.1, 0.99)), "lr_end_factor": 0.1}
    keys["lr_step_origin"] = draw(st.sampled_from(["start", "warmup"]))
    if name == "multisteplr":
        keys["lr_milestones"] = draw(st.lists(DURATIONS, min_size=1, max_size=4))
    for key in ("lr_step_size", "lr_t_0", "lr_cooldown"):
        keys[key] = draw(DURATIONS)
    keys["lr_t_mult"] = draw(st.integers(1, 3))
    return keys


def planned(args: Keys, keys: Keys) -> tuple[Timeline, Timeline]:
    """The baseline and the run; no draw whose interval is under one step, which a plan refuses."""
    baseline, run = timeline(**args | keys | {"ratio": Fraction(1)}), timeline(**args | keys)
    key = SCHEDULES[run.recipe.lr_scheduler].interval
    if key is not None:
        from_warmup = key != "lr_step_size" or run.recipe.lr_step_origin == "warmup"
        for each in (baseline, run):
            assume(each.lengths.dilation.length(getattr(run.recipe, key), from_warmup) >= 1)
    return baseline, run


@pytest.mark.parametrize("name", SCHEDULES)
@given(data=st.data())
def test_the_value_after_the_last_step_is_the_same_at_every_ratio(name: str, data: st.DataObject) -> None:
    baseline, run = planned(data.draw(warmed_up()), data.draw(dilating(name)))
    assert alpha_1(run) == pytest.approx(alpha_1(baseline), abs=1e-12)


@given(args=warmed_up(), keys=dilating("steplr", "multisteplr", "cosineannealingwarmrestarts", "wsd"))
def test_no_decay_is_lost_or_invented_at_any_ratio(args: Keys, keys: Keys) -> None:
    baseline, run = planned(args, keys)
    assert len(run.positions) == len(baseline.positions)


@given(args=warmed_up(), milestones=st.lists(DURATIONS, min_size=1, max_size=4), origin=st.booleans())
def test_a_milestone_is_within_half_a_step_of_its_exact_fraction(
    args: Keys, milestones: list[str], origin: bool
) -> None:
    keys = {"lr_milestones": milestones, "lr_step_origin": "warmup" if origin else "start"}
    run = timeline(**args, lr_scheduler="multisteplr", **keys)
    d = run.lengths.dilation
    baseline_origin, run_origin = (d.baseline_warmup_steps, d.warmup_steps) if origin else (0, 0)
    stretch = Fraction(d.num_steps - run_origin, d.baseline_steps - baseline_origin)
    lengths = [Fraction(text[:-2]) * (d.steps_per_epoch if text.endswith("ep") else 1) for text in milestones]
    exact = sorted(run_origin + length * stretch for length in lengths)
    exact = [at for at in exact if at <= d.num_steps]
    assert len(run.positions) == len(exact)
    for position, at in zip(run.positions, exact, strict=True):
        assert abs(position - at) <= Fraction(1, 2)


@given(args=warmed_up(), keys=dilating("cosineannealingwarmrestarts", "steplr", "wsd"))
def test_every_other_position_is_within_half_a_step_of_the_baselines_dilated(args: Keys, keys: Keys) -> None:
    _, run = planned(args, keys)
    d, recipe = run.lengths.dilation, run.recipe
    from_start = recipe.lr_scheduler == "steplr" and recipe.lr_step_origin == "start"
    w, w_r = (0, 0) if from_start else (d.baseline_warmup_steps, d.warmup_steps)
    stretch = Fraction(d.num_steps - w_r, d.baseline_steps - w)
    if recipe.lr_scheduler == "wsd":
        exact = [w_r + max(d.baseline_steps - w - d.baseline_length(recipe.lr_cooldown), 0) * stretch]
    elif recipe.lr_scheduler == "steplr":
        exact = [w_r + k * d.baseline_length(recipe.lr_step_size) * stretch for k in range(1, len(run.positions) + 1)]
    else:
        assert recipe.lr_t_0 is not None
        first = d.baseline_length(recipe.lr_t_0) * stretch
        cycles = [sum(recipe.lr_t_mult**j for j in range(k)) for k in range(1, len(run.positions) + 1)]
        exact = [w_r + first * k for k in cycles]
    assert all(abs(position - at) <= Fraction(1, 2) for position, at in zip(run.positions, exact, strict=True))


@given(share=st.integers(1, 100), args=lengths())
def test_a_milestone_in_dur_is_that_fraction_of_this_run(share: int, args: Keys) -> None:
    run = timeline(**args, lr_scheduler="multisteplr", lr_milestones=[f"{share / 100}dur"])
    assert run.positions == (round_half_up(Fraction(share, 100) * run.num_steps),)


def test_a_milestone_past_the_baselines_end_is_never_rounded_into_a_short_run() -> None:
    keys = {"lr_scheduler": "multisteplr", "lr_milestones": ["101ba"], "method": "steps", "epochs": 10}
    assert timeline("0.1", **keys).positions == ()  # at 10.1 of 10 steps


@given(args=warmed_up(), other=warmed_up(), keys=dilating())
def test_the_ramp_is_equal_to_the_last_bit_whatever_the_total(args: Keys, other: Keys, keys: Keys) -> None:
    fixed = {key: args[key] for key in ("lr_warmup_epochs", "lr_warmup_method", "lr_warmup_decay")}
    one = timeline(**args | fixed | {"scale_warmup": False} | keys | NO_LENGTHS)
    two = timeline(**other | fixed | {"scale_warmup": False} | keys | NO_LENGTHS)
    steps = min(one.lengths.warmup_steps, one.num_steps, two.num_steps)
    for run in (one, two):  # what has no step after its warm-up is refused, and has no schedule
        assume(after_warmup(run) > 0)
        assume(run.lengths.dilation.baseline_steps > run.lengths.dilation.baseline_warmup_steps)
    assert (one.rates(0, steps) == two.rates(0, steps)).all()


# Lengths with which every scheduler can be built, however short the run.
NO_LENGTHS: Keys = {"lr_step_size": "1dur", "lr_t_0": "1dur", "lr_cooldown": "1dur", "lr_milestones": ["1dur"]}


@given(args=warmed_up(), totals=st.tuples(st.integers(1, 20), st.integers(1, 20)))
def test_wsd_runs_share_ramp_and_plateau_to_the_last_bit(args: Keys, totals: tuple[int, int]) -> None:
    keys = args | {"lr_scheduler": "wsd", "lr_cooldown": "0.3dur", "scale_warmup": False, "method": "epochs"}
    runs = [timeline(**keys | {"ratio": Fraction(total, args["epochs"])}) for total in totals]
    shared = min(run.positions[0] for run in runs) + 1  # the cool-down's first step still has the plateau's value
    prefixes = [run.rates(0, min(shared, *(run.num_steps for run in runs))) for run in runs]
    assert (prefixes[0] == prefixes[1]).all()


@given(args=lengths(), other=lengths(), keys=dilating("steplr", "multisteplr"))
def test_after_k_decays_the_rate_is_the_same_to_the_last_bit_whatever_the_total(
    args: Keys, other: Keys, keys: Keys
) -> None:
    spans = []
    for each in (args, other):
        _, run = planned(each, keys)
        values = rates(run)
        counts = [sum(position <= t for position in run.positions) for t in range(run.num_steps)]
        spans.append({(k, value) for k, value in zip(counts, values, strict=True)})
    shared = {k for k, _ in spans[0]} & {k for k, _ in spans[1]}
    for k in shared:
        assert len({pair for span in spans for pair in span if pair[0] == k}) == 1


@given(args=warmed_up())
def test_scale_warmup_moves_the_ramp_its_end_and_the_origin_together(args: Keys) -> None:
    keys = args | {"scale_warmup": True, "lr_warmup_method": "linear"}
    run = timeline(**keys, lr_scheduler="multisteplr", lr_milestones=["1ba"], lr_step_origin="warmup")
    d, decay = run.lengths.dilation, run.recipe.lr_warmup_decay
    warmup = round_half_up(d.baseline_warmup_steps * Fraction(d.num_steps, d.baseline_steps))
    ramp = [LR * (decay + (1 - decay) * (t / warmup)) for t in range(warmup)]
    assert list(run.rates(0, warmup)) == ramp
    origin = warmup + Fraction(d.num_steps - warmup, d.baseline_steps - d.baseline_warmup_steps)
    assert run.positions == (round_half_up(origin),)
    cosine = timeline(**keys, lr_scheduler="cosineannealinglr")
    assert cosine.rates(warmup, warmup + 1)[0] == pytest.approx(LR, abs=1e-15)


@given(args=warmed_up(), keys=dilating(*(set(SCHEDULES) - {"cosineannealingwarmrestarts", "onecyclelr"})))
def test_the_rate_rises_in_the_warm_up_and_never_after_it(args: Keys, keys: Keys) -> None:
    _, run = planned(args, keys)
    warmup = run.lengths.warmup_steps
    assert all(a <= b <= LR for a, b in pairwise(run.rates(0, warmup)))
    assert all(b <= a + 1e-15 for a, b in pairwise(run.rates(warmup, run.num_steps)))


def test_merged_milestones_still_multiply() -> None:
    keys = {"lr_scheduler": "multisteplr", "lr_milestones": [5, 5.2, 8], "lr_gamma": 0.5, "method": "steps"}
    run = timeline("0.1", epochs=10, **keys)
    assert run.positions == (5, 5, 8)
    assert list(rates(run)) == [LR] * 5 + [LR * 0.25] * 3 + [LR * 0.125] * 2


def test_a_milestone_inside_the_warm_up_takes_effect_when_it_ends() -> None:
    keys = {"lr_scheduler": "multisteplr", "lr_milestones": [1], "lr_gamma": 0.5, "lr_warmup_decay": 0.5}
    run = timeline(epochs=4, lr_warmup_epochs=2, lr_warmup_method="linear", **keys)
    assert run.positions == (10,)
    assert list(run.rates(0, 20)) == [LR * (0.5 + 0.5 * (t / 20)) for t in range(20)]
    assert list(run.rates(20, 40)) == [LR * 0.5] * 20


def test_a_half_step_rounds_up() -> None:
    keys = {"lr_scheduler": "multisteplr", "lr_milestones": ["5ba", "7ba"], "method": "steps"}
    assert timeline("0.5", epochs=2, **keys).positions == (3, 4)  # 2.5 and 3.5


def test_steps_and_milestones_count_from_the_start_unless_the_recipe_says_from_the_warm_up() -> None:
    keys = {"epochs": 10, "lr_scheduler": "multisteplr", "lr_milestones": [4], "lr_warmup_epochs": 2}
    assert timeline(**keys).positions == (40,)
    assert timeline(**keys, lr_step_origin="warmup").positions == (60,)
    # Half of 10 epochs: 4 x 5/10 from the start; 2 + 4 x (5-2)/(10-2) from the end of the warm-up.
    assert timeline("0.5", **keys).positions == (20,)
    assert timeline("0.5", **keys, lr_step_origin="warmup").positions == (35,)


def test_linearlr_runs_from_the_start_factor_to_the_end_factor_over_the_run() -> None:
    run = timeline(epochs=1, lr_scheduler="linearlr", lr_start_factor=0.5, lr_end_factor=0.1)
    assert rates(run) == pytest.approx([LR * (0.5 - 0.04 * t) for t in range(10)])


def test_the_last_rate_of_a_cosine_is_one_step_above_the_absolute_floor() -> None:
    run = timeline(epochs=1, lr_scheduler="cosineannealinglr", lr_min=0.1)
    assert rates(run)[-1] == pytest.approx(0.1 + 0.2 * (1 + cos(pi * 0.9)) / 2)
    assert alpha_1(run) * LR == pytest.approx(0.1)


@given(
    args=warmed_up(), share=st.integers(5, 100), origin=st.sampled_from(["start", "warmup"]), ratio=st.integers(1, 40)
)
def test_intervals_in_dur_repeat_as_often_at_every_ratio(args: Keys, share: int, origin: str, ratio: int) -> None:
    baseline = args | {"ratio": 1}
    run = args | {
        "ratio": Fraction(ratio, args["epochs"] * (1 if args["method"] == "epochs" else args["steps_per_epoch"]))
    }
    for keys in (
        {"lr_scheduler": "steplr", "lr_step_size": f"{share / 100}dur", "lr_step_origin": origin},
        {"lr_scheduler": "cosineannealingwarmrestarts", "lr_t_0": f"{share / 100}dur"},
    ):
        runs = [timeline(**baseline, **keys), timeline(**run, **keys)]
        assume(all(after_warmup(made) > 0 for made in runs))
        assert len(runs[0].positions) == len(runs[1].positions)
        assert abs(alpha_1(runs[0]) - alpha_1(runs[1])) < 1e-9


def test_an_interval_in_dur_is_that_fraction_of_the_baseline() -> None:
    keys = {"epochs": 20, "lr_warmup_epochs": 2, "lr_scheduler": "cosineannealingwarmrestarts", "lr_t_0": "0.45dur"}
    assert timeline(**keys).positions == (110, 200)
    assert timeline("0.5", **keys).positions == (60, 100)
