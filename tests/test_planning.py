"""What is asked of this machine, where another one is to train."""

import pytest

from sweep.errors import SweepError
from sweep.planning import plan_sweep
from sweep.request import SweepRequest

RECIPE = "examples/char_transformer/sweep.yaml"


@pytest.mark.parametrize("engine", [{"executor": "slurm", "slurm": "time=10,gpus_per_node=2"}, {"executor": "ray"}])
def test_a_task_for_the_gpus_of_a_cluster_is_planned_where_there_is_none(engine):
    settings = ("devices_per_trial=2", "sync_bn=true", "amp=fp16")
    asked = SweepRequest(RECIPE, device="cuda", settings=settings, **engine)
    assert plan_sweep(asked).num_steps > 0
    with pytest.raises(SweepError):
        plan_sweep(SweepRequest(RECIPE, device="cuda", settings=settings))
