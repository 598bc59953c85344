"""Joules: of the GPU that trains, over the spans of training alone, and None where any of them was not counted."""

import io
import sys
from dataclasses import asdict
from types import SimpleNamespace

import pynvml
import pytest
import torch
from interrupted_stages import attempt, stages_states, train_in_parts
from slow_tasks import slowed
from small_stages import CPU, smoke_job, smoke_recipe, smoke_task, train

from sweep.api import run_request
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.run.worker import Worker
from sweep.store.records import PrepareJob
from sweep.train import loop
from sweep.train import task as task_module
from sweep.train.checkpoint import Checkpoint, SoFar, State, decode_checkpoint
from sweep.train.energy import EnergyMeter, gpu_counter
from sweep.train.keeper import Keeper
from sweep.train.loop import train_stage
from sweep.train.task import ImageTask

CUDA = torch.device("cuda")
WATTS = 250
NVML_CALLS = (
    "nvmlInit",
    "nvmlDeviceGetHandleByUUID",
    "nvmlDeviceGetMigMode",
    "nvmlDeviceGetTotalEnergyConsumption",
)
ERRORS = [
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
    pynvml.NVML_ERROR_NO_PERMISSION,
    pynvml.NVML_ERROR_NOT_FOUND,
    pynvml.NVML_ERROR_GPU_IS_LOST,
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
    pynvml.NVML_ERROR_UNKNOWN,
]


class Machine:
    """Three GPUs and their counters, in NVML's order; CUDA is shown two of them, in another one."""

    def __init__(self):
        self.millijoules = {"GPU-a": 100, "GPU-b": 20_000, "GPU-c": 3_000_000}
        self.cuda_uuids = ["c", "a"]
        self.is_sliced = False

    def properties(self, device):
        return SimpleNamespace(uuid=self.cuda_uuids[device.index or 0])

    def handle(self, uuid):
        if uuid not in self.millijoules:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return uuid

    def mig_mode(self, handle):
        mode = pynvml.NVML_DEVICE_MIG_ENABLE if self.is_sliced else pynvml.NVML_DEVICE_MIG_DISABLE
        return [mode, mode]


@pytest.fixture
def machine(monkeypatch):
    """Takes the place of NVML and CUDA, with the names and the errors of the real package."""
    machine = Machine()
    calls = (lambda: None, machine.handle, machine.mig_mode, lambda handle: machine.millijoules[handle])
    for name, call in zip(NVML_CALLS, calls, strict=True):
        monkeypatch.setattr(pynvml, name, call)
    monkeypatch.setattr(torch.cuda, "get_device_properties", machine.properties)
    return machine


def fail(code):
    def call(*arguments):
        raise pynvml.NVMLError(code)

    return call


# The meter


def test_spans_add_up_and_what_lies_between_does_not_count():
    readings = iter([1000, 3500, 10_000, 10_250])
    meter = EnergyMeter(lambda: next(readings))
    for _ in range(2):
        with meter:
            pass
    assert meter.joules == 2.75


@pytest.mark.parametrize(
    "readings",
    [
        (1000, 0, 0, 5000),  # the GPU was reset in the first span
        (2**64 - 1, 4, 5, 6),  # it is full, and begins anew
        (0, 1000, None, 2000),
        (0, None, 1000, 2000),
    ],
)
def test_a_span_that_was_not_counted_leaves_the_sum_unknown(readings):
    remaining = iter(readings)

    def count():
        if (reading := next(remaining)) is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return reading

    meter = EnergyMeter(count)
    for _ in range(2):
        with meter:
            pass
    assert list(remaining) == []
    assert meter.joules is None


def test_without_a_counter_nothing_is_known_of_a_span():
    with EnergyMeter(None) as meter:
        pass
    assert meter.joules is None


# The counter


@pytest.mark.parametrize(("device", "gpu"), [("cuda", "GPU-c"), ("cuda:0", "GPU-c"), ("cuda:1", "GPU-a")])
def test_the_counter_is_of_the_gpu_that_trains_whatever_its_number(machine, device, gpu):
    counter = gpu_counter(torch.device(device))
    assert counter() == machine.millijoules[gpu]
    machine.millijoules[gpu] += 7
    assert counter() == machine.millijoules[gpu]


@pytest.mark.parametrize("code", ERRORS)
@pytest.mark.parametrize("name", NVML_CALLS)
def test_where_nvml_fails_there_is_no_counter(machine, monkeypatch, name, code):
    assert gpu_counter(CUDA) is not None
    monkeypatch.setattr(pynvml, name, fail(code))
    assert gpu_counter(CUDA) is None


def test_a_gpu_that_is_older_than_the_counter_has_none(machine, monkeypatch):
    monkeypatch.setattr(pynvml, NVML_CALLS[-1], fail(pynvml.NVML_ERROR_NOT_SUPPORTED))
    assert gpu_counter(CUDA) is None


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND])
def test_a_gpu_or_a_driver_that_knows_no_slices_has_a_counter(machine, monkeypatch, code):
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMigMode", fail(code))
    assert gpu_counter(CUDA)() == 3_000_000


def test_a_slice_of_a_gpu_has_no_counter_whether_it_is_told_by_its_own_uuid_or_by_the_gpus(machine):
    machine.is_sliced = True
    assert gpu_counter(CUDA) is None
    machine.cuda_uuids = ["of-a-slice"]
    assert gpu_counter(CUDA) is None


@pytest.mark.parametrize("package", [None, SimpleNamespace()], ids=["missing", "of another kind"])
def test_without_the_package_there_is_no_counter(machine, monkeypatch, package):
    monkeypatch.setitem(sys.modules, "pynvml", package)
    assert gpu_counter(CUDA) is None


def test_a_device_without_a_uuid_has_no_counter(machine, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace())
    assert gpu_counter(CUDA) is None


def test_on_the_cpu_nvml_is_not_even_asked(machine, monkeypatch):
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: pytest.fail("it was asked"))
    assert gpu_counter(CPU) is None
    assert train(smoke_job(num_steps=3)).measurement.joules is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpus_own_counter_grows_while_it_computes():
    if (counter := gpu_counter(CUDA)) is None:
        pytest.skip("this GPU has no counter that may be read")
    matrix = torch.ones(4096, 4096, device=CUDA)
    with EnergyMeter(counter) as meter:
        for _ in range(1000):
            matrix @ matrix
        torch.cuda.synchronize()
    assert meter.joules > 0


# A Stage, on a GPU that takes 250 W all the time


@pytest.fixture
def readings(hands, monkeypatch):
    """Every reading of its counter, in millijoules, by a clock that only the work of a slowed task moves."""
    readings = []

    def count():
        readings.append(round(hands.seconds * 1000 * WATTS))
        return readings[-1]

    monkeypatch.setattr(loop, "gpu_counter", lambda device: count)
    return readings


def test_joules_are_those_of_the_seconds_of_training_alone(hands, readings):
    measurement = train(smoke_job(eval_steps=(23, 46)), slowed(smoke_task(), hands)).measurement
    assert measurement.eval_seconds > 0
    assert measurement.joules == WATTS * measurement.train_seconds > 0
    assert len(readings) == 2 * 2  # where a span begins and where it ends, whatever the number of steps


def test_joules_add_up_over_interruptions(hands, readings, tmp_path):
    job = smoke_job(eval_steps=(23, 46))
    make_task = lambda: slowed(smoke_task(), hands)  # noqa: E731
    parts = train_in_parts(job, tmp_path, (10, 30, 46), make_task, every_seconds=1000.0).measurement
    assert parts.resumed_at == (10, 30, 46)
    assert parts.joules == WATTS * parts.train_seconds


def test_what_was_lost_behind_a_checkpoint_is_not_counted_twice(hands, readings, tmp_path):
    whole = train(smoke_job(), slowed(smoke_task(), hands)).measurement
    attempt(smoke_job(), tmp_path, 20, slowed(smoke_task(), hands))
    lost = slowed(smoke_task(), hands)
    lost.evaluate = None
    with pytest.raises(TypeError):
        attempt(smoke_job(), tmp_path, None, lost)
    again = attempt(smoke_job(), tmp_path, None, slowed(smoke_task(), hands)).measurement
    assert again.joules == WATTS * again.train_seconds == pytest.approx(whole.joules, abs=2 * WATTS)


@pytest.mark.parametrize("counted", [(True, False), (False, True)])
def test_a_stage_of_which_a_part_was_not_counted_has_none(hands, readings, tmp_path, monkeypatch, counted):
    counter = loop.gpu_counter(CUDA)
    for is_counted, stop in zip(counted, (20, None), strict=True):
        monkeypatch.setattr(loop, "gpu_counter", lambda device, has=is_counted: counter if has else None)
        trained = attempt(smoke_job(), tmp_path, stop, slowed(smoke_task(), hands))
    assert trained.measurement.train_seconds > 0
    assert trained.measurement.joules is None


def test_what_has_only_its_evaluation_left_needs_no_counter_any_more(hands, readings, tmp_path, monkeypatch):
    attempt(smoke_job(), tmp_path, 46, slowed(smoke_task(), hands))
    monkeypatch.setattr(loop, "gpu_counter", lambda device: None)
    done = attempt(smoke_job(), tmp_path, None, slowed(smoke_task(), hands)).measurement
    assert done.joules == WATTS * done.train_seconds


def test_a_counter_that_never_moves_has_measured_nothing(monkeypatch):
    monkeypatch.setattr(loop, "gpu_counter", lambda device: lambda: 5000)
    assert train(smoke_job(num_steps=3)).measurement.joules is None


@pytest.mark.parametrize("is_counted", [True, False])
def test_another_stages_joules_are_taken_over_with_its_checkpoint(hands, readings, tmp_path, monkeypatch, is_counted):
    if not is_counted:
        monkeypatch.setattr(loop, "gpu_counter", lambda device: None)
    attempt(smoke_job(), tmp_path, 20, slowed(smoke_task(), hands))
    longer = smoke_job(stage="a longer one")
    keeper = Keeper(stages_states(tmp_path, longer), 1e9, others=[(stages_states(tmp_path, smoke_job()), 20)])
    done = train_stage(longer, slowed(smoke_task(), hands), lambda progress: None, 1, keeper).measurement
    taken = done.taken_over
    assert (taken.stage, taken.steps) == ("a stage", 20)
    assert done.train_seconds > taken.train_seconds > 0
    expected = (WATTS * taken.train_seconds, WATTS * done.train_seconds) if is_counted else (None, None)
    assert (taken.joules, done.joules) == expected


def test_a_checkpoint_that_was_written_before_joules_were_counted_is_read_and_has_none():
    model = torch.nn.Linear(1, 1)
    state = State.capture(7, model, torch.optim.SGD(model.parameters()), CPU)
    so_far = asdict(SoFar(train_seconds=5.0, images=448)) | {"evaluations": ((7, 0.5, 1.25),)}
    del so_far["joules"]
    buffer = io.BytesIO()
    torch.save({"state": vars(state), "so_far": so_far}, buffer)
    read = decode_checkpoint(buffer.getvalue()).so_far
    assert (read.train_seconds, read.images, read.joules) == (5.0, 448, None)
    assert read.evaluations == ((7, {"accuracy": 0.5, "loss": 1.25}),)
    assert decode_checkpoint(Checkpoint(state, SoFar(joules=2.5)).encode()).so_far.joules == 2.5


# A sweep


class HeatingTask(ImageTask):
    """A step takes a joule, and an evaluation a million."""

    millijoules = 0

    def loss(self, *arguments):
        HeatingTask.millijoules += 1000
        return super().loss(*arguments)

    def evaluate(self, *arguments):
        HeatingTask.millijoules += 10**9
        return super().evaluate(*arguments)


@pytest.mark.parametrize(("shares_device", "joules"), [(False, 3.0), (True, None)])
def test_of_a_device_that_jobs_may_share_no_joules_are_told(monkeypatch, shares_device, joules):
    monkeypatch.setattr(loop, "gpu_counter", lambda device: lambda: HeatingTask.millijoules)
    monkeypatch.setattr(task_module, "ImageTask", HeatingTask)
    told = []
    worker = Worker(told.append, 1)
    recipe = smoke_recipe().model_dump(mode="json")
    worker.do(PrepareJob(recipe=recipe, device="cpu", threads=1, shares_device=shares_device))
    worker.do(smoke_job(num_steps=3))
    assert told[-1].measurement.joules == joules


def test_a_trials_joules_are_those_of_its_whole_path_whoever_trained_it_first(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "gpu_counter", lambda device: lambda: HeatingTask.millijoules)
    monkeypatch.setattr(task_module, "ImageTask", HeatingTask)
    settings = ("lr_scheduler=wsd", "min_shared_steps=1")
    request = SweepRequest("smoke", "0.5,0.75,1", results=tmp_path, settings=settings)
    done = run_request(request, make_executor=lambda *placed: InlineExecutor())
    assert done.plan.num_steps < done.plan.num_steps_alone
    assert {result.entry.ratio: result.joules for result in done.history.results} == {
        result.entry.ratio: result.entry.num_steps for result in done.history.results
    }
