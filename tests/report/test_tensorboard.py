import math
from collections.abc import Callable
from pathlib import Path

import pytest
from histories import a_start, a_trial, ended, finished
from tables import make_frame
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c

from sweep.errors import UsageError
from sweep.report.findings import Findings
from sweep.report.tensorboard import check_folder, write_events
from sweep.store.history import History

Maker = Callable[..., History]


def events_in(folder: Path) -> list[Event]:
    """Every event of a run, its checksums checked: a record is a length, the bytes, and a checksum after each."""
    events = []
    for path in folder.glob("events.out.tfevents.*"):
        content = path.read_bytes()
        while content:
            length = int.from_bytes(content[:8], "little")
            assert int.from_bytes(content[8:12], "little") == masked_crc32c(content[:8])
            data, check = content[12 : 12 + length], content[12 + length : 16 + length]
            assert int.from_bytes(check, "little") == masked_crc32c(data)
            events.append(Event.FromString(data))
            content = content[16 + length :]
    return events


def scalars(folder: Path, tag: str) -> list[tuple[int, float, float]]:
    """Step, value and wall time of a tag's points."""
    return [
        (event.step, value.simple_value, event.wall_time)
        for event in events_in(folder)
        for value in event.summary.value
        if value.tag == tag
    ]


def test_a_trial_is_a_run_with_its_curve_over_steps_and_over_the_time_of_training(
    history_of: Maker, tmp_path: Path
) -> None:
    half, whole = a_trial("0.5", 3), a_trial("1.0", 3)
    history = history_of(
        a_start([half, whole]),
        finished(half, 0.5, 20.0),
        finished(whole, 0.875, 40.0, curve={50: 0.25, 100: 0.75}),
    )
    write_events(Findings.of_history(history), tmp_path / "events")
    runs = sorted(path.name for path in (tmp_path / "events").iterdir())
    assert runs == ["mine-epochs-ratio=0.5-seed=3", "mine-epochs-ratio=1.0-seed=3"]
    run = tmp_path / "events" / runs[1]
    assert scalars(run, "accuracy") == [(50, 0.25, 10.0), (100, 0.75, 20.0), (200, 0.875, 40.0)]
    assert scalars(run, "final/accuracy") == [(200, 0.875, 40.0)]
    assert scalars(run, "final/train_seconds") == [(200, 40.0, 40.0)]
    assert len(scalars(run, "loss")) == 3


def test_the_tab_of_hyperparameters_has_the_ratio_and_the_seed(history_of: Maker, tmp_path: Path) -> None:
    half = a_trial("0.5", 3)
    write_events(Findings.of_history(history_of(a_start([half]), finished(half))), tmp_path / "events")
    tags = [v.tag for event in events_in(next((tmp_path / "events").iterdir())) for v in event.summary.value]
    assert {"_hparams_/experiment", "_hparams_/session_start_info"} <= set(tags)


def test_a_trial_that_did_not_finish_has_no_run(history_of: Maker, tmp_path: Path) -> None:
    half, whole = a_trial("0.5"), a_trial("1.0")
    findings = Findings.of_history(history_of(a_start([half, whole]), ended(half), finished(whole)))
    write_events(findings, tmp_path / "events")
    assert len(list((tmp_path / "events").iterdir())) == 1


def test_repetitions_without_a_seed_are_runs_of_their_own(tmp_path: Path) -> None:
    trials = [{"ratio": 1, "train_seconds": 10, "accuracy": 0.75, "seed": math.nan} for _ in range(2)]
    write_events(Findings("theirs.csv", make_frame(*trials), 0.5), tmp_path / "events")
    runs = sorted((tmp_path / "events").iterdir())
    assert [run.name for run in runs] == ["mine-epochs-ratio=1-trial=0", "mine-epochs-ratio=1-trial=1"]
    assert scalars(runs[0], "final/accuracy") == [(0, 0.75, 10.0)]


@pytest.mark.parametrize("name", ["../../up", "a/b", "..", "x\x1b[31m", "C:\\x"])
def test_a_hostile_name_leads_nowhere_else(history_of: Maker, tmp_path: Path, name: str) -> None:
    half = a_trial("1/3")
    folder = tmp_path / "deep" / "events"
    write_events(Findings.of_history(history_of(a_start([half], recipe_name=name), finished(half))), folder)
    files = list(tmp_path.rglob("events.out*"))
    assert len(files) == 1
    assert files[0].parent.parent == folder


def test_a_folder_with_anything_in_it_is_refused(tmp_path: Path) -> None:
    check_folder(tmp_path)
    check_folder(tmp_path / "new")
    (tmp_path / "file").touch()
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(UsageError, match="is there already"):
            check_folder(taken)
