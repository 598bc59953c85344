"""What keeps a user's Task from being trained, found by training and evaluating one small batch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from sweep.errors import Complaints, Problem, RecipeError, SweepError
from sweep.recipe.schema import Recipe
from sweep.recipe.spelling import nearest
from sweep.train.blame import blame
from sweep.train.feeds import LoaderFeed, data_problem, described
from sweep.train.generators import seed_generators, set_aside
from sweep.train.group import ALONE, Group
from sweep.train.memory import is_out_of_memory
from sweep.train.nested import num_examples
from sweep.train.trainable import AnyBatch
from sweep.train.user_task import Task, UserTask

# Chosen: BatchNorm needs two examples in training mode.
_SIZE = 2


def check_task(recipe: Recipe, task: Task, device: torch.device, group: Group = ALONE) -> UserTask:
    """The task, ready to be trained on `device` as one of a `group`. Draws from no generator.

    Raises:
        RecipeError: with everything that is wrong with it.
    """
    complaints = Complaints()
    problems = [*_of_the_fields(task), *_of_the_metric(recipe, task)]
    if any(problem.key == "task" for problem in problems):
        raise RecipeError(problems)
    with set_aside(device):
        seed_generators(recipe.seed)  # one answer, whichever process asks
        try:
            user_task = UserTask(recipe, task, device, group)
        except SweepError as error:
            raise RecipeError([*problems, _problem(str(error))]) from error
        problems += _of_the_method(recipe, user_task)
        for try_out in (_train_a_batch, _evaluate_a_batch, _build_two):
            with complaints:
                try_out(user_task)
    if found := [*problems, *dict.fromkeys(complaints.problems)]:
        raise RecipeError(found)
    return user_task


def _problem(message: str, fix: str | None = None) -> Problem:
    return Problem(message, key="task", fix=fix)


def _of_the_fields(task: Task) -> Iterator[Problem]:
    if isinstance(task.model, nn.Module):
        yield _problem(
            "model is a network, which every seed would begin with",
            "write a function that makes it, such as model=lambda: Net(64)",
        )
    elif not callable(task.model):
        yield _problem(f"model is no function that makes a network, but a {type(task.model).__name__}")
    for name in ("train_data", "eval_data"):
        if message := data_problem(name, getattr(task, name)):
            yield _problem(f"{name} {message}" if message.startswith("is ") else f"{name}: {message}")
    for name in ("loss", "optimizer", "collate_fn"):
        function = getattr(task, name)
        if not callable(function) and (name == "loss" or function is not None):
            yield _problem(f"{name} is no function, but a {type(function).__name__}")
    yield from _of_the_metrics(task.metrics)


def _of_the_metrics(metrics: Any) -> Iterator[Problem]:
    if not isinstance(metrics, dict):
        yield _problem(f"metrics is no dict of functions, but a {type(metrics).__name__}")
        return
    for name, function in metrics.items():
        if not isinstance(name, str) or not name.isidentifier() or not name.isascii() or len(name) > 64:
            yield _problem(f"a metric cannot be called {name!r}", "letters, digits and _, 64 at most")
        elif name == "loss":
            yield _problem("a metric cannot be called loss: that is the mean of the task's loss over eval_data")
        if not callable(function):
            yield _problem(f"the metric {name} is no function, but a {type(function).__name__}")


def _of_the_metric(recipe: Recipe, task: Task) -> Iterator[Problem]:
    """That what the recipe is judged by is measured."""
    names = ["loss", *task.metrics] if isinstance(task.metrics, dict) else []
    if names and recipe.metric not in names:
        hint = nearest(recipe.metric, names)
        other = next((name for name in task.metrics if isinstance(name, str)), None)
        fix = f"write metric: {other}" if other else "write metric: loss and mode: min"
        message = f"{recipe.metric} is not measured by this task{hint or '; it has ' + ', '.join(map(str, names))}"
        yield Problem(message, key="metric", fix=fix)


def _of_the_method(recipe: Recipe, task: UserTask) -> Iterator[Problem]:
    if isinstance(task.train, LoaderFeed) and recipe.method in ("samples", "subset"):
        yield Problem(
            f"{recipe.method} draws examples, and a function that makes loaders draws its own",
            key="method",
            fix="give train_data as tensors or a Dataset, or take method: steps",
        )
    if isinstance(task.train, LoaderFeed) and recipe.devices_per_trial > 1:
        yield Problem(
            "a batch is shared out among the devices by its examples, and those of a loader are its own",
            key="devices_per_trial",
            fix="give train_data as tensors or a Dataset",
        )


def _train_a_batch(task: UserTask) -> None:
    batch = _first(task.train.first, "train_data")
    model = _model(task)
    optimizer = _optimizer(task, model)
    outputs = _outputs(model.train(), batch, "train_data")
    loss = _asked("loss", task.loss, outputs, batch)
    if not isinstance(loss, Tensor) or loss.dim() != 0:
        raise _wrong(f"loss gives {described(loss)}, not a single number: the mean over the batch", None)
    if not loss.requires_grad:
        raise _wrong("loss gives a number that does not depend on the network's weights, so nothing can be learnt")
    _trying("a training step", lambda: (loss.backward(), optimizer.step()))


def _evaluate_a_batch(task: UserTask) -> None:
    batch = _first(task.evaluation.first, "eval_data")
    model = _model(task).eval()
    complaints: list[Problem] = []
    with torch.no_grad():
        outputs = _outputs(model, batch, "eval_data")
        for name, function in {"loss": task.loss, **task.task.metrics}.items():
            try:
                complaints += _of_the_value(name, _asked(name, function, outputs, batch))
            except RecipeError as error:
                complaints += error.problems
    if complaints:
        raise RecipeError(complaints)


def _build_two(task: UserTask) -> None:
    """Find weights that all trials would share: a trial began where another has ended, and nothing showed it."""
    trained = [
        {id(weight) for weight in model.parameters() if weight.requires_grad}
        for model in [_trying("model", task.task.model) for _ in range(2)]
        if isinstance(model, nn.Module)
    ]
    if len(trained) == 2 and trained[0] & trained[1]:
        message = "model gives the same weights at every call: each trial would go on training those of another"
        raise _wrong(message, "make them inside of the function, such as model=lambda: Net(64)")


def _of_the_value(name: str, value: Any) -> Iterator[Problem]:
    what = "loss" if name == "loss" else f"the metric {name}"
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        yield _problem(f"{what} gives {described(value)}, not a single number: the mean over the batch")
        return
    if not math.isfinite(number):
        yield _problem(f"{what} is {number} for the first batch of eval_data, before anything is trained")
    elif name == "accuracy" and not 0 <= number <= 1:
        yield _problem(
            f"{what} is {number:g} for the first batch of eval_data: it is a share in 0..1, the mean over the batch",
            "divide it, or give it another name",
        )


def _first(first: Callable[[int], AnyBatch], name: str) -> AnyBatch:
    try:
        batch = first(_SIZE)
    except SweepError as error:
        raise _wrong(str(error)) from error
    if not num_examples(batch):
        raise _wrong(f"a batch of {name} holds no tensor with an example a row: {described(list(batch))}")
    return batch


def _model(task: UserTask) -> nn.Module:
    model = _trying("model", lambda: task.task.model())
    if not isinstance(model, nn.Module):
        raise _wrong(f"model gives a {type(model).__name__}, not a torch.nn.Module")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise _wrong("model gives a network without a weight to train")
    if others := [name for name, value in model.state_dict().items() if not isinstance(value, Tensor)]:
        raise _wrong(f"the network keeps what is no tensor in its state_dict, which no checkpoint holds: {others[0]}")
    # The first steps, which warm the device up, are trained on a copy.
    copied: nn.Module = _trying("the network cannot be copied:", lambda: copy.deepcopy(model), "")
    return copied.to(task.device)


def _optimizer(task: UserTask, model: nn.Module) -> torch.optim.Optimizer:
    optimizer = _trying("optimizer", lambda: task.build_optimizer(model))
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise _wrong(f"optimizer gives a {type(optimizer).__name__}, not a torch.optim.Optimizer")
    return optimizer


def _outputs(model: nn.Module, batch: AnyBatch, name: str) -> Any:
    what = f"the model does not take a batch of {name}, inputs {described(batch[0])}:"
    return _trying(what, lambda: model(batch[0]), "")


def _asked(name: str, function: Callable[[Any, Any], Any], outputs: Any, batch: AnyBatch) -> Any:
    what = "loss" if name == "loss" else f"the metric {name}"
    given = f"{what} does not take outputs {described(outputs)} and targets {described(batch[1])}:"
    return _trying(given, lambda: function(outputs, batch[1]), "")


def _trying(what: str, call: Callable[[], Any], raises: str = "raises ") -> Any:
    try:
        return call()
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise
        raise _wrong(f"{what} {raises}{blame(error)}") from error


def _wrong(message: str, fix: str | None = None) -> RecipeError:
    return RecipeError(_problem(message, fix))
