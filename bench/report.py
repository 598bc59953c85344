"""What a report costs: `python bench/report.py`, or `make bench`.

Of a small sweep it is mostly the start: three trials, and three ratios with three seeds each, whose intervals need
scipy, are compared with `import typer, rich, pandas` in a process of its own. All are run in turn, in an order drawn
anew for every round; printed are medians over the rounds, and as shares of the bare imports'. Those run a second time
to show how far two equal processes come out apart.

Of a long one it is the journal: 10,000 trials with 100 evaluations each (on average: one an epoch), each trial alone,
and with a plateau that a seed's hundred ratios share. Printed are the seconds and the peak memory of each whole
process. Nothing was trained for these journals; `sweep run` would plan and record them like this.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from sweep.store.workspace import Workspace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "report"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "store"))

from long_journals import ALONE, SHARED, write_long_journal
from measured_processes import MeasuredProcess, run_measured

BARE = "bare imports"
IMPORTS = (sys.executable, "-c", "import typer, rich, pandas")
# Ratios, seeds, and how many times the bare imports is wanted at most.
SMALL = ((3, 1, 1.4), (3, 3, 2.0))
LONG = (("each trial alone", ALONE, 1000, 10), ("a shared plateau", SHARED, 100, 100))
WANTED_SECONDS, WANTED_MEGABYTES = 10, 1000


def main(rounds: Annotated[int, typer.Option(help="How often each small report is made.")] = 20) -> None:
    """Make the journals, report them, and print what that took."""
    with tempfile.TemporaryDirectory() as folder:
        print_small(Path(folder), rounds)
        print_long(Path(folder))


def print_small(results: Path, rounds: int) -> None:
    commands = {BARE: IMPORTS, f"{BARE} again": IMPORTS}
    wanted = {}
    for num_ratios, num_seeds, limit in SMALL:
        name = f"{num_ratios}-ratios-{num_seeds}-seeds"
        write_long_journal(Workspace(results / name), num_ratios, num_seeds)
        commands[name], wanted[name] = report(results, name), limit
    medians = median_seconds(commands, rounds)
    print(f"a small sweep's report, beside importing typer, rich and pandas; medians of {rounds} rounds")
    for name, seconds in medians.items():
        share = seconds / medians[BARE]
        print(f"  {name:<18}  {1000 * seconds:4.0f} ms, {share:.2f} times{verdict(share, wanted.get(name))}")


def median_seconds(commands: dict[str, tuple[str, ...]], rounds: int) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name in random.sample(list(commands), len(commands)):
            seconds[name].append(run(*commands[name]).seconds)
    return {name: statistics.median(times) for name, times in seconds.items()}


def print_long(results: Path) -> None:
    print("a report of 10,000 trials with 100 evaluations each")
    for title, kind, num_ratios, num_seeds in LONG:
        name = f"{num_ratios}-ratios-{num_seeds}-seeds"
        journal = write_long_journal(Workspace(results / name), num_ratios, num_seeds, kind)
        print(f"  {title}: {num_ratios} ratios, {num_seeds} seeds, a journal of {journal.stat().st_size / 1e6:.0f} MB")
        for output in ("table", "csv", "json"):
            done = run(*report(results, name, output))
            seconds, megabytes = done.seconds, done.peak_bytes / 1e6
            print(f"    {output:<5}  {seconds:4.1f} s{verdict(seconds, WANTED_SECONDS)}")
            print(f"           {megabytes:4.0f} MB{verdict(megabytes, WANTED_MEGABYTES)}")


def report(results: Path, name: str, output: str = "table") -> tuple[str, ...]:
    """The command that a user types."""
    command = Path(sys.executable).with_name("sweep")
    return (str(command), "report", name, "--results", str(results), "--format", output)


def run(*command: str) -> MeasuredProcess:
    done = run_measured(*command)
    if done.returncode:
        sys.exit(done.stderr)
    return done


def verdict(value: float, limit: float | None) -> str:
    if limit is None:
        return ""
    return f" (wanted: at most {limit}: {'met' if value <= limit else 'missed'})"


if __name__ == "__main__":
    typer.run(main)
