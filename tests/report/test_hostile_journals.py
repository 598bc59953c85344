"""A journal that somebody else has written, with the right checksums and the wrong facts: every way to look at it gives
an output or an error that a user understands."""

import contextlib
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from histories import a_pilot, a_start, a_trial, ended, finished
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tables import table_of

from sweep.errors import MachineError, SweepError
from sweep.report.export_csv import to_csv
from sweep.report.export_json import to_json
from sweep.report.findings import Findings
from sweep.report.gate import Gate
from sweep.report.grid import draw
from sweep.report.listing import sweeps_grid
from sweep.report.markup import to_markdown
from sweep.report.next_view import next_grid
from sweep.report.screen import Screen
from sweep.store.catalogue import list_sweeps, read_sweep
from sweep.store.journal import _checksum, replay

HALF, WHOLE, TWICE = a_trial("0.5"), a_trial("1.0"), a_trial("2.0")
RECORDS = [
    json.loads(record.model_dump_json())
    for record in (
        *(a_start([HALF, WHOLE, TWICE]), finished(HALF), ended(TWICE), finished(WHOLE, curve={100: 0.5})),
        a_pilot(),
    )
]
GONE = object()
WRONG = [
    *("", "x[/y]", "\x1b[31m", "1/0", "1e999999999", "-1", "nan", "0", "9" * 5000, "٣", "0.000001"),
    *(-1, 0, 1e308, 1e-300, 10**30, None, True, [], {}, ["a"], [1, 2], [[]], GONE),
]


def places(value: Any, above: tuple[Any, ...] = (), but: tuple[str, ...] = ("recipe",)) -> list[tuple[Any, ...]]:
    """The path of everything in a record but for the recipe, which a report shows and never computes with."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, below in pairs:
        if key not in but:
            found += [(*above, key), *places(below, (*above, key), but)]
    return found


def put(records: Any, place: tuple[Any, ...], value: object) -> None:
    """Set or remove what is there; a place that an earlier change has removed is none any more."""
    *above, last = place
    with contextlib.suppress(KeyError, IndexError, TypeError):
        for key in above:
            records = records[key]
        if value is GONE:
            del records[last]
        else:
            records[last] = value


def write(folder: Path, records: list[Any]) -> Path:
    folder.mkdir(exist_ok=True)
    journal = folder / "journal.jsonl"
    lines = [json.dumps(record).encode() for record in records]
    journal.write_bytes(b"".join(_checksum(line) + b" " + line + b"\n" for line in lines))
    return journal


def look_at(results: Path) -> None:
    screen = Screen(file=StringIO())
    draw(sweeps_grid(list_sweeps(results), results), screen)
    _, history = read_sweep(results, "smoke")
    findings, table = Findings.of_history(history), table_of(history)
    draw(table, screen)
    assert to_markdown([table])
    assert to_csv(findings)
    assert json.loads(to_json(findings))
    Gate.parse("0.5", "1").check(findings.curves)


def test_the_journal_itself_is_whole(tmp_path: Path) -> None:
    assert replay(write(tmp_path / "smoke", RECORDS)).damaged_lines == ()
    look_at(tmp_path)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(places(RECORDS)), st.sampled_from(WRONG)), min_size=1, max_size=3))
def test_a_journal_of_wrong_facts_is_shown_or_refused(tmp_path: Path, changes: list[tuple[Any, Any]]) -> None:
    records = json.loads(json.dumps(RECORDS))
    for place, value in changes:
        put(records, place, value)
    write(tmp_path / "smoke", records)
    with contextlib.suppress(SweepError):
        look_at(tmp_path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((0, "trials", 0, "ratio"), "x[/y]"),
        ((0, "trials", 0, "realised"), "1e999999999"),
        ((0, "trials", 0, "num_epochs"), "9" * 5000),
        ((0, "trials", 0, "num_epochs"), "1/0"),
        ((0, "trials", 0, "stages"), []),
        ((0, "trials", 0, "num_steps"), 10**30),
        ((1, "measurement", "evaluations", "loss"), []),
        ((1, "measurement", "evaluations", "accuracy"), [0.5, 0.5]),
    ],
)
def test_a_record_that_cannot_be_computed_with_is_a_damaged_one(tmp_path: Path, place: Any, value: Any) -> None:
    records = json.loads(json.dumps(RECORDS))
    put(records, place, value)
    assert replay(write(tmp_path / "smoke", records)).damaged_lines == (place[0] + 1,)
    if place[0] == 0:
        with pytest.raises(MachineError, match="damaged beyond reading"):
            look_at(tmp_path)
    else:
        look_at(tmp_path)


# What `sweep next` reads: lengths and seeds enough, and the recipe too.
ENOUGH = [a_trial(ratio, seed) for ratio in ("0.25", "0.5", "1.0") for seed in range(2)]
ENOUGH_RECORDS = [
    json.loads(record.model_dump_json())
    for record in (
        a_start(ENOUGH),
        *(finished(trial, 0.9 - 0.05 / (1 + trial.num_steps) + 0.001 * trial.seed) for trial in ENOUGH),
    )
]


def look_ahead_at(results: Path) -> None:
    workspace, history = read_sweep(results, "smoke")
    draw(next_grid(Findings.of_history(history), history, workspace), Screen(file=StringIO()))


def test_the_journal_for_what_is_next_is_whole(tmp_path: Path) -> None:
    write(tmp_path / "smoke", ENOUGH_RECORDS)
    look_ahead_at(tmp_path)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(
    st.lists(st.tuples(st.sampled_from(places(ENOUGH_RECORDS, but=())), st.sampled_from(WRONG)), min_size=1, max_size=2)
)
def test_of_a_journal_of_wrong_facts_what_is_next_is_shown_or_refused(
    tmp_path: Path, changes: list[tuple[Any, Any]]
) -> None:
    records = json.loads(json.dumps(ENOUGH_RECORDS))
    for place, value in changes:
        put(records, place, value)
    write(tmp_path / "smoke", records)
    with contextlib.suppress(SweepError):
        look_ahead_at(tmp_path)
