"""The device of a command, from a machine whose nvidia-smi is ours."""

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from sweep.errors import MachineError
from sweep.processor import cpu_name
from sweep.run.machine import find_device, read_environment

SMI = """\
#!/bin/sh
case "$*" in
    *query-gpu=uuid*) printf 'GPU-aaa\\nGPU-bbb\\n' ;;
    *query-gpu=name*GPU-bbb*) echo 'Fast GPU' ;;
    *query-gpu=name*) echo 'Slow GPU' ;;
esac
"""


@pytest.fixture
def two_gpus(tmp_path, monkeypatch):
    (tmp_path / "nvidia-smi").write_text(SMI)
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def no_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))


def found(wanted):
    device = find_device(wanted)
    return device.kind, device.name, device.visible


def test_a_command_sees_all_gpus_unless_it_is_given_one(two_gpus):
    assert found("auto") == ("cuda", "Slow GPU", None)
    assert found("cuda") == ("cuda", "Slow GPU", None)
    assert found("cuda:1") == ("cuda", "Fast GPU", "GPU-bbb")
    assert found("cpu") == ("cpu", cpu_name(), "")


def test_gpus_are_counted_among_those_that_are_visible(two_gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-bbb")
    assert found("auto") == ("cuda", "Fast GPU", None)
    with pytest.raises(MachineError, match=r"there is no device cuda:1: .* show 1 GPUs"):
        find_device("cuda:1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert found("auto") == ("cpu", cpu_name(), None)


def test_without_a_driver_there_is_no_gpu_whatever_the_environment_says(no_gpu, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert found("auto") == ("cpu", cpu_name(), None)
    with pytest.raises(MachineError, match=r"there is no device cuda: .*take --device cpu"):
        find_device("cuda")


def test_the_gpu_of_a_mac_is_taken_where_it_is_named(no_gpu, monkeypatch):
    with pytest.raises(MachineError, match="there is no device mps: this is no Mac"):
        find_device("mps")
    monkeypatch.setattr("sweep.run.machine.platform.system", lambda: "Darwin")
    monkeypatch.setattr("sweep.run.machine.platform.machine", lambda: "arm64")
    monkeypatch.setattr("sweep.run.machine.cpu_name", lambda: "Apple M2")
    assert found("mps") == ("mps", "Apple M2", None)
    assert found("auto") == ("cpu", "Apple M2", None)


def test_the_versions_of_torch_are_known_only_of_a_program_beside_our_own_python(no_gpu, monkeypatch):
    device = find_device("cpu")
    environment = read_environment(device, 3, sys.executable)
    assert (environment.device_kind, environment.device_name, environment.threads) == ("cpu", cpu_name(), 3)
    assert (environment.torch, environment.torchvision) == (version("torch"), version("torchvision"))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert read_environment(device, 3, Path(sys.executable).name).torch == version("torch")
    for other in ("/bin/sh", "no-such-program", "{output_dir}/run"):
        assert read_environment(device, 3, other).torch is None
