"""Which engine trains a sweep's Stages, and what it is told of its machines."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sweep.errors import Complaints, Problem, UsageError
from sweep.run.placement import MAX_JOBS, Placement
from sweep.run.slurm_options import job_parameters
from sweep.store.workspace import Workspace

if TYPE_CHECKING:
    from sweep.run.executors.protocol import Executor
    from sweep.run.executors.ray import RayExecutor

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,99}")

# Given the workspace, the placement and the seconds after which a Worker hangs.
MakeExecutor = Callable[[Workspace, Placement, float | None], "Executor"]


class EngineName(StrEnum):
    """`LOCAL`: processes of this machine. `RAY`: actors of a Ray cluster. `SLURM`: jobs of a Slurm cluster."""

    LOCAL = "local"
    RAY = "ray"
    SLURM = "slurm"


# Ray's own resources, which it takes by other names.
_OPTIONS = {"CPU": "num_cpus", "GPU": "num_gpus"}
_LISTS = {"exclude", "nodelist", "gres"}  # as sbatch has them: node names, and n[1,3]
_NO_RESOURCES = {"object_store_memory"}  # Ray refuses it of an actor
# Which engine an option is of.
_OWNERS = {
    "address": EngineName.RAY,
    "resources": EngineName.RAY,
    "slurm": EngineName.SLURM,
    "detach": EngineName.SLURM,
}


@dataclass(frozen=True)
class Engine:
    """`address` is of a Ray cluster, None for the one that Ray finds or starts by itself; `resources` are what a Worker
    takes of it, by Ray's names; `slurm` are the options of a job, by sbatch's names. With `detach` the sweep is left to
    Slurm once its jobs are queued."""

    name: EngineName = EngineName.LOCAL
    address: str | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    slurm: Mapping[str, str] = field(default_factory=dict)
    detach: bool = False

    @property
    def shares_gpus(self) -> bool:
        """Whether it puts several Workers on one."""
        return 0 < self.resources.get("num_gpus", 1) < 1

    def place(self, jobs: int | None, threads: int | None, device: str, devices_per_trial: int = 1) -> Placement:
        """Workers on the machines of others: how many of them there is room for, None of `jobs`, is the engine's to
        say; the processes of each share the cores that it takes, where nobody says how many threads they have, and have
        one at least.

        Raises:
            UsageError: `device` is one of a machine's, which is the engine's to choose.
        """
        if ":" in device:
            message = f"{device} is one GPU of a machine, and which one a trial gets is for {self.name} to say"
            raise UsageError(Problem(message, "--device", fix="take --device cuda"))
        cores = int(self.resources.get("num_cpus", self.slurm.get("cpus_per_task", 1)))
        return Placement(jobs or MAX_JOBS, threads or max(1, cores // devices_per_trial), device)


def make_executor(engine: Engine, chooses_jobs: bool, devices_per_trial: int = 1) -> MakeExecutor:
    """What makes the Workers of `engine`; with `chooses_jobs` no more of them than its machines have room for.

    Raises:
        UsageError: the engine is not installed.
    """
    if engine.name is EngineName.RAY:
        return partial(
            _ray_executor(),
            address=engine.address,
            resources=engine.resources,
            chooses_jobs=chooses_jobs,
            devices_per_trial=devices_per_trial,
        )
    if engine.name is EngineName.SLURM:
        return _slurm_executors(engine)
    from sweep.run.executors.local import LocalExecutor

    return LocalExecutor


def make_executors_beside() -> MakeExecutor:
    """What makes the Workers of sweeps that train side by side on this machine, each sweep its own."""
    from sweep.run.executors.local import LocalExecutor

    return partial(LocalExecutor, beside=[])


def _ray_executor() -> type[RayExecutor]:
    try:
        from sweep.run.executors.ray import RayExecutor
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        fix = "pip install 'budget-sweep[ray]'"
        raise UsageError(Problem("ray is not installed", "--executor", fix=fix)) from error
    return RayExecutor


def _slurm_executors(engine: Engine) -> MakeExecutor:
    if find_spec("submitit") is None:
        fix = "pip install 'budget-sweep[slurm]'"
        raise UsageError(Problem("submitit is not installed", "--executor", fix=fix))
    from sweep.run.executors.slurm import SlurmExecutor
    from sweep.run.executors.slurm_cluster import SlurmCluster

    def make(workspace: Workspace, placement: Placement, stall_timeout: float | None) -> Executor:
        return SlurmExecutor(workspace, placement, stall_timeout, SlurmCluster(workspace, engine.slurm), engine.detach)

    return make


def read_engine(executor: str, address: str | None, resources: str | None, slurm: str | None, detach: bool) -> Engine:
    """The engine that the options of these names ask for.

    Raises:
        UsageError: with every mistake in them.
    """
    complaints = Complaints()
    name = EngineName.LOCAL
    amounts: dict[str, float] = {}
    options: dict[str, str] = {}
    with complaints:
        name = _name(executor, {"address": address, "resources": resources, "slurm": slurm, "detach": detach or None})
    with complaints:
        amounts = _amounts(resources)
    with complaints:
        pairs = _pairs(slurm, "--slurm", "partition=gpu,time=02:00:00")
        options = {name.replace("-", "_"): value for name, value in pairs.items()}
        if name is EngineName.SLURM:
            job_parameters(options)  # their mistakes are told now
    complaints.raise_any()
    return Engine(name, address, amounts, options, detach)


def _name(executor: str, given: Mapping[str, object]) -> EngineName:
    if executor not in list(EngineName):
        raise UsageError(Problem(f"{executor!r} is no engine", where="--executor", fix=", ".join(EngineName)))
    name = EngineName(executor)
    foreign = [option for option, value in given.items() if value is not None and _OWNERS[option] is not name]
    if foreign:
        raise UsageError(
            [
                Problem(f"is not for --executor {name}", f"--{option}", fix=f"it is for --executor {_OWNERS[option]}")
                for option in foreign
            ]
        )
    return name


def _amounts(text: str | None) -> dict[str, float]:
    example = "num_cpus=2,num_gpus=1"
    amounts = {}
    for key, value in _pairs(text, "--resources", example).items():
        if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,4})?", value):
            raise UsageError(Problem(f"{value!r} is no amount of {key}", "--resources", fix=f"write {example}"))
        amounts[key] = float(value)
        if amounts[key] > 1 and amounts[key] != int(amounts[key]):
            raise UsageError(Problem(f"{key}: Ray deals out whole numbers, or parts of one", "--resources"))
        if key in _NO_RESOURCES:
            raise UsageError(Problem(f"{key} is nothing that a trial takes", "--resources", fix=f"write {example}"))
        if key in _OPTIONS:
            raise UsageError(Problem(f"{key} is called {_OPTIONS[key]}", "--resources", fix=f"write {example}"))
    return amounts


def _pairs(text: str | None, option: str, example: str) -> dict[str, str]:
    """`a=1,b=2`, each name once; a value that is a list goes on in `exclude=n1,n2`."""
    pairs: dict[str, str] = {}
    for part in text.split(",") if text is not None else ():
        key, sign, value = part.strip().partition("=")
        if not sign and part.strip() and pairs and (last := next(reversed(pairs))) in _LISTS:
            pairs[last] += f",{part.strip()}"
            continue
        if not sign or not value or not _KEY.fullmatch(key):
            raise UsageError(Problem(f"{part!r} is no NAME=VALUE", option, fix=f"write {example}"))
        if key in pairs:
            raise UsageError(Problem(f"{key} is given twice", option))
        pairs[key] = value
    return pairs
