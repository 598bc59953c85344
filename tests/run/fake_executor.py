"""An executor that answers from a table, and sweeps that it trains."""

from collections import deque
from pathlib import Path

from sweep.api import run_request
from sweep.errors import MachineError, Outcome
from sweep.request import SweepRequest
from sweep.run.messages import Orphaned, Probed, StageDone
from sweep.store.records import Environment, Evaluations, Measurement
from sweep.store.states import Origin, StageStates
from sweep.store.workspace import Workspace

ENVIRONMENT = Environment(
    sweep="0.1.0",
    python="3.11",
    torch="2.6",
    torchvision="0.21",
    numpy="2",
    platform="x",
    device_kind="cpu",
    device_name="a cpu",
    threads=1,
)


def measured(job):
    return Measurement(
        steps=job.stop_step - job.start_step,
        images=100,
        train_seconds=2.0,
        data_wait_seconds=0.5,
        eval_seconds=0.1,
        startup_seconds=0.1,
        contention=None,
        evaluations=Evaluations(
            steps=job.eval_steps, accuracy=(0.5,) * len(job.eval_steps), loss=(1.0,) * len(job.eval_steps)
        ),
        weights_sha256="0" * 64,
    )


class FakeExecutor:
    """Finishes every Stage, but for those, by their end and seed, that are told to end otherwise: one after the other,
    or all that were submitted together. Keeps states as it is asked to; `loses` are the ends of Stages whose state is
    lost as often as this says."""

    def __init__(
        self,
        capacity=1,
        endings=None,
        environment=ENVIRONMENT,
        on_receive=lambda: None,
        loses=None,
        probes=lambda num_workers: [Probed(step_seconds=1.0)] * num_workers,
        answers_together=False,
    ):
        self.capacity = capacity
        self.endings = endings or {}
        self.environment = environment
        self.on_receive = on_receive
        self.loses = loses or {}
        self.probes = probes
        self.answers_together = answers_together
        self.submitted = []
        self.prepared = []
        self.most_at_once = 0
        self.waiting = deque()
        self.was_asked_to_stop = False
        self.is_open = False

    def __enter__(self):
        self.is_open = True
        return self

    def __exit__(self, *error):
        self.is_open = False

    def prepare(self, job, stop):
        self.prepared.append(job)
        self.states = Workspace(Path(job.workspace)).states
        if isinstance(self.environment, MachineError):
            raise self.environment
        return self.environment

    def probe(self, job, num_workers, stop):
        return self.probes(num_workers)

    def keep(self, num_workers):
        self.capacity = num_workers

    def submit(self, job):
        self.submitted.append(job)
        self.waiting.append(job)
        self.most_at_once = max(self.most_at_once, len(self.waiting))

    def stop(self):
        self.was_asked_to_stop = True

    def receive(self, timeout_seconds):
        if timeout_seconds == 0 and not self.answers_together:
            return None
        self.on_receive()
        if not self.waiting:
            return None
        job = self.waiting.popleft()
        if job.parent is not None and job.start_step not in StageStates(self.states / job.parent).steps():
            return Orphaned(stage=job.stage, reason="missing")
        ending = self.endings.get((job.stop_step, job.seed), Outcome.FINISHED)
        if isinstance(ending, list):  # of each attempt
            ending = ending.pop(0)
        if ending is Outcome.INTERRUPTED and self.waiting and not self.was_asked_to_stop:
            self.waiting.append(job)  # it trains on
            return None
        if ending is Outcome.FINISHED:
            self.keep_states(job)
            return StageDone(stage=job.stage, outcome=ending, measurement=measured(job), environment=self.environment)
        return StageDone(stage=job.stage, outcome=ending, reason=f"{ending.value} for a test")

    def keep_states(self, job):
        if self.loses.get(job.stop_step, 0) > 0:
            self.loses[job.stop_step] -= 1
            return
        fields = ("stage", "ratio", "seed", "start_step", "stop_step", "is_end")
        origin = Origin(method=job.recipe["method"], **{field: getattr(job, field) for field in fields})
        for step in job.kept_steps:
            StageStates(self.states / job.stage).write(step, b"a state", origin, job.kept_steps)


def run(tmp_path, executor, tell=lambda event: None, **request):
    asked = SweepRequest(**{"recipe": "smoke", "results": tmp_path, **request})
    return run_request(asked, tell, make_executor=lambda *placed: executor)


def lengths_and_seeds(executor):
    return [(job.stop_step, job.seed) for job in executor.submitted]


def spans(executor):
    return [(job.start_step, job.stop_step) for job in executor.submitted]


def begin(tmp_path, plan, *numbers):
    """As Workers do that are killed with the sweep."""
    workspace = Workspace(tmp_path / "smoke")
    for number in numbers:
        stage = plan.stages[number]
        StageStates(workspace.states / stage.id).write(5, b"a state", origin_of(stage))


def origin_of(stage):
    """Whose a state is, as a Worker writes it down."""
    return Origin(
        stage=stage.id,
        method=stage.trial.timeline.recipe.method,
        ratio=stage.trial.timeline.lengths.ratio.text,
        seed=stage.trial.seed,
        start_step=stage.start_step,
        stop_step=stage.stop_step,
        is_end=bool(stage.ends),
    )
