"""What a Worker is told of a Stage: the values of its own steps, however the runs are divided."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sweep.api import plan_sweep
from sweep.errors import RecipeError
from sweep.plan.values import step_values
from sweep.request import SweepRequest
from sweep.run.ledger import stage_job
from sweep.store.records import StageJob, decode_rates

METHODS = {
    "swa": ("swa=true", "swa_start=2", "swa_interval=9ba"),
    "progressive_resizing": ("progressive_resizing=true", "progressive_resizing_increment=1"),
    "layer_freezing": ("layer_freezing=true", "layer_freezing_start=0.3dur"),
    "mixup": ("cutmix_alpha=1", "mixup_off=3"),
}


def planned(*settings, share=True):
    settings = ("epochs=8", "lr_warmup_epochs=0", "min_shared_steps=1", *settings)
    return plan_sweep(SweepRequest("digits", "0.5,0.75,1", settings=settings, share=share))


def told(job):
    """The values of a job's steps, one by one."""
    steps = range(job.start_step, job.stop_step)
    values = {"lr": decode_rates(job.rates)}
    if job.momenta is not None:
        values["momentum"] = decode_rates(job.momenta)
    for name, changes in job.values.items():
        values[name] = [next(value for first, value in reversed(changes) if first <= step) for step in steps]
    if job.swa_steps:
        values["swa"] = [int(step + 1 in job.swa_steps) for step in steps]
    return values


@given(
    chosen=st.sets(st.sampled_from(sorted(METHODS))),
    scheduler=st.sampled_from(["lr_scheduler=wsd", "lr_scheduler=onecyclelr", "lr_scheduler=constantlr"]),
    share=st.booleans(),
)
def test_the_jobs_on_the_way_of_a_trial_tell_its_values_step_by_step(chosen, scheduler, share):
    try:
        plan = planned(scheduler, *(setting for name in sorted(chosen) for setting in METHODS[name]), share=share)
    except RecipeError:
        assume(False)
    jobs = {stage.id: stage_job(stage) for stage in plan.stages}
    for trial in plan.trials:
        way = [told(jobs[stage]) for stage, _ in plan.paths[trial.key]]
        for name, column in step_values(trial.timeline, 0, trial.timeline.num_steps).items():
            # A Stage with no average in it names none.
            parts = [values.get(name, [0] * len(values["lr"])) for values in way]
            assert [value for part in parts for value in part] == column
        averages = [step for stage, _ in plan.paths[trial.key] for step in jobs[stage].swa_steps]
        assert averages == list(trial.timeline.methods.swa_steps)


def test_a_job_is_the_same_after_its_way_to_a_worker():
    settings = [setting for settings in METHODS.values() for setting in settings]
    for stage in planned("lr_scheduler=onecyclelr", *settings).stages:
        job = stage_job(stage)
        assert StageJob.model_validate_json(job.model_dump_json()) == job
        assert job.momenta is not None


@pytest.mark.parametrize("scheduler", ["wsd", "onecyclelr"])
def test_what_is_not_scheduled_is_not_told(scheduler):
    for stage in planned(f"lr_scheduler={scheduler}", "lr_cycle_momentum=false").stages:
        job = stage_job(stage)
        assert (job.momenta, job.values, job.swa_steps) == (None, {}, ())
