"""How much memory there is, and whether the kernel ended one of us: read from the files that the kernel writes."""

import resource
import subprocess
import sys

import pytest

from sweep import host_memory

GB = 10**9


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """A made-up tree of control groups: `groups(own_lines, {file: text})`."""

    def make(own, files):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "groups" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    monkeypatch.setattr(host_memory, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(host_memory, "_GROUPS", tmp_path / "groups")
    return make


@pytest.fixture
def machine_bytes(groups):
    groups("", {})
    return host_memory.total_bytes()


EVENTS = "low 0\nhigh 3\nmax 7\noom 4\noom_kill {}\noom_group_kill 9\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"


@pytest.mark.parametrize(
    ("own", "files"),
    [
        ("0::/\n", {"memory.max": "1000000000\n"}),
        ("0::/a/b\n", {"a/memory.max": "1000000000\n", "a/b/memory.max": "max\n"}),
        ("0::/a/b\n", {"a/memory.max": "2000000000\n", "a/b/memory.max": "1000000000\n"}),
        ("0::/not/there\n", {"memory.max": "1000000000\n"}),
        ("4:memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": "1000000000\n"}),
        ("4:memory:/of/the/host\n", {"memory/memory.limit_in_bytes": "1000000000\n"}),
        ("3:cpu,memory:/a\n", {"memory/a/memory.limit_in_bytes": "1000000000\n"}),
    ],
)
def test_the_tightest_limit_of_our_groups_is_what_there_is(groups, own, files):
    groups(own, files)
    assert host_memory.total_bytes() == GB


@pytest.mark.parametrize(
    ("own", "files"),
    [
        ("0::/\n", {}),
        ("0::/\n", {"memory.max": "max\n"}),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"}),
        ("0::/a\n", {"b/memory.max": "1000\n", "memory.max": "nonsense\n"}),
    ],
)
def test_without_a_limit_it_is_the_machines(groups, machine_bytes, own, files):
    groups(own, files)
    assert host_memory.total_bytes() == machine_bytes


def test_a_limit_on_the_address_space_counts():
    code = "from sweep import host_memory; print(host_memory.total_bytes())"
    run = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (GB, GB)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(run.stdout) == GB


@pytest.mark.parametrize(
    ("own", "files", "kills"),
    [
        ("0::/\n", {"memory.events": EVENTS.format(2)}, 2),
        ("0::/a\n", {"a/memory.events": EVENTS.format(2), "memory.events": EVENTS.format(5)}, 2),
        ("4:memory:/a\n0::/\n", {"memory/a/memory.oom_control": CONTROL.format(3)}, 3),
        ("0::/\n", {}, None),
        ("0::/\n", {"memory.events": "oom_kill\n"}, None),
        ("", {"memory.events": EVENTS.format(2)}, None),
    ],
)
def test_the_kernels_count_is_that_of_our_own_group(groups, own, files, kills):
    groups(own, files)
    assert host_memory.num_oom_kills() == kills


def test_the_peak_is_in_bytes_and_grows_with_what_is_held():
    before = host_memory.peak_bytes()
    held = bytearray(before + 10**8)
    assert before + 10**8 <= host_memory.peak_bytes() < before + len(held) + 10**9
    assert before > 10**7
