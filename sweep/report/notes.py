"""The lines below the table: the verdict, what the figures rest on, and where they come from."""

from __future__ import annotations

import math

from sweep.errors import Outcome
from sweep.recipe.datasets import DATASETS
from sweep.report.analysis import Curve, max_contention
from sweep.report.approximation import approximation_notes
from sweep.report.bill import bill_text, make_bill
from sweep.report.cost_model import cost_model
from sweep.report.estimate_note import estimate_notes
from sweep.report.findings import Findings
from sweep.report.intervals import unequal_spreads
from sweep.report.metric import Metric
from sweep.report.verdict import further_texts
from sweep.store.history import History

# Below this probability, Bartlett's test says that the seeds do not differ as much at every ratio.
_SIGNIFICANT = 0.05
_NORMAL_95 = 1.96
# Above this share of other processes' CPU time the times are not clean.
_NOTABLE_CONTENTION = 0.10


def make_notes(findings: Findings) -> list[str]:
    """The verdicts first; each is a sentence."""
    return [*findings.verdicts, *further_notes(findings)]


def further_notes(findings: Findings) -> list[str]:
    """All but the verdicts."""
    notes = approximation_notes() if findings.is_approximate else []
    notes += [note for curve in findings.curves for note in _of_curve(findings, curve)]
    notes += [findings.labelled(curve, note) for curve in findings.curves for note in _on_baseline(curve)]
    notes += [*_set_ups(findings), *_other_set_ups(findings)]
    notes += findings.remarks
    return notes + (_of_history(findings, findings.history) if findings.history is not None else [])


def _of_curve(findings: Findings, curve: Curve) -> list[str]:
    within, model = findings.within_points, cost_model(curve)
    notes = [
        *further_texts(curve, within),
        *_dominated(curve),
        *_devices(findings, curve),
        *_lacking(curve),
        *_intervals(curve, "" if findings.history is None else " (--seeds 3)"),
        *_fit(findings, curve),
        *([model.text] if model is not None else []),
        *([model.warning] if model is not None and model.warning is not None else []),
    ]
    return [findings.labelled(curve, note) for note in notes]


def _devices(findings: Findings, curve: Curve) -> list[str]:
    if len(curve.devices) < 2 or findings.history is not None or findings.has_set_ups:
        return []
    return [f"trained on {' and '.join(curve.devices)}: their times do not compare"]


def _lacking(curve: Curve) -> list[str]:
    """Set-ups, where there are several, whose times compare with none of the others'."""
    set_ups, trials = curve.set_ups, curve.trials
    notes = []
    if len(set_ups.names) > 1 and set_ups.lacking:
        where = "; ".join(set_ups.lacking)
        notes.append(f"no ratio 1.0 has finished on {where}: what was trained there has no cost")
    in_parts = trials[(trials["outcome"] == Outcome.FINISHED) & trials["set_up"].isna()]
    if set_ups.names and len(in_parts):
        ratios = ", ".join(in_parts["ratio_text"].astype(str).unique())
        notes.append(f"trained in parts on several set-ups, and so without a cost: ratio {ratios}")
    return notes


def _set_ups(findings: Findings) -> list[str]:
    if not findings.has_set_ups:
        return []
    said = "; ".join(f"{number}: {name}" for number, name in enumerate(findings.set_ups, start=1))
    return [
        f"trained on {len(findings.set_ups)} set-ups, whose times do not compare: {said}",
        "cost is the share of the ratio 1.0 of the same set-up; verdict, gains and pictures take the times of other "
        f"set-ups as that share of the ratio 1.0 on {findings.set_ups[0]}",
    ]


def _fit(findings: Findings, curve: Curve) -> list[str]:
    if not findings.wanted:
        return []
    from sweep.report.fitted import fit_notes

    return fit_notes(curve, findings.wanted)


def _dominated(curve: Curve) -> list[str]:
    ratios = [row.ratio_text for row in curve.measured if not row.is_on_front]
    why = f"since a cheaper ratio is {curve.metric.as_good}"
    return [f"not worth its cost, {why}: {', '.join(ratios)}"] if ratios else []


def _intervals(curve: Curve, advice: str) -> list[str]:
    """What ± is, where there is any, and how far that can be believed."""
    if not curve.measured:
        return []
    spread = curve.noise.single
    if spread is None:
        return [f"one seed a ratio: no interval, and no telling a difference from what seeds do{advice}"]
    single = ", none where one seed finished" if any(row.num_finished == 1 for row in curve.measured) else ""
    notes = [f"± is half a 95 % interval: t with the sd of seeds pooled over ratios{_freedom(curve)}{single}"]
    probability = unequal_spreads([row.sample for row in curve.measured])
    if probability is not None and probability < _SIGNIFICANT:
        notes.append(
            f"seeds differ more at some ratios than at others (Bartlett's test: p = {probability:.2g}): ± is too small "
            "where sd is large, and too large where it is small"
        )
    return notes


def _freedom(curve: Curve) -> str:
    """The degrees of freedom, of means and of differences."""
    means, differences = curve.noise.single, curve.noise.paired
    counted = f" (df {means.degrees_of_freedom})" if means else ""
    if len(curve.measured) < 2:
        return counted
    if differences is not None and len({row.sample.seeds for row in curve.measured}) == 1:
        return f"{counted}; differences of lengths by seed (df {differences.degrees_of_freedom})"
    return f"{counted}; differences of lengths with other seeds unpaired"


def _on_baseline(curve: Curve) -> list[str]:
    if curve.baseline is not None:
        return []
    if any(row.is_baseline for row in curve.rows):
        return ["no trial at ratio 1.0 has finished: cost, vs 1.0 and truncated need one"]
    return ["no trial has ratio 1.0: cost, vs 1.0 and truncated need one"]


def _other_set_ups(findings: Findings) -> list[str]:
    changes = findings.frame["other_set_up"].dropna().unique()
    if not len(changes):
        return []
    return [
        f"other set-up than the first run's ({'; '.join(changes)}): these trials need not have the bits that they "
        "would have had on it, and their times do not compare"
    ]


def _of_history(findings: Findings, history: History) -> list[str]:
    start = history.starts[-1]
    bill = make_bill(history)
    notes = [
        *_test_set(findings, history),
        *_seconds_source(findings),
        f"recipe {start.recipe_name} ({start.fingerprint}), {set_up_text(history)}",
        _contention(max_contention(findings.frame)),
        *([bill_text(bill)] if bill is not None else []),
        *estimate_notes(history),
    ]
    rows = [row for curve in findings.curves for row in curve.rows]
    against = f"cost and vs 1.0 ({_unit(findings.metric)}) are against ratio 1.0"
    if any(row.truncated_score is not None for row in rows):
        notes.append(f"{against}; truncated is what ratio 1.0 had reached after as many steps of its own schedule")
    elif not findings.metric.is_share and any(row.points is not None for row in rows):
        notes.append(against)
    if not history.is_of_a_command and any(_lacks_a_control(curve) for curve in findings.curves):
        notes.append("truncated is blank where ratio 1.0 was trained before that length was asked for")
    if history.damaged_lines:
        lines = ", ".join(str(line) for line in history.damaged_lines)
        notes.append(f"damaged records in the journal were ignored (line {lines})")
    return notes


def _unit(metric: Metric) -> str:
    return metric.long_unit if metric.is_share else f"{metric.name}, {metric.better_text}"


def _seconds_source(findings: Findings) -> list[str]:
    """Of a command's trials: whose clock has measured the train time."""
    sources = set(findings.frame["train_seconds_source"].dropna())
    texts = {
        "metric": "train time is what the command says itself",
        "wall": "train time is the command's whole time, its start-up and its evaluations included",
    }
    found = [text for source, text in texts.items() if source in sources]
    return [f"{'; of other trials '.join(found)}"] if found else []


def _test_set(findings: Findings, history: History) -> list[str]:
    """Another test set of the same size would give other accuracies: much the same for all ratios."""
    dataset = DATASETS.get(str(history.starts[-1].recipe.get("dataset"))) if findings.metric.is_share else None
    accuracies = [row.score for curve in findings.curves if (row := curve.baseline or curve.best) is not None]
    known = [accuracy for accuracy in accuracies if accuracy is not None]
    if dataset is None or dataset.num_eval is None or not known:
        return []
    half = _NORMAL_95 * math.sqrt(known[0] * (1 - known[0]) / dataset.num_eval)
    return [
        f"in no interval: the test set's own sampling error, ± {100 * half:.2f} points with {dataset.num_eval:,} "
        "images, most of it common to all ratios"
    ]


def _lacks_a_control(curve: Curve) -> bool:
    shorter = [row for row in curve.measured if row.realised_ratio < 1]
    is_controlled = curve.baseline is not None and not curve.is_approximate
    return is_controlled and any(row.truncated_score is None for row in shorter)


def set_up_text(history: History) -> str:
    """Where it was trained, marked trials apart: threads and torch are the same, and GPUs may be of several kinds."""
    results = [result for result in history.results if result.environment and not result.other_set_up]
    environments = [result.environment for result in results if result.environment] or [history.starts[0].environment]
    first = environments[0]
    names = ", ".join(dict.fromkeys(environment.device_name for environment in environments))
    threads = f"{first.threads} thread{'s' if first.threads > 1 else ''}"
    torch = f", torch {first.torch}" if first.torch is not None else ""
    most = max(start.jobs for start in history.starts)
    jobs = f", up to {most} trials at a time" if most > 1 else ""
    devices = f", {history.devices_per_trial} devices a trial" if history.devices_per_trial > 1 else ""
    amp = f", amp: auto is {first.precision.amp}" if first.precision else ""
    return f"{first.device_kind} ({names}), {threads}{devices}{torch}{amp}{jobs}"


def _contention(share: float | None) -> str:
    if share is None:
        return "contention: not known"
    text = f"contention: other processes used up to {100 * share:.0f} % of the CPU time while training"
    return f"{text}: the times are not clean" if share > _NOTABLE_CONTENTION else text
