"""A command that is interrupted, killed, or hangs: whatever happens, no process of it is left, in no session."""

import os
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest
from processes import is_alive, wait_for_line, workers_of

from sweep.store.history import read_history

MARK = "SWEEP_TEST_MARK"
# What every script finds; `tree` starts what a training starts: a child, one in a session of its own (as torchrun's),
# and one whose parent is gone.
HEAD = """\
import os, signal, subprocess, sys, time
said = dict(zip(sys.argv[1::2], sys.argv[2::2]))
output = said["--to"]

def tree(code="import time; time.sleep(600)"):
    child = [sys.executable, "-c", code]
    subprocess.Popen(child)
    subprocess.Popen(child, start_new_session=True)
    orphan = f"import subprocess; subprocess.Popen({child!r}, start_new_session=True)"
    subprocess.run([sys.executable, "-c", orphan], check=True)
    print("grown", flush=True)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


class Sweep:
    """A real sweep of a script in a folder of its own, whose processes can be told from all others."""

    def __init__(self, command, folder):
        self.command = command
        self.folder = folder
        self.mark = uuid.uuid4().hex
        self.running = None

    def write(self, script, keys=""):
        (self.folder / "train.py").write_text(HEAD + script)
        line = f"{sys.executable} train.py --epochs {{epochs}} --to {{output_dir}}"
        metrics = "metrics: {accuracy: 'Acc@1 ([0-9.]+)'}\n"
        (self.folder / "own.yaml").write_text(f"command: {line}\nepochs: 10\n{metrics}{keys}")

    def start(self, script, *options, keys=""):
        self.write(script, keys)
        self.running = subprocess.Popen(
            [self.command, "run", "./own.yaml", "--ratios", "1", *options],
            cwd=self.folder,
            env=os.environ | {MARK: self.mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self

    def end(self):
        stdout, stderr = self.running.communicate(timeout=60)
        assert "Traceback" not in stdout + stderr
        return stdout + stderr

    def processes(self, part=""):
        """Those that descend from the sweep, whatever their session, and whose command line holds `part`."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                marked = f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes().split(b"\0")
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if marked and part in line and is_alive(int(folder.name)):
                found.append(int(folder.name))
        return found

    @property
    def log(self):
        paths = list(self.folder.glob("results/own/logs/10-epochs-*.log"))
        return paths[0].read_text(errors="replace") if paths else ""

    @property
    def result(self):
        [result] = read_history(self.folder / "results" / "own" / "journal.jsonl").results
        return result


@pytest.fixture
def own(command, tmp_path):
    sweep = Sweep(command, tmp_path)
    yield sweep
    if sweep.running is not None:
        sweep.running.kill()
        sweep.running.communicate()
    for pid in sweep.processes():
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def grown(own, wait_until):
    """Start a script that has grown its tree: three processes, itself, its warden, the Worker and the sweep."""

    def grown(*options, code="import time; time.sleep(600)", before="", keys=""):
        own.start(f"{before}\ntree({code!r})\ntime.sleep(600)\n", *options, keys=keys)
        wait_until(lambda: "grown" in own.log and len(own.processes()) == 7)
        return own

    return grown


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_whole_tree_before_the_sweep_ends(grown, number, exit_code):
    own = grown()
    own.running.send_signal(number)
    said = own.end()
    assert own.processes() == []
    assert own.running.returncode == exit_code
    assert "the same command goes on" in said
    assert own.result.outcome == "interrupted"


@pytest.mark.slow
def test_a_tree_that_is_deaf_to_sigterm_is_killed_all_the_same(grown):
    own = grown(code=DEAF, before="signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    own.running.send_signal(signal.SIGINT)
    own.end()
    assert own.processes() == []
    assert own.result.outcome == "interrupted"


@pytest.mark.slow
def test_a_tree_that_is_stopped_is_killed_all_the_same(grown):
    own = grown()
    for pid in own.processes("time.sleep") + own.processes("train.py --epochs"):
        os.kill(pid, signal.SIGSTOP)
    own.running.send_signal(signal.SIGINT)
    own.end()
    assert own.processes() == []


@pytest.mark.slow
def test_a_second_signal_ends_everything_at_once(grown):
    own = grown(code=DEAF, before="signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    own.running.send_signal(signal.SIGINT)
    wait_for_line(own.running.stderr, "again to stop now")
    own.running.send_signal(signal.SIGINT)
    own.end()
    assert own.processes() == []
    assert own.result.outcome == "interrupted"


def test_nothing_outlives_a_killed_sweep(grown, wait_until):
    own = grown(code=DEAF)
    [worker] = workers_of(own.running.pid)
    os.kill(worker, signal.SIGSTOP)  # even one that cannot notice by itself
    own.running.kill()
    wait_until(lambda: own.processes() == [])


@pytest.mark.slow
def test_nothing_outlives_a_killed_worker_and_the_trial_is_run_again(grown, wait_until):
    own = grown(code=DEAF)
    first = set(own.processes("time.sleep")) | set(own.processes("train.py --epochs"))
    [worker] = workers_of(own.running.pid)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: own.log.count("grown") == 2)
    assert not any(map(is_alive, first))
    own.running.send_signal(signal.SIGINT)
    assert "crashed (SIGKILL; perhaps out of host memory); trying again" in own.end()
    assert own.processes() == []


@pytest.mark.slow
def test_nothing_outlives_a_warden_that_is_killed(grown, wait_until):
    own = grown("--retries", "0", "--stall-timeout", "24")
    threading.Event().wait(4)  # what a Worker knows of a command's processes is of its last look, every three seconds
    [warden] = own.processes("sweep.run.warden")
    os.kill(warden, signal.SIGKILL)
    own.end()
    assert own.processes() == []
    assert (own.result.outcome, own.result.reason) == ("crashed", "the process that watched over it was ended")


def test_what_a_command_leaves_behind_when_it_ends_well_is_ended_too(own):
    own.start("tree()\nprint('Acc@1 0.5')\n")
    own.end()
    assert own.processes() == []
    assert own.result.accuracy == 0.5


@pytest.mark.slow
def test_the_time_limit_ends_the_whole_tree(own):
    own.start("tree()\ntime.sleep(600)\n", keys="time_limit: 5\n").end()
    assert own.processes() == []
    assert (own.result.outcome, own.result.reason) == ("failed", "time limit of 5 s reached, stopped")


@pytest.mark.slow
def test_a_command_that_prints_nothing_and_computes_nothing_hangs(own):
    own.start("tree()\ntime.sleep(600)\n", "--stall-timeout", "2", "--retries", "0")
    own.end()
    assert own.processes() == []
    assert (own.result.outcome, own.result.reason) == ("stalled", "no output and no CPU time for 2 s, stopped")


@pytest.mark.slow
@pytest.mark.parametrize(
    "sign", ["print('.', end='', flush=True)", "subprocess.run([sys.executable, '-c', 'sum(range(10**7))'])"]
)
def test_a_command_that_gives_a_sign_of_life_does_not_hang(own, sign):
    script = f"begun = time.monotonic()\nwhile time.monotonic() < begun + 6:\n    {sign}\n    time.sleep(0.3)\n"
    own.start(script + "print('\\nAcc@1 0.5')\n", "--stall-timeout", "3")
    own.end()
    assert own.result.outcome == "finished"


@pytest.mark.slow
def test_an_interrupted_command_goes_on_with_what_it_has_saved(own, wait_until):
    script = (
        "def save(*signalled):\n"
        "    open(output + '/state', 'w').write('half')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, save)\n"
        "if '--resume' not in said:\n"
        "    print('begun', flush=True)\n"
        "    time.sleep(600)\n"
        "print('Acc@1 0.5', open(said['--resume']).read())\n"
    )
    keys = "resume_args: --resume {output_dir}/state\n"
    own.start(script, keys=keys)
    wait_until(lambda: "begun" in own.log)
    own.running.send_signal(signal.SIGINT)
    own.end()
    assert own.result.outcome == "interrupted"
    assert "resuming: 0 of 1 done, 1 interrupted" in own.start(script, keys=keys).end()
    assert own.result.outcome == "finished"
    assert "Acc@1 0.5 half" in own.log


@pytest.mark.slow
def test_a_cleaned_sweep_begins_its_commands_anew(own, sweep, wait_until):
    script = "print(sorted(os.listdir(output)), flush=True)\nopen(output + '/left', 'w')\n"
    own.start(script + "time.sleep(600)\n", keys="resume_args: --resume {output_dir}\n")
    wait_until(lambda: "[]" in own.log)
    own.running.send_signal(signal.SIGINT)
    own.end()
    assert sweep("clean", "--yes", "--results", own.folder / "results").returncode == 0
    own.start(script + "print('Acc@1 0.5')\n", keys="resume_args: --resume {output_dir}\n").end()
    assert own.log.count("[]") == 2
    assert own.result.outcome == "finished"
