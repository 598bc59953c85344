"""What trials have in common is trained once, and nothing that is trained differs from what each would be alone."""

import itertools

import pytest
import tiny_task
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_stages import digits
from tiny_task import TinyTask, batches_of
from torch import nn

from sweep.api import run_request
from sweep.errors import MachineError, Problem, RecipeError
from sweep.events import Noticed
from sweep.recipe.schedule import SCHEDULES
from sweep.request import SweepRequest
from sweep.run import worker
from sweep.run.executors.inline import InlineExecutor
from sweep.train import task as task_module
from sweep.train.loop import weights_sha256

# Of 1,442 examples these make 8 whole steps an epoch, or fewer, and a smaller one.
BATCH_SIZES = (180, 200, 721)
RATIOS = ("0.25", "0.3", "0.5", "0.6", "0.75", "1", "1.25", "1.5", "2")


@st.composite
def grids(draw):
    """Settings of a recipe of a few epochs, ratios, and a number of seeds."""
    method = draw(st.sampled_from(("epochs", "steps", "samples", "subset")))
    least = 4 if draw(st.booleans()) else 8
    scheduler = draw(st.sampled_from(tuple(SCHEDULES)))
    chosen = {
        "epochs": least,
        "batch_size": draw(st.sampled_from(BATCH_SIZES)),
        "lr": 0.1,
        "lr_scheduler": scheduler,
        "lr_warmup_epochs": draw(st.sampled_from(("0", "1", "5ba", "0.1dur"))),
        "lr_warmup_method": draw(st.sampled_from(("linear", "constant"))),
        "scale_warmup": draw(st.sampled_from(("true", "false"))),
        "lr_interval": draw(st.sampled_from(("step", "step", "epoch"))),
        "lr_step_origin": draw(st.sampled_from(("start", "warmup"))),
        "lr_step_size": draw(st.sampled_from(("1", "2", "3"))),
        "lr_milestones": draw(st.sampled_from(("[0.5dur, 0.8dur]", "[2, 3]", "[3]"))),
        "lr_t_0": "2",
        "lr_cooldown": draw(st.sampled_from(("0.2dur", "0.5dur", "1"))),
        "seed": draw(st.sampled_from((0, 7))),
    }
    ratios = draw(st.lists(st.sampled_from(RATIOS), min_size=2, max_size=5, unique=True))
    if method in ("samples", "subset"):
        ratios = [ratio for ratio in ratios if float(ratio) <= 1]
    assume(len(ratios) > 1)
    return tuple(f"{key}={value}" for key, value in chosen.items()), ",".join(ratios), method, draw(st.integers(1, 2))


def run_tiny(folder, grid, *more, tell=lambda event: None, **options):
    """One sweep of the tiny task; gives its results and the steps that the loop has trained for it."""
    chosen, ratios, method, num_seeds = grid
    request = SweepRequest("smoke", ratios, num_seeds, method, results=folder, settings=(*chosen, *more), **options)
    tiny_task.trained.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_module, "ImageTask", TinyTask)
        done = run_request(request, tell, make_executor=lambda *placed: InlineExecutor())
    return done, list(tiny_task.trained)


def nodes_of_the_trie(plan):
    """How many different beginnings the trials have, step by step."""
    trie, count = {}, 0
    for trial in plan.trials:
        task = TinyTask(plan.loaded.recipe, digits())
        lengths, rates = trial.timeline.lengths, trial.timeline.rates(0, trial.timeline.num_steps).tolist()
        here, epochs = trie, {}
        for step, rate in enumerate(rates):
            epoch, index = divmod(step, lengths.steps_per_epoch)
            if epoch not in epochs:
                epochs = {epoch: batches_of(task, trial.seed, epoch, lengths.num_examples)}
            identity = trial.seed, epoch, epochs[epoch][index], rate
            count += identity not in here
            here = here.setdefault(identity, {})
    return count


@settings(max_examples=40)
@given(grid=grids())
def test_the_loop_trains_each_node_of_the_trie_once_and_every_trial_is_as_if_alone(grid, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    try:
        shared, steps = run_tiny(folder / "shared", grid, "min_shared_steps=1")
    except RecipeError:
        assume(False)
    assert shared.is_complete
    assert len(steps) == nodes_of_the_trie(shared.plan) == shared.plan.num_steps
    alone, steps_alone = run_tiny(folder / "alone", grid, share=False)
    assert len(steps_alone) == alone.plan.num_steps == shared.plan.num_steps_alone
    weights = {result.entry.key: result.weights_sha256 for result in shared.history.results}
    assert weights == {result.entry.key: result.weights_sha256 for result in alone.history.results}
    assert {r.entry.key: r.images for r in shared.history.results} == {
        r.entry.key: r.images for r in alone.history.results
    }


def test_the_shared_steps_of_a_plateau_are_most_of_it(tmp_path):
    grid = (("lr_scheduler=wsd", "epochs=40", "batch_size=180"), "0.1:1:0.1", "epochs", 1)
    done, steps = run_tiny(tmp_path, grid, "min_shared_steps=1")
    # A tenth is 36 steps: each run's cool-down of a fifth, and the plateau of the longest one.
    assert done.plan.num_steps_alone == 36 * 55
    assert len(steps) == done.plan.num_steps
    assert len(steps) < 0.4 * done.plan.num_steps_alone


def test_samples_share_the_whole_batches_of_the_first_epoch_and_subsets_nothing(tmp_path):
    # 865 of 1,442 examples are 4 whole batches of 180 and a smaller one, 432 are 2.
    for method, ratios, shared_steps in (
        ("samples", "0.6,1", 4),
        ("samples", "0.3,0.6,1", 4 + 2),
        ("subset", "0.6,1", 0),
    ):
        grid = (("lr_scheduler=wsd", "epochs=4", "batch_size=180"), ratios, method, 1)
        done, steps = run_tiny(tmp_path / f"{method}{ratios}", grid, "min_shared_steps=1")
        assert done.is_complete
        assert done.plan.num_steps_alone - len(steps) == shared_steps


def test_forks_that_save_too_little_are_not_made(tmp_path):
    grid = (("lr_scheduler=constantlr", "lr_warmup_epochs=0", "epochs=8", "batch_size=180"), "0.5,1", "epochs", 1)
    # The shorter one is the first half of the longer one, 36 of 72 steps; a step is shared where that saves so many.
    for least, trained in ((36, 72), (37, 36 + 72)):
        _, steps = run_tiny(tmp_path / str(least), grid, f"min_shared_steps={least}")
        assert len(steps) == trained


def test_a_longer_grid_trains_only_what_is_missing_from_the_state_at_the_end_of_the_plateau(tmp_path):
    grid = (("lr_scheduler=wsd", "epochs=20", "batch_size=180"), "0.5,1", "epochs", 2)
    first, steps = run_tiny(tmp_path, grid, "min_shared_steps=10")
    longer = (grid[0], "0.5,1,2", "epochs", 2)
    second, more = run_tiny(tmp_path, longer, "min_shared_steps=10")
    # 180 steps at ratio 1, of which 144 are plateau and one more is still at its rate; of the 360 the rest is new.
    assert len(steps) == 2 * (90 + 180 - 73)
    assert len(more) == 2 * (360 - 145)
    before = {result.entry.key: result for result in first.history.results}
    after = {result.entry.key: result for result in second.history.results}
    assert {key: after[key] for key in before} == before
    alone, _ = run_tiny(tmp_path / "alone", longer, share=False)
    assert {result.entry.key: result.weights_sha256 for result in alone.history.results} == {
        key: result.weights_sha256 for key, result in after.items()
    }
    assert all(result.images == 1442 * 40 for result in after.values() if result.entry.ratio == "2")


def test_a_grid_in_between_goes_on_from_the_fork_and_a_control_that_was_never_evaluated_stays_blank(tmp_path):
    grid = (("lr_scheduler=wsd", "epochs=20", "batch_size=180"), "0.5,1", "steps", 1)
    first, _ = run_tiny(tmp_path, grid, "min_shared_steps=10")
    second, more = run_tiny(tmp_path, (grid[0], "0.5,0.77,1", "steps", 1), "min_shared_steps=10")
    # 0.77 is 138 steps, no whole epochs; 0.5 has left the plateau after 73 of its 90.
    assert first.plan.stages[0].stop_step == 73
    assert len(more) == 138 - 73
    truncated = {result.entry.ratio: result.truncated_quality for result in second.history.results}
    assert truncated == {"0.5": 0.5, "0.77": None, "1": None}


def test_a_damaged_fork_is_told_of_and_what_led_to_it_is_trained_once_more(tmp_path):
    grid = (("lr_scheduler=wsd", "epochs=20", "batch_size=180"), "0.5,1", "steps", 1)
    first, _ = run_tiny(tmp_path, grid, "min_shared_steps=10")
    [fork] = first.workspace.states.glob("*/73.state")
    content = bytearray(fork.read_bytes())
    content[-100] ^= 1
    fork.write_bytes(content)
    events = []
    longer = (grid[0], "0.5,0.77,1", "steps", 1)
    second, steps = run_tiny(tmp_path, longer, "min_shared_steps=10", tell=events.append)
    assert second.is_complete
    assert len(steps) == 138
    notices = [event.text for event in events if isinstance(event, Noticed)]
    assert "a state that others go on from is gone (damaged): its steps are trained once more" in notices
    alone, _ = run_tiny(tmp_path / "alone", longer, share=False)
    assert [r.weights_sha256 for r in second.history.results] == [r.weights_sha256 for r in alone.history.results]


def test_weights_that_cannot_be_kept_cost_a_warning_and_no_result(tmp_path):
    grid = (("lr_scheduler=wsd", "epochs=8", "batch_size=180"), "0.5", "epochs", 1)
    events = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "write_own", full)
        done, _ = run_tiny(tmp_path, grid, keep="models", tell=events.append)
    assert done.is_complete
    [notice] = [event.text for event in events if isinstance(event, Noticed) and "weights" in event.text]
    assert notice.startswith("ratio 0.5, seed 0: warning: the final weights cannot be kept: ")


def test_a_grid_that_is_extended_in_mid_stage_goes_on_from_the_other_grids_checkpoint(tmp_path):
    grid = (("lr_scheduler=wsd", "epochs=20", "batch_size=180"), "1", "epochs", 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TinyTask, "loss", fails_after(TinyTask.loss, 100))
        first, steps = run_tiny(tmp_path, grid, "min_shared_steps=10", checkpoint_every=0.001)
    assert [result.outcome for result in first.history.results] == ["failed"]
    second, more = run_tiny(tmp_path, (grid[0], "0.75,1", "epochs", 1), "min_shared_steps=10")
    assert second.is_complete
    assert 0 < second.plan.num_steps - len(more) <= len(steps)
    alone, _ = run_tiny(tmp_path / "alone", (grid[0], "0.75,1", "epochs", 1), share=False)
    assert [r.weights_sha256 for r in second.history.results] == [r.weights_sha256 for r in alone.history.results]


def full(path, *parts):
    raise MachineError(Problem("disk full", where=str(path)))


def fails_after(loss, num_calls):
    """`loss`, which works so many times."""
    calls = itertools.count()

    def failing(self, outputs, targets):
        if next(calls) >= num_calls:
            raise RuntimeError("no more")
        return loss(self, outputs, targets)

    return failing


@pytest.mark.parametrize("keep", ["forks", "epochs", "models", "none"])
def test_what_is_kept(tmp_path, keep):
    grid = (("lr_scheduler=wsd", "epochs=8", "batch_size=180"), "0.5,1", "epochs", 1)
    done, _ = run_tiny(tmp_path, grid, "min_shared_steps=10", keep=keep)
    kept = sorted(int(path.stem) for path in done.workspace.states.glob("*/*.state"))
    fork, plateau = done.plan.stages[0].stop_step, done.plan.timelines[-1].plateau_steps
    assert (fork, plateau) == (30, 59)
    epochs = {9, 18, 27, 36, 45, 54, 63, 72}  # the shorter one's last is 36 too, in a folder of its own
    assert set(kept) == {"forks": {fork, plateau}, "epochs": epochs | {fork, plateau}}.get(keep, set())
    weights = {path.stem: torch.load(path, weights_only=True) for path in done.workspace.folder.glob("weights/*")}
    assert weights.keys() == ({trial.key for trial in done.plan.trials} if keep == "models" else set())
    for result in done.history.results:
        if weights:
            model = nn.Linear(1, 1, bias=False)
            model.load_state_dict(weights[result.entry.key])
            assert weights_sha256(model) == result.weights_sha256
