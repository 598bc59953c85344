"""Records and histories made by hand, as a sweep of 20 epochs of 10 steps and 640 examples would write them."""

from collections.abc import Iterable
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

from sweep.errors import Outcome
from sweep.recipe.duration import Ratio
from sweep.recipe.schema import Recipe
from sweep.store.history import History, read_history
from sweep.store.journal import append
from sweep.store.records import (
    Environment,
    Evaluations,
    Measurement,
    PilotRecord,
    Record,
    StageRecord,
    StartRecord,
    TrialEntry,
)

EPOCHS, STEPS_PER_EPOCH, EXAMPLES = 20, 10, 640
RECIPE = Recipe(model="small_cnn", dataset="digits", epochs=EPOCHS, batch_size=64)
ENVIRONMENT = Environment(
    sweep="0.1.0",
    python="3.11.7",
    torch="2.6.0",
    torchvision="0.21.0",
    numpy="2.0.0",
    platform="Linux",
    device_kind="cpu",
    device_name="Some CPU",
    threads=1,
)


def a_trial(ratio: str = "1.0", seed: int = 0, method: str = "epochs", **changes: Any) -> TrialEntry:
    """A trial of one Stage, of as many whole epochs as fit."""
    epochs = floor(EPOCHS * Ratio.parse(ratio).value)
    steps = epochs * STEPS_PER_EPOCH
    entry = TrialEntry(
        key=f"{RECIPE.fingerprint}-{method}-{steps}-{EXAMPLES}-{seed}",
        ratio=ratio,
        realised=str(Fraction(epochs, EPOCHS)),
        method=method,
        seed=seed,
        num_epochs=str(epochs),
        num_steps=steps,
        num_examples=EXAMPLES,
        stages=(f"{method}-{steps}-{seed}",),
    )
    return entry.model_copy(update=changes)


def a_start(trials: Iterable[TrialEntry], **changes: Any) -> StartRecord:
    start = StartRecord(
        started_at="2026-01-01T00:00:00.000+00:00",
        recipe_name="mine",
        recipe=RECIPE.model_dump(mode="json"),
        fingerprint=RECIPE.fingerprint,
        trials=tuple(trials),
        order_seed=7,
        price=None,
        environment=ENVIRONMENT,
    )
    return start.model_copy(update=changes)


def a_measurement(steps: int, accuracy: float, seconds: float, **changes: Any) -> Measurement:
    """`curve` gives the accuracy at further numbers of steps; `loss` is that of every evaluation."""
    curve = changes.pop("curve", {}) | {steps: accuracy}
    evaluations = Evaluations(
        steps=tuple(sorted(curve)),
        accuracy=tuple(curve[step] for step in sorted(curve)),
        loss=(changes.pop("loss", 0.25),) * len(curve),
    )
    measurement = Measurement(
        steps=steps,
        images=64 * steps,
        train_seconds=seconds,
        data_wait_seconds=seconds / 8,
        eval_seconds=seconds / 4,
        startup_seconds=0.5,
        contention=0.02,
        evaluations=evaluations,
        weights_sha256="ab" * 32,
    )
    return measurement.model_copy(update=changes)


def finished(trial: TrialEntry, accuracy: float = 0.9, seconds: float | None = None, **changes: Any) -> StageRecord:
    """The trial's Stage, finished; by default a step takes a quarter of a second."""
    attempt = changes.pop("attempt", 1)
    seconds = trial.num_steps / 4 if seconds is None else seconds
    return StageRecord(
        stage=trial.stages[-1],
        attempt=attempt,
        outcome=Outcome.FINISHED,
        measurement=a_measurement(trial.num_steps, accuracy, seconds, **changes),
        environment=ENVIRONMENT,
        log="logs/worker-1.log",
    )


def ended(
    trial: TrialEntry, outcome: Outcome = Outcome.CRASHED, reason: str = "crashed (SIGSEGV)", attempt: int = 1
) -> StageRecord:
    return StageRecord(stage=trial.stages[-1], attempt=attempt, outcome=outcome, reason=reason, environment=ENVIRONMENT)


def a_pilot(**changes: Any) -> PilotRecord:
    """A pilot of 400 steps, of 0.25 s each as it says, give or take 0.02 s."""
    pilot = PilotRecord(
        made_at="2026-01-01T00:00:00.000+00:00",
        fingerprint=RECIPE.fingerprint,
        workers=None,
        environment=ENVIRONMENT,
        num_steps=400,
        step=(0.23, 0.25, 0.27),
        evaluation=(1.0, 2.0, 3.0),
        stage=(0.25, 0.5, 1.0),
        worker=(4.0, 5.0, 6.0),
        spread=0.2,
        peak_bytes=3_200_000_000,
        total_bytes=16_000_000_000,
    )
    return pilot.model_copy(update=changes)


def write_journal(path: Path, *records: Record) -> Path:
    for record in records:
        append(path, record)
    return path


def make_history(path: Path, *records: Record) -> History:
    """What is read back from a journal of `records`."""
    return read_history(write_journal(path, *records))
