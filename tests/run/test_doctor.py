"""What is missing is found, with the command that mends it."""

import json
import subprocess
from types import SimpleNamespace

import pytest

from sweep.run import doctor
from sweep.run.doctor import State, examine

SURVEY = {"torch": "2.6.0", "torchvision": "0.21.0", "cuda": None, "cpu": "Some CPU", "gpus": [], "mps": False}


@pytest.fixture
def torch(monkeypatch):
    """The survey that a stand-in for torch's process gives, or its error."""
    told = SimpleNamespace(survey=dict(SURVEY), error=None)

    def run(command, **options):
        assert command[-1] == "sweep.train.survey"
        if told.error is TimeoutError:
            raise subprocess.TimeoutExpired(command, 300)
        if told.error:
            return subprocess.CompletedProcess(command, 1, "", told.error)
        return subprocess.CompletedProcess(command, 0, "a greeting\n" + json.dumps(told.survey), "")

    monkeypatch.setattr(doctor.subprocess, "run", run)
    monkeypatch.setattr(doctor, "driver_gpus", lambda: ())
    return told


def found(tmp_path, subject):
    return next(finding for finding in examine(tmp_path / "results", tmp_path) if finding.subject == subject)


def test_a_machine_that_is_well_has_nothing_broken(torch, tmp_path):
    findings = examine(tmp_path / "results", tmp_path)
    assert not any(finding.state is State.BROKEN for finding in findings)
    assert {"packages", "torch", "cpu", "gpu", "digits", "FashionMNIST", "results"} <= {f.subject for f in findings}
    assert not (tmp_path / "results").exists()


def test_versions_stand_there(torch, tmp_path):
    packages = found(tmp_path, "packages").detail
    for name in ("sweep", "python", "typer", "rich", "pandas"):
        assert f"{name} " in packages
    assert found(tmp_path, "torch").detail == "torch 2.6.0, torchvision 0.21.0"
    assert found(tmp_path, "cpu").detail.startswith("Some CPU, ")


def test_a_package_that_is_not_installed_is_named_with_the_command(torch, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "requires", lambda name: ["rich>=13", "no-such-package>=1", 'other>1; extra == "dev"'])
    packages = found(tmp_path, "packages")
    assert (packages.state, packages.detail) == (State.BROKEN, "not installed: no-such-package")
    assert packages.fix.endswith("-m pip install no-such-package")


def test_a_torch_that_cannot_be_imported_is_told_by_its_last_line(torch, tmp_path):
    torch.error = "Traceback (most recent call last):\n  …\nRuntimeError: operator torchvision::nms does not exist\n"
    finding = found(tmp_path, "torch")
    assert finding.state is State.BROKEN
    assert "operator torchvision::nms does not exist" in finding.detail
    assert "pip install --force-reinstall torch torchvision" in finding.fix


def test_a_torch_that_never_comes_back_is_told(torch, tmp_path):
    torch.error = TimeoutError
    assert found(tmp_path, "torch").state is State.BROKEN


def test_image_files_are_looked_for_where_their_recipe_expects_them(torch, tmp_path):
    assert f"{tmp_path / 'imagenet'}/train/CLASS" in found(tmp_path, "ImageNet").fix


def test_every_gpu_is_shown_with_its_memory(torch, tmp_path):
    torch.survey["gpus"] = [{"name": "A100", "num_bytes": 80_000_000_000}]
    assert found(tmp_path, "gpu").detail == "A100, 80 GB"


def test_the_gpu_of_a_mac_is_shown_with_how_to_take_it(torch, tmp_path):
    torch.survey["mps"] = True
    gpu = found(tmp_path, "gpu")
    assert (gpu.state, gpu.detail) == (State.OK, "Apple's, which is used where it is named: --device mps")


def test_a_gpu_that_torch_does_not_see_is_explained(torch, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "driver_gpus", lambda: ("GPU-a",))
    gpu = found(tmp_path, "gpu")
    assert (gpu.state, gpu.detail) == (State.ABSENT, "the driver shows 1, and torch none (built without CUDA)")
    assert "pytorch.org" in gpu.fix


def test_an_absent_dataset_is_no_fault_and_has_its_command(torch, tmp_path):
    finding = found(tmp_path, "FashionMNIST")
    assert finding.state is State.ABSENT
    assert f"sweep data get FashionMNIST --data-path {tmp_path}" in finding.fix


def test_a_file_where_results_should_be_is_broken(torch, tmp_path):
    (tmp_path / "results").write_text("")
    assert found(tmp_path, "results").state is State.BROKEN


def test_little_room_is_said(torch, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: SimpleNamespace(free=200_000_000))
    finding = found(tmp_path, "results")
    assert finding.detail.endswith("0.2 GB free")
    assert "little room" in finding.fix
