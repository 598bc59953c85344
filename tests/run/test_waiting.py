"""What can begin, and in which order, whatever has been begun, tried again, done or given up."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from sweep.run.waiting import Waiting


class CountedStage(SimpleNamespace):
    """A Stage that counts how often somebody asks which one it follows on."""

    num_asked = 0

    @property
    def parent(self):
        CountedStage.num_asked += 1
        return self.above


def forest(parents):
    """Stages s0, s1, …, and the children of each: `parents` holds the number of the one that each follows on."""
    stages = [
        CountedStage(
            id=f"s{number}",
            above=None if parent is None else f"s{parent}",
            num_steps=number + 1,
            ends=("a trial",) * (number % 3),
        )
        for number, parent in enumerate(parents)
    ]
    children = {}
    for stage in stages:
        if stage.above is not None:
            children.setdefault(stage.above, []).append(stage)
    return stages, children


@st.composite
def parents(draw):
    size = draw(st.integers(1, 12))
    return [draw(st.none() | st.integers(0, number - 1)) if number else None for number in range(size)]


def below(stage, children):
    found = [stage]
    for one in found:
        found += children.get(one.id, [])
    return found


@given(parents(), st.data())
def test_ready_are_those_whose_parents_are_done_in_the_planned_order_and_those_that_are_tried_again_first(
    parents, data
):
    stages, children = forest(parents)
    waiting, running = Waiting(stages, children), []
    order = list(stages)  # as a list that is searched through would have it
    while order or running:
        under_way = {stage.id for stage in (*order, *running)}
        assert waiting.ready == [stage.id for stage in order if stage.above not in under_way]
        assert len(waiting) == len(order)
        assert waiting.num_steps == sum(stage.num_steps for stage in order)
        assert waiting.num_trials == sum(len(stage.ends) for stage in order)
        if waiting.ready and (not running or data.draw(st.booleans())):
            taken = waiting.take(data.draw(st.sampled_from(list(waiting.ready))))
            order.remove(taken)
            running.append(taken)
            continue
        ended = running.pop(data.draw(st.integers(0, len(running) - 1)))
        match data.draw(st.sampled_from(("done", "failed", "again"))):
            case "done":
                waiting.follow(ended)
            case "failed":
                gone = {stage.id for stage in below(ended, children)}
                waiting.drop(below(ended, children))
                order = [stage for stage in order if stage.id not in gone]
            case "again":
                waiting.put_first(ended)
                order.insert(0, ended)


def test_whatever_becomes_of_one_the_others_are_not_looked_at():
    stages, children = forest([None] * 500 + list(range(500)))
    waiting = Waiting(stages, children)
    CountedStage.num_asked = 0
    while waiting.ready:
        taken = waiting.take(waiting.ready[0])
        waiting.put_first(taken)
        waiting.follow(waiting.take(taken.id))
    assert len(waiting) == 0
    assert CountedStage.num_asked == 0
