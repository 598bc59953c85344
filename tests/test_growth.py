"""The tools with which growth is measured: exponents are those of what was measured, and every phase does its work."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from measuring import growth_exponent, median_of

PHASES = Path(__file__).parents[1] / "bench" / "phases.py"
SIZES = (10, 100, 1000, 10000)


@pytest.mark.parametrize("constant", [0.0, 50.0])
def test_what_a_process_takes_to_start_hides_no_growth(constant):
    linear = constant + 0.01 * np.array([SIZES] * 3)
    assert growth_exponent(SIZES, linear).value == pytest.approx(1.0)
    quadratic = constant + 1e-6 * np.array([SIZES] * 3) ** 2
    assert growth_exponent(SIZES, quadratic).at_most(1.1) == "missed"


def test_an_exponents_interval_holds_it_whatever_the_noise():
    noise = np.random.default_rng(0).lognormal(0, 0.05, (7, len(SIZES)))
    exponent = growth_exponent(SIZES, noise * (1 + 0.01 * np.array(SIZES)))
    assert exponent.low <= 1.0 <= exponent.high
    assert exponent.low < exponent.value < exponent.high


def test_what_does_not_grow_has_no_exponent():
    assert growth_exponent(SIZES, np.array([[5.0, 4.9, 5.0, 4.8]] * 3)).value == 0.0


def test_a_median_has_an_interval():
    assert str(median_of(np.array([1.0, 1.0, 1.0]))) == "1.000 (1.000 to 1.000)"


def phase(name, shape, results):
    command = [sys.executable, PHASES, name, shape, "5", "3", results]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize(("shape", "num_stages"), [("alone", 15), ("shared", 27)])
def test_every_phase_has_every_stage_of_the_sweep(tmp_path, shape, num_stages):
    done = {name: phase(name, shape, tmp_path) for name in ("plan", "dispatch", "replay", "hear")}
    assert {name: found["stages"] for name, found in done.items()} == dict.fromkeys(done, num_stages)
    assert all(found["seconds"] > 0 for found in done.values())
    assert 0 < done["dispatch"]["dispatch_seconds"] < done["dispatch"]["seconds"]
