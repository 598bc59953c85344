"""The values that a Stage's job gives for each of its steps."""

import numpy as np
import pytest
from small_stages import smoke_job

from sweep.store.records import encode_rates
from sweep.train.step_values import StepValues

CHANGES = {"image_size": ((30, 4.0), (32, 6.0)), "mixup": ((30, 1.0),)}


def values_of(**fields):
    return StepValues.of(smoke_job(num_steps=34, start_step=30, rates=[0.1, 0.2, 0.3, 0.4], values=CHANGES, **fields))


def test_a_step_has_its_own_rate_and_momentum():
    values = values_of(momenta=encode_rates(np.array([0.9, 0.8, 0.7, 0.6])))
    assert [values.rate(step) for step in range(30, 34)] == [0.1, 0.2, 0.3, 0.4]
    assert [values.momentum(step) for step in range(30, 34)] == [0.9, 0.8, 0.7, 0.6]
    with pytest.raises(IndexError):
        values.rate(34)


def test_momentum_is_the_optimizers_own_where_none_is_given():
    assert values_of().momentum(30) is None


def test_a_value_holds_up_to_the_next():
    values = values_of()
    assert [values.at("image_size", step) for step in range(30, 34)] == [4.0, 4.0, 6.0, 6.0]
    assert [values.at("mixup", step) for step in range(30, 34)] == [1.0] * 4
    assert values.at("frozen_share", 30) is None
    assert values.steps_of_change(values.changes) == [30, 32]
    assert values.steps_of_change([]) == values.steps_of_change(["unknown"]) == [30]
