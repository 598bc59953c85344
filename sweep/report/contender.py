"""Who is compared: curves by name, and the refusal of those that do not compare."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from sweep.errors import Problem, UsageError
from sweep.report.analysis import Curve
from sweep.report.approximation import method_text
from sweep.report.findings import Findings
from sweep.report.summary import RatioSummary
from sweep.store.identity import place_text


def log_cost(row: RatioSummary) -> float:
    """The logarithm of a measured length's train_seconds. Taken here alone: numpy's can differ in the last bit."""
    return math.log(row.train_seconds or 0.0)


@dataclass(frozen=True)
class Contender:
    """A curve with a measured length and a name of its own. `devices` are where its trials finished: as its sweep's
    `set_ups` know them (`cpu (name), 2 threads`), or as a table names them. Empty or None is what is not known."""

    name: str
    curve: Curve
    devices: tuple[str, ...]
    set_ups: tuple[str, ...]
    dataset: str | None

    @cached_property
    def points(self) -> tuple[RatioSummary, ...]:
        """The measured lengths, the cheapest first: of two that cost the same the better one."""
        best: dict[float, RatioSummary] = {}
        for row in self.curve.measured:
            cost = log_cost(row)  # two costs can have one logarithm
            if cost not in best or row.sample.mean > best[cost].sample.mean:
                best[cost] = row
        return tuple(best.values())

    @property
    def place(self) -> str:
        """Where it was trained, as exactly as is known."""
        return " and ".join(self.set_ups or self.devices) or "not known"


@dataclass(frozen=True)
class Lineup:
    """At least two contenders, of which the first is the reference, and what there is to say of comparing them.
    `left_out` are the names of those of which nothing has been measured."""

    contenders: tuple[Contender, ...]
    remarks: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def reference(self) -> Contender:
        return self.contenders[0]

    @property
    def others(self) -> tuple[Contender, ...]:
        return self.contenders[1:]

    @property
    def is_approximate(self) -> bool:
        """Whether any of its curves is an approximation."""
        return any(contender.curve.is_approximate for contender in self.contenders)


def line_up(findings: Sequence[Findings], allow_mixed: bool = False) -> Lineup:
    """The curves of all `findings`, in their order; those of which nothing has been measured are left out.

    Raises:
        UsageError: fewer than two; nothing measured of the first of `findings`, the reference; their metrics differ; or
            devices or datasets do, and `allow_mixed` does not say that they may.
    """
    found = _contenders(findings)
    measured = tuple(contender for contender in found if contender.points)
    left_out = [contender.name for contender in found if not contender.points]
    left_out += [one.name for one in findings if not one.curves]
    if len(measured) < 2:
        raise UsageError(_too_few(measured, left_out))
    if not any(curve.measured for curve in findings[0].curves):
        raise UsageError(_unmeasured_reference(findings[0].name))
    _check_metrics(measured)
    problems = _problems(measured)
    if problems and not allow_mixed:
        raise UsageError(problems)
    return Lineup(
        measured,
        (
            *(f"{problem.message} (--allow-mixed)" for problem in problems),
            *_unknown(measured),
            *(f"{name} is left out: nothing of it has been measured" for name in left_out),
        ),
        tuple(left_out),
    )


def _contenders(findings: Sequence[Findings]) -> list[Contender]:
    found = [(one, curve) for one in findings for curve in one.curves]
    names = _unique([(_name(one, curve), one.name) for one, curve in found])
    return [_contender(name, one, curve) for name, (one, curve) in zip(names, found, strict=True)]


def _name(findings: Findings, curve: Curve) -> str:
    """A sweep's by its name, a table's by its recipe; with the method where there are several."""
    method = [method_text(curve.method)] * findings.has_methods
    return ", ".join([findings.name if findings.history is not None else curve.recipe, *method])


def _unique(names: Iterable[tuple[str, str]]) -> list[str]:
    """Each as it is where no other one is called so; else with what it comes from, and with a number at last."""
    given = list(names)
    times = Counter(name for name, _ in given)
    longer = [name if times[name] == 1 or name.startswith(source) else f"{source}: {name}" for name, source in given]
    unique: list[str] = []
    for name in longer:
        numbers = (f"{name} #{number}" for number in range(2, len(given) + 1))
        unique.append(name if name not in unique else next(one for one in numbers if one not in [*unique, *longer]))
    return unique


def _contender(name: str, findings: Findings, curve: Curve) -> Contender:
    history = findings.history
    if history is None:
        return Contender(name, curve, curve.devices, (), None)
    results = (result for result in history.results if result.entry.method == curve.method)
    environments = (result.environment for result in results if result.environment is not None)
    dataset = history.starts[-1].recipe.get("dataset")
    # An hour of eight devices costs what eight hours of one do: times of the two are no costs that compare.
    together = f", {history.devices_per_trial} devices a trial" if history.devices_per_trial > 1 else ""
    return Contender(
        name,
        curve,
        curve.devices,
        tuple(dict.fromkeys(f"{place_text(environment)}{together}" for environment in environments)),
        str(dataset) if dataset is not None else None,
    )


def _too_few(measured: Sequence[Contender], left_out: Sequence[str]) -> Problem:
    there = [contender.name for contender in measured] + [f"{name} (nothing measured)" for name in left_out]
    message = f"two curves are needed to compare; found: {', '.join(there) or 'none'}"
    return Problem(message, where="SWEEP", fix="name two sweeps, the reference first")


def _unmeasured_reference(name: str) -> Problem:
    message = f"nothing of {name} has been measured, which is the reference"
    return Problem(message, where="SWEEP", fix="let a trial of it finish, or name another one first")


def _check_metrics(contenders: Sequence[Contender]) -> None:
    """Refuse different metrics, whatever is allowed: a loss is never more than an accuracy."""
    if len({contender.curve.metric for contender in contenders}) > 1:
        said = "; ".join(f"{contender.name}: {contender.curve.metric.heading}" for contender in contenders)
        message = f"judged by different metrics, which do not compare: {said}"
        raise UsageError(Problem(message, where="SWEEP", fix="compare sweeps of one metric and one mode"))


def _problems(contenders: Sequence[Contender]) -> list[Problem]:
    """Costs of different devices do not compare, nor does quality on different datasets."""
    kinds = {device for contender in contenders for device in contender.devices}
    set_ups = {set_up for contender in contenders for set_up in contender.set_ups}
    datasets = {contender.dataset for contender in contenders if contender.dataset is not None}
    problems = []
    if len(kinds) > 1 or len(set_ups) > 1:
        places = "; ".join(f"{contender.name}: {contender.place}" for contender in contenders)
        message = f"trained on different devices, whose times do not compare: {places}"
        problems.append(Problem(message, where="SWEEP", fix="--allow-mixed compares them all the same"))
    if len(datasets) > 1:
        sources = "; ".join(f"{contender.name}: {contender.dataset or 'not known'}" for contender in contenders)
        what = "accuracies" if contenders[0].curve.metric.is_share else "results"
        message = f"trained on different datasets, whose {what} do not compare: {sources}"
        problems.append(Problem(message, where="SWEEP", fix="--allow-mixed compares them all the same"))
    return problems


def _unknown(contenders: Sequence[Contender]) -> list[str]:
    devices = [contender.name for contender in contenders if not (contender.devices or contender.set_ups)]
    datasets = [contender.name for contender in contenders if contender.dataset is None]
    subjects = (("device", devices), ("dataset", datasets))
    return [
        f"the {subject} of {', '.join(names)} is not known: that all have the same was not checked"
        for subject, names in subjects
        if names
    ]
