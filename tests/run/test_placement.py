"""How many jobs, with how many threads each, on which GPU: told by arguments, environment and a stand-in nvidia-smi."""

import os
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import MachineError, UsageError
from sweep.run import placement
from sweep.run.placement import Placement, parse_jobs, place, visible_gpus

GPUS = ("GPU-a", "GPU-b", "GPU-c")


@pytest.mark.parametrize(("text", "jobs"), [("1", 1), ("2", 2), ("1024", 1024), ("auto", None)])
def test_jobs_are_a_number_or_auto(text, jobs):
    assert parse_jobs(text) == jobs


@pytest.mark.parametrize("text", ["0", "-1", "", "two", "1.5", "1025", "9" * 99, "00010000", "٣", "AUTO", " 2"])
def test_other_jobs_are_refused(text):
    with pytest.raises(UsageError, match="--jobs"):
        parse_jobs(text)


@pytest.mark.parametrize(
    ("jobs", "threads", "cores", "expected"),
    [
        (1, None, 8, (1, 8)),  # alone it has all cores
        (2, None, 8, (2, 4)),  # else they are shared
        (3, None, 8, (3, 2)),
        (16, None, 8, (16, 1)),
        (2, 3, 8, (2, 3)),  # unless somebody says so
        (None, None, 8, (8, 1)),  # auto: one thread each, as many as there are cores
        (None, 2, 8, (4, 2)),
        (None, 16, 8, (1, 16)),
    ],
)
def test_on_the_cpu_jobs_share_the_cores(jobs, threads, cores, expected):
    placed = place(jobs, "cpu", threads, cores, gpus=())
    assert (placed.jobs, placed.threads, placed.device, placed.gpus) == (*expected, "cpu", ())
    assert place(jobs, "cpu", threads, cores, GPUS) == placed  # GPUs that are not asked for are not used
    on_auto = place(jobs, "auto", threads, cores, gpus=())
    # One job may look for a GPU itself; several are told, so that none of them decides otherwise.
    assert on_auto == (replace(placed, device="auto") if jobs == 1 else placed)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_on_gpus_each_job_has_one_of_its_own(device):
    assert place(2, device, None, 12, GPUS) == Placement(2, 6, "cuda", ("GPU-a", "GPU-b"))
    assert place(None, device, None, 12, GPUS) == Placement(3, 4, "cuda", GPUS)
    assert place(3, device, 2, 12, GPUS) == Placement(3, 2, "cuda", GPUS)
    with pytest.raises(UsageError, match=r"4 jobs, but 3 GPUs.*CUDA_VISIBLE_DEVICES"):
        place(4, device, None, 12, GPUS)


def test_a_trial_of_several_gpus_has_a_group_of_its_own():
    gpus = ("GPU-a", "GPU-b", "GPU-c", "GPU-d", "GPU-e")
    assert place(2, "auto", None, 12, gpus, devices_per_trial=2) == Placement(
        2, 3, "cuda", ("GPU-a,GPU-b", "GPU-c,GPU-d")
    )
    assert place(None, "cuda", None, 12, gpus, devices_per_trial=2).gpus == ("GPU-a,GPU-b", "GPU-c,GPU-d")
    with pytest.raises(UsageError, match="3 jobs of 2 GPUs each, but 5 GPUs"):
        place(3, "auto", None, 12, gpus, devices_per_trial=2)
    with pytest.raises(UsageError, match="1 job of 8 GPUs each, but 5 GPUs"):
        place(None, "auto", None, 12, gpus, devices_per_trial=8)


def test_on_the_cpu_the_processes_of_a_trial_share_the_cores_too():
    assert place(1, "cpu", None, 8, (), devices_per_trial=2) == Placement(1, 4, "cpu")
    assert place(None, "cpu", None, 8, (), devices_per_trial=2) == Placement(4, 1, "cpu")
    assert place(None, "cpu", 2, 8, (), devices_per_trial=2) == Placement(2, 2, "cpu")
    assert place(1, "cpu", None, 2, (), devices_per_trial=4) == Placement(1, 1, "cpu")


def test_a_single_job_is_not_pinned_and_takes_the_device_it_is_told():
    assert place(1, "cuda", None, 12, GPUS) == Placement(1, 12, "cuda")
    assert place(1, "cuda:2", None, 12, GPUS) == place(None, "cuda:2", None, 12, GPUS) == Placement(1, 12, "cuda:2")


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_jobs_that_share_gpus_go_round_them_and_are_at_most_so_many_on_each(device):
    placed = place(5, device, None, 12, GPUS, jobs_per_device=2)
    assert placed == Placement(5, 2, "cuda", GPUS)
    assert [placed.environment(index)["CUDA_VISIBLE_DEVICES"] for index in range(5)] == [*GPUS, *GPUS[:2]]
    assert placed.jobs_per_device == 2
    assert place(None, device, None, 12, GPUS, jobs_per_device=2).jobs == 6
    assert place(None, device, None, 12, GPUS, worth=lambda most: most - 2, jobs_per_device=3).jobs == 7
    two = place(2, device, None, 12, GPUS, jobs_per_device=2)
    assert (two.gpus, two.jobs_per_device) == (GPUS[:2], 1)  # none shares while others are idle
    with pytest.raises(UsageError, match=r"7 jobs, but 3 GPUs with 2 each \(--jobs-per-device 3 lets them share"):
        place(7, device, None, 12, GPUS, jobs_per_device=2)


@given(st.integers(1, 40), st.integers(1, 8), st.integers(1, 8))
def test_no_gpu_has_two_jobs_more_than_another(jobs, num_gpus, jobs_per_device):
    gpus = tuple(f"GPU-{number}" for number in range(num_gpus))
    if jobs > num_gpus * jobs_per_device:
        with pytest.raises(UsageError, match="--jobs: "):
            place(jobs, "cuda", None, 8, gpus, jobs_per_device=jobs_per_device)
        return
    placed = place(jobs, "cuda", None, 8, gpus, jobs_per_device=jobs_per_device)
    if jobs == 1:
        assert placed.environment(0) == {}
        return
    counts = Counter(placed.environment(index)["CUDA_VISIBLE_DEVICES"] for index in range(jobs))
    assert max(counts.values()) == placed.jobs_per_device <= jobs_per_device
    assert len(counts) == min(jobs, num_gpus)
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize(("device", "fix"), [("cuda:1", "--device cuda takes all GPUs"), ("mps", "")])
def test_a_gpu_that_is_named_is_shared_as_a_whole_by_that_name(device, fix):
    assert place(None, device, None, 8, GPUS, jobs_per_device=4) == Placement(4, 2, device)
    assert place(2, device, 3, 8, (), jobs_per_device=4) == Placement(2, 3, device)
    assert place(2, device, 3, 8, (), jobs_per_device=4).jobs_per_device == 2
    assert (
        place(1, device, None, 8, (), jobs_per_device=4) == place(None, device, None, 8, ()) == Placement(1, 8, device)
    )
    with pytest.raises(UsageError, match=f"2 jobs, but 1 GPU .--jobs-per-device 2 lets them share.*{fix}"):
        place(2, device, None, 8, ())


@pytest.mark.parametrize(("device", "gpus"), [("cpu", GPUS), ("cpu", ()), ("auto", ())])
@pytest.mark.parametrize("jobs", [1, 2, None])
def test_on_the_cpu_there_is_nothing_to_share(device, gpus, jobs):
    with pytest.raises(UsageError, match="--jobs-per-device: there is no GPU that jobs could share"):
        place(jobs, device, None, 8, gpus, jobs_per_device=2)


def test_several_jobs_do_not_fit_on_a_gpu_that_is_named():
    with pytest.raises(UsageError, match="2 jobs, but 1 GPU "):
        place(2, "cuda:1", None, 12, GPUS)


def test_cuda_where_none_is_seen_is_one_job_that_will_say_so_itself():
    assert place(None, "cuda", None, 8, ()) == Placement(1, 8, "cuda")
    with pytest.raises(UsageError, match="2 jobs, but 0 GPUs"):
        place(2, "cuda", None, 8, ())


def test_there_are_no_more_workers_than_work():
    assert Placement(8, 2, "cuda", GPUS).at_most(2) == Placement(2, 2, "cuda", GPUS)
    assert Placement(2, 2).at_most(5) == Placement(2, 2)
    assert Placement(2, 2).at_most(0) == Placement(1, 2)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("200000 100000", 2), ("150000 100000", 1), ("50000 100000", 1), ("max 100000", 64), (None, 64)],
)
def test_a_containers_quota_limits_the_cores(tmp_path, monkeypatch, quota, cores):
    monkeypatch.setattr(placement.os, "sched_getaffinity", lambda pid: set(range(64)))
    monkeypatch.setattr(placement, "_CPU_MAX", tmp_path / "cpu.max")
    if quota is not None:
        (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert placement.num_cores() == cores


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """smi(script): a stand-in for nvidia-smi, alone on the path."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    def smi(script):
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)

    return smi


def test_gpus_are_those_that_the_driver_lists(smi):
    smi('[ "$*" = "--query-gpu=uuid --format=csv,noheader" ] && echo GPU-a && echo " GPU-b"')
    assert visible_gpus() == ("GPU-a", "GPU-b")


def test_without_a_driver_there_are_none(smi):
    assert visible_gpus() == ()


def test_a_driver_that_fails_is_an_error_with_the_way_out(smi):
    smi("echo broken >&2; exit 9")
    with pytest.raises(MachineError, match="CUDA_VISIBLE_DEVICES"):
        visible_gpus()


@pytest.mark.parametrize(
    ("value", "gpus"),
    [
        ("0,2", ("0", "2")),
        ("GPU-b, GPU-a", ("GPU-b", "GPU-a")),
        ("", ()),
        ("-1", ()),
        ("1,-1,2", ("1",)),
        ("1,,2", ("1",)),
        ("0,0,1,0", ("0", "1")),
    ],
)
def test_the_environment_has_the_last_word_as_cuda_reads_it(smi, monkeypatch, value, gpus):
    smi("echo GPU-x")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible_gpus() == gpus


def test_each_worker_finds_its_threads_and_its_gpu_in_its_environment(tmp_path, monkeypatch):
    from sweep.run.executors import child
    from sweep.run.executors.local import LocalExecutor
    from sweep.run.stop import StopRequest
    from sweep.store.records import PrepareJob
    from sweep.store.workspace import Workspace

    class Started(Exception):
        pass

    started = []

    def popen(command, env, **options):
        started.append({name: env.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES")})
        if len(started) == 4:
            raise Started
        return

    monkeypatch.setattr(child.subprocess, "Popen", popen)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-c,GPU-a")
    placed = place(4, "cuda", 3, os.cpu_count(), visible_gpus(), jobs_per_device=2)
    executor = LocalExecutor(Workspace(tmp_path), placed)
    with pytest.raises(Started):
        executor.prepare(PrepareJob(recipe={}, device="cuda", threads=3), StopRequest())
    threads = {"OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "3"}
    assert started == 2 * [threads | {"CUDA_VISIBLE_DEVICES": "GPU-c"}, threads | {"CUDA_VISIBLE_DEVICES": "GPU-a"}]
