"""A task of the user's own is trained as exactly as the tool's: forks, interruptions, processes and all."""

import random

import numpy as np
import pytest
import torch
from interrupted_stages import attempt
from user_modules import as_a_worker, run_here, write_recipe

from sweep.errors import Outcome
from sweep.recipe.library import load_recipe, parse_settings
from sweep.run.ledger import stage_job
from sweep.store.journal import replay
from sweep.store.records import StageRecord
from sweep.train.device import set_threads
from sweep.train.task_checks import check_task
from sweep.train.task_module import load_task

CPU = torch.device("cpu")

TENSORS = "def make_task(recipe):\n    return made((X[:150], Y[:150]))\n"
DATASET = """
class Noisy(torch.utils.data.Dataset):
    '''Draws from all three generators.'''

    def __len__(self):
        return 150

    def __getitem__(self, index):
        scale = random.uniform(0.9, 1.1) + np.random.rand() / 10
        return X[index] * scale + 0.1 * torch.randn(6), Y[index]


def make_task(recipe):
    return made(Noisy())
"""
COLLATED = DATASET.replace(
    "return made(Noisy())",
    """
    def mix(examples):
        inputs, targets = torch.utils.data.default_collate(examples)
        return {"x": torch.lerp(inputs, inputs.flip(0), np.random.rand() / 4)}, targets

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net()

        def forward(self, inputs):
            return self.net(inputs["x"])

    return made(Noisy(), Noisy(), model=Net, collate_fn=mix)
""",
)
LOADERS = DATASET.replace(
    "return made(Noisy())",
    """
    def loader(seed, epoch):
        return torch.utils.data.DataLoader(Noisy(), recipe.batch_size, shuffle=True)

    return made(loader, lambda: torch.utils.data.DataLoader(Noisy(), 32))
""",
)
KINDS = {"tensors": TENSORS, "dataset": DATASET, "collated": COLLATED, "loaders": LOADERS}
# 150 examples in batches of 16.
EPOCH = 10


def loaded_task(path, *settings):
    """The task of a recipe, ready to be trained in this process, and the recipe."""
    set_threads(1)
    recipe = load_recipe(str(path), parse_settings(settings)).recipe
    with as_a_worker():
        return check_task(recipe, load_task(recipe, [path.parent]), CPU)


def planned_job(path, *settings, ratios="1"):
    """The Stage of a recipe's baseline."""
    from sweep.api import plan_sweep
    from sweep.request import SweepRequest

    with as_a_worker():
        plan = plan_sweep(SweepRequest(str(path), ratios=ratios, settings=settings, share=False))
    return stage_job(plan.stages[-1])


def batches(task, start, stop, seed=3):
    return [(inputs, targets) for inputs, targets in task.batches(seed, 150, start, stop)]


def flat(batch):
    inputs, targets = batch
    return torch.cat([(inputs["x"] if isinstance(inputs, dict) else inputs).flatten(), targets.flatten().float()])


# Batches


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_a_function_of_seed_and_step_wherever_reading_begins(kind, tmp_path):
    task = loaded_task(write_recipe(tmp_path, KINDS[kind]))
    whole = [flat(batch) for batch in batches(task, 0, 25)]
    assert [len(batch) for batch in whole[:EPOCH]] == [16 * 7] * 9 + [6 * 7]
    torch.manual_seed(99)  # neither the global generators nor what was read before matter
    random.seed(99)
    np.random.seed(99)
    for start in (1, 9, 10, 17):
        again = [flat(batch) for batch in batches(task, start, 25)]
        assert all(torch.equal(*pair) for pair in zip(whole[start:], again, strict=True))
    assert not torch.equal(whole[0], whole[EPOCH])  # another epoch has another order
    assert not torch.equal(whole[0], flat(batches(task, 0, 1, seed=4)[0]))


@pytest.mark.parametrize("kind", KINDS)
def test_reading_batches_draws_from_no_generator_of_the_training(kind, tmp_path):
    task = loaded_task(write_recipe(tmp_path, KINDS[kind]))
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    batches(task, 0, 12)
    task.warm_up_batch(0, 150)
    task.evaluate(task.build_model(5), lambda: None)
    torch.set_rng_state(before[0])  # the weights are drawn from it, and nothing else
    torch_state, *others = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    assert torch.equal(torch_state, before[0])
    assert others == list(before[1:])
    task.evaluate(model := torch.nn.Linear(6, 2) if kind != "collated" else task.build_model(5), lambda: None)
    assert model.training


def test_every_example_is_read_once_an_epoch(tmp_path):
    task = loaded_task(write_recipe(tmp_path, TENSORS))
    seen = torch.cat([inputs for inputs, _ in batches(task, 0, EPOCH)])
    assert sorted(map(tuple, seen.tolist())) == sorted(map(tuple, task.task.train_data[0].tolist()))


def test_a_dataset_of_two_tensors_gives_the_batches_of_the_tensors(tmp_path):
    plain = loaded_task(write_recipe(tmp_path, TENSORS))
    body = TENSORS.replace("(X[:150], Y[:150])", "torch.utils.data.TensorDataset(X[:150], Y[:150])")
    wrapped = loaded_task(write_recipe(tmp_path, body))
    for one, other in zip(batches(plain, 0, 12), batches(wrapped, 0, 12), strict=True):
        assert torch.equal(flat(one), flat(other))


@pytest.mark.parametrize("kind", ["dataset", "collated"])
def test_processes_that_fetch_change_no_bit(kind, tmp_path):
    path = write_recipe(tmp_path, KINDS[kind])
    here, there = loaded_task(path), loaded_task(path, "workers=2")
    for one, other in zip(batches(here, 3, 12), batches(there, 3, 12), strict=True):
        assert torch.equal(flat(one), flat(other))
    model = here.build_model(0)
    assert here.evaluate(model) == there.evaluate(model)


def test_batches_of_a_subset_are_of_a_fixed_share_and_those_of_samples_are_drawn_anew(tmp_path):
    path = write_recipe(tmp_path, TENSORS)

    def examples(method, epoch):
        task = loaded_task(path, f"method={method}")
        read = task.batches(0, 48, 3 * epoch, 3 * epoch + 3)
        return {tuple(row) for inputs, _ in read for row in inputs.tolist()}

    assert examples("subset", 0) == examples("subset", 1)
    assert examples("samples", 0) != examples("samples", 1)
    assert len(examples("samples", 0)) == 48


# Training


@pytest.mark.parametrize("kind", KINDS)
def test_shared_steps_give_the_weights_of_each_run_alone(kind, tmp_path):
    path = write_recipe(tmp_path, KINDS[kind])
    done, shared = run_here(path, tmp_path / "shared", seeds=2)
    assert done.is_complete
    assert done.plan.num_steps < done.plan.num_steps_alone
    alone_done, alone = run_here(path, tmp_path / "alone", seeds=2, share=False)
    assert alone_done.plan.num_steps == alone_done.plan.num_steps_alone
    assert shared == alone
    assert len(set(shared.values())) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_stage_goes_on_to_the_bit(kind, tmp_path):
    path = write_recipe(tmp_path, KINDS[kind])
    job = planned_job(path)
    whole = attempt(job, tmp_path / "whole", None, loaded_task(path))
    for step in (7, 10, 23):
        stopped = attempt(job, tmp_path / "parts", step, loaded_task(path))
        assert stopped.outcome is Outcome.INTERRUPTED
    parts = attempt(job, tmp_path / "parts", None, loaded_task(path))
    assert parts.outcome is Outcome.FINISHED
    assert parts.measurement.weights_sha256 == whole.measurement.weights_sha256
    assert parts.measurement.evaluations == whole.measurement.evaluations
    assert parts.measurement.images == whole.measurement.images == 4 * 150


def test_a_seed_has_weights_of_its_own_whatever_was_drawn_before(tmp_path):
    task = loaded_task(write_recipe(tmp_path, TENSORS))
    first = task.build_model(1).state_dict()
    torch.rand(3)
    assert all(
        torch.equal(*pair) for pair in zip(first.values(), task.build_model(1).state_dict().values(), strict=True)
    )
    assert not torch.equal(first["0.weight"], task.build_model(2).state_dict()["0.weight"])


def test_the_recipes_optimizer_trains_a_task_that_has_none(tmp_path):
    path = write_recipe(tmp_path, TENSORS, "opt: adamw", "weight_decay: 0.5")
    task = loaded_task(path)
    optimizer = task.build_optimizer(task.build_model(0))
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.param_groups[0]["weight_decay"] == 0.5


OWN_OPTIMIZER = """
def make_task(recipe):
    def optimizer(model):
        first, *others = model.parameters()
        return torch.optim.Adam([{"params": [first], "lr_scale": 0.0}, {"params": others}], lr=recipe.lr)

    return made((X[:150], Y[:150]), optimizer=optimizer)
"""


def test_rates_are_set_in_every_group_of_a_tasks_own_optimizer_times_its_scale(tmp_path):
    path = write_recipe(tmp_path, OWN_OPTIMIZER)
    task = loaded_task(path)
    trained = attempt(planned_job(path), tmp_path, None, task)
    drawn, weights = task.build_model(0).state_dict(), trained.weights
    assert torch.equal(weights["0.weight"], drawn["0.weight"])
    assert not torch.equal(weights["0.bias"], drawn["0.bias"])


PARTIAL_OPTIMIZER = """
def make_task(recipe):
    def optimizer(model):
        return torch.optim.SGD(model[-1].parameters(), lr=recipe.lr)

    return made((X[:150], Y[:150]), optimizer=optimizer)
"""


def test_clipping_is_of_the_gradients_that_the_optimizer_takes(tmp_path):
    """The others' are sums of all steps so far, and no checkpoint holds them."""
    path = write_recipe(tmp_path, PARTIAL_OPTIMIZER, "clip_grad_norm: 0.1")
    whole = attempt(planned_job(path), tmp_path / "whole", None, loaded_task(path))
    attempt(planned_job(path), tmp_path / "parts", 17, loaded_task(path))
    parts = attempt(planned_job(path), tmp_path / "parts", None, loaded_task(path))
    assert parts.measurement.weights_sha256 == whole.measurement.weights_sha256


# Evaluation


METRICS = """
def make_task(recipe):
    metrics = {"first": lambda outputs, targets: float(targets[0]), "count": lambda outputs, targets: len(targets)}
    return made((X[:150], Y[:150]), (X[:20], torch.arange(20) % 2), metrics=metrics)
"""


def test_metrics_are_the_means_of_batches_weighted_by_their_examples(tmp_path):
    """Two batches: of 16, whose first target is 0, and of 4 likewise."""
    task = loaded_task(write_recipe(tmp_path, METRICS, "metric: count"))
    model = task.build_model(0).eval()
    values = task.evaluate(model)
    assert values["count"] == (16 * 16 + 4 * 4) / 20
    assert values["first"] == 0.0
    inputs, targets = task.task.eval_data
    expected = torch.nn.functional.cross_entropy(model.eval()(inputs), targets).item()
    assert values["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_sweep_is_judged_by_the_metric_and_keeps_them_all(tmp_path):
    path = write_recipe(tmp_path, METRICS, "metric: loss", "mode: min")
    done, _ = run_here(path, tmp_path / "results")
    assert (done.history.metric, done.history.is_lower_better) == ("loss", True)
    for result in done.history.results:
        [*_, last] = done.history.evaluations(result.entry)
        assert result.quality == last.loss[-1] > 0
        assert last.column("count")[-1] == 13.6
        assert result.accuracy is None


FADING = """
CALLS = []


def fading(outputs, targets):
    CALLS.append(1)
    return 0.5 if len(CALLS) < 3 else float("nan")


def make_task(recipe):
    return made((X[:150], Y[:150]), metrics={"fading": fading, "count": lambda outputs, targets: len(targets)})
"""


def test_a_metric_that_is_no_number_is_kept_as_not_measured(tmp_path):
    done, _ = run_here(write_recipe(tmp_path, FADING, "metric: count"), tmp_path / "results", "1")
    [result] = done.history.results
    assert (result.outcome, result.quality > 0) == (Outcome.FINISHED, True)
    [*_, last] = done.history.evaluations(result.entry)
    assert last.column("fading")[-1] is None


LATE = """
CALLS = []


def late(outputs, targets):
    CALLS.append(1)
    {what}


def make_task(recipe):
    return made((X[:150], Y[:150]), metrics={{"accuracy": late}})
"""


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("return 2.0 if len(CALLS) > 3 else 0.5", "the metric accuracy is 1.52: it is a share in 0..1"),
        (
            "return 0.5 if len(CALLS) < 4 else 1 / 0",
            "ZeroDivisionError: division by zero (",
        ),
    ],
)
def test_what_goes_wrong_only_in_training_is_its_trials_reason(what, reason, tmp_path):
    path = write_recipe(tmp_path, LATE.format(what=what))
    done, _ = run_here(path, tmp_path / "results", "1")
    [result] = done.history.results
    assert result.outcome is Outcome.FAILED
    assert result.reason.startswith(reason)
    if "ZeroDivision" in reason:
        line = 1 + (path.with_suffix(".py").read_text().splitlines()).index(f"    {what}")
        assert result.reason.endswith(f"{path.stem}.py:{line})")


BAD_EXAMPLE = DATASET.replace("scale =", "assert index != 77, 'no such row'\n        scale =")


@pytest.mark.parametrize("workers", [0, 2])
def test_an_example_that_cannot_be_had_is_named(workers, tmp_path):
    path = write_recipe(tmp_path, BAD_EXAMPLE, f"workers: {workers}")
    done, _ = run_here(path, tmp_path / "results", "1")
    [result] = done.history.results
    assert result.outcome is Outcome.FAILED
    assert result.reason.startswith("train_data[77] raises AssertionError: no such row (")


KILLED_ONCE = DATASET.replace(
    "scale =",
    """if index == 77 and torch.utils.data.get_worker_info() and not MARK.exists():
            MARK.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        scale =""",
).replace("class Noisy", "import os, pathlib, signal\n\nMARK = pathlib.Path(__file__ + '.killed')\n\n\nclass Noisy")
KILLED_IN_A_LOADER = KILLED_ONCE.replace(
    "return made(Noisy())",
    """
    def loader(seed, epoch):
        return torch.utils.data.DataLoader(Noisy(), recipe.batch_size, shuffle=True, num_workers=1)

    return made(loader)
""",
)


# torch raises out of a signal handler, and that can come while a connection is let go of.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("body", [KILLED_ONCE, KILLED_IN_A_LOADER])
def test_a_process_that_is_killed_while_it_loads_data_is_a_crash_and_its_stage_is_trained_again(body, tmp_path):
    path = write_recipe(tmp_path, body, "workers: 1")
    done, weights = run_here(path, tmp_path / "results", "1")
    records = replay(done.workspace.journal).records
    first, second = [record for record in records if isinstance(record, StageRecord)]
    assert first.outcome is Outcome.CRASHED
    # Whichever torch sees first.
    how = ("is killed by signal: Killed (perhaps out of host memory)", "exited unexpectedly", "is gone")
    assert first.reason in [f"a process that loads data {end}" for end in how]
    assert second.outcome is Outcome.FINISHED
    assert run_here(path, tmp_path / "again", "1")[1] == weights


UNEVEN = """
def make_task(recipe):
    def loader(seed, epoch):
        return torch.utils.data.DataLoader([(X[0], 0)] * (160 - 32 * epoch), recipe.batch_size)

    return made(loader)
"""


def test_loaders_of_unequal_epochs_are_refused_once_it_shows(tmp_path):
    done, _ = run_here(write_recipe(tmp_path, UNEVEN), tmp_path / "results", "1")
    [result] = done.history.results
    assert result.outcome is Outcome.FAILED
    assert "train_data(0, 1) gives 8 batches, and epoch 0 10: every epoch must have as many" in result.reason


def test_a_loss_that_is_not_finite_ends_a_task_as_any_other(tmp_path):
    path = write_recipe(tmp_path, TENSORS, keys="epochs: 4\nbatch_size: 16\nlr: 1e30\nlr_scheduler: constantlr\n")
    done, _ = run_here(path, tmp_path / "results", "1")
    [result] = done.history.results
    assert result.outcome is Outcome.DIVERGED
