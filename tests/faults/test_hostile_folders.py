"""Whatever lies in a results folder, and whatever a sweep is called: it ends in an error that a user understands,
nothing is waited for, and nothing outside the sweep's own folder is touched."""

import contextlib
import os
import signal

import pytest
from surroundings import snapshot
from toys import ToyExecutor

from sweep.api import run_request
from sweep.errors import MachineError, SweepError, UsageError
from sweep.request import SweepRequest
from sweep.store.catalogue import list_sweeps, read_sweep
from sweep.store.durable import append_lines, open_log

FILES = ("journal.jsonl", "lock", "owner", "logs/worker-1.log")
FOLDERS = ("logs", "states", "weights")
NAMES = [
    "../x",
    "../results/smoke",
    "/etc",
    "a/b",
    ".",
    "..",
    "",
    "a\0b",
    "a\nb",
    "smoke\n",
    "\x1b[31m",
    "[bold]",
    "-x",
]


@pytest.fixture(autouse=True)
def never_wait():
    """Whoever opens a pipe waits for its other end: here for a minute at most."""

    def give_up(number, frame):
        raise AssertionError("this waits for ever")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def place(tmp_path):
    """A folder with results in it, and things that are none of a sweep's business."""
    (tmp_path / "results" / "smoke" / "logs").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "letter").write_text("dear all\n")
    return tmp_path


def run(place, **asked):
    request = SweepRequest("smoke", "0.5", results=place / "results", **asked)
    return run_request(request, make_executor=lambda *placed: ToyExecutor())


def read_everything(place):
    """Look at the sweep in every way there is; what it holds may be refused."""
    list_sweeps(place / "results")
    for name in ("smoke", None):
        with contextlib.suppress(SweepError):
            read_sweep(place / "results", name)


STRANGE = {
    "a link to a file": lambda path, outside: path.symlink_to(outside / "letter"),
    "a link to a folder": lambda path, outside: path.symlink_to(outside),
    "a link to nowhere": lambda path, outside: path.symlink_to(outside / "absent"),
    "a link to a device": lambda path, outside: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path, outside: path.symlink_to(path),
    "a pipe": lambda path, outside: os.mkfifo(path),
}


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize("name", FILES + FOLDERS)
def test_what_is_no_file_or_folder_of_its_own_is_refused_and_nothing_outside_is_touched(place, name, kind):
    path = place / "results" / "smoke" / name
    if name == "logs":
        path.rmdir()
    STRANGE[kind](path, place / "outside")
    whole = snapshot(place)
    read_everything(place)
    assert snapshot(place) == whole
    around = snapshot(place, apart=place / "results" / "smoke")
    with pytest.raises(MachineError) as refused:
        run(place)
    assert all(str(path) in str(problem) for problem in refused.value.problems)
    assert snapshot(place, apart=place / "results" / "smoke") == around


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_the_place_of_a_file_is_refused(place, name):
    (place / "results" / "smoke" / name).mkdir()
    read_everything(place)
    with pytest.raises(MachineError, match=name):
        run(place)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_in_the_place_of_a_folder_is_refused(place, name):
    (place / "results" / "smoke" / "logs").rmdir()
    (place / "results" / "smoke" / name).touch()
    read_everything(place)
    with pytest.raises(MachineError, match="is no regular folder"):
        run(place)


def test_everything_strange_is_named_at_once(place):
    own = place / "results" / "smoke"
    for name in ("lock", "owner"):
        (own / name).symlink_to(place / "outside" / "letter")
    os.mkfifo(own / "logs" / "worker-2.log")
    with pytest.raises(MachineError) as refused:
        run(place)
    assert [problem.where for problem in refused.value.problems] == [
        str(own / name) for name in ("lock", "owner", "logs/worker-2.log")
    ]


@pytest.mark.parametrize("kind", STRANGE)
def test_something_else_in_the_place_of_the_sweeps_folder_is_refused(place, kind):
    (place / "results" / "smoke" / "logs").rmdir()
    (place / "results" / "smoke").rmdir()
    STRANGE[kind](place / "results" / "smoke", place / "outside")
    before = snapshot(place)
    read_everything(place)
    with pytest.raises(SweepError):
        run(place)
    assert snapshot(place) == before


@pytest.mark.parametrize("kind", ["a link to a file", "a link to itself", "a link to a device", "a pipe"])
def test_something_else_in_the_place_of_the_results_folder_is_refused(place, kind):
    (place / "results").rename(place / "moved")
    STRANGE[kind](place / "results", place / "outside")
    before = snapshot(place)
    read_everything(place)
    with pytest.raises(MachineError):
        run(place)
    assert snapshot(place) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_could_lead_elsewhere_is_refused_and_nothing_is_made(place, name):
    before = snapshot(place)
    for look in (lambda: run(place, name=name), lambda: read_sweep(place / "results", name)):
        with pytest.raises(UsageError):
            look()
    assert snapshot(place) == before


def test_a_path_that_is_no_text_is_refused(place, monkeypatch):
    (place / "outside" / "\udcff").mkdir()
    before = snapshot(place)
    with pytest.raises(UsageError, match="is not UTF-8"):
        run_request(SweepRequest("smoke", results=place / "outside" / "\udcff"))
    monkeypatch.chdir(place / "outside" / "\udcff")
    with pytest.raises(UsageError, match="is not UTF-8"):
        run_request(SweepRequest("smoke"))
    assert snapshot(place) == before


def test_a_sweep_is_never_set_aside_onto_a_link(place):
    assert run(place).is_complete
    (place / "results" / "smoke~1").symlink_to(place / "outside" / "absent")
    around = snapshot(place / "outside")
    assert run(place, fresh=True).is_complete
    assert snapshot(place / "outside") == around
    assert (place / "results" / "smoke~2" / "journal.jsonl").is_file()


@pytest.mark.parametrize("write", [lambda path: append_lines(path, b"x"), open_log], ids=["append", "log"])
@pytest.mark.parametrize("kind", STRANGE)
def test_nothing_is_appended_through_a_link_or_to_a_pipe(place, write, kind):
    """Even to one that came after the folder was looked at."""
    path = place / "outside" / "own"
    STRANGE[kind](path, place / "outside")
    before = snapshot(place)
    with pytest.raises(MachineError, match="own: cannot be written"):
        write(path)
    assert snapshot(place) == before
