"""What Slurm's commands are told, and what is made of what they say: by programs of their names that keep a record."""

import os
import shlex
import sys

import pytest

from sweep.errors import MachineError, UsageError
from sweep.run import engine
from sweep.run.engine import read_engine
from sweep.run.executors.cluster import After
from sweep.run.executors.queued import Errand
from sweep.run.executors.slurm_cluster import SlurmCluster
from sweep.store.queue import Slip
from sweep.store.workspace import Workspace

OPTIONS = {"partition": "gpu", "time": "2:00:00", "cpus_per_task": "4", "gpus": "a100:1"}


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Put programs that print a text, and end with a code, where Slurm's are looked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(**said):
        for name, (text, code) in said.items():
            program = folder / name
            record = shlex.quote(str(folder / f"{name}.said"))
            program.write_text(
                f'#!/bin/sh\necho "$@" >> {record}\necho {shlex.quote(text)} >&{1 + (code > 0)}\nexit {code}\n'
            )
            program.chmod(0o755)
        return folder

    make(sbatch=("Submitted batch job 42", 0), srun=("", 0), scancel=("", 0), squeue=("", 0))
    return make


@pytest.fixture
def cluster(tmp_path):
    return SlurmCluster(Workspace(tmp_path / "digits"), OPTIONS)


def test_a_job_is_submitted_with_what_was_asked_for_and_can_be_queued_again(commands, cluster, tmp_path):
    workspace = Workspace(tmp_path / "digits")
    errand = Errand(str(workspace.folder), "0123456789abcdef", 2)
    cluster.check()
    assert cluster.submit(errand, After(ended=("7",), good=("8", "9"))) == "42"
    folder = workspace.queue / f"{Slip('0123456789abcdef', 2)}.cluster"
    lines = (folder / "42_submission.sh").read_text().splitlines()
    asked = {line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")}
    assert asked >= {
        "partition=gpu",
        "time=120",
        "cpus-per-task=4",
        "gpus=a100:1",
        "job-name=digits-01234567",
        "dependency=afterany:7,afterok:8,afterok:9",
        "kill-on-invalid-dep=yes",
        "requeue",
        "signal=USR2@90",
    }
    [started] = [line for line in lines if line.startswith("srun")]
    assert "--cpus-per-task=4" in started
    assert f"{sys.executable} -P -u -m submitit.core._submit" in started
    assert cluster.submit(errand, After()) == "42"
    assert "dependency" not in (folder / "42_submission.sh").read_text()


def test_what_slurm_refuses_is_told_in_its_words(commands, cluster, tmp_path):
    commands(sbatch=("sbatch: error: invalid partition specified: gpu", 1))
    with pytest.raises(MachineError, match=r"no job can be submitted: .*invalid partition specified: gpu"):
        cluster.submit(Errand(str(tmp_path), "0123456789abcdef", 1), After())


def test_a_job_has_ended_when_slurm_says_so_or_knows_it_no_more(commands, cluster):
    commands(squeue=("1|RUNNING|None\n2|NODE_FAIL|None\n 3|PENDING|Priority\n4|COMPLETING|None", 0))
    assert cluster.ended(["1", "2", "3", "4", "5"]) == {"2": "NODE_FAIL", "5": "no longer known to Slurm"}


def test_a_job_that_waits_for_what_its_partition_does_not_have_has_ended(commands, cluster):
    commands(squeue=("1|PENDING|PartitionConfig\n2|PENDING|Resources\n3|PENDING|BadConstraints", 0))
    assert cluster.ended(["1", "2", "3"]) == {
        "1": "it can never begin: PartitionConfig",
        "3": "it can never begin: BadConstraints",
    }


def test_when_slurm_gives_no_answer_nothing_is_known_to_have_ended(commands, cluster):
    commands(squeue=("slurm_load_jobs error: Unable to contact slurm controller", 1))
    assert cluster.ended(["1"]) == {}


def test_jobs_are_cancelled_together(commands, cluster):
    cluster.cancel(["1", "2"])
    assert (commands() / "scancel.said").read_text() == "1 2\n"


def test_a_machine_without_slurm_is_told_before_anything_is_submitted(cluster, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="there is no sbatch here"):
        cluster.check()


def test_without_submitit_there_is_no_such_engine(monkeypatch):
    asked = read_engine("slurm", None, None, "time=10", detach=False)
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"submitit is not installed \(pip install 'budget-sweep\[slurm\]'\)"):
        engine.make_executor(asked, True)


def test_a_results_folder_that_slurm_reads_as_a_pattern_is_refused(commands, tmp_path):
    with pytest.raises(MachineError, match="reads a % as a pattern"):
        SlurmCluster(Workspace(tmp_path / "50%j"), OPTIONS).check()
