"""What a sweep makes of the jobs that it has handed to a cluster: adopted, missed, late, refused, stopped."""

import pytest
from fake_cluster import FakeCluster
from fake_executor import ENVIRONMENT, measured

from sweep.api import plan_sweep, run_request
from sweep.errors import Interrupted, MachineError, Outcome, Problem, RecipeError
from sweep.events import Noticed, Progress
from sweep.request import SweepRequest
from sweep.run.executors.cluster import After
from sweep.run.executors.slurm import SlurmExecutor
from sweep.run.ledger import stage_job
from sweep.run.left import leave
from sweep.run.messages import Noted, Prepared, Progressed, StageDone
from sweep.run.placement import Placement
from sweep.run.stop import StopRequest
from sweep.store.clearing import find_states, remove_states
from sweep.store.history import read_history
from sweep.store.journal import append
from sweep.store.merge import merge_sweeps
from sweep.store.queue import Outbox, Queue, Slip
from sweep.store.records import PrepareJob, StageRecord
from sweep.store.states import StageStates
from sweep.store.workspace import Workspace

PREPARED = Prepared(environment=ENVIRONMENT)
PLAN = plan_sweep(SweepRequest(recipe="smoke", ratios="1/8"))
PREPARE = PrepareJob(recipe=PLAN.loaded.recipe.model_dump(mode="json"), device="cpu", threads=1)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "smoke")


@pytest.fixture
def cluster(workspace):
    return FakeCluster(workspace, PREPARED)


@pytest.fixture
def job():
    return stage_job(PLAN.stages[0])


def prepared(workspace, cluster, **options):
    executor = SlurmExecutor(workspace, Placement(jobs=4, threads=1), None, cluster, **options)
    executor.prepare(PREPARE, StopRequest())
    return executor


def done(job, outcome=Outcome.FINISHED, **more):
    measurement = measured(job) if outcome is Outcome.FINISHED else None
    return StageDone(stage=job.stage, outcome=outcome, measurement=measurement, **more)


def record(workspace, job, attempt, outcome):
    workspace.folder.mkdir(exist_ok=True)
    append(workspace.journal, StageRecord(stage=job.stage, attempt=attempt, outcome=outcome))


def job_of(cluster, job):
    """The newest one that was submitted for a Stage."""
    return [id for id, (errand, _) in cluster.submitted.items() if errand.name == job.stage][-1]


def num_submitted(cluster, job):
    return sum(errand.name == job.stage for errand, _ in cluster.submitted.values())


def test_what_is_handed_out_is_written_down_before_it_is_submitted(workspace, cluster, job):
    seen = []
    submit = cluster.submit
    cluster.submit = lambda errand, after: seen.append(Queue.of(workspace).ticket(errand.name)) or submit(errand, after)
    prepared(workspace, cluster).submit(job)
    [_, ticket] = seen
    assert (ticket.slip, ticket.job_id) == (Slip(job.stage, 1), None)
    assert Queue.of(workspace).ticket(job.stage).job_id == job_of(cluster, job)
    assert Queue.of(workspace).job(ticket.slip).work == job


def test_what_a_job_said_is_passed_on_and_its_answer_stays_until_it_is_in_the_journal(workspace, cluster, job):
    executor = prepared(workspace, cluster)
    executor.submit(job)
    assert executor.receive(0) is None
    progressed = Progressed(progress=Progress(job.stage, 3, 0.5, None, None, 100.0))
    cluster.begins(job_of(cluster, job), progressed)
    assert executor.receive(0) == progressed
    assert executor.receive(0) is None
    noted = Noted(stage=job.stage, text="something")
    cluster.leaves(job_of(cluster, job), noted, done(job))
    assert [executor.receive(0) for _ in range(3)] == [noted, done(job), None]
    assert Outbox.of(workspace).answered() == [Slip(job.stage, 1)]
    assert Queue.of(workspace).tickets() == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Prepared(problems=(Problem("no such disk"),)), MachineError),
        (Prepared(mistakes=(Problem("no such model"),)), RecipeError),
    ],
)
def test_what_a_first_job_finds_wrong_is_raised(workspace, answer, error):
    with pytest.raises(error, match="no such"):
        prepared(workspace, FakeCluster(workspace, answer))


def test_a_first_job_that_leaves_nothing_did_not_see_the_results_folder(workspace):
    with pytest.raises(MachineError, match="need what --slurm asks for, this folder") as refused:
        prepared(workspace, FakeCluster(workspace))
    assert str(workspace.folder) in str(refused.value)
    assert "COMPLETED" in str(refused.value)


def test_ctrl_c_is_heard_while_a_first_job_waits_for_its_turn(workspace, cluster):
    stop = StopRequest()
    stop.signal_number = 2
    with SlurmExecutor(workspace, Placement(jobs=1, threads=1), None, cluster) as executor:
        cluster.answer_first = None
        cluster.ended = lambda jobs: {}
        with pytest.raises(Interrupted):
            executor.prepare(PREPARE, stop)
    assert cluster.cancelled == list(cluster.submitted)


# Who comes back


def test_a_job_that_runs_is_adopted_and_not_submitted_again(workspace, cluster, job):
    prepared(workspace, cluster).submit(job)
    again = prepared(workspace, cluster)
    again.submit(job)
    assert num_submitted(cluster, job) == 1
    cluster.leaves(job_of(cluster, job), done(job))
    assert again.receive(0) == done(job)


def test_one_whose_id_was_not_written_down_in_time_is_adopted_where_it_has_begun_and_else_replaced(
    workspace, cluster, job
):
    prepared(workspace, cluster).submit(job)
    queue, first = Queue.of(workspace), job_of(cluster, job)
    forgotten = queue.ticket(job.stage).model_copy(update={"job_id": None})
    queue.note(forgotten)
    prepared(workspace, cluster).submit(job)
    assert num_submitted(cluster, job) == 2  # the first one leaves when it begins: the ticket names another job
    cluster.begins(first)
    queue.note(forgotten)
    prepared(workspace, cluster).submit(job)
    assert num_submitted(cluster, job) == 2
    assert queue.ticket(job.stage).job_id == first


def test_one_that_was_lost_meanwhile_has_crashed_and_one_that_never_began_is_submitted_again(workspace, cluster, job):
    prepared(workspace, cluster).submit(job)
    cluster.ends[job_of(cluster, job)] = "CANCELLED"  # what it followed on has failed
    again = prepared(workspace, cluster)
    again.submit(job)
    assert num_submitted(cluster, job) == 2
    cluster.begins(job_of(cluster, job))
    cluster.ends[job_of(cluster, job)] = "NODE_FAIL"
    once_more = prepared(workspace, cluster)
    once_more.submit(job)
    answer = once_more.receive(0)
    assert (answer.outcome, answer.reason) == (
        Outcome.CRASHED,
        f"its job {job_of(cluster, job)} ended without an answer (NODE_FAIL)",
    )
    once_more.submit(job)
    assert cluster.submitted[job_of(cluster, job)][0].attempt == 2


def test_a_job_ended_for_its_memory_ran_out_of_it(workspace, cluster, job):
    executor = prepared(workspace, cluster)
    executor.submit(job)
    cluster.begins(job_of(cluster, job))
    cluster.ends[job_of(cluster, job)] = "OUT_OF_MEMORY"
    assert executor.receive(0).outcome is Outcome.OUT_OF_MEMORY


def test_one_that_still_stops_is_waited_for_by_the_one_that_follows(workspace, cluster, job):
    with prepared(workspace, cluster) as executor:
        executor.submit(job)
        cluster.begins(job_of(cluster, job))
        executor.stop()
    stopped = job_of(cluster, job)
    assert cluster.cancelled == [stopped]
    record(workspace, job, 1, Outcome.INTERRUPTED)
    again = prepared(workspace, cluster)
    again.submit(job)
    errand, after = cluster.submitted[job_of(cluster, job)]
    assert (errand.attempt, after) == (2, After(ended=(stopped,)))
    cluster.leaves(stopped, done(job, Outcome.INTERRUPTED, reason="interrupted; goes on at step 3"))
    assert again.receive(0) is None  # that was the attempt before


def test_a_stage_waits_for_the_job_of_its_parent(workspace, cluster, job):
    parent = job.model_copy(update={"stage": "0" * 16})
    executor = prepared(workspace, cluster)
    executor.submit(parent)
    executor.submit(job.model_copy(update={"parent": parent.stage}))
    assert cluster.submitted[job_of(cluster, job)][1] == After(good=(job_of(cluster, parent),))


def test_what_is_left_alone_is_not_cancelled_unless_it_was_an_error_that_ended_the_sweep(workspace, cluster, job):
    with prepared(workspace, cluster, detach=True) as executor:
        executor.submit(job)
    assert cluster.cancelled == []
    executor = prepared(workspace, cluster, detach=True)
    executor.submit(job)
    executor.__exit__(MachineError, MachineError("the disk is full"), None)
    assert cluster.cancelled == [job_of(cluster, job)]


def test_a_pending_job_that_was_cancelled_is_interrupted_at_once(workspace, cluster, job):
    executor = prepared(workspace, cluster)
    cluster.seconds_to_appear = 1e9
    executor.submit(job)
    executor.stop()
    cluster.ends[job_of(cluster, job)] = "CANCELLED"
    assert executor.receive(0).outcome is Outcome.INTERRUPTED


def test_a_damaged_answer_is_a_crash(workspace, cluster, job):
    executor = prepared(workspace, cluster)
    executor.submit(job)
    damage(workspace, cluster, job)
    assert executor.receive(0).reason == "its answer is damaged"


def damage(workspace, cluster, job):
    cluster.leaves(job_of(cluster, job), done(job))
    [path] = workspace.outbox.glob("*.answer")
    path.write_bytes(path.read_bytes().replace(b'"train_seconds":2.0', b'"train_seconds":1.0'))


def test_an_attempt_that_was_given_up_and_finishes_all_the_same_is_used_once(workspace, cluster, job):
    executor = prepared(workspace, cluster)
    executor.submit(job)
    first = job_of(cluster, job)
    cluster.begins(first)
    cluster.ends[first] = "NODE_FAIL"
    assert executor.receive(0).outcome is Outcome.CRASHED
    record(workspace, job, 1, Outcome.CRASHED)
    executor.submit(job)
    second = job_of(cluster, job)
    cluster.leaves(first, done(job))
    assert executor.receive(0) == done(job)
    assert cluster.cancelled == [second]
    cluster.leaves(second, done(job))
    assert executor.receive(0) is None


def test_a_cluster_that_takes_no_more_jobs_is_an_error_and_leaves_no_ticket(workspace, cluster, job):
    executor = prepared(workspace, cluster)
    cluster.refuses = "QOSMaxSubmitJobPerUserLimit"
    with pytest.raises(MachineError, match="QOSMax"):
        executor.submit(job)
    assert Queue.of(workspace).tickets() == []


# Whole sweeps


def run(tmp_path, cluster, tell=lambda event: None, **asked):
    given = {"recipe": "smoke", "ratios": "0.5,1.0", "results": tmp_path, "executor": "slurm", "slurm": "time=10"}
    request = SweepRequest(**given | asked)

    def make(workspace, placement, stall_timeout):
        return SlurmExecutor(workspace, placement, stall_timeout, cluster, request.detach)

    return run_request(request, tell, make)


def test_what_was_left_to_the_cluster_is_collected_by_whoever_comes_back(tmp_path, workspace, cluster):
    told = []
    left = run(tmp_path, cluster, told.append, detach=True)
    assert (left.num_finished, len(cluster.submitted)) == (0, 3)
    assert any("2 stages are left to the cluster" in event.text for event in told if isinstance(event, Noticed))
    for job_id in list(cluster.submitted)[1:]:
        work = Queue.of(workspace).job(cluster.slip(job_id)).work
        cluster.leaves(job_id, done(work, environment=ENVIRONMENT))
    done_now = run(tmp_path, cluster, told.append)
    assert done_now.is_complete
    assert len(cluster.submitted) == 3
    assert "2 stages ended meanwhile, as jobs of a cluster" in [e.text for e in told if isinstance(e, Noticed)]
    assert [list(folder.iterdir()) for folder in (workspace.queue, workspace.outbox)] == [[], []]


def test_jobs_that_are_out_keep_others_from_training_cleaning_and_setting_aside(tmp_path, workspace, cluster):
    run(tmp_path, cluster, detach=True)
    for asked in ({"executor": "local", "slurm": None}, {"fresh": True}):
        with pytest.raises(MachineError, match="jobs of a cluster train here"):
            run(tmp_path, cluster, **asked)
    StageStates(workspace.states / ("0" * 16)).begin()
    with pytest.raises(MachineError, match="jobs of a cluster train here"):
        remove_states(find_states(tmp_path, "smoke"), lambda left: None)
    run(tmp_path, FakeCluster(Workspace(tmp_path / "other"), PREPARED), name="other", detach=True)
    with pytest.raises(MachineError, match="jobs of a cluster train here"):
        merge_sweeps(tmp_path, ["smoke", "other"], "both")
    for job_id in list(cluster.submitted)[1:]:
        work = Queue.of(workspace).job(cluster.slip(job_id)).work
        cluster.leaves(job_id, done(work, environment=ENVIRONMENT))
        Queue.of(workspace).remove(work.stage)
    with pytest.raises(MachineError, match=r"smoke: jobs of a cluster have left answers here"):
        merge_sweeps(tmp_path, ["smoke", "other"], "both")


def test_a_first_job_that_was_given_up_is_no_stage(tmp_path, workspace, cluster):
    Outbox.of(workspace).folder.mkdir(parents=True)
    interrupted = StageDone(stage="~prepare", outcome=Outcome.INTERRUPTED, reason="interrupted")
    leave(Outbox.of(workspace), Slip("~prepare", 1), [interrupted])
    run(tmp_path, cluster, detach=True)
    assert "~prepare" not in workspace.journal.read_text()


def test_nodes_that_are_lost_do_not_end_the_sweep(tmp_path, workspace, cluster):
    lost = 0

    def ended(jobs):
        nonlocal lost
        for job_id in jobs:
            if job_id in cluster.ends:
                continue
            work = Queue.of(workspace).job(cluster.slip(job_id)).work
            cluster.ends[job_id] = "NODE_FAIL" if lost < 4 else "COMPLETED"
            if lost >= 4:
                cluster.leaves(job_id, done(work, environment=ENVIRONMENT))
            lost += 1
        return {job_id: cluster.ends[job_id] for job_id in jobs if job_id in cluster.ends}

    cluster.ended = ended
    assert run(tmp_path, cluster, ratios="0.25,0.5,0.75,1.0", jobs=4).is_complete


def test_an_answer_that_is_delivered_twice_is_counted_once_and_a_damaged_one_is_told(tmp_path, workspace, cluster):
    run(tmp_path, cluster, detach=True)
    first, second = list(cluster.submitted)[1:]
    works = {job_id: Queue.of(workspace).job(cluster.slip(job_id)).work for job_id in (first, second)}
    damage(workspace, cluster, works[first])
    cluster.leaves(second, done(works[second], environment=ENVIRONMENT))
    told = []
    run(tmp_path, cluster, told.append, detach=True)
    assert any("damaged" in event.text for event in told if isinstance(event, Noticed))
    cluster.leaves(second, done(works[second], environment=ENVIRONMENT))
    cluster.leaves(first, done(works[first], environment=ENVIRONMENT))
    assert run(tmp_path, cluster).is_complete
    history = read_history(workspace.journal)
    assert sorted((record.stage, record.attempt) for record in history.attempts) == sorted(
        (work.stage, 1) for work in works.values()
    )
