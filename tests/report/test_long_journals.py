"""A journal of ten thousand trials is reported on any machine: what it takes grows no faster than the journal."""

import json
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

import pytest
from long_journals import ALONE, SHARED, write_long_journal
from measured_processes import run_measured

import sweep
from sweep.report.bill import make_bill
from sweep.report.frame import trial_frame
from sweep.store.history import read_history
from sweep.store.workspace import Workspace

GIGABYTE = 1_000_000_000
PACKAGE = str(Path(sweep.__file__).parent)


class Work:
    """Counts the bytecodes that run in this package's files, whatever the machine does beside it."""

    def __init__(self):
        self.by_file = Counter()

    def __enter__(self):
        sys.settrace(self._enter)
        return self

    def __exit__(self, *error):
        sys.settrace(None)

    def _enter(self, frame: FrameType, event, argument):
        file = frame.f_code.co_filename
        if not file.startswith(PACKAGE) and file != "<string>":  # where a dataclass's own methods are compiled
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, frame: FrameType, event, argument):
        self.by_file[frame.f_code.co_filename] += event == "opcode"
        return self._step


def work_of_a_report(workspace, num_ratios, num_seeds, kind):
    journal = write_long_journal(workspace, num_ratios, num_seeds, kind)
    with Work() as work:
        history = read_history(journal)
        make_bill(history)
        frame = trial_frame(history)
    assert len(frame) == num_ratios * num_seeds
    assert frame["accuracy"].notna().all()
    return work.by_file


# Ways get longer with the ratios that share them, and a journal spells each one out: there only seeds are added.
@pytest.mark.parametrize(
    ("kind", "few", "many"),
    [(ALONE, (25, 2), (200, 2)), (ALONE, (5, 10), (5, 80)), (SHARED, (10, 5), (10, 40))],
    ids=["ratios", "seeds", "seeds of a forest"],
)
def test_eight_times_the_trials_take_eight_times_the_work(tmp_path, kind, few, many):
    less = work_of_a_report(Workspace(tmp_path / "few"), *few, kind)
    more = work_of_a_report(Workspace(tmp_path / "many"), *many, kind)
    assert {file.rpartition("/")[2] for file in less} >= {"journal.py", "history.py", "bill.py", "frame.py"}
    for file, count in more.items():
        assert count <= 9 * less[file], file


@pytest.fixture(scope="module", params=[(ALONE, 1000, 10), (SHARED, 100, 100)], ids=["alone", "shared"])
def long_sweep(request, tmp_path_factory):
    """The folder of results with a sweep of 10,000 trials with 100 evaluations each, called `long`."""
    kind, num_ratios, num_seeds = request.param
    results = tmp_path_factory.mktemp("results")
    write_long_journal(Workspace(results / "long"), num_ratios, num_seeds, kind)
    return results


@pytest.mark.slow
@pytest.mark.parametrize("output", ["table", "csv", "json"])
def test_ten_thousand_trials_are_reported_in_less_than_a_gigabyte(long_sweep, command, output):
    done = run_measured(command, "report", "long", "--results", long_sweep, "--format", output)
    assert (done.returncode, done.stderr) == (0, "")
    if output == "csv":
        assert done.stdout.count("\n") == 10_001
    elif output == "json":
        assert len(json.loads(done.stdout)["trials"]) == 10_000
    else:
        assert "99/100" in done.stdout or "999/1000" in done.stdout
    assert done.peak_bytes < GIGABYTE
