"""Which pilot a speed is read from, and when a new one is made; without a Worker."""

import pytest

from sweep import piloting, placing
from sweep.errors import UsageError
from sweep.estimating import Seats, seats
from sweep.piloting import speed_of
from sweep.planning import plan_asked
from sweep.request import SweepRequest, read_request
from sweep.store.history import read_history
from sweep.store.journal import append
from sweep.store.records import Environment, PilotRecord


@pytest.fixture
def made(monkeypatch):
    """The pilots that were made; each says that a step takes as many seconds as there were before it, and one."""
    made = []

    def run_pilot(plan, job, seconds, environment):
        value = 1.0 + len(made)
        device = piloting.find_device("cpu")
        made.append(seconds)
        return PilotRecord(
            made_at="2026-01-01T00:00:00.000+00:00",
            fingerprint=plan.loaded.recipe.fingerprint,
            workers=plan.loaded.recipe.workers,
            environment=Environment(
                sweep="0.1.0",
                python="3.11",
                torchvision="0.21",
                numpy="2",
                platform="x",
                torch=f"{piloting._torch()}+cu130",
                device_kind=device.kind,
                device_name=device.name,
                threads=job.threads,
            ),
            num_steps=100,
            **dict.fromkeys(("step", "evaluation", "stage", "worker"), (value, value, value)),
            spread=0.0,
            peak_bytes=1,
            total_bytes=2,
        )

    monkeypatch.setattr(piloting, "run_pilot", run_pilot)
    return made


@pytest.fixture
def step_seconds(tmp_path, made):
    """step_seconds(recipe, …): what a step takes, as `speed_of` says."""

    def step_seconds(recipe="smoke", pilot_seconds=60.0, **request):
        asked = read_request(SweepRequest(recipe, **{"results": tmp_path, "device": "cpu", "threads": 1, **request}))
        return speed_of(asked, plan_asked(asked)[0], pilot_seconds).step.value

    return step_seconds


def test_a_pilot_is_kept_and_read_again_whatever_the_ratios(step_seconds, made, tmp_path):
    assert [step_seconds(), step_seconds(ratios="1,2"), step_seconds(seeds=3, price=2.0)] == [1.0] * 3
    assert made == [60.0]
    assert len(read_history(tmp_path / "smoke" / "journal.jsonl").pilots) == 1


@pytest.mark.parametrize(
    "other", [{"threads": 2}, {"settings": ("lr=0.5",)}, {"workers": 1}, {"fresh": True}, {"name": "another"}]
)
def test_another_set_up_or_recipe_has_a_pilot_of_its_own(step_seconds, made, other):
    step_seconds()
    assert step_seconds(pilot_seconds=5.0, **other) == 2.0
    assert made == [60.0, 5.0]
    assert step_seconds() == (2.0 if "fresh" in other else 1.0)


def test_one_that_was_imprecise_is_made_anew_where_there_is_much_more_time_for_it(step_seconds, made, monkeypatch):
    make = piloting.run_pilot

    def imprecise(*arguments):
        return make(*arguments).model_copy(update={"step": (0.0, 0.1 * (1 + len(made)), 9.0)})

    monkeypatch.setattr(piloting, "run_pilot", imprecise)
    step_seconds(pilot_seconds=20.0)  # which trains for 20 seconds
    step_seconds(pilot_seconds=59.0)
    assert made == [20.0]
    step_seconds(pilot_seconds=61.0)
    assert made == [20.0, 61.0]


def test_what_a_pilot_doubts_of_itself_is_told_and_what_it_trained_counts_once(made, tmp_path):
    asked = read_request(SweepRequest("smoke", results=tmp_path, device="cpu", threads=1))
    plan = plan_asked(asked)[0]
    speeds = [speed_of(asked, plan) for _ in range(2)]
    assert [speed.tried_seconds for speed in speeds] == [100.0, 0.0]
    [pilot] = read_history(asked.workspace.journal).pilots
    told = []
    append(asked.workspace.journal, pilot.model_copy(update={"spread": 0.4}))
    speed_of(asked, plan, tell=told.append)
    assert any("differ by ± 40 %: the machine was busy" in event.text for event in told)


def test_one_of_another_torch_does_not_count(step_seconds, made, monkeypatch):
    step_seconds()
    monkeypatch.setattr(piloting, "_torch", lambda: "1.0")
    assert step_seconds() == 2.0


@pytest.mark.parametrize("executor", ["ray", "slurm"])
def test_what_trains_elsewhere_is_not_tried_out_here(step_seconds, made, executor):
    with pytest.raises(UsageError, match="a recipe is tried out on this machine") as caught:
        step_seconds(executor=executor, threads=None, slurm="time=02:00:00" if executor == "slurm" else None)
    assert caught.value.problems[0].where == "--executor"
    assert made == []


@pytest.mark.parametrize("seconds", [0.0, 0.99, 3600.1, float("nan")])
def test_seconds_out_of_range_are_refused(step_seconds, made, seconds):
    with pytest.raises(UsageError, match="is not a number of seconds from 1 to 3600"):
        step_seconds(pilot_seconds=seconds)
    assert made == []


def seats_of(kind, ratios="0.1:1:0.1", gpus=(), cores=8, monkeypatch=None, settings=(), **request):
    monkeypatch.setattr(placing, "num_cores", lambda: cores)
    monkeypatch.setattr("sweep.estimating.num_cores", lambda: cores)
    for module in ("sweep.placing", "sweep.estimating"):
        monkeypatch.setattr(f"{module}.visible_gpus", lambda: gpus)
    asked = read_request(SweepRequest("digits", ratios, share=False, settings=settings, **request))
    return seats(asked, plan_asked(asked)[0], kind)


def test_on_the_cpu_as_many_jobs_fit_as_there_are_cores_for_their_threads(monkeypatch):
    assert seats_of("cpu", monkeypatch=monkeypatch, threads=1, cores=3) == [Seats(n, n, n) for n in (1, 2, 3)]
    assert seats_of("cpu", monkeypatch=monkeypatch, threads=2, cores=8) == [Seats(n, n, n) for n in (1, 2, 4)]
    assert seats_of("cpu", monkeypatch=monkeypatch, threads=8, cores=8) == [Seats(1, 1, 1)]
    several = seats_of("cpu", monkeypatch=monkeypatch, threads=1, cores=8, settings=("devices_per_trial=2",))
    assert several == [Seats(1, 2, 2), Seats(2, 4, 4), Seats(4, 8, 8)]


def test_no_more_jobs_are_shown_than_finish_sooner_but_those_that_are_asked_for(monkeypatch):
    two = {"monkeypatch": monkeypatch, "threads": 1, "cores": 8, "ratios": "0.5,1"}
    assert [each.jobs for each in seats_of("cpu", **two)] == [1, 2]
    assert [each.jobs for each in seats_of("cpu", **two, jobs=4)] == [1, 2, 4]


def test_on_gpus_each_job_has_its_own_or_shares_one(monkeypatch):
    gpus = ("GPU-a", "GPU-b", "GPU-c", "GPU-d")
    cuda = {"monkeypatch": monkeypatch, "gpus": gpus, "device": "cuda"}
    assert seats_of("cuda", **cuda) == [Seats(1, 1, 1), Seats(2, 2, 1), Seats(4, 4, 1)]
    pairs = seats_of("cuda", **cuda, settings=("devices_per_trial=2",))
    assert pairs == [Seats(1, 2, 1), Seats(2, 4, 1)]
    shared = seats_of("cuda", **cuda, jobs_per_device=2)
    assert shared[0] == Seats(1, 1, 1)
    assert shared[-1].num_sharing == 2
