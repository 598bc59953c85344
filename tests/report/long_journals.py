"""Journals of sweeps that nobody trained: planned as `sweep run` plans them, with measurements drawn by a formula."""

import random
from collections.abc import Iterator
from pathlib import Path

from histories import ENVIRONMENT, a_start

from sweep.api import plan_sweep
from sweep.errors import Outcome
from sweep.plan.stages import Plan, Stage
from sweep.request import SweepRequest
from sweep.run.keep import Keep
from sweep.run.ledger import Ledger
from sweep.store.history import History
from sweep.store.journal import line_of
from sweep.store.records import Evaluations, Measurement, StageRecord, StartRecord
from sweep.store.workspace import Workspace

# Each trial alone, or a plateau that all of a seed share: the longest way is then as many Stages as there are ratios.
ALONE = ("fashion_mnist", ("lr_scheduler=cosineannealinglr",), False)
SHARED = ("fashion_mnist_wsd", (), True)
# An evaluation an epoch: a hundred a trial, on average over ratios from 0 to 1.
_SETTINGS = ("method=steps", "lr_warmup_epochs=0", "epochs=200")


def write_long_journal(
    workspace: Workspace, num_ratios: int, num_seeds: int, kind: tuple[str, tuple[str, ...], bool] = ALONE
) -> Path:
    """The journal of as many ratios up to 1, equally far apart, with so many seeds each; all have finished."""
    recipe, settings, share = kind
    ratios = ",".join(f"{place}/{num_ratios}" for place in range(1, num_ratios + 1))
    asked = SweepRequest(recipe, ratios, seeds=num_seeds, settings=(*_SETTINGS, *settings), share=share)
    plan = plan_sweep(asked)
    workspace.folder.mkdir(parents=True)
    # Not by `append`: it waits for the disk after every line.
    with workspace.journal.open("wb") as journal:
        journal.writelines(line_of(record) + b"\n" for record in _records(workspace, plan))
    return workspace.journal


def _records(workspace: Workspace, plan: Plan) -> Iterator[StartRecord | StageRecord]:
    ledger = Ledger(workspace, History((), {}, ()), plan, Keep.NONE, lambda event: None)
    recipe = plan.loaded.recipe
    yield a_start(
        ledger.entries,
        recipe_name=plan.loaded.name,
        recipe=recipe.model_dump(mode="json"),
        fingerprint=recipe.fingerprint,
        price=1.5,
    )
    draw = random.Random(0)
    for stage in plan.stages:
        yield StageRecord(
            stage=stage.id,
            attempt=1,
            outcome=Outcome.FINISHED,
            measurement=_measurement(stage, draw),
            environment=ENVIRONMENT,
            log="logs/worker-1.log",
        )


def _measurement(stage: Stage, draw: random.Random) -> Measurement:
    seconds = stage.num_steps / 500 * draw.uniform(1.0, 1.05)
    return Measurement(
        steps=stage.num_steps,
        images=128 * stage.num_steps,
        train_seconds=seconds,
        data_wait_seconds=seconds / 40,
        eval_seconds=0.5 * len(stage.eval_steps),
        startup_seconds=0.2,
        contention=0.02,
        evaluations=Evaluations(
            steps=stage.eval_steps,
            accuracy=tuple(_accuracy(step, draw) for step in stage.eval_steps),
            loss=tuple(0.2 + draw.random() / 10 for _ in stage.eval_steps),
        ),
        weights_sha256=f"{draw.getrandbits(256):064x}" if stage.ends else None,
        checkpoint_seconds=0.01,
    )


def _accuracy(step: int, draw: random.Random) -> float:
    """0.93 in the end, of 10,000 images."""
    return round(0.93 - 3 / (step + 10) + draw.gauss(0, 0.002), 4)
