"""What to train next, as a table of the trials that could change the verdict, and in sentences with the command."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sweep.printable import one_line
from sweep.report.approximation import approximation_notes, is_approximate
from sweep.report.cells import duration_text, number_text
from sweep.report.findings import Findings
from sweep.report.grid import Grid
from sweep.report.next_trial import LEAST_CHANCE, Effect, Lacking, NextTrial, Prospect, Unfinished, look_ahead
from sweep.report.reproduce import Planned, trial_commands
from sweep.store.history import History
from sweep.store.workspace import Workspace

_MAX_ROWS = 8
_MAX_NAMED = 5


def next_grid(findings: Findings, history: History, workspace: Workspace) -> Grid:
    """Of the sweep in `workspace`; there are rows only where there is a chance to tell."""
    ahead = look_ahead(findings, history)
    effects = _shown(ahead) if isinstance(ahead, Prospect) else ()
    cells = [(name, [cell(effect) for effect in effects]) for name, cell in _COLUMNS]
    kept = [(name, column) for name, column in cells if any(column)]
    approximate = approximation_notes() if any(is_approximate(curve.method) for curve in findings.curves) else []
    notes = [*(f"now: {text}" for text in findings.verdicts), *_notes(ahead, history, workspace), *approximate]
    return Grid(
        one_line(f"{workspace.name}: what to train next"),
        tuple(name for name, _ in kept),
        tuple(zip(*(column for _, column in kept), strict=True)),
        notes=tuple(map(one_line, notes)),
        texts=frozenset({"then chosen"}),
    )


_COLUMNS: tuple[tuple[str, Callable[[Effect], str]], ...] = (
    ("ratio", lambda effect: effect.trial.ratio),
    ("seed", lambda effect: str(effect.trial.seed)),
    ("train time", lambda effect: duration_text(effect.trial.train_seconds)),
    ("dollars", lambda effect: number_text(effect.trial.dollars, "{:.4g}")),
    ("chance", lambda effect: _percent(effect.chance)),
    ("then chosen", lambda effect: effect.to or ""),
)


def _notes(ahead: Unfinished | Lacking | Prospect, history: History, workspace: Workspace) -> list[str]:
    if isinstance(ahead, Unfinished):
        return [_unfinished_text(ahead), *_commands(history, ahead.trials, workspace)]
    if isinstance(ahead, Lacking):
        if ahead.trial is None:
            return [ahead.message]
        return [ahead.message, f"next: {_trial_text(ahead.trial)}", *_commands(history, [ahead.trial], workspace)]
    best = ahead.best
    if best is None:
        return [_nothing_text(ahead), _basis_text(ahead)]
    return [
        f"next: {_trial_text(best.trial)}; {_chance_text(ahead, best)}",
        *_commands(history, [best.trial], workspace),
        _basis_text(ahead),
    ]


def _shown(ahead: Prospect) -> tuple[Effect, ...]:
    return tuple(effect for effect in ahead.effects if effect.chance >= LEAST_CHANCE)[:_MAX_ROWS]


def _percent(chance: float) -> str:
    return f"{100 * chance:.0f} %"


def _trial_text(trial: NextTrial) -> str:
    """`ratio 0.5, seed 3: 41.0 s of training ($0.02)`."""
    named = f"ratio {trial.ratio}, seed {trial.seed}"
    if trial.train_seconds is None:
        return named
    dollars = "" if trial.dollars is None else f" (${trial.dollars:.4g})"
    return f"{named}: {duration_text(trial.train_seconds)} of training{dollars}"


def _chance_text(ahead: Prospect, best: Effect) -> str:
    change = f"from {ahead.choice.row.ratio_text} to another ratio, most likely {best.to}"
    return f"with a chance of {_percent(best.chance)} it changes the verdict {change}"


def _nothing_text(ahead: Prospect) -> str:
    likeliest = max(ahead.effects, key=lambda effect: effect.chance, default=None)
    limit = "no single trial would change the verdict: each has a chance under 1 %"
    if likeliest is None or not likeliest.chance:
        return limit
    return f"{limit}, ratio {likeliest.trial.ratio}, seed {likeliest.trial.seed} the largest"


def _unfinished_text(ahead: Unfinished) -> str:
    trials = ahead.trials
    named = "; ".join(f"ratio {trial.ratio}, seed {trial.seed}" for trial in trials[:_MAX_NAMED])
    more = f"; and {len(trials) - _MAX_NAMED} more" if len(trials) > _MAX_NAMED else ""
    which = "a planned trial is" if len(trials) == 1 else f"{len(trials)} planned trials are"
    return f"next: what is missing, since {which} not trained yet: {named}{more}"


def _commands(history: History, trials: Iterable[Planned], workspace: Workspace) -> list[str]:
    if workspace.is_reference:
        return [f"{workspace.name} is kept as it is: nothing is trained in it"]
    commands = trial_commands(history, trials, workspace.name, workspace.folder.parent)
    file = f"./{history.starts[-1].recipe_name}.yaml"
    is_own = any(file in command for command in commands)
    where = [f"{file} stands for the recipe's file: where that lies is not on record"] if is_own else []
    return [*(f"train it: {command}" for command in commands), *where]


def _basis_text(ahead: Prospect) -> str:
    """What a chance rests on."""
    forecaster, metric = ahead.forecaster, ahead.forecaster.curve.metric
    noise = f"{metric.amount_text(metric.per_score * forecaster.noise.sd)} {metric.unit}"
    source = "what the fitted curve leaves over" if forecaster.is_of_fit else "seeds"
    new = "the fitted curve" if forecaster.fit is not None else "anything between the two beside it"
    return (
        f"chance: of the trial's likely results, the share with which another ratio is chosen; they lie about its "
        f"ratio's mean, of a new ratio about {new}, with an sd of {noise} by {source} "
        f"(df {forecaster.noise.degrees_of_freedom})"
    )
