"""Several recipes side by side, with executors that answer from a table: who trains when, and what stops whom."""

import os
import signal

import pytest
from fake_executor import FakeExecutor

from sweep.api import run_together
from sweep.errors import MachineError, Outcome, Problem, SweepError, UsageError
from sweep.events import Noticed, SweepEnded, SweepStarted
from sweep.recipe.library import shipped_recipes
from sweep.request import SweepRequest
from sweep.run.executors.seated import SeatedExecutor
from sweep.store.history import read_history
from sweep.store.workspace import Workspace
from sweep.together import plan_together, requests_of

SMOKE = shipped_recipes()["smoke"].read_text()


@pytest.fixture
def recipes(tmp_path):
    """The paths of a, b and c: recipes that smooth their labels more and more; of b every epoch is twice as long."""
    paths = [tmp_path / f"{name}.yaml" for name in "abc"]
    for number, path in enumerate(paths):
        path.write_text(
            f"{SMOKE}\nlabel_smoothing: 0.{number}\n".replace("batch_size: 64", f"batch_size: {64 >> (number == 1)}")
        )
    return [str(path) for path in paths]


class Together:
    """A run of several recipes, each with an executor of its own by its sweep's name: the order in which they began
    Stages, how many were trained at once, and what was told of each."""

    def __init__(self, tmp_path, recipes, executors=None, **request):
        self.began, self.told, self.most_at_once = [], {}, 0
        self.executors = {}
        self._given = executors or {}
        asked = SweepRequest(results=tmp_path / "results", **request)
        self.run = lambda: run_together(requests_of(asked, recipes), self._tell_of, make_executor=self._make)

    def _make(self, workspace, placement, stall_timeout):
        executor = self._given.get(workspace.name) or FakeExecutor(capacity=placement.jobs)
        submit = executor.submit

        def noting(job):
            submit(job)
            self.began.append(workspace.name)
            self.most_at_once = max(self.most_at_once, sum(len(each.waiting) for each in self.executors.values()))

        executor.submit = noting
        self.executors[workspace.name] = executor
        return executor

    def _tell_of(self, name):
        self.told[name] = []
        return self.told[name].append


def outcomes(tmp_path, name):
    return [result.outcome.value for result in read_history(tmp_path / "results" / name / "journal.jsonl").results]


def test_each_recipe_has_a_sweep_of_its_own_that_is_what_it_would_be_alone(tmp_path, recipes):
    together = Together(tmp_path, recipes, ratios="0.5,1.0", seeds=2)
    done = together.run()
    assert [run.workspace.name for run in done.runs] == ["a", "b", "c"]
    assert all(run.is_complete for run in done.runs)
    assert done.error is None
    for name in "abc":
        assert outcomes(tmp_path, name) == ["finished"] * 4
        assert isinstance(together.told[name][0], SweepStarted)
        assert together.told[name][-1] == SweepEnded(name, 4, 4, None)
        assert not together.executors[name].is_open


def test_one_job_is_for_all_of_them_and_they_take_turns(tmp_path, recipes):
    together = Together(tmp_path, recipes, ratios="0.25,0.5,0.75,1.0", seeds=3)
    together.run()
    assert together.most_at_once == 1
    assert together.began[:3] == ["a", "b", "c"]
    # Whenever one begins a Stage, it had begun no larger share of its steps than any other that still had one to begin.
    steps = {name: [job.stop_step - job.start_step for job in together.executors[name].submitted] for name in "abc"}
    begun = dict.fromkeys("abc", 0)
    for name in together.began:
        shares = {other: sum(steps[other][: begun[other]]) / sum(steps[other]) for other in "abc"}
        waiting = [share for other, share in shares.items() if begun[other] < len(steps[other])]
        assert shares[name] == pytest.approx(min(waiting))
        begun[name] += 1
    assert begun == dict.fromkeys("abc", 12)


def test_two_jobs_are_two_of_all_of_them(tmp_path, recipes):
    together = Together(tmp_path, recipes, ratios="0.25,0.5,0.75,1.0", seeds=2, jobs=2, device="cpu", threads=1)
    assert all(run.is_complete for run in together.run().runs)
    assert together.most_at_once == 2


def test_what_is_done_is_not_trained_again_and_the_others_go_on(tmp_path, recipes):
    Together(tmp_path, recipes[:1], ratios="0.5,1.0").run()
    again = Together(tmp_path, recipes, ratios="0.5,1.0")
    again.run()
    assert sorted(again.began) == ["b", "b", "c", "c"]


def test_a_failed_trial_stops_neither_its_own_sweep_nor_the_others(tmp_path, recipes):
    failing = FakeExecutor(endings={(92, 0): Outcome.FAILED})
    done = Together(tmp_path, recipes, {"a": failing}, ratios="0.5,1.0").run()
    assert [run.is_complete for run in done.runs] == [False, True, True]
    assert done.error is None
    assert outcomes(tmp_path, "a") == ["failed", "finished"]


def test_one_that_gives_up_leaves_the_others_to_go_on(tmp_path, recipes):
    crashing = FakeExecutor(endings={(steps, 0): Outcome.CRASHED for steps in (46, 92, 138, 184)})
    together = Together(tmp_path, recipes, {"a": crashing}, ratios="0.25,0.5,0.75,1.0", retries=0)
    done = together.run()
    assert "the first attempts at 3 trials ended alike" in str(done.error)
    assert type(done.error) is SweepError
    assert Noticed("given up; the other sweeps go on") in together.told["a"]
    assert outcomes(tmp_path, "b") == outcomes(tmp_path, "c") == ["finished"] * 4


def test_all_that_is_wrong_with_any_of_them_is_said_before_anything_trains(tmp_path, recipes):
    for recipe, key in zip(recipes, ("momentun: 0.9", "lr: fast", "weight_decay: 0"), strict=True):
        with open(recipe, "a") as file:
            file.write(key + "\n")
    with pytest.raises(UsageError) as refused:
        Together(tmp_path, recipes, ratios="0.5,0").run()
    said = [str(problem) for problem in refused.value.problems]
    assert any("a.yaml" in text and "momentun" in text for text in said)
    assert any("b.yaml" in text and "lr" in text for text in said)
    assert any("c.yaml" in text and "twice" in text for text in said)
    assert sum("--ratios" in text for text in said) == 1  # what is wrong for all is said once
    assert not (tmp_path / "results").exists()


def test_machines_and_folders_are_checked_for_all_before_anything_is_recorded(tmp_path, recipes):
    Together(tmp_path, recipes[1:2], ratios="0.5").run()
    with open(recipes[1], "a") as file:
        file.write("lr_min: 0.001\n")
    lacking = FakeExecutor(environment=MachineError(Problem("no such data")))
    together = Together(tmp_path, recipes, {"c": lacking}, ratios="0.5")
    with pytest.raises(UsageError) as refused:
        together.run()
    said = str(refused.value)
    assert "these results are of another recipe" in said
    assert "no such data" in said
    assert together.began == []
    assert read_history(tmp_path / "results" / "a" / "journal.jsonl").starts == ()


def test_a_signal_stops_all_of_them_with_what_is_done_recorded(tmp_path, recipes):
    told = iter([True])

    def stop_once():
        if next(told, False):
            os.kill(os.getpid(), signal.SIGINT)

    stopped = FakeExecutor(on_receive=stop_once, endings={(steps, 0): Outcome.INTERRUPTED for steps in (92, 184, 368)})
    together = Together(tmp_path, recipes, {"b": stopped}, ratios="0.25,0.5,1.0")
    done = together.run()
    assert [run.stopped_by for run in done.runs] == [signal.SIGINT] * 3
    assert together.began == ["a", "b"]
    assert [sorted(outcomes(tmp_path, name)) for name in "abc"] == [
        ["finished", "missing", "missing"],
        ["interrupted", "missing", "missing"],
        ["missing", "missing", "missing"],
    ]
    assert not any(executor.is_open for executor in together.executors.values())
    again = Together(tmp_path, recipes, ratios="0.25,0.5,1.0").run()
    assert all(run.is_complete for run in again.runs)


def test_a_signal_while_they_get_ready_trains_nothing(tmp_path, recipes):
    class Stopped(FakeExecutor):
        def prepare(self, job, stop):
            os.kill(os.getpid(), signal.SIGTERM)
            stop.raise_if_requested()

    together = Together(tmp_path, recipes, {"a": Stopped()}, ratios="0.5")
    done = together.run()
    assert [run.stopped_by for run in done.runs] == [signal.SIGTERM] * 3
    assert list(together.executors) == ["a"]


def test_other_threads_are_refused_before_anything_trains_unless_that_is_allowed(tmp_path, recipes):
    with open(recipes[0]) as file:
        text = file.read().replace("threads: 1", "threads: 2")
    with open(recipes[0], "w") as file:
        file.write(text)
    together = Together(tmp_path, recipes, ratios="0.5")
    with pytest.raises(UsageError, match=r"different numbers of threads.*a: 2; b: 1; c: 1"):
        together.run()
    assert together.began == []
    assert Together(tmp_path, recipes, ratios="0.5", threads=1).run().runs
    assert Together(tmp_path, recipes, ratios="0.5", allow_mixed=True, name="mixed").run().runs


def test_where_one_is_in_use_none_is_set_aside(tmp_path, recipes):
    Together(tmp_path, recipes[:2], ratios="0.5").run()
    with Workspace(tmp_path / "results" / "b").locked(), pytest.raises(MachineError, match="in use by process"):
        Together(tmp_path, recipes[:2], ratios="0.5", fresh=True).run()
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["a", "b"]


def test_results_of_the_recipes_are_set_aside_and_named_alike(tmp_path, recipes):
    for _ in range(2):
        together = Together(tmp_path, recipes[:2], ratios="0.5", fresh=True, name="try")
        together.run()
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["try-a", "try-a~1", "try-b", "try-b~1"]
    assert any(
        "set the old results aside" in event.text for event in together.told["try-b"] if isinstance(event, Noticed)
    )


class FakeSeat:
    """Takes a job and keeps it."""

    is_free, trained = True, None

    def submit(self, job):
        self.is_free = False


class FakeJob:
    parent = None


def test_of_the_seats_of_one_number_which_share_a_device_one_trains_at_a_time():
    beside = []
    first, second = (SeatedExecutor([FakeSeat(), FakeSeat()], beside=beside) for _ in range(2))
    first.submit(FakeJob)
    second.submit(FakeJob)
    assert (first.busy_seats, second.busy_seats) == ([0], [1])
    first._seats[0].is_free = True
    second.submit(FakeJob)
    assert second.busy_seats == [0, 1]
    alone = SeatedExecutor([FakeSeat(), FakeSeat()])
    alone.submit(FakeJob)
    assert alone.busy_seats == [0]


def test_jobs_auto_and_engines_of_others_are_for_one_recipe():
    asked = SweepRequest(jobs="auto", executor="ray", within="1h")
    with pytest.raises(SweepError) as refused:
        plan_together(requests_of(asked, ["digits", "no_such_recipe"]))
    wheres = [problem.where for problem in refused.value.problems]
    assert wheres[:3] == ["--within", "--jobs", "--executor"]
    assert any("no_such_recipe" in str(problem) for problem in refused.value.problems)  # all is told at once
    assert requests_of(SweepRequest(jobs="auto"), ["smoke"]) == (SweepRequest("smoke", jobs="auto"),)


def test_two_recipes_of_one_name_and_one_given_twice_are_refused():
    with pytest.raises(UsageError) as refused:
        requests_of(SweepRequest(), ["digits", "mine/digits.yaml", "smoke", "smoke"])
    assert [str(problem) for problem in refused.value.problems] == [
        "RECIPE: digits and mine/digits.yaml are both called digits, as their sweeps would be (rename one of them)",
        "smoke: is given twice",
    ]


def test_what_does_not_compare_is_refused(tmp_path, recipes):
    for recipe, text in zip(recipes, ("", "", "metric: loss\nmode: min\n"), strict=True):
        with open(recipe, "a") as file:
            file.write(text)
    with pytest.raises(UsageError, match=r"different metrics.*a: accuracy \(max\);.*c: loss \(min\)"):
        plan_together(requests_of(SweepRequest(), recipes))
    other = tmp_path / "fashion.yaml"
    other.write_text(SMOKE.replace("dataset: digits", "dataset: FashionMNIST"))
    both = [recipes[0], str(other)]
    with pytest.raises(UsageError, match=r"different datasets.*a: digits; fashion: FashionMNIST"):
        plan_together(requests_of(SweepRequest(), both))
    assert len(plan_together(requests_of(SweepRequest(allow_mixed=True), both))) == 2
    together = tmp_path / "together.yaml"
    together.write_text(SMOKE + "\ndevices_per_trial: 2\n")
    with pytest.raises(UsageError, match=r"different numbers of devices a trial.*a: 1; together: 2"):
        plan_together(requests_of(SweepRequest(allow_mixed=True), [recipes[0], str(together)]))
