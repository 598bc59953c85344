"""A sweep killed at any of its disk operations is finished by running it again, as if it had never been killed."""

import json
import subprocess
import sys
from pathlib import Path


def test_a_sweep_killed_at_the_nth_disk_operation_whichever_loses_nothing(tmp_path):
    script = Path(__file__).with_name("toy_sweep.py")
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counted = json.loads(done.stdout)
    assert counted["kills"] > 50
    assert counted["resumed"] > 20
