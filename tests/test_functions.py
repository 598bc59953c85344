"""What a user's own Python calls."""

import inspect
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import fields
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sweep
from sweep import functions, run_sweep, scale_schedule
from sweep.api import run_request
from sweep.errors import MachineError, UsageError
from sweep.plan.speed import Interval, Speed
from sweep.recipe.library import load_recipe
from sweep.report.frame import COLUMNS, EXTRA_COLUMNS, JUDGED_COLUMNS
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor

ROOT = Path(__file__).parent.parent
SMOKE = load_recipe("smoke").recipe.model_dump(mode="json", exclude_defaults=True)


@pytest.fixture
def inline(monkeypatch):
    """Train in this process, since a Worker takes seconds to start."""
    monkeypatch.setattr(functions, "run_request", partial(run_request, make_executor=lambda *placed: InlineExecutor()))


def problems(**arguments):
    with pytest.raises(UsageError) as raised:
        run_sweep(**{"recipe": "smoke", "ratios": "1"} | arguments)
    assert str(raised.value) == "\n".join(map(str, raised.value.problems))
    return [str(problem) for problem in raised.value.problems]


def test_every_option_of_a_sweep_is_an_argument_with_its_default():
    parameters = inspect.signature(run_sweep).parameters
    for field in fields(SweepRequest):
        if field.name not in ("recipe", "settings"):
            assert Path(str(parameters[field.name].default)) == Path(str(field.default)), field.name
    assert parameters.keys() - {field.name for field in fields(SweepRequest)} == {"progress"}


def test_a_sweep_is_returned_as_the_reports_table_and_trains_only_what_is_missing(inline, tmp_path, capfd):
    first = run_sweep("smoke", ["1/4"], results=tmp_path)
    both = run_sweep("smoke", [0.25, Fraction(1, 2)], results=tmp_path, price=3)
    assert list(first.columns) == [*COLUMNS, *JUDGED_COLUMNS, *EXTRA_COLUMNS]
    assert list(both["epochs"]) == [2, 4]
    assert both["weights_sha256"][0] == first["weights_sha256"][0]
    assert both["dollars"].notna().all()
    assert capfd.readouterr() == ("", "")


def test_within_a_budget_the_grid_is_chosen(inline, monkeypatch, tmp_path, capfd):
    step = Interval.exactly(0.01)
    measure = lambda *asked: Speed(step, step, step, step)  # noqa: E731
    monkeypatch.setattr(functions, "run_request", partial(functions.run_request, measure=measure))
    assert list(run_sweep("smoke", within="1h", seeds=1, results=tmp_path)["epochs"]) == [2, 3, 4, 6, 8]
    assert problems(within=3) == ["within: 3 is no str or None"]
    assert problems(within="$5") == [
        "within: $5 buys hours of a device, and there is no price (give price, the dollars for an hour of one device)"
    ]
    assert capfd.readouterr() == ("", "")


def test_progress_is_drawn_on_standard_error(inline, tmp_path, capfd):
    run_sweep("smoke", 0.25, results=tmp_path, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "smoke: 1 trials" in err


def test_a_recipe_is_a_dict_or_a_path_as_well_and_the_same_recipe(inline, tmp_path):
    (tmp_path / "mine").write_text((ROOT / "recipes" / "smoke.yaml").read_text())
    of_dict = run_sweep(SMOKE, "1/4", results=tmp_path / "a")
    of_path = run_sweep(tmp_path / "mine", "1/4", results=tmp_path / "b")
    assert list(of_dict["recipe"]) == ["recipe"]
    assert list(of_path["recipe"]) == ["mine"]
    assert list(of_dict["weights_sha256"]) == list(of_path["weights_sha256"])


def test_another_dict_under_the_same_name_is_refused(inline, tmp_path):
    run_sweep(SMOKE, "1/4", results=tmp_path)
    with pytest.raises(UsageError, match=r"lr was 0\.1, now 0\.2"):
        run_sweep(SMOKE | {"lr": 0.2}, "1/4", results=tmp_path)
    assert len(run_sweep(SMOKE, "1/4", results=tmp_path, name="other", settings={"lr": 0.2})) == 1


def test_all_mistakes_are_said_at_once_in_the_words_of_the_arguments():
    found = problems(
        recipe=SMOKE | {"lr": "x", "nonsense": 1},
        ratios=[0, "q", None],
        seeds="3",
        jobs=1.5,
        fresh=1,
        keep="x",
        retries=-1,
        settings={"momentum": 7},
        data_path=3,
        name=b"x",
        stall_timeout=0.1,
    )
    for said in (
        "ratios: '0' is not above zero: a run of no length trains nothing",
        "ratios: ratio 'q': 'q' is not a ratio: write 0.7, 7/10 or 70%, in at most 20 characters",
        "seeds: '3' is no int or None",
        "jobs: 1.5 is no int or str",
        "fresh: 1 is no bool",
        "data_path: 3 is no path",
        "name: b'x' is no str or None",
        "recipe: lr: should be a valid number, not 'x'",
        "settings: momentum: should be less than 1, not 7.0",
        "retries: -1 is not a number of retries from 0 to 100",
        "keep: 'x' is nothing to keep (forks, epochs, models, none)",
        "stall_timeout: 0.1 s is too short to tell a slow worker from one that hangs (write 600 or never)",
    ):
        assert said in found
    assert any(problem.startswith("recipe: nonsense: unknown key") for problem in found)
    assert not any("--" in problem for problem in found)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"recipe": 3}, "recipe: 3 is no path (give a name, a path or a dict of keys)"),
        ({"recipe": "digitz"}, "recipe: there is no recipe 'digitz'"),
        ({"recipe": {1: 2}}, "recipe: 1 is no key of a recipe"),
        ({"recipe": {}}, "recipe: model: missing: a recipe must name it, or have a task or a command"),
        ({"ratios": []}, "ratios: ratio '': empty: write ratios as 0.25,0.5,1.0"),
        ({"ratios": float("nan")}, "ratios: 'nan' is not a ratio: give 0.7, '7/10' or Fraction(7, 10)"),
        ({"ratios": b"0.5"}, "ratios: \"b'0.5'\" is not a ratio: give 0.7, '7/10' or Fraction(7, 10)"),
        ({"ratios": 10**400}, f"ratios: '1{'0' * 39}…' is not a ratio: give 0.7"),
        ({"settings": [1]}, "settings: [1] is no dict (for example {'lr': 0.2})"),
        ({"settings": {"lr": 0.2, "threads": 1}, "threads": 2}, "settings: threads: given twice, by --set and by"),
        ({"seeds": True}, "seeds: True is no int or None"),
        ({"results": None}, "results: None is no path"),
    ],
)
def test_a_mistake_names_its_argument(arguments, said):
    assert problems(**arguments)[0].startswith(said.removesuffix(", by --set and by"))


def test_what_the_machine_cannot_do_is_no_exit(inline, tmp_path):
    with pytest.raises(MachineError):
        run_sweep("fashion_mnist", "1/4", results=tmp_path, data_path=tmp_path / "nothing")


def test_warnings_are_pythons_at_the_line_that_called(inline, tmp_path):
    with pytest.warns(UserWarning, match="opt adamw does not use it") as caught:
        run_sweep("smoke", "1/4", results=tmp_path, settings={"opt": "adamw", "momentum": 0.5, "lr": 0.01})
    assert {warning.filename for warning in caught} == {__file__}


def test_a_stopped_sweep_raises_keyboard_interrupt(monkeypatch):
    monkeypatch.setattr(functions, "run_request", lambda *asked: SimpleNamespace(stopped_by=signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # where tests run in the background it is ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            run_sweep("smoke")
    finally:
        signal.signal(signal.SIGINT, before)


def test_it_runs_in_another_thread(inline, tmp_path):
    tables = []
    thread = threading.Thread(target=lambda: tables.append(run_sweep("smoke", "1/4", results=tmp_path)))
    thread.start()
    thread.join()
    assert [list(table["outcome"]) for table in tables] == [["finished"]]


SCRIPT = """
import sweep
table = sweep.run_sweep("smoke", {ratios}, jobs=2, threads=1, settings={settings})
print(len(table), set(table["outcome"]))
"""


def start(tmp_path, **values):
    (tmp_path / "script.py").write_text(SCRIPT.format(**values))
    # So that a shell's `&`, which has Ctrl-C ignored, is not handed on.
    return subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.slow
def test_a_script_needs_no_guard(tmp_path):
    script = start(tmp_path, ratios=[0.25, 0.5], settings={})
    assert script.communicate() == ("2 {'finished'}\n", "")


@pytest.mark.slow
def test_ctrl_c_stops_a_script_cleanly_and_the_same_call_goes_on(tmp_path, wait_until):
    journal = tmp_path / "results" / "smoke" / "journal.jsonl"
    script = start(tmp_path, ratios=["1/100", 1], settings={"epochs": 200})
    wait_until(lambda: journal.exists() and '"finished"' in journal.read_text())
    script.send_signal(signal.SIGINT)
    out, said = script.communicate()
    assert out == ""
    assert said.rstrip().endswith("KeyboardInterrupt")
    kept = journal.read_text()
    again = start(tmp_path, ratios=["1/100", "1/50"], settings={"epochs": 200})
    out, said = again.communicate()
    assert (out[:2], said) == ("3 ", "")
    assert "finished" in out
    assert journal.read_text().startswith(kept)


def test_importing_the_package_has_every_public_name():
    assert sorted(sweep.__all__) == ["SweepError", "Task", "run_sweep", "scale_schedule", "scale_scheduler"]


def test_the_numbers_of_a_recipe_are_those_of_its_run():
    assert scale_schedule("digits", 0.5) == {"epochs": 10, "lr_warmup_epochs": 1}
    steps = SMOKE | {"lr_scheduler": "steplr", "lr_step_size": 3}
    assert scale_schedule(steps, "1/2") == {
        "epochs": 4,
        "lr_warmup_epochs": Fraction(1, 2),
        "lr_step_size": Fraction(3, 2),
    }
    loaded = load_recipe("fashion_mnist")
    expected = scale_schedule(loaded, "1/2")
    assert expected["lr_milestones"]
    assert scale_schedule(loaded.recipe, "1/2") == scale_schedule("fashion_mnist", 0.5) == expected
    in_steps = SMOKE | {"epochs": "184ba", "method": "steps", "lr_scheduler": "wsd", "lr_cooldown": "40ba"}
    assert scale_schedule(in_steps, "1/2")["epochs"] == "92ba"


def test_the_numbers_of_a_dict_are_scaled_key_by_key():
    values = {"epochs": 90, "lr_step_size": 30, "lr_warmup_epochs": 5, "lr": 0.1, "T_max": 85, "milestones": [30, 60]}
    assert scale_schedule(values, "1/3") == {
        "epochs": 30,
        "lr_step_size": 10,
        "lr_warmup_epochs": 5,
        "lr": 0.1,
        "T_max": 25,
        "milestones": [10, 20],
    }
    assert scale_schedule({"total_steps": 1000, "step_size": 50}, 0.29) == {
        "total_steps": 290,
        "step_size": Fraction(29, 2),
    }
    assert scale_schedule({"epochs": 90, "warmup_epochs": 9, "scale_warmup": True, "T_max": 81}, 0.5) == {
        "epochs": 45,
        "warmup_epochs": Fraction(9, 2),
        "scale_warmup": True,
        "T_max": Fraction(81, 2),
    }
    assert scale_schedule({"step_size": 30, "gamma": 0.1}, 2) == {"step_size": 60, "gamma": 0.1}
    scaled = scale_schedule({"epochs": 10, "lr_scheduler": "exponentiallr", "lr_gamma": 0.9}, 0.5)
    assert scaled["lr_gamma"] == pytest.approx(0.81)


@given(st.integers(2, 200), st.data(), st.fractions(Fraction(1, 10), 3, max_denominator=30))
def test_the_numbers_of_a_dict_are_those_of_a_recipe(epochs, data, ratio):
    warmup = data.draw(st.integers(0, epochs - 1))
    size = data.draw(st.integers(1, 60))
    origin = data.draw(st.sampled_from(["start", "warmup"]))
    values = {"epochs": epochs, "lr_warmup_epochs": warmup, "lr_step_size": size, "lr_step_origin": origin}
    try:
        expected = scale_schedule(values | {"model": "small_cnn", "dataset": "digits", "batch_size": 64}, ratio)
    except UsageError:
        return
    assert scale_schedule(values, ratio).items() >= expected.items()


@pytest.mark.parametrize(
    ("values", "ratio", "said"),
    [
        ({"epochs": 90, "stepsize": 30}, 0.5, "stepsize: unknown; did you mean 'step_size'"),
        ({"epochs": "90"}, 0.5, "epochs: '90' is no number of epochs or steps"),
        ({"epochs": 90, "max_steps": 9}, 0.5, "max_steps: one length of the run, not epochs and max_steps"),
        ({"lr_warmup_epochs": 5, "step_size": 3}, 0.5, "give epochs or total_steps as well"),
        ({"epochs": 90}, 0.01, "of 90 that is none"),
        ({"epochs": 90, "lr_warmup_epochs": 5}, "1/18", "the warm-up of 5 fills the run of 5"),
        ({"epochs": 90}, 0, "ratio: '0' is not above zero"),
        ({"milestones": [30, "x"]}, 1, "milestones: 'x' is no number"),
        ({"epochs": 9, "gamma": 0.9, "lr_scheduler": "ExponentialLR"}, 1, "lr_scheduler: 'ExponentialLR' is not known"),
        ({"epochs": 9, "scale_warmup": "yes"}, 1, "scale_warmup: 'yes' is not known (take True, False)"),
        ({"epochs": 9, "lr_step_origin": "end"}, 1, "lr_step_origin: 'end' is not known (take start, warmup)"),
        ({1: 2}, 1, "1: unknown"),
        (3, 1, "recipe: 3 is no path"),
    ],
)
def test_numbers_that_cannot_be_scaled_are_refused(values, ratio, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        scale_schedule(values, ratio)
