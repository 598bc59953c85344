"""The planned order is kept as long as it costs nothing, and the sweep ends about as soon as it can."""

import heapq

from hypothesis import given
from hypothesis import strategies as st

from sweep.run.order import choose_next

LENGTHS = st.lists(st.integers(1, 100), min_size=1, max_size=9)
WORKERS = st.integers(1, 4)


def simulated(lengths, num_workers, choose=choose_next):
    """When the last of them ends, and the order in which they began."""
    waiting, order, now = list(enumerate(lengths)), [], 0
    running = []
    while waiting:
        while waiting and len(running) < num_workers:
            busy = [end - now for end in running] + [0] * (num_workers - 1 - len(running))
            index, length = waiting.pop(choose([length for _, length in waiting], busy))
            order.append(index)
            heapq.heappush(running, now + length)
        if waiting:
            now = heapq.heappop(running)
            while running and running[0] == now:
                heapq.heappop(running)
    return max(running), order


def longest_first(waiting, busy):
    return waiting.index(max(waiting))


def optimum(lengths, num_workers):
    """By trying every assignment that could be shorter."""
    best = sum(lengths)

    def assign(left, loads):
        nonlocal best
        if max(loads) >= best:
            return
        if not left:
            best = max(loads)
            return
        for load in sorted(set(loads)):
            others = list(loads)
            others.remove(load)
            assign(left[1:], [*others, load + left[0]])

    assign(sorted(lengths, reverse=True), [0] * num_workers)
    return best


@given(LENGTHS)
def test_one_worker_keeps_the_planned_order(lengths):
    assert simulated(lengths, 1)[1] == list(range(len(lengths)))


@given(LENGTHS, WORKERS)
def test_the_sweep_never_ends_later_than_with_the_longest_first(lengths, num_workers):
    assert simulated(lengths, num_workers)[0] <= simulated(lengths, num_workers, longest_first)[0]


@given(LENGTHS, WORKERS)
def test_the_end_is_within_grahams_bound_of_the_optimum(lengths, num_workers):
    end, best = simulated(lengths, num_workers)[0], optimum(lengths, num_workers)
    assert best <= end <= best * (4 / 3 - 1 / (3 * num_workers)) + 1e-9


def test_a_long_one_at_the_end_of_the_order_goes_first_where_it_must():
    assert simulated([50, 50, 100], 2) == (100, [0, 2, 1])


def test_where_there_is_work_enough_the_order_is_the_planned_one():
    lengths = [50, 25, 100] * 20
    _, order = simulated(lengths, 2)
    assert order[:50] == list(range(50))


def test_of_thousands_that_wait_the_first_is_taken():
    assert choose_next([1] * 2000 + [5], [0]) == 0
