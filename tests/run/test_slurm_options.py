"""What `--slurm` says of a job."""

import pytest

from sweep.errors import UsageError
from sweep.run.engine import Engine, EngineName, read_engine
from sweep.run.slurm_options import job_parameters, minutes_of


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("90", 90),
        ("90:00", 90),
        ("90:01", 91),  # Slurm rounds up, too
        ("02:00:00", 120),
        ("1-12", 36 * 60),
        ("1-12:30", 36 * 60 + 30),
        ("1-12:30:30", 36 * 60 + 31),
        ("", None),
        ("2h", None),
        ("1:2:3:4", None),
        ("-5", None),
        ("1.5", None),
    ],
)
def test_a_time_is_what_sbatch_makes_of_it(text, minutes):
    assert minutes_of(text) == minutes


def test_options_have_sbatchs_names_with_dashes_or_without():
    given = "partition=gpu,time=02:00:00,gpus-per-node=a100:1,cpus_per_task=4,mem=16G"
    assert job_parameters(read_engine("slurm", None, None, given, detach=False).slurm) == {
        "partition": "gpu",
        "time": 120,
        "signal_delay_s": 90,
        "gpus_per_node": "a100:1",
        "cpus_per_task": "4",
        "mem": "16G",
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "how long a job may take"),
        ({"time": "soon"}, "'soon' is no time"),
        ({"time": "0"}, "'0' is no time"),
        ({"time": "1"}, "no time is left to train"),
        ({"time": "10", "signal_delay_s": "600"}, "no time is left to train"),
        ({"time": "10", "partitoin": "gpu"}, "did you mean 'partition'"),
        ({"time": "10", "array": "1-4"}, "array: is no option of a job"),
        ({"time": "10", "cpus_per_task": "many"}, "cpus_per_task: 'many' does not fit"),
        ({"time": "10", "mem": "16 GB"}, "mem: '16 GB' does not fit"),
    ],
)
def test_what_no_job_can_be_asked_for_is_refused(options, said):
    with pytest.raises(UsageError, match=said):
        job_parameters(options)


def test_all_mistakes_are_told_at_once_before_anything_is_planned():
    with pytest.raises(UsageError) as refused:
        read_engine("slurm", None, None, "partitoin=gpu,cpus_per_task=0", detach=False)
    assert len(refused.value.problems) == 3


def test_names_of_several_nodes_are_one_value():
    engine = read_engine("slurm", None, None, "time=10,exclude=n1,n2,nodelist=n[3,5],partition=gpu", detach=False)
    assert engine.slurm == {"time": "10", "exclude": "n1,n2", "nodelist": "n[3,5]", "partition": "gpu"}
    with pytest.raises(UsageError, match="'gpu' is no NAME=VALUE"):
        read_engine("slurm", None, None, "time=10,gpu", detach=False)


def test_the_processes_of_a_trial_share_the_cores_of_its_job():
    engine = read_engine("slurm", None, None, "time=10,cpus_per_task=8", detach=False)
    assert engine.place(None, None, "cpu", devices_per_trial=4).threads == 2


def test_bytes_of_memory_are_an_amount_and_what_ray_takes_of_no_worker_is_none():
    assert read_engine("ray", None, "memory=4000000000", None, detach=False).resources == {"memory": 4e9}
    with pytest.raises(UsageError, match="object_store_memory is nothing that a trial takes"):
        read_engine("ray", None, "object_store_memory=1", None, detach=False)


@pytest.mark.parametrize(
    ("resources", "shares"), [("num_gpus=0.5", True), ("num_gpus=1", False), ("num_cpus=1", False)]
)
def test_who_asks_for_a_part_of_a_gpu_shares_it(resources, shares):
    assert read_engine("ray", None, resources, None, detach=False).shares_gpus == shares


def test_a_job_has_as_many_threads_as_it_has_cores():
    engine = read_engine("slurm", None, None, "time=10,cpus-per-task=4", detach=True)
    assert (engine.name, engine.detach) == (EngineName.SLURM, True)
    assert engine.place(None, None, "auto").threads == 4
    assert Engine(EngineName.SLURM).place(2, 3, "cpu").threads == 3
