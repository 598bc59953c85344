"""A sweep of which one trial finished elsewhere, one crashed and one is missing; and names that mean harm."""

from histories import ENVIRONMENT, a_start, a_trial, ended, finished

from sweep.store.records import StageRecord, StartRecord

HALF, WHOLE, TWICE = a_trial("0.5"), a_trial("1.0"), a_trial("2.0")
HOSTILE = [
    "x[/y]",
    "\x1b[31mred",
    "=cmd()",
    "+1",
    "-1",
    "@x",
    "\t=cmd",
    "\n=cmd",
    "a|b",
    "a\nb\r\nc",
    "a,b",
    '"a',
    "\u202ea",
]
MEASURED = (
    *("train_seconds", "eval_seconds", "data_wait_seconds", "images_per_second", "accuracy", "loss"),
    *("truncated_accuracy", "dollars", "joules", "weights_sha256", "other_set_up"),
)


def mixed_records() -> list[StartRecord | StageRecord]:
    """Ratio 1.0 finished on another set-up than the first run's."""
    done = finished(WHOLE, 1 / 3, 1 / 7, loss=None)
    elsewhere = done.model_copy(update={"environment": ENVIRONMENT.model_copy(update={"threads": 2, "torch": "2.7.0"})})
    return [a_start([HALF, WHOLE, TWICE]), elsewhere, ended(HALF)]
