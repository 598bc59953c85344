"""Commands as processes of their own, with what they took."""

import json
import subprocess
import sys
from dataclasses import dataclass

# In between, since a new process begins with the peak of the one that it was forked from: this one's is small.
_BETWEEN = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True, stdin=subprocess.DEVNULL)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps([done.returncode, done.stdout, done.stderr, seconds, peak]))
"""


@dataclass(frozen=True)
class MeasuredProcess:
    """A process that has ended. `peak_bytes` is the most memory that it had at a time."""

    returncode: int
    stdout: str
    stderr: str
    seconds: float
    peak_bytes: int


def run_measured(*command: object) -> MeasuredProcess:
    """Run a command to its end."""
    between = [sys.executable, "-c", _BETWEEN, *map(str, command)]
    return MeasuredProcess(*json.loads(subprocess.run(between, capture_output=True, text=True, check=True).stdout))
