"""Which trial to train next: the one that would change the verdict most per hour, from the journal alone.

What could be trained next are further seeds of the lengths that have run, and new lengths between them and below the
shortest. The chance that one changes the verdict is the share of its equally likely outcomes (see forecast.py) with
which verdict.py chooses another length.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import count, pairwise
from pathlib import Path

from pydantic import ValidationError

from sweep.errors import Outcome, Problem, UsageError
from sweep.plan.checks import refusals
from sweep.plan.lengths import Lengths, measure
from sweep.recipe.duration import Ratio, decimal_text
from sweep.recipe.library import LoadedRecipe
from sweep.recipe.schema import Recipe
from sweep.report.analysis import Curve
from sweep.report.cost_model import CostModel, cost_model
from sweep.report.findings import Findings
from sweep.report.forecast import NUM_OUTCOMES, Forecast, Forecaster
from sweep.report.intervals import Sample
from sweep.report.summary import RatioSummary
from sweep.report.verdict import Choice, choose
from sweep.store.history import History
from sweep.store.records import TrialEntry

# A chance below this is none.
LEAST_CHANCE = 0.01
# Chosen: nothing that is worth a trial is shorter.
_SHORTEST_RATIO = 1e-4
_HOUR = 3600.0
_WAITING = (Outcome.MISSING, Outcome.INTERRUPTED)


@dataclass(frozen=True)
class NextTrial:
    """A trial to train. `ratio` is as it is to be typed; what it costs alone is None where that is not known."""

    method: str
    ratio: str
    seed: int
    train_seconds: float | None
    dollars: float | None


@dataclass(frozen=True)
class Effect:
    """The `chance`, in 0..1, that a trial changes the verdict; `to` is the ratio that is then most likely chosen."""

    trial: NextTrial
    chance: float
    to: str | None

    @property
    def chance_per_hour(self) -> float:
        return self.chance / ((self.trial.train_seconds or math.inf) / _HOUR)


@dataclass(frozen=True)
class Unfinished:
    """Trials that were planned wait to be trained first."""

    trials: tuple[TrialEntry, ...]


@dataclass(frozen=True)
class Lacking:
    """Too little is known for a chance; `trial` is what would tell more, None where no such one can be trained."""

    message: str
    trial: NextTrial | None


@dataclass(frozen=True)
class Prospect:
    """What each trial may do, the most per hour first. `forecaster` says how its chance was found."""

    choice: Choice
    effects: tuple[Effect, ...]
    forecaster: Forecaster

    @property
    def best(self) -> Effect | None:
        """None where nothing would change the verdict."""
        return next((effect for effect in self.effects if effect.chance >= LEAST_CHANCE), None)


def look_ahead(findings: Findings, history: History) -> Unfinished | Lacking | Prospect:
    """What to train next in a sweep that has `history`; its last run's method is the one that counts.

    Raises:
        UsageError: no trial was ever planned with it.
    """
    waiting = tuple(result.entry for result in history.results if result.outcome in _WAITING)
    if waiting:
        return Unfinished(waiting)
    method = str(history.starts[-1].recipe.get("method", "epochs"))
    curve = next((curve for curve in findings.curves if curve.method == method), None)
    if curve is None:
        raise UsageError(Problem(f"no trial of method {method!r} was ever planned", where=findings.name))
    ahead = _Ahead(findings, history, method, curve)
    return ahead.lacking() or ahead.prospect()


@dataclass(frozen=True)
class _Ahead:
    """One curve of a sweep, and what it could have next."""

    findings: Findings
    history: History
    method: str
    curve: Curve

    def lacking(self) -> Lacking | None:
        baseline = self.curve.baseline
        if baseline is None:
            message = "no trial at ratio 1.0 has finished, which the verdict is against"
            return Lacking(message, self._trial("1.0", self._free_seed(1.0), None))
        if len(self.curve.measured) == 1:
            message = f"only ratio {baseline.ratio_text} has been measured: there is nothing to compare it with"
            loaded = _loaded(self.history)
            run = self._between(loaded, 0.25, 1.0) if loaded is not None else None
            if run is None:
                return Lacking(message, None)
            realised = float(run.realised)
            seconds = realised * (baseline.train_seconds or 0.0)
            return Lacking(message, self._trial(run.ratio.text, self._free_seed(realised), seconds))
        if self._forecaster is None:
            row = self._choice(self.curve).row
            message = "what seeds do is not known: no ratio has two of them, and two ratios make no curve"
            trial = self._trial(row.ratio_text, self._free_seed(row.realised_ratio), row.train_seconds)
            return Lacking(message, trial)
        return None

    @cached_property
    def _forecaster(self) -> Forecaster | None:
        return Forecaster.of(self.curve)

    def prospect(self) -> Prospect:
        forecaster = self._forecaster
        assert forecaster is not None
        candidates = [*self._further_seeds(forecaster), *self._new_lengths(forecaster)]
        effects = [self._effect(*candidate) for candidate in candidates]
        effects.sort(key=lambda effect: -effect.chance_per_hour)
        return Prospect(self._choice(self.curve), tuple(effects), forecaster)

    def _choice(self, curve: Curve) -> Choice:
        assert curve.baseline is not None
        return choose(curve, curve.baseline, self.findings.within_points)

    def _effect(self, trial: NextTrial, forecast: Forecast, row: RatioSummary) -> Effect:
        """`row` is the trial's length as it stands, or one that it could be put beside."""
        now = self._choice(self.curve).row.realised_ratio
        others = [each for each in self.curve.rows if each.realised_ratio != row.realised_ratio]
        then: Counter[str] = Counter()
        for score in forecast.outcomes(self.curve.metric.bounds):
            sample = Sample((*row.sample.seeds, trial.seed), (*row.sample.scores, score))
            chosen = self._choice(replace(self.curve, rows=(*others, replace(row, sample=sample)))).row
            if chosen.realised_ratio != now:
                then[chosen.ratio_text] += 1
        to = then.most_common(1)[0][0] if then else None
        return Effect(trial, then.total() / NUM_OUTCOMES, to)

    def _further_seeds(self, forecaster: Forecaster) -> Iterator[tuple[NextTrial, Forecast, RatioSummary]]:
        for row in self.curve.measured:
            trial = self._trial(row.ratio_text, self._free_seed(row.realised_ratio), row.train_seconds)
            yield trial, forecaster.another_seed(row), row

    def _new_lengths(self, forecaster: Forecaster) -> Iterator[tuple[NextTrial, Forecast, RatioSummary]]:
        """One between each two that have run, up to the baseline, and one below the shortest."""
        loaded, model, baseline = _loaded(self.history), cost_model(self.curve), self.curve.baseline
        assert baseline is not None
        if loaded is None or model is None:
            return
        by_length = sorted(self.curve.measured, key=lambda row: row.realised_ratio)
        shorter = [row for row in by_length if row.realised_ratio <= baseline.realised_ratio]
        for low, high in [(None, shorter[0]), *pairwise(shorter)]:
            run = self._between(loaded, low.realised_ratio if low else high.realised_ratio / 2, high.realised_ratio)
            forecast = forecaster.new_length(float(run.realised), low, high) if run is not None else None
            if run is None or forecast is None:
                continue
            seconds, realised = _seconds(model, run, low, high), float(run.realised)
            trial = self._trial(run.ratio.text, self._free_seed(realised), seconds)
            row = replace(
                high,
                ratio_text=run.ratio.text,
                realised_ratio=realised,
                is_baseline=False,
                sample=Sample((), ()),
                train_seconds=seconds,
            )
            yield trial, forecast, row

    def _between(self, loaded: LoadedRecipe, low: float, high: float) -> Lengths | None:
        """The length that can be trained nearest to the geometric middle; None where there is none."""
        ratio = _middle(loaded.recipe, low, high)
        if ratio is None:
            return None
        entry = next(entry for entry in self.history.trials if entry.is_baseline and entry.method == self.method)
        run = measure(loaded.recipe, ratio, entry.num_examples)
        is_new = low < float(run.realised) < high and not refusals(loaded, (run,))
        return run if is_new and all(row.realised_ratio != float(run.realised) for row in self.curve.rows) else None

    def _trial(self, ratio: str, seed: int, seconds: float | None) -> NextTrial:
        price = self.history.price_of(self.history.environment)
        dollars = price * seconds / _HOUR if price is not None and seconds is not None else None
        return NextTrial(self.method, ratio, seed, seconds, dollars)

    def _free_seed(self, realised_ratio: float) -> int:
        """The first seed, from the sweep's own on, of which no trial of that length has ended in any way."""
        entries = (entry for entry in self.history.trials if entry.method == self.method)
        taken = {entry.seed for entry in entries if float(Fraction(entry.realised)) == realised_ratio}
        first = min(entry.seed for entry in self.history.trials)
        return next(seed for seed in count(first) if seed not in taken)


def _loaded(history: History) -> LoadedRecipe | None:
    """The recipe that the sweep was last asked for; None where this version cannot read it."""
    start = history.starts[-1]
    try:
        recipe = Recipe.model_validate(start.recipe, strict=False)
    except ValidationError:
        return None
    return LoadedRecipe(recipe, start.recipe_name, Path(start.recipe_name), {})


def _middle(recipe: Recipe, low: float, high: float) -> Ratio | None:
    """The geometric middle of two ratios: of whole epochs, where a ratio scales them."""
    middle = math.sqrt(low * high)
    if middle < _SHORTEST_RATIO:
        return None
    if recipe.method != "epochs":
        return Ratio.parse(f"{middle:.2g}")
    epochs = recipe.epochs.amount
    fewest, most = math.floor(low * float(epochs)) + 1, math.ceil(high * float(epochs)) - 1
    whole = min(max(round(middle * float(epochs)), fewest), most)
    return Ratio.parse(decimal_text(Fraction(whole) / epochs)) if whole >= max(fewest, 1) else None


def _seconds(model: CostModel, run: Lengths, shorter: RatioSummary | None, longer: RatioSummary) -> float:
    """What a new length takes: no less than the shorter of its neighbours has taken, and no more than the longer one,
    whatever these were disturbed by."""
    length = {"a step": float(run.num_steps), "an epoch": float(run.num_epochs)}.get(model.unit, float(run.realised))
    ends = sorted((shorter.train_seconds or 0.0 if shorter else 0.0, longer.train_seconds or 0.0))
    return min(max(model.fixed_seconds + model.seconds_per_unit * length, ends[0]), ends[1])
