"""What every executor holds to, with real training: a class that the tests of each of them inherit."""

import pytest

from sweep.api import plan_sweep
from sweep.errors import MachineError, Outcome, RecipeError
from sweep.recipe.library import load_recipe, parse_settings
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.run.ledger import stage_job
from sweep.run.messages import Noted, Progressed, StageDone
from sweep.run.stop import StopRequest
from sweep.store.records import PrepareJob, ProbeJob
from sweep.store.states import StageStates
from sweep.store.workspace import Workspace
from sweep.train.keeper import origin_of


def prepare_job(*settings, recipe="smoke"):
    recipe = load_recipe(recipe, parse_settings(settings)).recipe
    return PrepareJob(recipe=recipe.model_dump(mode="json"), device="cpu", threads=1)


PREPARE = prepare_job()


def jobs_of(ratios="1/8,1/4"):
    """The Stages of a small sweep, the shortest first."""
    plan = plan_sweep(SweepRequest(recipe="smoke", ratios=ratios))
    return [stage_job(stage) for stage in sorted(plan.stages, key=lambda stage: stage.stop_step)]


def answer(executor):
    """What comes of the submitted Stage: its StageDone, and the progress told before it."""
    told = []
    for _ in range(1000):  # of a tenth of a second at most
        message = executor.receive(0.1)
        if isinstance(message, StageDone):
            return message, told
        if message is not None:
            told.append(message)
    raise AssertionError("the Stage was never answered")


def trained_alone(job, prepare=PREPARE):
    """What training a Stage in this process measures."""
    with InlineExecutor() as other:
        other.prepare(prepare, StopRequest())
        other.submit(job)
        return answer(other)[0].measurement


class ExecutorContract:
    """`executor` is the fixture of a class that inherits this one: an executor of one thread a Worker, entered.

    What its Workers keep has to be seen by this process, below a test's own folder.
    """

    @pytest.fixture
    def executor(self):
        raise NotImplementedError

    @pytest.fixture
    def jobs(self):
        return jobs_of()

    def test_preparing_tells_the_environment(self, executor):
        environment = executor.prepare(PREPARE, StopRequest())
        assert (environment.device_kind, environment.threads) == ("cpu", 1)

    def test_every_stage_is_answered_once_with_what_it_measured(self, executor, jobs):
        executor.prepare(PREPARE, StopRequest())
        for job in jobs:
            executor.submit(job)
            done, told = answer(executor)
            assert (done.stage, done.outcome, done.reason) == (job.stage, Outcome.FINISHED, None)
            assert done.measurement.steps == job.stop_step
            assert done.measurement.evaluations.steps == job.eval_steps
            assert all(isinstance(message, Progressed) and message.progress.stage == job.stage for message in told)
        assert executor.receive(0) is None

    def test_missing_data_is_an_error_of_the_machine(self, executor, tmp_path):
        missing = prepare_job(f"data_path={tmp_path}", recipe="fashion_mnist")
        with pytest.raises(MachineError, match="FashionMNIST is absent"):
            executor.prepare(missing, StopRequest())

    def test_a_model_that_does_not_take_the_images_is_told_before_anything_trains(self, executor):
        with pytest.raises(RecipeError, match=r"^model: alexnet does not take images of 1x8x8"):
            executor.prepare(prepare_job("model=alexnet"), StopRequest())

    def test_an_absent_device_is_an_error_of_the_machine(self, executor):
        with pytest.raises(MachineError, match="there is no device cuda:99"):
            executor.prepare(PREPARE.model_copy(update={"device": "cuda:99"}), StopRequest())

    def test_a_stage_that_raises_fails_with_its_reason_and_the_next_one_trains(self, executor, jobs):
        executor.prepare(PREPARE, StopRequest())
        executor.submit(jobs[0].model_copy(update={"rates": ""}))  # too few rates: the loop has nothing to read
        done, _ = answer(executor)
        assert done.outcome is Outcome.FAILED
        assert "IndexError" in done.reason
        executor.submit(jobs[0])
        assert answer(executor)[0].outcome is Outcome.FINISHED

    def test_asked_to_stop_it_saves_its_stage_and_another_one_goes_on_to_the_same_bits(self, executor, jobs, tmp_path):
        """Asked before the Stage begins: it ends after its first step."""
        kept = PREPARE.model_copy(update={"workspace": str(tmp_path / "kept"), "checkpoint_every": 1e9})
        executor.prepare(kept, StopRequest())
        executor.stop()
        executor.submit(jobs[0])
        done, _ = answer(executor)
        assert (done.outcome, done.reason, done.measurement) == (
            Outcome.INTERRUPTED,
            "interrupted; goes on at step 1",
            None,
        )
        measured = [trained_alone(jobs[0], prepare) for prepare in (kept, PREPARE)]
        assert [m.resumed_at for m in measured] == [(1,), ()]
        assert measured[0].weights_sha256 == measured[1].weights_sha256

    def test_a_damaged_checkpoint_is_told_with_its_stage(self, executor, jobs, tmp_path):
        states = StageStates(Workspace(tmp_path / "kept").states / jobs[0].stage)
        states.write(5, b"no checkpoint", origin_of(jobs[0]))
        executor.prepare(PREPARE.model_copy(update={"workspace": str(tmp_path / "kept")}), StopRequest())
        executor.submit(jobs[0])
        done, told = answer(executor)
        [noted] = [message for message in told if isinstance(message, Noted)]
        assert noted.stage == jobs[0].stage
        assert noted.text.endswith("starting from the beginning")
        assert (done.outcome, done.measurement.resumed_at) == (Outcome.FINISHED, ())

    def test_a_probe_that_fails_says_why_and_the_stage_trains(self, executor, jobs):
        executor.prepare(PREPARE, StopRequest())
        broken = ProbeJob(like=jobs[0].model_copy(update={"rates": ""}), seconds=0.0)
        [probed] = executor.probe(broken, 1, StopRequest())
        assert probed.step_seconds is None
        assert "IndexError" in probed.reason
        executor.submit(jobs[0])
        assert answer(executor)[0].outcome is Outcome.FINISHED

    def test_what_it_trains_is_equal_to_the_last_bit(self, executor, jobs):
        executor.prepare(PREPARE, StopRequest())
        executor.submit(jobs[0])
        assert answer(executor)[0].measurement.weights_sha256 == trained_alone(jobs[0]).weights_sha256
