"""A command as a Trial: what it is told, what is read of it, and a clear reason for whatever does not go well."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ACCURACY, logs, run, write_recipe

from sweep.api import run_request
from sweep.errors import MachineError, UsageError
from sweep.events import Progress, TrialEnded
from sweep.request import SweepRequest
from sweep.store.history import read_history


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def reason(place):
    """Why a script's trial failed."""

    def reason(script, keys=ACCURACY):
        [result] = run(write_recipe(place, script, keys))
        assert result.outcome == "failed"
        assert result.accuracy is None
        assert result.train_seconds is None
        assert result.log == "logs/10-epochs-seed-0.log"
        return result.reason

    return reason


GOOD = "print('Acc@1', 80 + epochs + seed)\n"


def test_a_grid_of_commands_is_run_recorded_and_not_run_again(place):
    recipe = write_recipe(place, GOOD)
    events = []
    results = run(recipe, "0.25,0.5,1", tell=events.append, seeds=2)
    found = {(float(result.entry.num_epochs), result.entry.seed): result for result in results}
    assert {key: result.accuracy for key, result in found.items()} == {
        (epochs, seed): (80 + epochs + seed) / 100 for epochs in (2, 5, 10) for seed in (0, 1)
    }
    assert {result.outcome for result in results} == {"finished"}
    assert all(result.train_seconds > 0 and result.weights_sha256 is None for result in results)
    assert all(result.truncated_quality is None and result.loss is None for result in results)
    assert sum(isinstance(event, TrialEnded) for event in events) == 6
    before = logs(place)
    assert run(recipe, "0.25,0.5,1", seeds=2) == results
    assert logs(place) == before
    assert len(run(recipe, "0.25,0.5,0.75,1", seeds=2)) == 8
    assert {name: text for name, text in logs(place).items() if name in before} == before


def test_the_command_is_told_what_its_placeholders_stand_for(place):
    script = "print(json.dumps({'accuracy': 1, 'said': said, 'folder': os.getcwd(), 'input': sys.stdin.read()}))"
    options = (
        "--step {lr_step_size:float} --ratio {ratio} --device {device} --threads {threads} --lr {lr} --x '{{a b}}'"
    )
    keys = "lr_step_size: 3\nlr: 0.2\nseed: 7\n"
    run(write_recipe(place, script, keys, options), "1/2", device="cpu", threads=2)
    output = place / "results" / "own" / "outputs" / "5-epochs-seed-7"
    assert output.is_dir()
    [log] = logs(place).values()
    told = json.loads(log.splitlines()[-1])
    assert told["folder"] == str(place)
    assert told["input"] == ""
    of_the_run = {"--epochs": "5", "--seed": "7", "--to": str(output), "--device": "cpu", "--threads": "2"}
    assert told["said"] == of_the_run | {"--step": "1.5", "--ratio": "0.5", "--lr": "0.2", "--x": "{a b}"}


def test_the_environment_pins_device_and_threads(place, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    script = "print({name: os.environ.get(name) for name in ('OMP_NUM_THREADS', 'CUDA_VISIBLE_DEVICES')})\n" + GOOD
    run(write_recipe(place, script), device="cpu", threads=3)
    [log] = logs(place).values()
    assert "{'OMP_NUM_THREADS': '3', 'CUDA_VISIBLE_DEVICES': ''}" in log


def test_where_it_ran_is_known_without_torch(place):
    [result] = run(write_recipe(place, GOOD), device="cpu", threads=3)
    assert (result.environment.device_kind, result.environment.threads) == ("cpu", 3)
    assert result.environment.device_name
    assert result.environment.torch[0].isdigit()


def test_a_sweep_of_a_command_loads_neither_torch_nor_data(place):
    write_recipe(place, GOOD)
    (place / "watched.py").write_text(
        "import sys\n"
        "from commands import run\n"
        "from pathlib import Path\n"
        "[result] = run(Path('own.yaml').resolve())\n"
        "assert result.outcome == 'finished', result\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'torchvision', 'sklearn'}))\n"
    )
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run([sys.executable, "watched.py"], capture_output=True, text=True, env=environment)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


# Where the figures are read.


def test_the_last_match_of_a_pattern_counts(place):
    script = "print('Acc@1 10.0 Acc@1 20.0')\nprint('Acc@1 30.5, best Acc@1 31.5 ')\nprint('done')\n"
    assert [result.accuracy for result in run(write_recipe(place, script))] == [0.315]


def test_a_pattern_finds_its_figure_through_colours_and_progress_bars(place):
    script = "sys.stdout.write('10%\\rAcc@1 \\x1b[32m71.5\\x1b[0m \\r100% done')\n"
    assert [result.accuracy for result in run(write_recipe(place, script))] == [0.715]


@pytest.mark.parametrize(
    ("pattern", "line", "value"),
    [
        ("loss ([0-9.]+)", "loss 8.5e-05", 8.5e-05),
        ("loss ([0-9.]+)", "loss 2E+3, best", 2000.0),
        ("loss ([0-9]+)", "loss 1.25", 1.25),
        ("loss ([0-9.]+)", "loss 1.5,2", 1.5),
        ("loss ([0-9.]+)", "loss 1.5, 2", 1.5),
        ("loss ([0-9]+)[.]", "loss 7.25", 7.0),
        ("loss ([0-9.]+)", "loss 3end", 3.0),
    ],
)
def test_a_number_is_not_cut_short_by_its_pattern(place, pattern, line, value):
    keys = f"metric: loss\nmode: min\nmetrics: {{loss: '{pattern}'}}\n"
    assert [result.loss for result in run(write_recipe(place, f"print({line!r})\n", keys))] == [value]


def test_a_number_with_a_decimal_comma_is_none(reason):
    assert "accuracy '0,87' is no number" in reason("print('Acc@1 0,87')\n", "metrics: {accuracy: 'Acc@1 ([0-9.]+)'}\n")


def test_figures_are_read_from_a_file_under_the_names_that_it_has(place):
    script = "json.dump({'eval_accuracy': 0.75, 'train_runtime': 12.5, 'loss': 0.5}, open(output + '/all.json', 'w'))\n"
    keys = "metrics: {json: '{output_dir}/all.json', accuracy: eval_accuracy, train_seconds: train_runtime}\n"
    [result] = run(write_recipe(place, script, keys))
    assert (result.accuracy, result.train_seconds, result.loss) == (0.75, 12.5, 0.5)


def test_without_metrics_the_last_line_that_is_a_json_object_counts(place):
    script = "print({'accuracy': 1})\nprint('{\"accuracy\": 0.5}')\nprint('[1, 2]')\nprint('{broken')\n"
    assert [result.accuracy for result in run(write_recipe(place, script, ""))] == [0.5]


def test_seconds_are_the_commands_own_where_it_names_them_and_else_the_walls(place):
    keys = "metrics: {accuracy: 'Acc@1 ([0-9.]+)', train_seconds: 'took ([0-9.]+)', scale: percent}\n"
    [result] = run(write_recipe(place, GOOD + "print('took 3600.5 s')\n", keys))
    assert (result.train_seconds, result.train_seconds_source) == (3600.5, "metric")
    [result] = run(write_recipe(place, "time.sleep(0.3)\n" + GOOD), fresh=True)
    assert result.train_seconds >= 0.3
    assert result.train_seconds_source == "wall"


def test_another_figure_than_accuracy_is_a_plain_number(place):
    keys = "metric: perplexity\nmode: min\nmetrics: {perplexity: 'ppl ([0-9.]+)', loss: 'loss ([^ ]+)'}\n"
    [result] = run(write_recipe(place, "print('ppl 23.5 loss nan')\n", keys))
    assert (result.outcome, result.quality, result.accuracy, result.loss) == ("finished", 23.5, None, None)
    history = read_history(place / "results" / "own" / "journal.jsonl")
    [record] = history.stages.values()
    assert record.outcome == "finished"
    evaluations = record.measurement.evaluations
    assert (evaluations.steps, evaluations.accuracy, evaluations.loss) == ((10,), (), (None,))
    assert evaluations.metrics == {"perplexity": (23.5,)}


def test_what_was_printed_so_far_is_told_while_it_runs(place):
    events = []
    script = "print('Acc@1 42.0')\ntime.sleep(0.8)\nprint('Acc@1 50.0')\n"
    run(write_recipe(place, script), tell=events.append)
    progress = [event for event in events if isinstance(event, Progress)]
    assert 0.42 in [event.accuracy for event in progress]
    assert progress[-1].elapsed_seconds >= 0.5


# What goes wrong: each has its reason in the trial's row.


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("print('hello')\n", "no accuracy in its output; it printed last: hello"),
        ("", "no accuracy in its output; it printed nothing"),
        ("print('Acc@1 nan')\n", "accuracy 'nan' is no number; it printed last: Acc@1 nan"),
        ("print('Acc@1 inf')\n", "accuracy 'inf' is no number"),
        ("print('Acc@1 1e999')\n", "accuracy 1e999 is not finite"),
        ("print('Acc@1 9,5')\n", "accuracy '9,5' is no number"),
        ("print('Acc@1 1_0')\n", "accuracy '1_0' is no number"),
        ("print('Acc@1 101')\n", "accuracy 101 is outside 0..100; it printed last: Acc@1 101"),
        ("print('Acc@1 -1')\n", "accuracy -1 is outside 0..100"),
        ("print('Acc@1 50')\nsys.exit(3)\n", "exit code 3: Acc@1 50"),
        ("raise RuntimeError('no data')\n", "RuntimeError: no data"),
        ("sys.exit(4)\n", "exit code 4, having printed nothing"),
        ("print('\\x1b[2Jred\\x07')\nsys.exit(1)\n", "exit code 1: red\\x07"),
        ("sys.stdout.buffer.write(bytes(range(256)) * 4)\n", "no accuracy in its output; it printed last: "),
    ],
)
def test_a_command_that_gives_no_figure_fails_with_its_last_lines(reason, script, words):
    said = reason(script)
    assert words in said
    assert said.isprintable()
    assert len(said) < 350


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("", "it wrote no "),
        ("open(output + '/m.json', 'w').write('{')\n", "m.json holds no JSON: "),
        ("open(output + '/m.json', 'w').write('[' * 100000)\n", "m.json holds no JSON: "),
        ("open(output + '/m.json', 'wb').write(bytes(range(256)))\n", "m.json holds no JSON: "),
        ("open(output + '/m.json', 'w').write('[1]')\n", "m.json holds no JSON object"),
        ("open(output + '/m.json', 'w').write('{}')\n", "no accuracy in "),
        ("open(output + '/m.json', 'w').write('{\"accuracy\": NaN}')\n", "accuracy nan is not finite"),
        ("open(output + '/m.json', 'w').write('{\"accuracy\": true}')\n", "accuracy True is no number"),
        ("open(output + '/m.json', 'w').write('{\"accuracy\": null}')\n", "accuracy None is no number"),
        ("open(output + '/m.json', 'w').write('{\"accuracy\": [1]}')\n", "accuracy [1] is no number"),
        ("open(output + '/m.json', 'w').write('{\"accuracy\": ' + '9' * 4000 + '}')\n", "is not finite"),
        (
            "open(output + '/m.json', 'w').write('{\"accuracy\": 76.1}')\n",
            "(is it in percent? metrics: scale: percent)",
        ),
        ("os.mkfifo(output + '/m.json')\n", "m.json holds no JSON: not a regular file"),
        ("os.mkdir(output + '/m.json')\n", "m.json holds no JSON: "),
        (
            "json.dump({'accuracy': 1, 'train_seconds': -1}, open(output + '/m.json', 'w'))\n",
            "train_seconds -1 is no time",
        ),
    ],
)
def test_a_file_that_holds_no_figure_fails_with_what_is_wrong_with_it(reason, script, words):
    said = reason(script, "metrics: {json: '{output_dir}/m.json'}\n")
    assert words in said
    assert len(said) < 450


def test_a_file_that_was_there_before_is_no_answer(place, reason):
    (place / "m.json").write_text('{"accuracy": 1}')
    assert "m.json is as it was before the command began" in reason("", "metrics: {json: m.json}\n")


def test_without_a_json_line_that_is_said(reason):
    assert reason("print('accuracy 0.9')\n", "").startswith("it printed no line that is a JSON object")


def test_a_program_that_is_not_there_is_refused_before_anything_runs(place):
    recipe = place / "own.yaml"
    recipe.write_text("command: no-such-program --epochs {epochs}\n")
    with pytest.raises(MachineError, match="command: there is no program 'no-such-program' to run"):
        run(recipe)


def test_a_program_that_cannot_be_started_is_said_to_be_so(place):
    (place / "broken").write_text("not a program")
    (place / "broken").chmod(0o755)
    (place / "own.yaml").write_text("command: ./broken {epochs}\n")
    [result] = run(place / "own.yaml")
    assert (result.outcome, result.reason) == ("failed", "it cannot be started: ./broken: Exec format error")


def test_a_device_that_is_not_there_is_refused(place):
    with pytest.raises(MachineError, match="there is no device cuda:7"):
        run(write_recipe(place, GOOD), device="cuda:7")


def test_a_command_that_is_killed_has_crashed_and_is_run_again(place):
    script = "if not os.path.exists('once'):\n    open('once', 'w')\n    os.kill(os.getpid(), 9)\n" + GOOD
    notices = []
    [result] = run(write_recipe(place, script), tell=notices.append)
    assert result.outcome == "finished"
    assert any("ended by SIGKILL, having printed nothing; trying again" in str(notice) for notice in notices)


def test_a_command_that_has_failed_is_not_run_again_but_by_the_next_sweep(place):
    script = "open('calls', 'a').write('x')\nif len(open('calls').read()) < 2: sys.exit(1)\n" + GOOD
    recipe = write_recipe(place, script)
    assert [result.outcome for result in run(recipe, retries=3)] == ["failed"]
    assert (place / "calls").read_text() == "x"
    assert [result.outcome for result in run(recipe)] == ["finished"]


def test_an_attempt_begins_with_an_empty_folder_and_reads_only_its_own_output(place):
    script = (
        "print('Acc@1 99')\n"
        "assert os.listdir(output) == []\n"
        "open(output + '/left', 'w')\n"
        "if not os.path.exists('once'):\n"
        "    open('once', 'w')\n"
        "    os.kill(os.getpid(), 9)\n"
        "print('Acc@1 50')\n"
    )
    [result] = run(write_recipe(place, script))
    assert result.accuracy == 0.5
    silent = "if os.path.exists('twice'): sys.exit()\nopen('twice', 'w')\nprint('Acc@1 99')\nos.kill(os.getpid(), 9)\n"
    [result] = run(write_recipe(place, silent), fresh=True)
    assert (result.outcome, result.reason) == ("failed", "no accuracy in its output; it printed nothing")


def test_a_retry_is_given_resume_args_where_the_attempt_before_has_left_something(place):
    script = (
        "print(sys.argv[7:])\n"
        "if '--resume' not in said:\n"
        "    open(output + '/state', 'w').write('5')\n"
        "    time.sleep(0.5)\n"
        "    os.kill(os.getpid(), 9)\n"
        "assert open(said['--resume']).read() == '5'\n" + GOOD
    )
    keys = ACCURACY + "resume_args: --resume {output_dir}/state\n"
    [result] = run(write_recipe(place, script, keys))
    assert result.outcome == "finished"
    assert result.train_seconds >= 0.5  # what the first attempt took is in it
    [log] = logs(place).values()
    assert "[]\n" in log
    assert f"['--resume', '{place}/results/own/outputs/10-epochs-seed-0/state']" in log


def test_without_anything_left_a_retry_begins_anew(place):
    script = "assert '--resume' not in said\nif not os.path.exists('once'):\n    open('once', 'w')\n"
    script += "    os.kill(os.getpid(), 9)\n" + GOOD
    keys = ACCURACY + "resume_args: --resume {output_dir}/state\n"
    assert [result.outcome for result in run(write_recipe(place, script, keys))] == ["finished"]


def test_the_time_limit_ends_it(place):
    [result] = run(write_recipe(place, "print('training')\ntime.sleep(600)\n", ACCURACY + "time_limit: 0.5\n"))
    assert (result.outcome, result.reason) == ("failed", "time limit of 0.5 s reached, stopped")


def test_another_command_is_another_sweep(place):
    recipe = write_recipe(place, GOOD)
    run(recipe)
    recipe.write_text(recipe.read_text().replace("--to", "--lr 0.1 --to"))
    with pytest.raises(UsageError, match="these results are of another recipe: command was"):
        run(recipe)
    assert [result.outcome for result in run(recipe, fresh=True)] == ["finished"]
    assert (place / "results" / "own~1" / "logs" / "10-epochs-seed-0.log").exists()


def test_a_time_limit_and_resume_args_make_no_other_sweep(place):
    recipe = write_recipe(place, GOOD)
    results = run(recipe)
    recipe.write_text(recipe.read_text() + "time_limit: 60\nresume_args: --resume\n")
    assert run(recipe) == results


@pytest.mark.slow
def test_a_gigabyte_of_output_is_read_from_its_end(place):
    script = "for _ in range(1024): sys.stdout.buffer.write(b'x' * (1 << 20))\nprint('\\nAcc@1 50')\n"
    assert [result.accuracy for result in run(write_recipe(place, script))] == [0.5]
    script = "print('Acc@1 50')\nfor _ in range(256): sys.stdout.buffer.write(b'\\xff' * (1 << 20))\n"
    [result] = run(write_recipe(place, script), fresh=True)
    assert result.reason.startswith("no accuracy in its output; it printed last: ")


@pytest.mark.slow
def test_several_trials_at_a_time_have_each_their_folder_and_their_log(place):
    recipe = write_recipe(place, "open(output + '/mine', 'w').write(str(seed))\n" + GOOD)
    request = SweepRequest(str(recipe), "0.5,1", seeds=2, jobs=2, results=place / "results", keep="none")
    done = run_request(request)
    assert done.is_complete
    written = {path.parent.name: path.read_text() for path in place.glob("results/own/outputs/*/mine")}
    assert written == {f"{epochs}-epochs-seed-{seed}": str(seed) for epochs in (5, 10) for seed in (0, 1)}
    assert len([name for name in logs(place) if not name.startswith("worker")]) == 4
    assert list(place.glob("results/own/states/*")) == []
