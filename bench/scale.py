"""How what a sweep costs beside training grows with its trials: `python bench/scale.py`, or `make bench`.

Sweeps of 10, 100, 1,000 and 10,000 trials of a hundred evaluations each (on average) are planned, run by an executor
that answers at once (see phases.py), read back from their journals and reported, every phase in a process of its own.
An exponent is the slope of the line through the logarithms of the median seconds, or of the median peak memory; the
smallest sweep is taken off first, so that the start of a process hides no growth.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated

import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "report"))

from measured_processes import MeasuredProcess, run_measured
from measuring import Seconds, growth_exponent, median_of
from phases import NUM_WORKERS, Shape

from results import Row, report
from sweep.store.durable import append_lines

PHASES_FILE = Path(__file__).with_name("phases.py")
SWEEP = Path(sys.executable).with_name("sweep")
SIZES = ((10, 1), (20, 5), (50, 20), (100, 100))  # ratios, seeds
NUM_TRIALS = tuple(num_ratios * num_seeds for num_ratios, num_seeds in SIZES)
KINDS = {Shape.ALONE: "each alone", Shape.SHARED: "a plateau shared"}
PHASES = {"plan": "planned", "dispatch": "run without training", "replay": "journal read", "report": "reported"}
WANTED_SECONDS, WANTED_STAGES_A_SECOND, WANTED_MEGABYTES, WANTED_EXPONENT = 10, 1000, 1000, 1.1

# By the phase and what was measured of it: in each round a value for each size.
Measured = dict[tuple[str, str], list[list[float]]]


def main(
    rounds: Annotated[int, typer.Option(help="How often each sweep is planned, run, read and reported.")] = 5,
) -> None:
    """Measure sweeps of both shapes, and put the table on the page."""
    rows: list[Row] = []
    sync_seconds: list[float] = []
    for shape in Shape:
        measured: Measured = defaultdict(list)
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                sync_seconds.append(seconds_to_sync(Path(folder)))
                add_round(measured, shape, Path(folder))
        rows += [*bounds(shape, measured), *exponents(shape, measured)]
    report("scale", rows, notes(rounds, median(sync_seconds)))


def add_round(measured: Measured, shape: Shape, folder: Path) -> None:
    """One sweep of every size; the largest one is reported as CSV and JSON too."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for size in SIZES:
        results = folder / "-".join(map(str, size))
        for phase in ("plan", "dispatch", "replay"):
            done = run(sys.executable, PHASES_FILE, phase, shape, *size, results)
            for name, value in {**json.loads(done.stdout), "megabytes": done.peak_bytes / 1e6}.items():
                found[phase, name].append(value)
        for output in ("table", "csv", "json") if size == SIZES[-1] else ("table",):
            done = run(SWEEP, "report", "digits", "--results", results, "--format", output)
            phase = "report" if output == "table" else output
            found[phase, "seconds"].append(done.seconds)
            found[phase, "megabytes"].append(done.peak_bytes / 1e6)
    heard = json.loads(run(sys.executable, PHASES_FILE, "hear", shape, *SIZES[0], folder).stdout)
    found["hear", "seconds"].append(heard["seconds"])
    for key, values in found.items():
        measured[key].append(values)


def run(*command: object) -> MeasuredProcess:
    done = run_measured(*command)
    if done.returncode:
        sys.exit(done.stderr)
    return done


def seconds_to_sync(folder: Path) -> float:
    """The median time of appending a line to a file and having it on the disk."""
    times = []
    for _ in range(20):
        start = perf_counter()
        append_lines(folder / "lines", b"a line")
        times.append(perf_counter() - start)
    return median(times)


def bounds(shape: Shape, measured: Measured) -> Iterator[Row]:
    """What the largest sweep takes."""
    largest = {key: np.array([values[-1] for values in rounds]) for key, rounds in measured.items()}
    against = f"{NUM_TRIALS[-1]:,} trials, {KINDS[shape]}"
    yield limited("planned", against, largest["plan", "seconds"], "s", WANTED_SECONDS)
    rate = median_of(largest["dispatch", "stages"] / largest["dispatch", "dispatch_seconds"])
    verdict = rate.at_least(WANTED_STAGES_A_SECOND)
    yield Row("dispatched", against, f"{rate} Stages/s", f"at least {WANTED_STAGES_A_SECOND:,}", verdict)
    yield limited("run without training: peak memory", against, largest["dispatch", "megabytes"], "MB")
    for name, what in (("start_bytes", "a trial that is asked for"), ("stage_bytes", "a Stage that is done")):
        num_bytes = median(largest["dispatch", name])
        yield Row(f"journal: {what}", against, f"{num_bytes:,.0f} bytes", "", "")
    heard = median_of(1e6 * largest["hear", "seconds"])
    yield Row("progress heard", "10 trials", f"{heard} microseconds a message", "", "")
    yield limited("journal read", against, largest["replay", "seconds"], "s")
    for phase, how in {"report": "reported", "csv": "reported as CSV", "json": "reported as JSON"}.items():
        yield limited(how, against, largest[phase, "seconds"], "s", WANTED_SECONDS)
        yield limited(f"{how}: peak memory", against, largest[phase, "megabytes"], "MB", WANTED_MEGABYTES)


def limited(what: str, against: str, values: Seconds, unit: str, wanted: float | None = None) -> Row:
    figure = median_of(values)
    if wanted is None:
        return Row(what, against, f"{figure} {unit}", "", "")
    return Row(what, against, f"{figure} {unit}", f"at most {wanted:,}", figure.at_most(wanted))


def exponents(shape: Shape, measured: Measured) -> Iterator[Row]:
    """How each phase grows with the number of trials."""
    for phase, name in PHASES.items():
        for unit, what in (("seconds", "time"), ("megabytes", "peak memory")):
            exponent = growth_exponent(NUM_TRIALS, np.array(measured[phase, unit]))
            against = f"trials, {KINDS[shape]}"
            yield Row(
                f"{name}: exponent of {what}",
                against,
                str(exponent),
                f"at most {WANTED_EXPONENT}",
                exponent.at_most(WANTED_EXPONENT),
            )


def notes(rounds: int, sync_seconds: float) -> list[str]:
    sizes = ", ".join(f"{num_ratios} x {num_seeds}" for num_ratios, num_seeds in SIZES)
    return [
        f"Medians of {rounds} rounds; each phase in a process of its own. Ratios and seeds: {sizes}.",
        f"{NUM_WORKERS} Workers that answer at once, jobs and answers in the frames of a pipe. What has arrived "
        f"together is appended to the journal with one fsync, which took "
        f"{1000 * sync_seconds:.1f} ms here, and told only then.",
        "Reports are whole processes, from the command to the end; the other times leave out the start of Python.",
        "Exponents are of what a sweep takes beyond one of ten trials.",
    ]


if __name__ == "__main__":
    typer.run(main)
