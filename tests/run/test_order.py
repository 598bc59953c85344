"""The planned order is kept as long as it costs nothing, and the sweep ends as soon as it can."""

import heapq

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sweep.api import plan_sweep
from sweep.errors import RecipeError
from sweep.request import SweepRequest
from sweep.run.makespan import Forest, Situation
from sweep.run.order import choose_next

WORKERS = st.integers(2, 4)


def end_of(steps, children, num_workers, choose=choose_next):
    """When the last Stage ends, if a Stage takes a second a step, and the order in which they began."""
    forest, parents = Forest(steps, children), {child for below in children.values() for child in below}
    planned = list(steps)
    ready, running, order, now = [stage for stage in planned if stage not in parents], [], [], 0
    while ready or running:
        while ready and len(running) < num_workers:
            ready.sort(key=planned.index)
            busy = {stage: end - now for end, stage in running}
            waiting = steps.keys() - set(order)
            left = sum(steps[stage] for stage in waiting)
            chosen = choose(forest, ready, busy, num_workers - len(running), len(waiting), left)
            if chosen is None:
                assert running
                break
            ready.remove(chosen)
            order.append(chosen)
            heapq.heappush(running, (now + steps[chosen], chosen))
        now, ended = heapq.heappop(running)
        ready += children.get(ended, [])
    assert sorted(order) == sorted(steps)
    return now, order


def optimum(steps, children, num_workers):
    """By trying everything that Workers can do, waiting included."""
    parents = {child for below in children.values() for child in below}
    best, seen = sum(steps.values()) + 1, {}
    tails = {}
    for stage in reversed(list(steps)):  # parents stand before their children
        tails[stage] = steps[stage] + max((tails[child] for child in children.get(stage, ())), default=0)

    def go(now, running, ready, left):
        nonlocal best
        if not running and not ready:
            best = min(best, now)
            return
        key = ready, tuple((end - now, stage) for end, stage in running)
        ways = [now + tails[stage] for stage in ready]
        ways += [end - steps[stage] + tails[stage] for end, stage in running]
        work = now - (-(left + sum(end - now for end, _ in running)) // num_workers)
        if max(work, *ways) >= best or seen.get(key, now + 1) <= now:
            return
        seen[key] = now
        if len(running) < num_workers:
            for stage in ready:
                then = tuple(sorted((*running, (now + steps[stage], stage))))
                go(now, then, ready - {stage}, left - steps[stage])
        if running:
            end = running[0][0]
            ended = [stage for other, stage in running if other == end]
            begins = frozenset(child for stage in ended for child in children.get(stage, ()))
            go(end, running[len(ended) :], ready | begins, left)

    go(0, (), frozenset(stage for stage in steps if stage not in parents), sum(steps.values()))
    return best


def planned_forest(*arguments, **options):
    plan = plan_sweep(SweepRequest("smoke", *arguments, **options))
    steps = {stage.id: stage.num_steps for stage in plan.stages}
    return steps, {parent: [child.id for child in below] for parent, below in plan.children.items()}


@st.composite
def requests(draw):
    scheduler = draw(st.sampled_from(("wsd", "multisteplr", "steplr", "constantlr", "cosineannealinglr")))
    settings = (
        f"lr_scheduler={scheduler}",
        f"lr_warmup_epochs={draw(st.sampled_from((0, 1, 2)))}",
        f"lr_cooldown={draw(st.sampled_from(('0.1dur', '0.2dur', '0.5dur')))}",
        f"min_shared_steps={draw(st.sampled_from((1, 20)))}",
        "lr_milestones=[0.5dur, 0.8dur]",
        "lr_step_size=3",
        "epochs=10",
        "seed=3",
    )
    ratios = draw(st.lists(st.integers(3, 20), min_size=2, max_size=5, unique=True))
    text = ",".join(str(ratio / 10) for ratio in ratios)
    return text, draw(st.integers(1, 3)), draw(st.sampled_from(("epochs", "steps"))), settings


def planned_or_rejected(request, **options):
    ratios, seeds, method, settings = request
    try:
        return planned_forest(ratios, seeds, method, settings=settings, **options)
    except RecipeError:
        assume(False)


@pytest.mark.slow
@given(requests(), WORKERS)
def test_plans_of_up_to_twelve_stages_end_within_a_twentieth_of_the_optimum(request, num_workers):
    steps, children = planned_or_rejected(request)
    assume(len(steps) <= 12)
    best = optimum(steps, children, num_workers)
    assert best <= end_of(steps, children, num_workers)[0] <= 1.05 * best


@st.composite
def forests(draw, max_size=40):
    """Steps and children of any forest; a parent stands before its children."""
    lengths = draw(st.lists(st.integers(1, 100), min_size=1, max_size=max_size))
    names = [f"s{number}" for number in range(len(lengths))]
    children = {}
    for number, name in enumerate(names[1:], start=1):
        parent = draw(st.integers(-1, number - 1))
        if parent >= 0:
            children.setdefault(names[parent], []).append(name)
    return dict(zip(names, lengths, strict=True)), children


@given(forests(max_size=8), WORKERS)
def test_few_stages_of_any_forest_end_within_a_twentieth_of_the_optimum(forest, num_workers):
    best = optimum(*forest, num_workers)
    assert best <= end_of(*forest, num_workers)[0] <= 1.05 * best


@given(forests(), WORKERS)
def test_any_forest_ends_within_the_longest_stage_of_what_no_order_can_beat(forest, num_workers):
    steps, children = forest
    longest_way = max(Forest(steps, children).tails.values())
    least = max(longest_way, sum(steps.values()) / num_workers)
    assert end_of(steps, children, num_workers)[0] <= least + max(steps.values())


@pytest.mark.slow
@given(requests(), WORKERS)
@example(("0.3,0.5,1.0,2.0", 2, "epochs", ("lr_scheduler=wsd", "min_shared_steps=1")), 2)
def test_who_shares_is_done_no_later_than_one_stage_after_who_does_not(request, num_workers):
    shared, alone = planned_or_rejected(request), planned_or_rejected(request, share=False)
    assert end_of(*shared, num_workers)[0] <= end_of(*alone, num_workers)[0] + max(shared[0].values())


def test_one_worker_keeps_the_planned_order():
    steps, children = planned_forest("0.25,0.5,0.75,1.0", 3, settings=("lr_scheduler=wsd", "min_shared_steps=1"))
    assert children
    assert end_of(steps, children, 1)[1] == list(steps)


def test_a_long_one_at_the_end_of_the_order_goes_first_where_it_must():
    assert end_of({"a": 50, "b": 50, "c": 100}, {}, 2) == (100, ["a", "c", "b"])


def test_the_way_that_takes_longest_is_begun_before_a_longer_stage():
    assert end_of({"a": 60, "b": 10, "c": 90}, {"b": ["c"]}, 2)[1] == ["a", "b", "c"]
    assert end_of({"x": 60, "a": 60, "b": 10, "c": 90}, {"b": ["c"]}, 2)[0] == 120


def test_it_waits_where_that_ends_sooner():
    steps = {"a": 32, "b": 51, "c": 5, "d": 79, "e": 69, "f": 72}
    end, order = end_of(steps, {"a": ["b", "c"], "c": ["d", "e"]}, 3)
    assert end == 123
    assert order.index("b") > order.index("d")


def test_where_there_is_work_enough_the_order_is_the_planned_one():
    steps = {f"s{number}": (50, 25, 100)[number % 3] for number in range(60)}
    _, order = end_of(steps, {}, 2)
    assert order[:45] == list(steps)[:45]


def test_of_thousands_that_wait_the_first_is_taken():
    steps = {f"s{number}": 1 for number in range(2000)} | {"long": 5}
    assert choose_next(Forest(steps, {}), list(steps), {}, 2, len(steps), sum(steps.values())) == "s0"


@pytest.mark.parametrize("num_workers", [2, 3])
def test_a_situation_goes_on_by_beginning_and_waiting(num_workers):
    forest = Forest({"a": 3, "b": 2, "c": 5}, {"a": ["c"]})
    here = Situation(0, (), frozenset("ab"), num_workers)
    both = forest.begin(forest.begin(here, "a"), "b")
    assert both == Situation(0, ((2, "b"), (3, "a")), frozenset(), num_workers - 2)
    steps = [both, forest.wait(both), forest.wait(forest.wait(both))]
    assert [situation.now for situation in steps] == [0, 2, 3]
    assert steps[-1].ready == {"c"}
    ends = [forest.earliest_end(situation, 100) for situation in steps]
    assert ends == [8, 8, 8]
