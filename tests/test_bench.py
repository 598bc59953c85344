"""The benches' own tools are right, and every bench can be run; what they measure, nothing here looks at."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from measuring import Ratio, command_times, median_of_ratios, ratio_of_medians, step_times

import results

BENCH = Path(__file__).parent.parent / "bench"
BENCHES = sorted(path.name for path in BENCH.glob("*.py") if "\nfrom results import" in path.read_text())


def test_a_verdict_is_given_where_the_whole_interval_is_on_one_side():
    verdicts = [Ratio(1.0, low, high).at_least(1.0) for low, high in ((1.0, 1.2), (0.9, 1.1), (0.8, 0.99))]
    assert verdicts == ["met", "cannot tell", "missed"]
    verdicts = [Ratio(1.0, low, high).at_most(1.0) for low, high in ((0.8, 1.0), (0.9, 1.1), (1.01, 1.2))]
    assert verdicts == ["met", "cannot tell", "missed"]


@pytest.mark.parametrize("compare", [ratio_of_medians, median_of_ratios])
@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_the_interval_holds_the_true_ratio_nineteen_times_in_twenty(compare, factor):
    random = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        these, those = random.lognormal(0, 0.2, (2, 40))
        ratio = compare(factor * these, those)
        assert ratio.low <= ratio.value <= ratio.high
        held += ratio.low <= factor <= ratio.high
    assert 90 <= held <= 100


def test_loops_are_advanced_in_turn_and_the_warm_up_does_not_count():
    steps = {"one": 0, "other": 0}

    def loop(name):
        while True:
            steps[name] += 1
            assert abs(steps["one"] - steps["other"]) <= 1
            yield

    times = step_times([loop("one"), loop("other")], 20, 5)
    assert [len(seconds) for seconds in times] == [20, 20]
    assert steps == {"one": 25, "other": 25}


def test_every_command_is_run_once_a_round_and_one_that_fails_ends_the_bench(tmp_path):
    commands = {name: ("sh", "-c", f"echo {name} >> order") for name in ("one", "other")}
    times = command_times(commands, 3, tmp_path)
    order = (tmp_path / "order").read_text().split()
    assert {name: len(seconds) for name, seconds in times.items()} == {"one": 3, "other": 3}
    assert [set(order[first : first + 2]) for first in (0, 2, 4)] == [{"one", "other"}] * 3
    with pytest.raises(SystemExit, match="exit code 3"):
        command_times({"bad": ("sh", "-c", "exit 3")}, 1, tmp_path)


def test_a_bench_writes_its_own_part_of_the_page_anew_and_leaves_the_rest(tmp_path, capsys):
    page = tmp_path / "results.md"
    page.write_text("# What was measured\n\nBy hand.\n")
    for figure in ("1", "2"):
        results.report("this", [results.Row("loop", "bare", figure, "0.9", "met")], page=page)
        results.report("that", [results.Row("report", "imports", "7", "", "")], ["Of that."], page=page)
        page.write_text(page.read_text().replace("## that", "Why so.\n\n## that"))
    text = page.read_text()
    assert text.startswith("# What was measured\n\nBy hand.\n")
    assert text.count("| loop | bare | 2 | 0.9 | met |") == 1
    assert "| loop | bare | 1 |" not in text
    assert text.count("| report | imports | 7 |") == text.count("- Of that.") == text.count("## this") == 1
    assert text.count("Why so.") == 2
    assert "| loop | bare | 2 |" in capsys.readouterr().out


def test_the_plain_script_has_the_rates_and_the_lengths_of_the_sweep():
    import plain_train
    import whole

    for case in whole.CASES:
        plan = case.plan(epochs=2)
        assert plan.num_steps < plan.num_steps_alone
        for trial in plan.trials:
            [_, script, *options] = whole.plain(trial, Path("data"))
            assert Path(script) == BENCH / "plain_train.py"
            asked = plain_train.parse(options)
            assert (asked.seed, asked.steps) == (trial.seed, trial.timeline.num_steps)
            rates = [asked.lr * plain_train.multiplier(step, asked) for step in range(asked.steps)]
            assert rates == pytest.approx(trial.timeline.rates(0, asked.steps).tolist(), rel=1e-12)


def test_the_plain_script_evaluates_a_network_as_a_task_does():
    import plain_train
    import torch

    images = torch.eye(10).repeat(3, 1)[:25]  # each says itself what it is
    batches = [(part, part.argmax(1)) for part in images.split(7)]
    assert plain_train.evaluate(torch.nn.Identity(), batches) == 1
    wrong = [(part, (labels + (labels == 4)) % 10) for part, labels in batches]
    assert plain_train.evaluate(torch.nn.Identity(), wrong) == pytest.approx(22 / 25)


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHES)
def test_every_bench_says_how_it_is_run(name):
    done = subprocess.run([sys.executable, BENCH / name, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_make_bench_runs_them_all():
    make = ["make", "-n", "bench"]
    asked = subprocess.run(make, cwd=BENCH.parent, capture_output=True, text=True, check=True).stdout
    assert len(BENCHES) > 3
    for name in BENCHES:
        assert f"bench/{name}" in asked
