import gc
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from histories import a_pilot, a_start, a_trial, ended, finished, write_journal

from sweep.errors import MachineError, Outcome
from sweep.store import journal
from sweep.store.history import read_history
from sweep.store.journal import Replay, append, replay
from sweep.store.records import FORMAT, Record, StageRecord

GOLDEN = {
    number: Path(__file__).parents[1] / "golden" / f"journal-format-{number}.jsonl" for number in range(1, FORMAT + 1)
}
HALF, WHOLE, TWICE = a_trial("0.5"), a_trial("1.0"), a_trial("2.0")
RECORDS = (a_start([HALF, WHOLE]), finished(WHOLE), ended(HALF), finished(HALF, attempt=2))
SHORT = (a_start([], recipe={}), ended(HALF))


def line_of(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:16].encode() + b" " + body + b"\n"


@pytest.mark.parametrize(
    "record",
    [
        a_start([HALF, WHOLE, TWICE], price=2.5),
        a_start([]),
        finished(WHOLE, contention=None, weights_sha256=None, loss=None),
        *(ended(HALF, outcome, "a reason") for outcome in Outcome if outcome is not Outcome.FINISHED),
        a_pilot(),
        a_pilot(workers=2, is_made_up=True, varying=("image_size", "mixup")),
        ended(HALF, reason='line one\nline two\r\x1b[31m\u2028 ü \\ " \0'),
    ],
)
def test_a_record_is_read_back_as_it_was_written(journal: Path, record: Record) -> None:
    append(journal, record)
    assert replay(journal).records == (record,)
    assert replay(journal).damaged_lines == ()
    assert journal.read_bytes().count(b"\n") == 1


def test_a_journal_that_does_not_exist_is_empty(journal: Path) -> None:
    assert replay(journal).records == ()
    assert not journal.exists()


def test_records_come_back_in_the_order_of_writing(journal: Path) -> None:
    assert replay(write_journal(journal, *RECORDS)).records == RECORDS


def test_a_cut_at_any_byte_loses_no_record_before_it(journal: Path) -> None:
    whole = GOLDEN[FORMAT].read_bytes()
    records = replay(GOLDEN[FORMAT]).records
    ends = [number for number, byte in enumerate(whole) if byte == ord("\n")]
    journal.write_bytes(whole)
    for cut in range(len(whole), -1, -1):
        os.truncate(journal, cut)
        complete = sum(end <= cut for end in ends)
        # A cut at the start of a line or right before its newline tears nothing.
        is_torn = cut not in ends and whole[:cut] != b"" and whole[cut - 1 : cut] != b"\n"
        found = replay(journal)
        assert found.records == records[:complete], cut
        assert found.damaged_lines == ((complete + 1,) if is_torn else ()), cut


def test_after_a_cut_at_any_byte_the_next_append_is_read_back(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.store.durable.os.fsync", lambda descriptor: None)  # hundreds of them take seconds
    write_journal(journal, *SHORT)
    kept, end = journal.read_bytes().index(b"\n") + 1, journal.stat().st_size
    for cut in range(end, kept - 1, -1):
        os.truncate(journal, cut)
        append(journal, RECORDS[-1])
        middle = SHORT[1:] if cut >= end - 1 else ()
        assert replay(journal).records == (SHORT[0], *middle, RECORDS[-1]), cut
        os.truncate(journal, cut)


def altered_everywhere(journal: Path, alter: Callable[[int], int]) -> Iterator[tuple[int, Replay]]:
    """The line (from 1) of each byte that `alter` changes, and what is read while it is changed."""
    whole = journal.read_bytes()
    with journal.open("r+b", buffering=0) as file:
        for position, byte in enumerate(whole):
            if alter(byte) != byte:
                os.pwrite(file.fileno(), bytes([alter(byte)]), position)
                yield whole[:position].count(b"\n") + 1, replay(journal)
                os.pwrite(file.fileno(), bytes([byte]), position)


def check_loss(line: int, found: Replay, records: tuple[Record, ...]) -> None:
    others = records[: line - 1] + records[line:]
    assert found.records in (others, records), line  # all of them, where a newline alone was hit
    # A byte that became a newline, at the very start of a line, leaves an empty line before the damaged one.
    assert found.damaged_lines[0] in (line, line + 1), line
    assert set(found.damaged_lines) <= {line, line + 1}, line


def test_a_flipped_byte_anywhere_loses_no_other_record_and_is_named(journal: Path) -> None:
    journal.write_bytes(GOLDEN[FORMAT].read_bytes())
    records = replay(GOLDEN[FORMAT]).records
    for line, found in altered_everywhere(journal, lambda byte: byte ^ 0x01):
        check_loss(line, found, records)
        assert found.damaged_lines == (line,)


@pytest.mark.parametrize("mask", [0x02, 0x07, 0x80, 0xFF])
def test_whatever_bits_flip_no_other_record_is_lost(journal: Path, mask: int) -> None:
    write_journal(journal, *SHORT)
    for line, found in altered_everywhere(journal, lambda byte: byte ^ mask):
        check_loss(line, found, SHORT)


@pytest.mark.parametrize("byte", [b"\n", b"\r", b" ", b"\0"])
def test_whatever_a_byte_becomes_no_other_record_is_lost(journal: Path, byte: bytes) -> None:
    write_journal(journal, *SHORT)
    for line, found in altered_everywhere(journal, lambda _: byte[0]):
        check_loss(line, found, SHORT)


def test_a_cut_at_any_byte_of_what_is_appended_together_loses_nothing_from_before_it(journal: Path) -> None:
    append(journal, RECORDS[0])
    acknowledged = journal.stat().st_size
    append(journal, *RECORDS[1:])
    for cut in range(journal.stat().st_size, acknowledged - 1, -1):
        os.truncate(journal, cut)
        found = replay(journal).records
        assert found == RECORDS[: len(found)], cut
        assert len(found) >= 1, cut


def test_an_altered_newline_costs_neither_of_the_records_it_joins(journal: Path) -> None:
    write_journal(journal, *RECORDS)
    lines = journal.read_bytes().splitlines()
    journal.write_bytes(lines[0] + b"\n" + lines[1] + b"\x0b" + lines[2] + b"\n" + lines[3] + b"\n")
    assert replay(journal).records == RECORDS
    assert replay(journal).damaged_lines == (2,)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\xfe\0",
        b"no record",
        hashlib.sha256(b"").hexdigest()[:16].encode(),
        line_of(b"").rstrip(),
        line_of(b"[]").rstrip(),
        line_of(b"{}").rstrip(),
        line_of(b'{"kind":"start","format":1}').rstrip(),
        line_of(b'{"kind":"other","format":1}').rstrip(),
        line_of(b'{"kind":"stage","format":null}').rstrip(),
    ],
)
def test_a_line_that_is_no_record_hides_none(journal: Path, line: bytes) -> None:
    append(journal, RECORDS[0])
    journal.write_bytes(journal.read_bytes() + line + b"\n")
    append(journal, RECORDS[1])
    assert replay(journal).records == RECORDS[:2]
    assert replay(journal).damaged_lines == ((2,) if line else ())


def test_a_newer_format_is_refused_by_its_number(journal: Path) -> None:
    append(journal, RECORDS[0])
    newer = json.loads(RECORDS[1].model_dump_json()) | {"format": FORMAT + 41, "kind": "unheard of"}
    journal.write_bytes(journal.read_bytes() + line_of(json.dumps(newer).encode()))
    with pytest.raises(MachineError) as caught:
        replay(journal)
    assert caught.value.exit_code == 3
    assert str(caught.value) == f"{journal}:2: made by a newer version (format {FORMAT + 41}) (upgrade budget-sweep)"


def test_a_folder_in_the_journals_place_is_explained(journal: Path) -> None:
    journal.mkdir()
    with pytest.raises(MachineError, match=r"journal\.jsonl: cannot be read: Is a directory"):
        replay(journal)


@pytest.mark.parametrize("number", GOLDEN)
def test_a_journal_of_every_format_reads(number: int) -> None:
    history = read_history(GOLDEN[number])
    assert [start.jobs for start in history.starts] == ([1, 1] if number == 1 else [1, 2])
    assert history.damaged_lines == ()
    assert [start.price for start in history.starts] == [None, 2.5]
    chosen_for = "600 s, method epochs, seed 0, seeds as fit, jobs 2"
    assert [start.chosen_for for start in history.starts] == [None, chosen_for if number >= 7 else None]
    assert [(result.entry.ratio, result.entry.seed, str(result.outcome)) for result in history.results] == [
        ("0.25", 0, "finished"),
        ("50%", 0, "diverged"),
        ("0.75", 0, "missing"),
        ("1.0", 0, "finished"),
        ("1.0", 1, "crashed"),
        ("2.0", 0, "interrupted"),
        *([("2.0", 1, "stalled"), ("2.0", 2, "out_of_memory")] if number >= 3 else []),
    ]
    quarter, half = history.results[:2]
    assert (quarter.accuracy, quarter.loss) == (0.875, None)
    assert (quarter.train_seconds, quarter.images, quarter.log) == (12.5, 3200, "logs/worker-1.log")
    assert quarter.environment is not None
    assert (quarter.environment.torch, quarter.environment.threads) == ("2.6.0", 1)
    chosen = quarter.environment.precision
    assert (chosen and chosen.amp) == ("bf16" if number >= 6 else None)
    assert half.reason == "diverged at step 17"
    measured = history.stages["epochs-50-0"].measurement
    assert measured is not None
    assert measured.resumed_at == (() if number == 1 else (20, 30))
    [lost] = [record for record in replay(GOLDEN[number]).records if getattr(record, "stage", "") == "epochs-50-0"][:1]
    assert isinstance(lost, StageRecord)
    assert lost.reached_step == (None if number == 1 else 40)
    assert measured.checkpoint_seconds == (0.5 if number >= 3 else None)
    whole = history.results[3]
    spans = ((0, 100), (100, 200)) if number >= 3 else ()
    assert (whole.entry.spans, whole.train_seconds) == (spans, 50.0)
    joules = [quarter.joules, measured.taken_over and measured.taken_over.joules, whole.joules]
    assert joules == ([1250.5, 500.25, 7500.25] if number >= 4 else [None, None, None])
    judged = [history.metric, history.is_lower_better, quarter.quality, quarter.truncated_quality, whole.quality]
    assert judged == (["val_loss", True, 0.75, 1.5, 0.5] if number >= 5 else ["accuracy", False, 0.875, 0.625, 0.96875])
    sources = [quarter.train_seconds_source, whole.train_seconds_source]
    assert sources == (["metric", "wall"] if number >= 5 else ["measured", "measured"])
    unknown = [whole.images, whole.data_wait_seconds, whole.eval_seconds]
    assert [value is None for value in unknown] == [number >= 5] * 3
    estimates = [(pilot.step, pilot.varying) for pilot in history.pilots]
    assert estimates == ([((0.1875, 0.25, 0.3125), ("image_size",))] if number >= 7 else [])


def test_the_format_of_now_is_written_byte_for_byte(journal: Path) -> None:
    first, *others = replay(GOLDEN[FORMAT]).records
    append(journal, first)
    append(journal, *others)
    assert journal.read_bytes() == GOLDEN[FORMAT].read_bytes()


@pytest.mark.parametrize("is_enabled", [True, False])
def test_reading_looks_for_no_garbage_and_leaves_the_collector_as_it_was(tmp_path, monkeypatch, is_enabled):
    append(tmp_path / "journal.jsonl", *[ended(HALF)] * 500)
    looked = []
    replayed = journal._replayed

    def watched(*given):
        looked.clear()
        read = replayed(*given)
        looked.append("for the last time here")
        return read

    monkeypatch.setattr(journal, "_replayed", watched)
    threshold, was_enabled = gc.get_threshold(), gc.isenabled()
    gc.callbacks.append(lambda phase, info: looked.append(phase))
    try:
        gc.set_threshold(10)
        (gc.enable if is_enabled else gc.disable)()
        assert len(replay(tmp_path / "journal.jsonl").records) == 500
        assert looked[0] == "for the last time here"
        assert gc.isenabled() is is_enabled
    finally:
        gc.callbacks.pop()
        gc.set_threshold(*threshold)
        (gc.enable if was_enabled else gc.disable)()
