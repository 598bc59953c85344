"""The report as TensorBoard event files: a run for each trial, with what it reached on its way and what it cost.

The points of a run have the training seconds of a trial as their wall time, so that TensorBoard's "relative" axis is
the cost. Beside them each run is an entry of the HParams tab: its ratio and seed, its quality and its seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import directory_check
from tensorboardX.summary import hparams, scalar

from sweep.errors import MachineError, Outcome, Problem, SweepError, UsageError
from sweep.printable import one_line
from sweep.report.approximation import is_approximate
from sweep.report.findings import Findings
from sweep.store.records import TrialEntry

# What a folder may be called everywhere.
_OTHER_CHARACTERS = re.compile(r"[^A-Za-z0-9_.=-]+")


def check_folder(folder: Path) -> None:
    """Pass in silence where event files can go: TensorBoard would draw those of before into the same curves.

    Raises:
        UsageError: there are files in it, or it is none.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        message = f"{folder} is there already, and would be drawn into the same curves"
        raise UsageError(Problem(message, where="--tensorboard", fix="name a folder that is not there"))


def write_events(findings: Findings, folder: Path) -> None:
    """Write a run for each trial that has finished.

    Raises:
        SweepError: none has.
        MachineError: the folder cannot be written.
    """
    entries = {_key(entry): entry for entry in findings.history.trials} if findings.history is not None else {}
    finished = findings.frame[findings.frame["outcome"] == Outcome.FINISHED]
    if finished.empty:
        raise SweepError(Problem("no trial has finished: there is nothing to write", where="--tensorboard"))
    try:
        for place, row in enumerate(finished.to_dict("records")):
            entry = entries.get((row["method"], row["ratio_text"], row["seed"]))
            points = list(_points(findings, entry)) if entry else []
            _write_run(folder / _run_name(row, place), row, one_line(findings.metric.name), points)
    except OSError as error:
        raise MachineError(Problem(error.strerror or str(error), where=str(folder))) from None


def _key(entry: TrialEntry) -> tuple[str, str, int]:
    return entry.method, entry.ratio, entry.seed


def _run_name(row: dict[Any, Any], place: int) -> str:
    """Its own folder for each: repetitions without seeds are told apart by their place."""
    method = [row["method"], *(["approximate"] if is_approximate(str(row["method"])) else [])]
    parts = [row["recipe"], *method, f"ratio={row['ratio_text']}"]
    seed = f"trial={place}" if pd.isna(row["seed"]) else f"seed={row['seed']:.0f}"
    return "-".join(_OTHER_CHARACTERS.sub("_", str(part)).lstrip(".") for part in [*parts, seed] if part)


def _points(findings: Findings, entry: TrialEntry) -> Iterator[tuple[int, dict[str, float]]]:
    """Steps done, and what each evaluation has measured by its name."""
    if findings.history is None:
        return
    for part in findings.history.evaluations(entry):
        columns = {name: part.column(name) for name in ("accuracy", "loss", *part.metrics)}
        for row, step in enumerate(part.steps):
            values = {one_line(name): column[row] for name, column in columns.items()}
            yield step, {name: value for name, value in values.items() if value is not None}


def _write_run(folder: Path, row: dict[Any, Any], metric: str, points: list[tuple[int, dict[str, float]]]) -> None:
    seconds, last = float(row["train_seconds"]), points[-1][0] if points else 0
    seed = "" if pd.isna(row["seed"]) else f"{row['seed']:.0f}"
    chosen = {"recipe": str(row["recipe"]), "ratio": float(row["ratio"]), "seed": seed}
    measured = {f"final/{metric}": float(row["quality"]), "final/train_seconds": seconds}
    directory_check(str(folder))
    # Not its SummaryWriter, whose thread cannot tell of a full disk.
    with closing(EventsWriter(str(folder / "events"))) as writer:
        for step, values in points:
            at = seconds * step / last if last else 0.0
            _write_scalars(writer, values, step, at)
        for summary in hparams(chosen, measured):
            writer.write_event(Event(summary=summary, wall_time=seconds))
        _write_scalars(writer, measured, last, seconds)


def _write_scalars(writer: EventsWriter, values: dict[str, float], step: int, wall_time: float) -> None:
    for name, value in values.items():
        writer.write_event(Event(summary=scalar(name, value), step=step, wall_time=wall_time))
