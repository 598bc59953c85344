"""The schedules of a sweep are compiled anew, also where only its journal knows how many images there were."""

import pytest
from histories import EXAMPLES, RECIPE, a_start, a_trial

from sweep.errors import UsageError
from sweep.report.page_charts import timelines

OWN_IMAGES = RECIPE.model_copy(update={"dataset": "ImageFolder"}).model_dump(mode="json")


@pytest.mark.parametrize("recipe", [RECIPE.model_dump(mode="json"), OWN_IMAGES])
def test_there_is_a_schedule_for_every_length(recipe, history_of):
    history = history_of(a_start([a_trial("0.5"), a_trial("1.0")], recipe=recipe))
    lengths = [timeline.lengths for timeline in timelines(history)]
    assert [length.num_epochs for length in lengths] == [10, 20]
    if recipe is OWN_IMAGES:
        assert {length.dataset_examples for length in lengths} == {EXAMPLES}


def test_shares_of_images_that_were_never_all_drawn_have_no_schedule(history_of):
    history = history_of(a_start([a_trial("0.5", method="samples", num_examples=320)], recipe=OWN_IMAGES))
    with pytest.raises(UsageError, match="the number of its examples is not known"):
        timelines(history)
