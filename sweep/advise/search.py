"""The cheapest ratio that is good enough, found by training few: decide, train one trial, decide again.

Each trial is `sweep run`'s own, in the same workspace: what has finished there already counts, and a search that was
killed goes on. Only runs that have finished are looked at, since a schedule that has not ended misleads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean

from sweep.advise.belief import Prior, Seen
from sweep.advise.decision import Funds, Next, Question, Verdict, decide
from sweep.advise.goal import Goal, SearchRequest, read_search
from sweep.api import run_request
from sweep.errors import Outcome, Problem, SweepError
from sweep.events import Event, Listener, Noticed
from sweep.plan.stages import Plan
from sweep.planning import plan_asked
from sweep.recipe.library import Override, parse_settings
from sweep.request import Asked, SweepRequest
from sweep.run.engine import MakeExecutor
from sweep.run.stop import StopRequest
from sweep.store.history import History, TrialResult, read_history
from sweep.store.identity import check_environment, check_recipe

_LEAST_SECONDS = 1e-9  # of a trial, so that costs can be divided by


@dataclass(frozen=True)
class Trained:
    """What a sweep knows of the ratios that are searched: its results of each, by the ratio's place."""

    plan: Plan
    goal: Goal
    history: History

    def tried(self, place: int) -> tuple[TrialResult, ...]:
        """The results of a ratio, whatever it was called, and however they have ended."""
        lengths, method = self.plan.timelines[place].lengths, self.plan.loaded.recipe.method
        wanted = (method, lengths.num_steps, lengths.num_examples)
        return tuple(
            result
            for result in self.history.results
            if (result.entry.method, result.entry.num_steps, result.entry.num_examples) == wanted
        )

    @cached_property
    def results(self) -> tuple[tuple[TrialResult, ...], ...]:
        """Of trials that have ended for good."""
        places = range(len(self.plan.timelines))
        return tuple(tuple(result for result in self.tried(place) if result.outcome.is_final) for place in places)

    @cached_property
    def seen(self) -> tuple[Seen, ...]:
        metric = self.goal.metric
        return tuple(
            Seen(place, metric.turned(result.quality))
            for place, results in enumerate(self.results)
            for result in results
            if result.quality is not None
        )

    @property
    def largest(self) -> float:
        """The largest score in size."""
        return max((abs(each.score) for each in self.seen), default=1.0)

    @property
    def has_seeds(self) -> bool:
        """Whether two runs of some ratio have finished, so that what seeds do has been seen."""
        return len(self.seen) > len({each.place for each in self.seen})

    @property
    def closed(self) -> frozenset[int]:
        """The ratios of which a run has diverged."""
        return frozenset(
            place
            for place, results in enumerate(self.results)
            if any(result.outcome is Outcome.DIVERGED for result in results)
        )

    @cached_property
    def costs(self) -> tuple[float, ...]:
        """What a run of each ratio takes, in seconds of training: as measured, else by its steps. Where nothing was
        measured it is the steps themselves."""
        steps = [timeline.num_steps for timeline in self.plan.timelines]
        known = {place: seconds for place in range(len(steps)) if (seconds := self._seconds(place))}
        measured = {place: max(fmean(seconds), _LEAST_SECONDS) for place, seconds in known.items()}
        pace = sum(measured.values()) / sum(steps[place] for place in measured) if measured else 1.0
        return tuple(measured.get(place, pace * steps[place]) for place in range(len(steps)))

    def _seconds(self, place: int) -> list[float]:
        return [result.train_seconds for result in self.results[place] if result.train_seconds is not None]

    def mean(self, place: int) -> float | None:
        """The mean score of a ratio; None where no run of it has finished."""
        scores = [each.score for each in self.seen if each.place == place]
        return fmean(scores) if scores else None

    def next_seed(self, place: int) -> int:
        """The first one that has not ended, from the recipe's own on."""
        ended, seed = {result.entry.seed for result in self.results[place]}, self.plan.loaded.recipe.seed
        while seed in ended:
            seed += 1
        return seed

    def ratio_text(self, place: int) -> str:
        return self.plan.timelines[place].lengths.ratio.text

    @property
    def baseline(self) -> int | None:
        """The place of ratio 1."""
        places = [place for place, timeline in enumerate(self.plan.timelines) if timeline.lengths.realised == 1]
        return places[0] if places else None


@dataclass(frozen=True)
class Search:
    """How a search has ended: with a verdict; by a signal, `stopped_by`; or since the run `failed` did.

    `num_before` runs had finished before it, and `num_trained` are its own, of `seconds` of training.
    """

    trained: Trained
    num_before: int
    num_trained: int
    seconds: float
    verdict: Verdict | None = None
    stopped_by: int | None = None
    failed: TrialResult | None = None

    @property
    def exit_code(self) -> int:
        """0 where a ratio is named, 1 where none is good enough or it is not known, 128 + the signal."""
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        return 0 if self.verdict is not None and self.verdict.is_known and self.verdict.place is not None else 1


def search(
    request: SearchRequest,
    tell: Listener = lambda event: None,
    make_executor: MakeExecutor | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Search:
    """Train until the answer is known, or cannot be within what may be spent. The arguments are `run_request`'s.

    Raises:
        UsageError: with every mistake in the options and in the recipe, or when the folder holds another sweep.
        MachineError: data, disk, lock or device.
        SweepError: a sweep gave up, or the baseline that is needed has diverged.
    """
    asked, goal = read_search(request)
    plan, code_sha256 = plan_asked(asked)
    trained = Trained(plan, goal, History((), {}, ()) if request.sweep.fresh else _known(asked, code_sha256))
    prior = Prior([float(timeline.lengths.realised) for timeline in plan.timelines])
    found = Search(trained, num_before=len(trained.seen), num_trained=0, seconds=0.0)
    told, is_first = _Once(tell), True
    with StopRequest() as stop:
        while stop.signal_number is None:
            decision = _decide(found, prior)
            if isinstance(decision, Verdict):
                return replace(found, verdict=decision)
            place, seed = decision.place, found.trained.next_seed(decision.place)
            told(Noticed(_next_text(found.trained, decision, seed)))
            one = _one_trial(request.sweep, found.trained.ratio_text(place), seed, is_first)
            done = run_request(one, told, make_executor, meanwhile if is_first else lambda: None)
            found, is_first = _after(found, done.history, place, seed), False
            if done.stopped_by is not None or found.failed is not None:
                return replace(found, stopped_by=done.stopped_by)
    return replace(found, stopped_by=stop.signal_number)


def _known(asked: Asked, code_sha256: str | None) -> History:
    """What the workspace holds already.

    Raises:
        UsageError: results of another recipe, or of other code of a task.
    """
    history, folder = read_history(asked.workspace.journal), str(asked.workspace.folder)
    check_recipe(history.last_start, asked.loaded.recipe, folder, asked.loaded.places)
    if code_sha256 is not None and history.first_start is not None:
        first = history.first_start
        check_environment(first, first.environment.model_copy(update={"code_sha256": code_sha256}), folder)
    return history


def _decide(found: Search, prior: Prior) -> Next | Verdict:
    """
    Raises:
        SweepError: there is nothing to hold the ratios against.
    """
    trained, goal = found.trained, found.trained.goal
    if goal.within_points is not None and trained.baseline in trained.closed:
        raise SweepError(Problem("a run of ratio 1 has diverged: there is nothing to be within points of"))
    is_measured = goal.max_seconds is not None and any(trained.results)
    left = goal.max_seconds - found.seconds if is_measured and goal.max_seconds is not None else None
    question = Question(
        ratios=tuple(float(timeline.lengths.realised) for timeline in trained.plan.timelines),
        confidence=goal.confidence,
        unit=goal.seed_sd(trained.largest),
        target=goal.target_score,
        within=goal.within_score,
        baseline=trained.baseline if goal.within_points is not None else None,
    )
    return decide(question, prior, trained.seen, Funds(trained.costs, left), trained.closed)


def _one_trial(request: SweepRequest, ratio: str, seed: int, is_first: bool) -> SweepRequest:
    """A sweep of a single trial; old results are set aside once."""
    settings = [setting for setting in parse_settings(request.settings) if setting.key != "seed"]
    settings.append(Override("seed", seed, "--set"))
    return replace(request, ratios=ratio, seeds=1, settings=tuple(settings), fresh=request.fresh and is_first)


def _after(found: Search, history: History, place: int, seed: int) -> Search:
    """What is known once a trial has been trained."""
    trained = replace(found.trained, history=history)
    result = next((result for result in trained.tried(place) if result.entry.seed == seed), None)
    if result is None:  # it was stopped before it began
        return replace(found, trained=trained)
    return replace(
        found,
        trained=trained,
        num_trained=found.num_trained + result.outcome.is_final,
        seconds=found.seconds + _spent_seconds(found.trained.history, history, result),
        failed=result if result.outcome.is_failure and not result.outcome.is_final else None,
    )


def _spent_seconds(before: History, after: History, result: TrialResult) -> float:
    """What a run would have taken alone; of one that diverged what was trained of it."""
    if result.train_seconds is not None:
        return result.train_seconds
    measured = (record.measurement for record in after.attempts[len(before.attempts) :])
    return sum(each.train_seconds for each in measured if each is not None)


def _next_text(trained: Trained, decision: Next, seed: int) -> str:
    text = f"next: ratio {trained.ratio_text(decision.place)}, seed {seed}"
    if (likely := decision.likely) is None:
        return text
    answer = "none" if likely.place is None else trained.ratio_text(likely.place)
    return f"{text} (so far the answer is {answer} with probability {likely.probability:.2f})"


class _Once:
    """Passes events on, and each notice only the first time: every trial's plan has the same warnings."""

    def __init__(self, tell: Listener) -> None:
        self._tell = tell
        self._noticed: set[str] = set()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Noticed):
            if event.text in self._noticed:
                return
            self._noticed.add(event.text)
        self._tell(event)
