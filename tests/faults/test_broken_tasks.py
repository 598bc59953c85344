"""What can be wrong with a task of the user's own is found before anything trains, and said in a line each."""

import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).parent.parent / "train"))

from user_modules import HEAD, as_a_worker, write_module, write_recipe

from sweep.api import plan_sweep
from sweep.errors import MachineError, UsageError
from sweep.recipe.schema import Recipe
from sweep.request import SweepRequest
from sweep.run.ask import ask
from sweep.train import task_module

GOOD = "def make_task(recipe):\n    return made((X[:150], Y[:150]))\n"


def mistakes(path, *settings):
    """Every mistake that planning a recipe finds, as text."""
    with as_a_worker(), pytest.raises(UsageError) as error:
        plan_sweep(SweepRequest(str(path), settings=settings))
    return [str(problem) for problem in error.value.problems]


def of_task(folder, task, *settings):
    """The same of a recipe that consists of nothing but this task."""
    path = folder / "mine.yaml"
    path.write_text(f"task: {task}\nepochs: 2\n")
    return mistakes(path, *settings)


def returning(*fields):
    """A module whose task is whole but for these."""
    given = "".join(f", {name}" for name in fields)
    return f"def make_task(recipe):\n    return made((X[:150], Y[:150]){given})\n"


def test_a_whole_task_has_no_mistakes(tmp_path):
    with as_a_worker():
        plan = plan_sweep(SweepRequest(str(write_recipe(tmp_path, GOOD))))
    assert plan.timelines[-1].lengths.dataset_examples == 150


def test_a_module_that_is_nowhere_names_where_it_was_looked_for(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    write_module(tmp_path, GOOD)
    (tmp_path / "my_training.py").touch()
    [said] = of_task(tmp_path, "my_trainnig:make_task")
    assert said.startswith(f"{tmp_path / 'mine.yaml'}:1: task: there is no module my_trainnig; did you mean")
    assert said.endswith(f"'my_training'?; looked in {tmp_path}, ., and among what is installed")


def test_a_module_is_looked_for_beside_the_recipe_first(tmp_path, monkeypatch):
    beside, here = tmp_path / "beside", tmp_path / "here"
    for folder in (beside, here):
        folder.mkdir()
    path = write_recipe(beside, GOOD)
    (here / path.with_suffix(".py").name).write_text("raise RuntimeError('the wrong one')")
    monkeypatch.chdir(here)
    with as_a_worker():
        plan_sweep(SweepRequest(str(path)))
    path.with_suffix(".py").unlink()
    [said] = mistakes(path)
    assert "RuntimeError: the wrong one" in said


def test_a_module_in_a_package_that_imports_its_neighbours(tmp_path):
    package = tmp_path / "module_of_a_test_package"
    package.mkdir()
    name = write_module(package, GOOD)
    (package / "module_of_a_test_user.py").write_text(f"from .{name} import make_task\n")
    path = tmp_path / "mine.yaml"
    path.write_text("task: module_of_a_test_package.module_of_a_test_user:make_task\nepochs: 4\n")
    with as_a_worker():
        assert plan_sweep(SweepRequest(str(path))).num_steps_alone > 0


def test_a_module_that_python_hides_is_named(tmp_path):
    (tmp_path / "random.py").write_text(HEAD + GOOD)
    [said] = of_task(tmp_path, "random:make_task")
    assert f"{tmp_path / 'random.py'} cannot be imported, since Python has a module random" in said
    assert said.endswith("(give it another name)")


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("mine.py:make_task", "mine.py is a file: a module is named without .py (write mine:…)"),
        ("./mine:make_task", "write module:function, such as my_task:make_task, not './mine:make_task'"),
        ("mine", "write module:function, such as my_task:make_task, not 'mine'"),
    ],
)
def test_a_task_that_is_no_module_and_function_is_told_how_to_write_one(task, said, tmp_path):
    [mistake] = of_task(tmp_path, task)
    assert mistake.endswith(f"mine.yaml:1: task: {said}")


@pytest.mark.parametrize("value", [".inf", "{a: [1, -.inf]}", ".nan"])
def test_numbers_that_results_cannot_keep_are_refused(value, tmp_path):
    found = mistakes(write_recipe(tmp_path, GOOD, f"task_args: {{x: {value}}}"))
    assert len(found) == 1
    assert "task_args: " in found[0]
    assert "is no finite number" in found[0]


@pytest.mark.parametrize(
    ("head", "said", "line"),
    [
        ("import no_such_package\n", "ModuleNotFoundError: No module named 'no_such_package'", 1),
        ("x = 1\nx +\n", "SyntaxError: invalid syntax", 2),
        ("def f():\n    raise ValueError('on\\ntwo lines')\n\nf()\n", "ValueError: on", 2),
        ("import sys\nsys.exit('usage: …')\n", "ends the program (SystemExit: usage: …", 2),
    ],
)
def test_an_import_that_fails_says_why_and_where(head, said, line, tmp_path):
    path = write_recipe(tmp_path, GOOD, head=head)
    [mistake] = mistakes(path)
    assert mistake.startswith(f"{path}:1: task: importing {path.stem} ")
    assert said in mistake
    assert f"({path.with_suffix('.py')}:{line})" in mistake


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def make_tusk(recipe):\n    pass\n", "has no function make_task; did you mean 'make_tusk'?"),
        ("make_task = 3\n", "make_task is no function, but a int"),
        ("def make_task(recipe):\n    return 3\n", "make_task returns a int, not a sweep.Task"),
        ("def make_task(recipe):\n    return sweep.Task()\n", "TypeError: Task.__init__() missing 4 required"),
        ("def make_task():\n    pass\n", "TypeError: make_task() takes 0 positional arguments but 1 was given"),
        ("def make_task(recipe):\n    return recipe.task_args['width']\n", "raises KeyError: 'width' ("),
        (returning("model=net()"), "model is a network, which every seed would begin with"),
        (returning("model=lambda: 3"), "model gives a int, not a torch.nn.Module"),
        (returning("model=nn.Identity"), "model gives a network without a weight to train"),
        (returning("model=lambda: nn.Linear(7, 2)"), "the model does not take a batch of train_data, inputs (2, 6)"),
        (
            "class Odd(nn.Linear):\n    get_extra_state = lambda self: {'epoch': 3}\n\n\n"
            + returning("model=lambda: Odd(6, 2)"),
            "the network keeps what is no tensor in its state_dict, which no checkpoint holds: _extra_state",
        ),
        (
            "def odd():\n    model = net()\n    model.lock = __import__('threading').Lock()\n    return model\n\n\n"
            + returning("model=odd"),
            "the network cannot be copied: TypeError: cannot pickle",
        ),
        (
            "ONE = nn.Linear(6, 2)\n\n\n" + returning("model=lambda: nn.Sequential(ONE)"),
            "model gives the same weights at every call: each trial would go on training those of another",
        ),
        (returning("loss=3"), "loss is no function, but a int"),
        (returning("loss=nn.CrossEntropyLoss(reduction='none')"), "loss gives (2,) float32, not a single number"),
        (returning("loss=lambda outputs, targets: 3.0"), "loss gives a float, not a single number"),
        (returning("loss=lambda outputs, targets: outputs.detach().mean()"), "does not depend on the network's"),
        (
            returning("loss=lambda outputs, targets: cross_entropy(targets, outputs)"),
            "loss does not take outputs (2, 2)",
        ),
        (returning("metrics=[accuracy]"), "metrics is no dict of functions, but a list"),
        (returning("metrics={'top 1': accuracy}"), "a metric cannot be called 'top 1'"),
        (returning("metrics={'accuracy': accuracy, 'loss': accuracy}"), "a metric cannot be called loss"),
        (returning("metrics={'accuracy': lambda o, t: 97.0}"), "the metric accuracy is 97 for the first batch"),
        (returning("metrics={'accuracy': lambda o, t: float('nan')}"), "the metric accuracy is nan for the first"),
        (returning("metrics={'accuracy': lambda o, t: o}"), "the metric accuracy gives (2, 2) float32, not a single"),
        (
            returning("metrics={'accuracy': lambda o, t: o[5].mean()}"),
            "the metric accuracy does not take outputs (2, 2)",
        ),
        (returning("optimizer=torch.optim.SGD"), "optimizer raises TypeError"),
        (returning("eval_data=(X[:0], Y[:0])"), "eval_data is empty"),
        (
            returning("eval_data=(X[:3], Y[:4])"),
            "eval_data: inputs and targets are not of one length: ((3, 6) float32, ",
        ),
        (returning("eval_data=(X.numpy(), Y.numpy())"), "eval_data: a tuple is (inputs, targets), each of tensors"),
        (returning("eval_data=3"), "eval_data is no pair of tensors, no Dataset"),
        (returning("eval_data=[X[0], X[1]]"), "a batch of eval_data is no pair (inputs, targets), but (2, 6) float32"),
        (returning("eval_data=[(1, 2), (3,)]"), "a batch of eval_data cannot be made: "),
        (returning("eval_data=lambda: iter([])"), "eval_data is empty"),
        (
            "def make_task(recipe):\n    return made(torch.utils.data.DataLoader([(X[0], 0)]))\n",
            "train_data: a DataLoader's order cannot be repeated from the middle",
        ),
        (
            "def make_task(recipe):\n    return made(lambda seed, epoch: iter([(X, Y)]))\n",
            "train_data must give loaders with a length",
        ),
        (
            "def make_task(recipe):\n    return made(lambda s, e: torch.utils.data.DataLoader([(X[0], 0)] * 9, 5))\n",
            "its loader makes batches of 5, and batch_size is 16",
        ),
        ("def make_task(recipe):\n    return made(lambda: 3)\n", "train_data(0, 0) raises TypeError"),
    ],
)
def test_what_is_wrong_with_a_task_is_said(body, said, tmp_path):
    found = mistakes(write_recipe(tmp_path, body))
    assert any(said in mistake for mistake in found), found
    assert all("\n" not in mistake for mistake in found)


@pytest.mark.parametrize(
    "body",
    [
        "def make_task(recipe):\n    raise ValueError([torch.rand(()), np.random.rand(), random.random()])\n",
        returning("model=lambda: {}[float(torch.rand(())), np.random.rand(), random.random()]"),
        returning("metrics={'accuracy': lambda o, t: 2 + torch.rand(()) + np.random.rand() + random.random()}"),
    ],
)
def test_whichever_process_asks_is_given_the_same_random_numbers(body, tmp_path):
    path = write_recipe(tmp_path, body)
    torch.manual_seed(1)
    first = mistakes(path)
    torch.manual_seed(2)
    np.random.seed(2)
    random.seed(2)
    assert mistakes(path) == first


def test_weights_that_nobody_trains_may_be_shared(tmp_path):
    body = "BODY = nn.Linear(6, 6).requires_grad_(False)\n\n\n"
    path = write_recipe(tmp_path, body + returning("model=lambda: nn.Sequential(BODY, nn.Linear(6, 2))"))
    with as_a_worker():
        assert plan_sweep(SweepRequest(str(path))).trials


def test_a_network_that_ends_the_program_is_a_mistake(tmp_path):
    body = "class Ends(nn.Linear):\n    def forward(self, x):\n        raise SystemExit(3)\n\n\n"
    path = write_recipe(tmp_path, body + returning("model=lambda: Ends(6, 2)"))
    assert any("SystemExit: 3 (" in mistake for mistake in mistakes(path))


def test_a_metric_that_is_not_measured_is_refused_with_what_is(tmp_path):
    path = write_recipe(tmp_path, GOOD, "metric: acuracy")
    [said] = mistakes(path)
    assert said.startswith(f"{path}:8: metric: acuracy is not measured by this task; did you mean 'accuracy'?")
    body = returning("metrics={}")
    [said] = mistakes(write_recipe(tmp_path, body))
    assert said.endswith("accuracy is not measured by this task; it has loss (write metric: loss and mode: min)")


def test_mistakes_are_reported_together(tmp_path):
    fields = "model=3", "loss=3", "metrics={'a b': accuracy}", "optimizer=3"
    found = mistakes(write_recipe(tmp_path, returning(*fields)))
    assert [said.split("task: ")[1].split(" ")[0] for said in found if "task: " in said] == [
        "model",
        "loss",
        "optimizer",
        "a",
    ]


def test_methods_that_draw_examples_are_refused_where_loaders_draw_their_own(tmp_path):
    body = "def make_task(recipe):\n    return made(lambda s, e: torch.utils.data.DataLoader([(X[0], 0)] * 64, 16))\n"
    path = write_recipe(tmp_path, body)
    [said] = mistakes(path, "method=subset")
    assert "subset draws examples, and a function that makes loaders draws its own" in said


@pytest.mark.parametrize("key", ["hflip_prob: 0.5", "mixup_off: 2", "label_smoothing: 0.1", "stem: small"])
def test_keys_of_the_tools_own_images_are_refused(key, tmp_path):
    [said] = mistakes(write_recipe(tmp_path, GOOD, key))
    assert "of the tool's own images: a task does this itself, with values from task_args" in said


def test_a_task_can_be_scaled_to_a_recipe_of_its_own(tmp_path):
    from sweep.api import scale_recipe
    from sweep.plan.recipe_text import to_yaml
    from sweep.recipe.library import load_recipe

    with as_a_worker():
        path = write_recipe(tmp_path, GOOD, "task_args: {Width: 3, parts: [Ab, {deep: true, 'x: y': null}]}")
        scaled = scale_recipe(str(path), "0.5")
    path.write_text(to_yaml(scaled))
    again = load_recipe(str(path)).recipe
    assert again == scaled.recipe
    assert (again.kind, str(again.epochs)) == ("task", "2ep")
    assert again.task_args == {"Width": 3, "parts": ["Ab", {"deep": True, "x: y": None}]}


def test_code_runs_only_from_a_recipe_that_is_given_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = tmp_path / "ran"
    name = write_module(tmp_path, f"open({str(ran)!r}, 'w').close()\n" + GOOD)
    settings = ("model=null", "dataset=null", f"task={name}:make_task")
    with as_a_worker(), pytest.raises(UsageError) as error:
        plan_sweep(SweepRequest("smoke", settings=settings))
    assert "code of one's own runs only from a recipe that is given by its path" in str(error.value)
    assert not ran.exists()


def test_no_shipped_recipe_has_code():
    from sweep.recipe.library import load_recipe, shipped_recipes

    assert {load_recipe(name).recipe.kind for name in shipped_recipes()} == {"builtin"}


def test_the_command_says_it_with_exit_code_2_and_leaves_nothing(sweep, tmp_path):
    path = write_recipe(tmp_path, "def make_task(recipe):\n    return 3\n")
    before = sorted(tmp_path.iterdir())
    for command in ("plan", "run"):
        done = sweep(command, path.name, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{path.name}:1: task: make_task returns a int, not a sweep.Task" in done.stderr
        assert "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_a_module_that_kills_its_process_is_an_error_of_the_machine(sweep, tmp_path):
    path = write_recipe(tmp_path, GOOD, head="import os\nprint('almost', flush=True)\nos._exit(5)\n")
    done = sweep("plan", path.name, cwd=tmp_path)
    assert done.returncode == 3
    assert "crashed (exit code 5)" in done.stderr
    assert f"while it tried out the task {path.stem}:make_task: almost" in done.stderr


def test_a_module_that_is_never_imported_is_given_up(tmp_path, monkeypatch):
    path = write_recipe(tmp_path, GOOD, head="while True:\n    pass\n")
    monkeypatch.setattr("sweep.run.ask.ask", lambda job: ask(job, timeout_seconds=0.5))
    with pytest.raises(MachineError, match=rf"has no answer after 0.5 s while it tried out the task {path.stem}:make_"):
        plan_sweep(SweepRequest(str(path)))


# The code of a sweep's first run


def test_the_hash_of_the_code_is_that_of_its_files_in_whatever_order_they_are_met(tmp_path, monkeypatch):
    files = [tmp_path / folder / "__init__.py" for folder in "ab"]
    for file in files:
        file.parent.mkdir()
        file.write_text(f"FOLDER = {file.parent.name!r}\n")
    recipe = Recipe.model_validate({"task": "a:make_task", "epochs": 2})
    found = []
    for met in (files, files[::-1], files[:1]):
        monkeypatch.setattr(task_module, "_own_files", lambda name, folders, met=met: met)
        found.append(task_module.code_sha256(recipe, [tmp_path]))
    assert found[0] == found[1] != found[2]


@pytest.mark.slow
def test_code_that_has_changed_is_another_set_up(sweep, tmp_path):
    path = write_recipe(tmp_path, GOOD)
    module = path.with_suffix(".py")
    assert sweep("run", path.name, "--ratios", "0.5", "--threads", "1", cwd=tmp_path).returncode == 0
    module.write_text(module.read_text() + "\n# changed\n")
    complete = sweep("run", path.name, "--ratios", "0.5", "--threads", "1", cwd=tmp_path)
    assert (complete.returncode, complete.stdout) == (2, ""), "results of another code were shown for this one's"
    assert "these results were measured on another set-up: the task's code was " in complete.stderr
    arguments = ("run", path.name, "--ratios", "0.5,1", "--threads", "1")
    refused = sweep(*arguments, cwd=tmp_path)
    assert refused.returncode == 2
    assert "these results were measured on another set-up: the task's code was " in refused.stderr
    mixed = sweep(*arguments, "--allow-mixed", cwd=tmp_path)
    assert mixed.returncode == 0, mixed.stderr
    assert "another set-up than this sweep began with (the task's code was" in mixed.stderr
