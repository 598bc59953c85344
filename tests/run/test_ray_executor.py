"""Workers on a Ray cluster: a real one of several nodes on this machine, of which some are lost."""

import os
import signal
import socket
import subprocess
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from executor_contract import PREPARE, ExecutorContract, answer, jobs_of, trained_alone

from sweep.api import plan_sweep, run_request
from sweep.errors import MachineError, Outcome, UsageError
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.run.ledger import stage_job
from sweep.run.messages import Progressed
from sweep.run.placement import Placement
from sweep.run.stop import StopRequest
from sweep.store.history import read_history
from sweep.store.states import StageStates
from sweep.store.workspace import Workspace

pytestmark = [
    pytest.mark.slow,
    # Ray's own: files and sockets that it leaves to the garbage collector, and what it is about to change.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning:ray"),
]

ONE_JOB = Placement(jobs=1, threads=1, device="cpu")
TWO_JOBS = Placement(jobs=2, threads=1, device="cpu")
NODE = {"num_cpus": 2, "object_store_memory": 80 * 1024 * 1024}


@pytest.fixture(scope="module")
def cluster():
    """A head that trains nothing, and two nodes with a `trainer` each."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    for _ in range(2):
        made.add_node(**NODE, resources={"trainer": 1})
    yield made
    made.shutdown()


@pytest.fixture
def make_executor(cluster):
    """As `engine` makes one for this cluster; each Worker takes a trainer."""
    from sweep.run.executors.ray import RayExecutor

    return partial(RayExecutor, address=cluster.address, resources={"trainer": 1})


@pytest.fixture(params=["a shared folder", "folders of their own"])
def seen(request, monkeypatch):
    """Nodes that see the sweep's folder, and nodes that do not."""
    if request.param != "a shared folder":
        keep_apart(monkeypatch)


def keep_apart(monkeypatch):
    """Have no node see the sweep's folder, as where each has disks of its own."""
    from sweep.run.executors import ray
    from sweep.run.executors.relay import Token

    @contextmanager
    def unseen(workspace):
        yield Token(workspace.folder.absolute() / "nowhere", "unseen")

    monkeypatch.setattr(ray, "_token_in", unseen)


class TestRay(ExecutorContract):
    @pytest.fixture
    def executor(self, make_executor, tmp_path):
        with make_executor(Workspace(tmp_path), ONE_JOB) as made:
            yield made


class TestRayWithFoldersApart(ExecutorContract):
    @pytest.fixture
    def executor(self, make_executor, tmp_path, monkeypatch):
        keep_apart(monkeypatch)
        with make_executor(Workspace(tmp_path), ONE_JOB) as made:
            yield made


def raylet(node):
    return node.all_processes["raylet"][0].process.pid


def workers_below(pid):
    """The Workers among all processes below one."""
    parents = {int(path.name): parent_of(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()}
    found = []
    for process in parents:
        ancestor = process
        while ancestor not in (None, 0, pid):
            ancestor = parents.get(ancestor)
        if ancestor == pid and b"sweep.run.worker" in command_of(process):
            found.append(process)
    return found


def parent_of(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def node_that_trains(cluster):
    [node] = [node for node in cluster.worker_nodes if workers_below(raylet(node))]
    return node


@pytest.fixture
def long_job():
    [stage] = plan_sweep(SweepRequest(recipe="smoke", ratios="1", settings=("epochs=200",))).stages
    return stage_job(stage)


def test_a_node_lost_in_mid_stage_has_it_trained_elsewhere_from_its_last_checkpoint(
    cluster, make_executor, seen, long_job, tmp_path, wait_until
):
    prepare = PREPARE.model_copy(update={"workspace": str(tmp_path / "kept"), "checkpoint_every": 0.2})
    states = StageStates(Workspace(tmp_path / "kept").states / long_job.stage)
    with make_executor(Workspace(tmp_path), ONE_JOB) as executor:
        executor.prepare(prepare, StopRequest())
        executor.submit(long_job)
        wait_until(lambda: isinstance(executor.receive(0.1), Progressed) and states.steps())
        lost = node_that_trains(cluster)
        [worker] = workers_below(raylet(lost))
        cluster.remove_node(lost, allow_graceful=False)
        done, _ = answer(executor)
        assert (done.stage, done.outcome) == (long_job.stage, Outcome.CRASHED)
        assert "worker-1" in done.reason
        wait_until(lambda: not command_of(worker))
        executor.submit(long_job)
        done, _ = answer(executor)
        assert node_that_trains(cluster) is not lost
    cluster.add_node(**NODE, resources={"trainer": 1})
    assert done.outcome is Outcome.FINISHED
    assert done.measurement.resumed_at[0] > 0
    assert done.measurement.weights_sha256 == trained_alone(long_job).weights_sha256


def test_a_worker_that_is_killed_is_told_with_its_signal_and_replaced(cluster, make_executor, tmp_path):
    job = jobs_of()[0]
    with make_executor(Workspace(tmp_path), ONE_JOB) as executor:
        executor.prepare(PREPARE, StopRequest())
        [worker] = workers_below(raylet(node_that_trains(cluster)))
        os.kill(worker, signal.SIGSEGV)
        executor.submit(job)
        done, _ = answer(executor)
        assert (done.outcome, done.reason, done.log) == (Outcome.CRASHED, "crashed (SIGSEGV)", "logs/worker-1.log")
        executor.submit(job)
        assert answer(executor)[0].outcome is Outcome.FINISHED
        assert (tmp_path / done.log).is_file()


def test_leaving_ends_the_workers_even_one_that_is_stopped(cluster, make_executor, long_job, tmp_path, wait_until):
    with make_executor(Workspace(tmp_path), TWO_JOBS) as executor:
        executor.prepare(PREPARE, StopRequest())
        workers = [worker for node in cluster.worker_nodes for worker in workers_below(raylet(node))]
        assert len(workers) == 2
        executor.submit(long_job)
        os.kill(workers[0], signal.SIGSTOP)
    wait_until(lambda: not any(map(command_of, workers)))
    assert not list(tmp_path.glob(".seen-*"))


# Three lengths with a plateau in common: a forest of five Stages.
FOREST = SweepRequest(
    "smoke",
    "0.25,0.5,1.0",
    settings=("lr_scheduler=wsd", "lr_warmup_epochs=0", "min_shared_steps=1"),
    keep="models",
    device="cpu",
)


def hashes(history):
    return {result.entry.key: result.weights_sha256 for result in history.results}


def test_stages_that_follow_on_each_other_train_on_several_nodes_to_the_bits_of_one(make_executor, seen, tmp_path):
    alone = run_request(
        SweepRequest(**{**vars(FOREST), "results": tmp_path / "alone"}), make_executor=lambda *placed: InlineExecutor()
    )
    request = SweepRequest(**{**vars(FOREST), "results": tmp_path / "spread", "jobs": 2})
    spread = run_request(request, make_executor=make_executor)
    assert spread.is_complete
    assert hashes(spread.history) == hashes(alone.history)
    assert {record.log for record in spread.history.attempts} == {"logs/worker-1.log", "logs/worker-2.log"}
    kept = [sorted(path.name for path in run.workspace.folder.glob("weights/*")) for run in (alone, spread)]
    assert kept[0] == kept[1] != []
    assert not list(spread.workspace.folder.glob("states/*/*"))  # they have served, here too


def of_the_command(cluster, *arguments):
    return ("run", "smoke", "--executor", "ray", "--address", cluster.address, *arguments)


def test_the_command_line_trains_on_a_cluster_what_it_trains_here(cluster, sweep, smoke_results, tmp_path):
    arguments = ("--ratios", "0.5,1.0", "--jobs", "auto", "--resources", "trainer=1", "--results", tmp_path)
    done = sweep(*of_the_command(cluster, *arguments))
    assert (done.returncode, done.stderr.count("ray"), "98" in done.stdout or "97" in done.stdout) == (0, 0, True)
    here, there = (read_history(results / "smoke" / "journal.jsonl") for results in (smoke_results, tmp_path))
    assert hashes(there).items() <= hashes(here).items()
    assert len(hashes(there)) == 2
    assert there.last_start.jobs == 2


@contextmanager
def running(command, cluster, *arguments):
    process = subprocess.Popen(
        [command, *map(str, of_the_command(cluster, *arguments))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_a_sweep_that_is_killed_leaves_nothing_running_on_any_node(cluster, command, tmp_path, wait_until):
    endless = ("--ratios", "1", "--set", "epochs=5000", "--results", tmp_path)
    with running(command, cluster, *endless):
        nodes = [cluster.head_node, *cluster.worker_nodes]
        wait_until(lambda: any(workers_below(raylet(node)) for node in nodes))
        workers = [worker for node in nodes for worker in workers_below(raylet(node))]
    wait_until(lambda: not any(map(command_of, workers)))


def test_ctrl_c_stops_it_with_a_checkpoint_and_the_same_command_goes_on(cluster, command, tmp_path, wait_until):
    arguments = ("--ratios", "1", "--set", "epochs=100", "--checkpoint-every", "0.2", "--results", tmp_path)
    with running(command, cluster, *arguments) as process:
        wait_until(lambda: list(tmp_path.glob("smoke/states/*/*.state")))
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate()
        assert (process.returncode, "stopping after a checkpoint" in said) == (143, True)
    with running(command, cluster, *arguments) as process:
        process.communicate()
        assert process.returncode == 0
    [record] = list(read_history(tmp_path / "smoke" / "journal.jsonl").stages.values())
    assert record.measurement.resumed_at[0] > 0


# What it refuses, before anything trains


@pytest.mark.parametrize(
    ("jobs", "resources", "message"),
    [
        (3, {"trainer": 1}, r"^--jobs: 3 jobs of num_cpus=1, trainer=1, but the cluster has room for 2 \(its nodes: "),
        (1, {"trainer": 2}, "^--resources: no node of the cluster has num_cpus=1, trainer=2"),
        (1, {"num_gpus": 1}, "^--resources: no node of the cluster has num_cpus=1, num_gpus=1"),
    ],
)
def test_more_than_the_cluster_has_is_refused_with_what_it_has(make_executor, tmp_path, jobs, resources, message):
    executor = make_executor(Workspace(tmp_path), Placement(jobs, 1, "cpu"), resources=resources)
    with pytest.raises(UsageError, match=message) as refused, executor:
        pass
    assert "2 of CPU 2, trainer 1" in str(refused.value)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize(
    ("address", "kind", "message"),
    [
        ("nonsense", UsageError, "'nonsense' is no address of a Ray cluster"),
        ("ray://head:10001", UsageError, "not through Ray Client"),
        ("a..b:6379", MachineError, "nothing answers at a..b:6379"),
        ("127.0.0.1:{free_port}", MachineError, "nothing answers at 127.0.0.1"),
    ],
)
def test_no_cluster_at_the_address_is_told(address, kind, message, tmp_path):
    from sweep.run.executors.ray import RayExecutor

    address = address.format(free_port=free_port())
    with pytest.raises(kind, match=message), RayExecutor(Workspace(tmp_path), ONE_JOB, address=address):
        pass


def test_a_command_needs_a_folder_that_its_node_sees(make_executor, tmp_path, monkeypatch):
    keep_apart(monkeypatch)
    own = {"command": "true {epochs}", "epochs": 1}
    prepare = PREPARE.model_copy(update={"recipe": own, "workspace": str(tmp_path)})
    with (
        make_executor(Workspace(tmp_path), ONE_JOB) as executor,
        pytest.raises(MachineError, match="does not see this folder, and a command writes there"),
    ):
        executor.prepare(prepare, StopRequest())


def test_a_worker_that_rays_memory_monitor_has_ended_ran_out_of_memory():
    from ray.exceptions import OutOfMemoryError

    from sweep.run.executors.ray import _lost

    ended = _lost(OutOfMemoryError("Task was killed due to the node running low on memory.\n\tdetails"), "worker-3")
    assert ended.was_for_memory
    assert ended.reason == "out of memory (worker-3: Task was killed due to the node running low on memory.)"
