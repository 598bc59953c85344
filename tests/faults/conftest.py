"""Real sweeps, each a process of its own."""

import os
import subprocess

import pytest
from processes import cpu_ticks, wait_for_line, workers_of


@pytest.fixture
def start(command, tmp_path):
    """Start a sweep whose results lie in `tmp_path`."""

    def start(*arguments):
        words = [command, "run", "smoke", "--results", tmp_path, *arguments]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


@pytest.fixture
def start_training(start, wait_until):
    """Start a sweep, and wait until its Worker is in the middle of a Stage: it uses the processor, having been idle."""

    def start_training(*arguments):
        sweep = start(*arguments)
        wait_for_line(sweep.stderr, "steps to train")
        [worker] = workers_of(sweep.pid)
        idle_ticks = cpu_ticks(worker)
        wait_until(lambda: cpu_ticks(worker) >= idle_ticks + 30)
        return sweep, worker

    return start_training


@pytest.fixture
def in_every_worker(tmp_path, monkeypatch):
    """Have every Worker run some code of ours before its own."""

    def arrange(code):
        folder = tmp_path / "first"
        folder.mkdir()
        only_there = "import sys\nif 'sweep.run.worker' in sys.orig_argv:\n    import of_every_worker\n"
        (folder / "sitecustomize.py").write_text(only_there)
        (folder / "of_every_worker.py").write_text(code)
        paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))

    return arrange
