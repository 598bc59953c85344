"""What this machine has for a sweep, what is missing, and the command that mends it. Writes nothing."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from sweep.errors import MachineError
from sweep.recipe.datasets import DATASETS
from sweep.run.placement import driver_gpus, num_cores

_PACKAGE = "budget-sweep"
# Chosen: importing torch takes two seconds, and a minute on a cold network disk.
_SECONDS_TO_IMPORT = 300
# A sweep's journal and logs take little; this leaves room for a data set, too.
_LITTLE_BYTES = 1_000_000_000


class State(StrEnum):
    """`ABSENT` is no fault unless it is needed; with something `BROKEN`, nothing can be trained."""

    OK = "ok"
    ABSENT = "absent"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `fix` is the command, or the advice, that mends it."""

    subject: str
    state: State
    detail: str
    fix: str | None = None


def examine(results: Path, data_path: Path) -> list[Finding]:
    """Look at the packages, the devices, the datasets and the disks."""
    return [_packages(), *_torch(), *_datasets(data_path), _results(results)]


def _packages() -> Finding:
    wanted = [
        match[0] for line in requires(_PACKAGE) or [] if (match := re.match(r"[\w.-]+", line)) and ";" not in line
    ]
    versions = {name: _version(name) for name in wanted}
    missing = [name for name, found in versions.items() if found is None]
    if missing:
        command = f"{sys.executable} -m pip install {' '.join(missing)}"
        return Finding("packages", State.BROKEN, f"not installed: {', '.join(missing)}", command)
    shown = ", ".join(f"{name} {found}" for name, found in versions.items() if name not in ("torch", "torchvision"))
    return Finding("packages", State.OK, f"sweep {version(_PACKAGE)}, python {platform.python_version()}, {shown}")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _torch() -> Iterator[Finding]:
    survey = _survey()
    if isinstance(survey, str):
        command = f"{sys.executable} -m pip install --force-reinstall torch torchvision"
        yield Finding("torch", State.BROKEN, f"cannot be imported: {survey}", command)
        return
    yield Finding("torch", State.OK, f"torch {survey['torch']}, torchvision {survey['torchvision']}")
    yield Finding("cpu", State.OK, f"{survey['cpu']}, {num_cores()} cores to use")
    for gpu in survey["gpus"]:
        yield Finding("gpu", State.OK, f"{gpu['name']}, {gpu['num_bytes'] / 1e9:.0f} GB")
    if survey["mps"]:
        yield Finding("gpu", State.OK, "Apple's, which is used where it is named: --device mps")
    elif not survey["gpus"]:
        yield _no_gpu(survey["cuda"])


def _survey() -> dict[str, Any] | str:
    """What torch says of itself, or why it says nothing."""
    command = [sys.executable, "-P", "-m", "sweep.train.survey"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS_TO_IMPORT)
    except subprocess.TimeoutExpired:
        return f"it took more than {_SECONDS_TO_IMPORT} s"
    try:
        found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        return (run.stderr.strip().splitlines() or [f"exit code {run.returncode}"])[-1]
    return found


def _no_gpu(cuda: str | None) -> Finding:
    try:
        num_listed = len(driver_gpus())
    except MachineError as error:
        return Finding("gpu", State.ABSENT, str(error))
    if not num_listed:
        return Finding("gpu", State.ABSENT, "training is on the CPU")
    build = (
        f"built for CUDA {cuda}: is the driver older, or CUDA_VISIBLE_DEVICES set?" if cuda else "built without CUDA"
    )
    fix = "install the torch that https://pytorch.org/get-started shows for this driver"
    return Finding("gpu", State.ABSENT, f"the driver shows {num_listed}, and torch none ({build})", fix)


def _datasets(data_path: Path) -> Iterator[Finding]:
    for name, dataset in DATASETS.items():
        if dataset.is_open:
            continue  # a user's own images may lie anywhere
        problems = dataset.problems(data_path / dataset.folder)
        if problems:
            yield Finding(name, State.ABSENT, problems[0].message, problems[0].fix)
        else:
            yield Finding(name, State.OK, str(dataset.root(data_path / dataset.folder)))


def _results(folder: Path) -> Finding:
    """Whether `folder` can be written, and how much room there is where it is, or where it would be made."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        return Finding("results", State.BROKEN, f"{there} is a file", "name another folder with --results")
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding("results", State.BROKEN, f"{there} cannot be written", "name another folder with --results")
    free = shutil.disk_usage(there).free
    text = f"{folder}: {free / 1e9:.1f} GB free"
    return Finding("results", State.OK, text, "little room: free some" if free < _LITTLE_BYTES else None)
