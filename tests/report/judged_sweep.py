"""A sweep that is judged by something else than accuracy, by hand: four lengths of three seeds.

Its metric is 1.2 + 0.25 x ratio ^ -0.6, with a little noise by seed, or what `quality` says of a ratio.
"""

from collections.abc import Callable

from histories import a_start, a_trial, finished

from sweep.store.records import StageRecord, StartRecord

TRIALS = [a_trial(ratio, seed) for ratio in ("0.25", "0.5", "1.0", "2.0") for seed in range(3)]
_UNKNOWN = dict.fromkeys(("images", "data_wait_seconds", "eval_seconds", "startup_seconds"))
Quality = Callable[[float], float]


def falling(ratio: float) -> float:
    """A loss."""
    return 1.2 + 0.25 * ratio**-0.6


def judged_records(
    metric: str = "val_loss", mode: str = "min", quality: Quality = falling, command: str | None = None
) -> list[StartRecord | StageRecord]:
    """A start and a finished Stage for each trial. The baseline was evaluated on its way, unless a command trained it;
    then nobody knows more than its seconds, by the wall's clock."""
    start = a_start(TRIALS)
    own = {"model": None, "dataset": None, "command": command} if command is not None else {}
    recipe = start.recipe | {"metric": metric, "mode": mode} | own
    records = [_record(trial.num_steps, metric, quality, trial.seed, command is not None) for trial in TRIALS]
    stages = [
        record.model_copy(update={"stage": trial.stages[0]}) for trial, record in zip(TRIALS, records, strict=True)
    ]
    return [start.model_copy(update={"recipe": recipe}), *stages]


def _record(steps: int, metric: str, quality: Quality, seed: int, is_of_a_command: bool) -> StageRecord:
    on_the_way = {50: 0.5, 100: 0.5} if steps == 200 and not is_of_a_command else {}
    record = finished(a_trial("1.0"), 0.5, 0.5 * steps).model_copy(update={"attempt": 1})
    measured = finished(a_trial(f"{steps / 200}"), 0.5, 0.5 * steps, curve=on_the_way).measurement
    assert measured is not None
    away = 0.002 * (seed - 1) + 0.001 * ((7 * seed + steps // 50) % 5)
    column = tuple(quality(step / 200) + away for step in sorted({*on_the_way, steps}))
    evaluations = measured.evaluations.model_copy(update={"accuracy": (), "metrics": {metric: column}})
    more = _UNKNOWN | {"train_seconds_source": "wall"} if is_of_a_command else {}
    return record.model_copy(update={"measurement": measured.model_copy(update={"evaluations": evaluations, **more})})
