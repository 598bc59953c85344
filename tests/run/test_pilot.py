"""A Worker is told what to try out, and what it has measured becomes a record."""

import math
import os
from dataclasses import replace

import pytest

from sweep.errors import MachineError
from sweep.planning import plan_sweep, prepare_job
from sweep.request import SweepRequest
from sweep.run import pilot
from sweep.run.messages import Piloted, Prepared
from sweep.run.pilot import run_pilot, speed_of_pilot, varying
from sweep.run.worker import Worker
from sweep.store.records import Bursts, Measures, PilotJob, decode_rates

RESIZED = ("progressive_resizing=true", "progressive_resizing_initial_scale=0.5")


def plan_of(*settings, ratios="0.5,1.0", recipe="smoke"):
    return plan_sweep(SweepRequest(recipe, ratios, settings=settings))


def measures(**changes):
    found = Measures(
        bursts=(Bursts(num_steps=2, step_seconds=(0.5, 0.7, 0.6)),),
        evaluation_seconds=(1.0, 2.0, 3.0),
        first_startup_seconds=4.0,
        startup_seconds=1.0,
        ending_seconds=0.5,
        peak_bytes=10,
        total_bytes=100,
    )
    return found.model_copy(update=changes)


def test_the_beginning_of_the_longest_run_is_tried_out():
    [job] = pilot._places(plan_of())
    assert (job.start_step, job.stop_step) == (0, plan_of().longest.num_steps)
    [job] = pilot._places(plan_of("epochs=2000"))
    assert (job.start_step, job.stop_step) == (0, 5000)
    assert len(decode_rates(job.rates)) == 5000


def test_where_steps_differ_along_a_run_its_quarters_are():
    plan = plan_of(*RESIZED, recipe="digits", ratios="1")
    assert varying(plan) == ("image_size",)
    jobs = pilot._places(plan)
    assert [job.start_step for job in jobs] == [57, 172, 287, 402]
    sizes = [dict(job.values["image_size"])[job.start_step] for job in jobs]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert all(len(decode_rates(job.rates)) == job.stop_step - job.start_step for job in jobs)


def test_one_of_several_devices_is_tried_out_with_its_own_examples():
    [job] = pilot._places(plan_of("devices_per_trial=2"))
    assert (job.recipe["devices_per_trial"], job.recipe["batch_size"]) == (1, plan_of().loaded.recipe.batch_size)


def record(plan=None, starting_seconds=3.0, **changes):
    from fake_executor import ENVIRONMENT

    return pilot._record(plan or plan_of(), ENVIRONMENT, measures(**changes), starting_seconds)


def test_what_was_measured_becomes_a_record():
    found = record()
    assert (found.num_steps, found.step[1]) == (6, pytest.approx(0.6))
    assert found.evaluation[1] == 2.0
    assert found.stage == pytest.approx((1.5 / 1.4, 1.5, 1.5 * 1.4))
    assert found.worker[1] == 6.0  # three of start-up, and what the first Stage took more than a later one
    assert (found.peak_bytes, found.total_bytes) == (10, 100)
    assert found.fingerprint == plan_of().loaded.recipe.fingerprint


def test_what_was_measured_once_or_twice_has_a_wide_interval():
    assert record(evaluation_seconds=(1.4,)).evaluation == pytest.approx((1.0, 1.4, 1.96))
    assert record(evaluation_seconds=(1.4, 1.4)).evaluation == pytest.approx((1.0, 1.4, 1.96))


def test_the_places_of_a_run_count_alike():
    bursts = tuple(Bursts(num_steps=1, step_seconds=(value,) * 20) for value in (1.0, 2.0, 3.0, 6.0))
    found = record(bursts=bursts)
    assert found.step == pytest.approx((3.0, 3.0, 3.0))
    assert found.spread == 0


def test_the_speed_of_few_steps_is_less_sure_than_that_of_many():
    few, many = (speed_of_pilot(record(), steps) for steps in (6, 6_000_000))
    assert few.step.value == many.step.value == pytest.approx(0.6)
    # Its own noise on top, but no more than there is in a burst.
    assert few.step.high - few.step.value == pytest.approx(math.hypot(many.step.high - many.step.value, 0.1), rel=1e-3)
    assert (few.evaluation.value, few.stage.value, few.worker.value) == (2.0, 1.5, 6.0)


def answers_of_a_worker(plan, seconds=0.1):
    said = []
    worker = Worker(said.append, os.getpid())
    worker.do(prepare_job(plan.loaded, "cpu", 1))
    worker.do(PilotJob(like=tuple(pilot._places(plan)), seconds=seconds))
    return said


def test_a_worker_tries_every_place_out():
    prepared, piloted = answers_of_a_worker(plan_of(*RESIZED, recipe="digits", ratios="1"))
    assert isinstance(prepared, Prepared)
    assert isinstance(piloted, Piloted)
    assert len(piloted.measures.bursts) == 4


def test_a_run_that_does_not_fit_is_said_so(monkeypatch):
    def fails(*given):
        raise MemoryError

    monkeypatch.setattr("sweep.train.pilot.try_out", fails)
    _, piloted = answers_of_a_worker(plan_of())
    assert piloted.measures is None
    assert piloted.reason.startswith("out of memory (peak ")
    assert piloted.reason.endswith("; lower batch_size")


class FakeWorker:
    """Answers a PilotJob as it is told to; `is_gone` once the block is left."""

    def __init__(self, tmp_path, answer):
        self.folder, self._answer, self.is_gone = tmp_path, answer, False
        self.told = []

    def __call__(self, threads, environment=None):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.is_gone = True

    def answer(self, job, timeout_seconds, doing=""):
        self.told.append(job)
        if isinstance(job, PilotJob):
            return self._answer
        from fake_executor import ENVIRONMENT

        return Prepared(environment=ENVIRONMENT, is_made_up=True)


def test_the_worker_is_gone_when_it_has_answered(monkeypatch, tmp_path):
    worker = FakeWorker(tmp_path, Piloted(measures=measures()))
    monkeypatch.setattr(pilot, "asking", worker)
    plan = plan_of("devices_per_trial=2")
    found = run_pilot(plan, prepare_job(plan.loaded, "cpu", 1), 5.0, {})
    assert worker.is_gone
    assert found.is_made_up
    told, tried = worker.told
    assert (told.made_up_folder, told.recipe["devices_per_trial"]) == (str(tmp_path), 1)
    assert (tried.seconds, len(tried.like)) == (5.0, 1)


def test_why_it_cannot_be_tried_out_is_an_error_of_the_machine(monkeypatch, tmp_path):
    reason = "out of memory (peak 7.9 GB of 8.0 GB); lower batch_size"
    worker = FakeWorker(tmp_path, Piloted(reason=reason))
    monkeypatch.setattr(pilot, "asking", worker)
    plan = plan_of()
    with pytest.raises(MachineError, match="smoke: the recipe cannot be tried out here: out of memory"):
        run_pilot(plan, prepare_job(plan.loaded, "cpu", 1), 5.0, {})
    assert worker.is_gone


def test_a_plan_with_nothing_left_to_train_can_be_tried_out():
    plan = replace(plan_of(), stages=())
    assert pilot._places(plan) == pilot._places(plan_of())
