"""A live scheduler, scaled in place, stepped beside the pure schedules."""

import io
import warnings
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler as torch_schedulers
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)
from torch.optim.swa_utils import SWALR

from sweep import scale_scheduler
from sweep.errors import UsageError
from sweep.recipe.duration import Duration, Unit
from sweep.recipe.schedule import SCHEDULES, Dilation, WarmedUp
from sweep.train.dilated import DilatedStepLR, DilatedWarmRestarts
from sweep.train.scaling import REFUSED
from sweep.train.schedulers import RULES

BASE = 0.1

# torch 2.7 warns of what its SequentialLR itself does.
pytestmark = pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step")


def optimizer(momentum=0.0):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE, momentum=momentum)


def rates(scheduler, num_steps):
    """The optimizer's rate at steps 0 … num_steps - 1."""
    found = []
    for _ in range(num_steps):
        [rate] = scheduler.get_last_lr()
        assert rate == scheduler.optimizer.param_groups[0]["lr"]
        found.append(rate)
        scheduler.optimizer.step()
        scheduler.step()
    return found


def pure_rates(name, total, num_steps, warmup=0, decay=0.5, method="linear", **keys):
    """The same by the recipe's schedule, one step an epoch and counted from the end of the warm-up."""
    run = Dilation(total, warmup, num_steps, warmup, 1)
    values = {"lr": BASE, "lr_min": 0.0, "lr_gamma": 0.1, "lr_step_origin": "warmup"} | keys
    shape = SCHEDULES[name].build(SimpleNamespace(**values), run)
    return BASE * WarmedUp(shape, warmup, method, decay).multipliers(np.arange(num_steps))


def steps(number):
    return Duration(Fraction(number), Unit.STEP)


def close(found, expected, smallest=0.0):
    """To 1e-12 relative; what torch steps by quotients reaches 0 only to the last bits of its largest rate."""
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=smallest)


@st.composite
def runs(draw, least=8, warmup=False):
    """A baseline's length, a ratio, the run's length and the warm-up's."""
    total = draw(st.integers(least, 120))
    ratio = draw(st.fractions(Fraction(1, 10), 3, max_denominator=30))
    num_steps = int(total * ratio)
    warm = draw(st.integers(1, min(total, num_steps) - 1)) if warmup and min(total, num_steps) > 1 else 0
    assume(num_steps > max(warm, 2) and total - warm > 2)
    return total, ratio, num_steps, warm


def warmed_up(opt, warm, after):
    return SequentialLR(opt, [LinearLR(opt, 0.5, 1.0, warm), after], [warm])


@given(runs(), st.integers(1, 60))
def test_steplr_decays_where_the_pure_schedule_does_at_fractions_too(run, size):
    total, ratio, num_steps, _ = run
    assume(Fraction(size * num_steps, total) >= 1)
    scheduler = StepLR(optimizer(), size, 0.5)
    assert scale_scheduler(scheduler, ratio, total) == num_steps
    expected = pure_rates("steplr", total, num_steps, lr_step_size=steps(size), lr_gamma=0.5)
    close(rates(scheduler, num_steps), expected)


@given(runs(warmup=True), st.integers(1, 60))
def test_steplr_after_a_warmup_is_stretched_by_what_is_left(run, size):
    total, ratio, num_steps, warm = run
    assume(Fraction(size * (num_steps - warm), total - warm) >= 1)
    opt = optimizer()
    scheduler = warmed_up(opt, warm, StepLR(opt, size, 0.5))
    assert scale_scheduler(scheduler, ratio, total) == num_steps
    expected = pure_rates("steplr", total, num_steps, warm, lr_step_size=steps(size), lr_gamma=0.5)
    close(rates(scheduler, num_steps), expected)


@given(runs(), st.lists(st.integers(1, 119), min_size=1, max_size=4))
def test_multisteplr_keeps_every_milestone(run, milestones):
    total, ratio, num_steps, _ = run
    scheduler = MultiStepLR(optimizer(), milestones, 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scale_scheduler(scheduler, ratio, total)
    assert scheduler.milestones.total() == len(milestones)
    expected = pure_rates("multisteplr", total, num_steps, lr_milestones=tuple(map(steps, milestones)), lr_gamma=0.5)
    close(rates(scheduler, num_steps), expected)


@given(runs(warmup=True))
def test_a_cosine_after_a_warmup_ends_where_the_run_ends(run):
    total, ratio, num_steps, warm = run
    opt = optimizer()
    scheduler = warmed_up(opt, warm, CosineAnnealingLR(opt, total - warm, eta_min=0.001))
    assert scale_scheduler(scheduler, ratio) == num_steps
    expected = pure_rates("cosineannealinglr", total, num_steps, warm, lr_min=0.001)
    close(rates(scheduler, num_steps), expected, smallest=1e-15)


@given(runs())
def test_schedules_over_the_whole_run_without_a_warmup(run):
    total, ratio, num_steps, _ = run
    for name, make, keys in (
        ("cosineannealinglr", lambda opt: CosineAnnealingLR(opt, total, 0.001), {"lr_min": 0.001}),
        ("linearlr", lambda opt: LinearLR(opt, 1.0, 0.25, total), {"lr_start_factor": 1.0, "lr_end_factor": 0.25}),
        ("polynomiallr", lambda opt: PolynomialLR(opt, total, 2.0), {"lr_power": 2.0}),
        ("exponentiallr", lambda opt: ExponentialLR(opt, 0.97), {"lr_gamma": 0.97}),
    ):
        scheduler = make(optimizer())
        assert scale_scheduler(scheduler, ratio, total) == num_steps
        close(rates(scheduler, num_steps), pure_rates(name, total, num_steps, **keys), smallest=1e-15)


@given(runs(warmup=True))
def test_an_exponential_after_a_warmup_loses_as_much_at_every_ratio(run):
    total, ratio, num_steps, warm = run
    opt = optimizer()
    scheduler = warmed_up(opt, warm, ExponentialLR(opt, 0.9))
    scale_scheduler(scheduler, ratio, total)
    close(rates(scheduler, num_steps), pure_rates("exponentiallr", total, num_steps, warm, lr_gamma=0.9))


@given(runs(), st.integers(1, 40), st.integers(1, 3))
def test_warm_restarts_really_change(run, first, growth):
    total, ratio, num_steps, _ = run
    assume(Fraction(first * num_steps, total) >= 1)
    scheduler = CosineAnnealingWarmRestarts(optimizer(), first, growth)
    scale_scheduler(scheduler, ratio, total)
    assert scheduler.T_i == pytest.approx(first * num_steps / total)
    expected = pure_rates("cosineannealingwarmrestarts", total, num_steps, lr_t_0=steps(first), lr_t_mult=growth)
    close(rates(scheduler, num_steps), expected)


@given(runs(warmup=True), st.integers(1, 40), st.integers(1, 3))
def test_warm_restarts_after_a_warmup(run, first, growth):
    total, ratio, num_steps, warm = run
    assume(Fraction(first * (num_steps - warm), total - warm) >= 1)
    opt = optimizer()
    scheduler = warmed_up(opt, warm, CosineAnnealingWarmRestarts(opt, first, growth))
    scale_scheduler(scheduler, ratio, total)
    expected = pure_rates("cosineannealingwarmrestarts", total, num_steps, warm, lr_t_0=steps(first), lr_t_mult=growth)
    close(rates(scheduler, num_steps), expected)


@given(runs(warmup=True))
def test_a_constant_warmup_keeps_its_length(run):
    total, ratio, num_steps, warm = run
    opt = optimizer()
    scheduler = SequentialLR(opt, [ConstantLR(opt, 0.5, warm), CosineAnnealingLR(opt, total - warm)], [warm])
    scale_scheduler(scheduler, ratio)
    expected = pure_rates("cosineannealinglr", total, num_steps, warm, method="constant")
    close(rates(scheduler, num_steps), expected, smallest=1e-15)


@given(runs(least=20), st.booleans(), st.booleans(), st.sampled_from(["cos", "linear"]))
def test_onecyclelr_is_the_one_that_is_made_for_the_run_momentum_included(run, cycles_momentum, three_phase, anneal):
    total, ratio, num_steps, _ = run
    assume(num_steps >= 7)

    def make(length):
        return OneCycleLR(
            optimizer(0.9), 1.0, length, cycle_momentum=cycles_momentum, three_phase=three_phase, anneal_strategy=anneal
        )

    def stepped(scheduler):
        for _ in range(num_steps):
            yield scheduler.get_last_lr()[0], scheduler.optimizer.param_groups[0]["momentum"]
            scheduler.optimizer.step()
            scheduler.step()

    scaled = make(total)
    assert scale_scheduler(scaled, ratio) == num_steps
    close(list(stepped(scaled)), list(stepped(make(num_steps))))


def test_onecyclelr_cycles_the_first_beta_of_adam():
    def make(length):
        return OneCycleLR(torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))]), 1.0, length)

    scaled, anew = make(100), make(50)
    scale_scheduler(scaled, 0.5)
    for _ in range(50):
        betas = [made.optimizer.param_groups[0]["betas"] for made in (scaled, anew)]
        close(*betas)
        for made in (scaled, anew):
            made.optimizer.step()
            made.step()


def test_a_ratio_is_what_was_typed():
    for ratio in (0.7, "0.7", "70%", "7/10", Fraction(7, 10), np.float64(0.7)):
        scheduler = CosineAnnealingLR(optimizer(), 90)
        assert scale_scheduler(scheduler, ratio) == 63
        assert scheduler.T_max == 63


@pytest.mark.parametrize("ratio", [0, -1, "0", "x", None, True, float("nan"), float("inf"), [0.5], 10**400])
def test_what_is_no_ratio_is_refused_with_everything_else(ratio):
    with pytest.raises(UsageError) as raised:
        scale_scheduler(StepLR(optimizer(), 3), ratio, 0)
    assert [problem.where for problem in raised.value.problems] == ["ratio", "total_steps"]


def test_every_scheduler_of_torch_is_scaled_or_refused_by_name():
    there = {
        kind
        for kind in vars(torch_schedulers).values()
        if isinstance(kind, type) and issubclass(kind, LRScheduler) and kind is not LRScheduler
    } - {getattr(torch_schedulers, "_LRScheduler", None)}
    assert there | {SWALR} == {kind for kind in [*RULES, *REFUSED] if kind not in (DilatedStepLR, DilatedWarmRestarts)}


class TheirOwn(StepLR):
    pass


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda opt: LambdaLR(opt, lambda step: 1.0), "function"),
        (lambda opt: MultiplicativeLR(opt, lambda step: 1.0), "ExponentialLR"),
        (lambda opt: ReduceLROnPlateau(opt), "milestones at which it decayed"),
        (lambda opt: CyclicLR(opt, 0.01, 0.1, cycle_momentum=False), "step_size_up"),
        (lambda opt: SWALR(opt, 0.01), "anneal_epochs"),
        (lambda opt: TheirOwn(opt, 3), "make it anew"),
        (lambda opt: "no scheduler", "make it anew"),
    ],
)
def test_what_cannot_be_scaled_is_refused_by_name_with_what_to_do(make, said):
    scheduler = make(optimizer())
    with pytest.raises(UsageError, match=rf"^{type(scheduler).__name__}: ratio 0.5: .*{said}"):
        scale_scheduler(scheduler, 0.5)


def test_all_that_is_wrong_is_said_at_once_and_nothing_has_changed():
    opt = optimizer()
    held = [MultiStepLR(opt, [10, 20]), LambdaLR(opt, lambda step: 1.0), StepLR(opt, 1)]
    with pytest.raises(UsageError) as raised:
        scale_scheduler(ChainedScheduler(held), "1/2")
    assert [problem.where for problem in raised.value.problems] == [
        "ChainedScheduler, scheduler 2 (LambdaLR)",
        "ChainedScheduler, scheduler 3 (StepLR)",
    ]
    assert sorted(held[0].milestones) == [10, 20]


def test_one_that_has_stepped_is_refused():
    opt = optimizer()
    inner = StepLR(opt, 3)
    opt.step()
    inner.step()
    for scheduler in (inner, ChainedScheduler([inner])):
        with pytest.raises(UsageError, match="already made 1 steps"):
            scale_scheduler(scheduler, 0.5)


def test_a_chain_counts_from_the_start_and_its_warmup_stays():
    opt = optimizer()
    scheduler = ChainedScheduler([LinearLR(opt, 0.5, 1.0, 5), StepLR(opt, 30, 0.1)])
    assert scale_scheduler(scheduler, "1/4", 90) == 22
    expected = pure_rates("steplr", 90, 22, 5, lr_step_size=steps(30), lr_step_origin="start")
    close(rates(scheduler, 22), expected)


def test_a_plateau_before_a_decay_is_no_warmup():
    opt = optimizer()
    scheduler = SequentialLR(opt, [ConstantLR(opt, 1.0, 70), LinearLR(opt, 1.0, 0.0, 20)], [70])
    assert scale_scheduler(scheduler, 0.1) == 9
    close(rates(scheduler, 9), pure_rates("wsd", 90, 9, lr_cooldown=steps(20), lr_cooldown_shape="linear"))


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")  # torch's own, as it nests them
def test_schedulers_within_schedulers_are_those_that_are_made_for_the_run():
    def make(scale):
        opt = optimizer()
        chain = ChainedScheduler([ConstantLR(opt, 1.0, 5), StepLR(opt, 5 * scale, 0.5)])
        inner = SequentialLR(opt, [chain, CosineAnnealingLR(opt, 20 * scale)], [10 * scale])
        return SequentialLR(opt, [inner, ConstantLR(opt, 0.25, 10 * scale)], [30 * scale])

    scheduler = make(1)
    assert scale_scheduler(scheduler, 2, 40) == 80
    close(rates(scheduler, 80), rates(make(2), 80), smallest=1e-15)


def test_a_warmup_moves_with_the_run_where_that_is_asked_for():
    opt = optimizer()
    scheduler = warmed_up(opt, 5, CosineAnnealingLR(opt, 85))
    assert scale_scheduler(scheduler, 0.5, scale_warmup=True) == 45
    assert scheduler._milestones == [3]
    run = Dilation(90, 5, 45, 3, 1)
    shape = SCHEDULES["cosineannealinglr"].build(SimpleNamespace(lr=BASE, lr_min=0.0), run)
    close(rates(scheduler, 45), BASE * WarmedUp(shape, 3, "linear", 0.5).multipliers(np.arange(45)), smallest=1e-15)


def test_a_warmup_by_itself_is_scaled_only_where_that_is_asked_for():
    scheduler = LinearLR(optimizer(), 0.1, 1.0, 10)
    with pytest.raises(UsageError, match="keeps its length"):
        scale_scheduler(scheduler, 0.5)
    assert scale_scheduler(scheduler, 0.5, scale_warmup=True) == 5
    assert scheduler.total_iters == 5


def test_a_length_that_is_needed_and_not_known_is_asked_for():
    opt = optimizer()
    scheduler = warmed_up(opt, 5, StepLR(opt, 30))
    with pytest.raises(UsageError, match=r"^SequentialLR: ratio 0.5: .*\(pass total_steps"):
        scale_scheduler(scheduler, 0.5)
    assert scale_scheduler(scheduler, 0.5, 90) == 45


def test_without_a_length_positions_follow_the_ratio_itself():
    scheduler = StepLR(optimizer(), 30)
    assert scale_scheduler(scheduler, 0.5) is None
    assert type(scheduler) is StepLR
    assert scheduler.step_size == 15


@pytest.mark.parametrize(
    ("make", "ratio", "total", "said"),
    [
        (lambda opt: CosineAnnealingLR(opt, 9), 0.1, None, "of 9 steps that is none .*1/9"),
        (lambda opt: warmed_up(opt, 5, StepLR(opt, 30)), "1/18", 90, "warm-up of 5 steps fills the run of 5"),
        (lambda opt: ChainedScheduler([LinearLR(opt, 0.5, 1, 5), StepLR(opt, 30)]), "1/18", 90, "warm-up of 5 steps"),
        (lambda opt: StepLR(opt, 3), 0.25, None, "interval of 0.75 steps is under one step"),
        (lambda opt: CosineAnnealingWarmRestarts(opt, 3), 0.25, None, "interval of 0.75 steps is under one step"),
        (lambda opt: PolynomialLR(opt, 3), 0.1, 90, "its 3 steps become none"),
        (lambda opt: CosineAnnealingLR(opt, 10), 0.25, 40, "rises again within the run"),
        (lambda opt: OneCycleLR(opt, 1.0, 90, cycle_momentum=False), "3/90", None, "no room for its 2 phases"),
        (
            lambda opt: SequentialLR(opt, [ConstantLR(opt, 1, 90), StepLR(opt, 5), StepLR(opt, 5)], [30, 31]),
            "1/5",
            90,
            "with its milestones at 6, 6 one of its schedulers would have no step",
        ),
    ],
)
def test_what_a_ratio_leaves_no_room_for_is_refused(make, ratio, total, said):
    with pytest.raises(UsageError, match=said):
        scale_scheduler(make(optimizer()), ratio, total)


def test_a_cosine_that_rises_again_is_scaled_where_its_low_points_are_whole():
    scheduler = CosineAnnealingLR(optimizer(), 10)
    scale_scheduler(scheduler, 0.5, 40)
    expected = [BASE * (1 + np.cos(np.pi * step / 5)) / 2 for step in range(20)]
    close(rates(scheduler, 20), expected, smallest=1e-15)


@pytest.mark.parametrize(
    ("milestones", "ratio", "said"),
    [
        ([30, 31], 0.1, "milestones merge at step 3: the rate decays 2 times at once"),
        ([1, 30], 0.1, "falls on step 0: the run starts with it"),
        ([30, 89], 0.1, "89 falls on the end of the run, step 9: it is never reached"),
    ],
)
def test_no_milestone_is_merged_or_lost_in_silence(milestones, ratio, said):
    scheduler = MultiStepLR(optimizer(), milestones, 0.5)
    with pytest.warns(UserWarning, match=said) as caught:
        scale_scheduler(scheduler, ratio, 90)
    assert [str(warning.filename) for warning in caught] == [__file__]
    expected = pure_rates("multisteplr", 90, 9, lr_milestones=tuple(map(steps, milestones)), lr_gamma=0.5)
    close(rates(scheduler, 9), expected)


def test_the_rates_are_right_at_step_0_where_a_milestone_has_fallen_on_it():
    for kind in (float, torch.tensor):
        opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=kind(BASE))
        scheduler = ChainedScheduler([MultiStepLR(opt, [1, 30], 0.5), ExponentialLR(opt, 0.9)])
        with pytest.warns(UserWarning, match="step 0"):
            scale_scheduler(scheduler, 0.1, 90)
        assert float(opt.param_groups[0]["lr"]) == pytest.approx(BASE / 2)
        assert float(scheduler.get_last_lr()[0]) == pytest.approx(BASE / 2)


def all_kinds():
    """One of each class that can be scaled, some of them to fractions; 12 steps."""
    yield lambda opt: StepLR(opt, 5)
    yield lambda opt: MultiStepLR(opt, [7, 15])
    yield lambda opt: ChainedScheduler([ConstantLR(opt, 0.5, 9), PolynomialLR(opt, 24)])
    yield lambda opt: LinearLR(opt, 1.0, 0.1, 24)
    yield lambda opt: ExponentialLR(opt, 0.9)
    yield lambda opt: PolynomialLR(opt, 24)
    yield lambda opt: CosineAnnealingLR(opt, 24)
    yield lambda opt: CosineAnnealingWarmRestarts(opt, 5, 2)
    yield lambda opt: OneCycleLR(opt, 1.0, 24)
    yield lambda opt: warmed_up(opt, 3, CosineAnnealingWarmRestarts(opt, 5))
    yield lambda opt: ChainedScheduler([LinearLR(opt, 0.5, 1.0, 3), StepLR(opt, 5)])


@pytest.mark.parametrize("make", list(all_kinds()))
def test_a_state_is_saved_loaded_and_gone_on_from(make):
    whole, first, second = (make(optimizer(0.9)) for _ in range(3))
    for scheduler in (whole, first, second):
        scale_scheduler(scheduler, "1/2", 24)
    expected = rates(whole, 12)
    found = rates(first, 5)
    file = io.BytesIO()
    torch.save({"scheduler": first.state_dict(), "optimizer": first.optimizer.state_dict()}, file)
    file.seek(0)
    state = torch.load(file, weights_only="SequentialLR" not in str(type(first)) and not counts(first))
    second.load_state_dict(state["scheduler"])
    second.optimizer.load_state_dict(state["optimizer"])
    assert [*found, *rates(second, 7)] == expected


def counts(scheduler):
    """torch loads a MultiStepLR's Counter only where it trusts the file."""
    return isinstance(scheduler, MultiStepLR)


@pytest.mark.parametrize("make", list(all_kinds()))
def test_scaled_twice_is_scaled_by_the_product(make):
    once, twice = make(optimizer(0.9)), make(optimizer(0.9))
    scale_scheduler(once, 2, 24)
    scale_scheduler(twice, "2/3", 24)
    scale_scheduler(twice, 3, 16)
    if isinstance(once, MultiStepLR | ConstantLR | OneCycleLR | SequentialLR | ChainedScheduler):
        return  # their positions were rounded on the way
    close(rates(twice, 48), rates(once, 48), smallest=1e-15)


def test_ratio_1_changes_nothing():
    for make in all_kinds():
        scaled, plain = make(optimizer(0.9)), make(optimizer(0.9))
        assert scale_scheduler(scaled, 1, 24) == 24
        assert type(scaled) is type(plain)
        close(rates(scaled, 24), rates(plain, 24))


def test_fractional_epochs_restart_between_the_steps():
    scheduler = CosineAnnealingWarmRestarts(optimizer(), 5)
    scale_scheduler(scheduler, 0.5)
    for step in np.arange(0, 12, 0.25):
        scheduler.step(float(step))
        expected = BASE * (1 + np.cos(np.pi * scheduler.T_cur / 2.5)) / 2
        close(scheduler.get_last_lr(), [expected])
        assert 0 <= scheduler.T_cur <= 3


@settings(max_examples=20)
@given(st.integers(1, 200), st.integers(1, 60))
def test_many_short_cycles_take_no_longer_than_few(over, under):
    assume(over >= under)
    scheduler = CosineAnnealingWarmRestarts(optimizer(), 1)
    scale_scheduler(scheduler, Fraction(over, under))
    scheduler.step(10**9)
    assert 0 <= scheduler.T_cur <= scheduler.T_i + 0.5
