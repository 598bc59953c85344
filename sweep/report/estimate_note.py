"""How far what was estimated lay from what the runs took."""

from __future__ import annotations

from sweep.errors import Outcome
from sweep.plan.pilot import of_a_run
from sweep.plan.speed import Interval
from sweep.report.cells import short_text
from sweep.store.history import History
from sweep.store.identity import set_up_text
from sweep.store.records import Measurement, PilotRecord


def estimate_notes(history: History) -> list[str]:
    """A sentence on the last pilot of this recipe after which its set-up has finished any training; none where none
    has: what was trained before was not estimated."""
    fingerprint = history.starts[-1].fingerprint
    for pilot, num_before in zip(reversed(history.pilots), reversed(history.num_attempts_before), strict=True):
        parts = _trained_alike(history, pilot, num_before) if pilot.fingerprint == fingerprint else []
        num_steps = sum(part.steps for part in parts)
        if num_steps:
            return [_text(pilot, sum(part.train_seconds for part in parts) / num_steps, num_steps)]
    return []


def _trained_alike(history: History, pilot: PilotRecord, num_before: int) -> list[Measurement]:
    """What was measured where the pilot was, and after it, each Stage once."""
    set_up = set_up_text(pilot.environment)
    counts = history.stages
    finished = (
        record
        for record in history.attempts[num_before:]
        if record.outcome is Outcome.FINISHED and counts[record.stage] is record
    )
    return [
        record.measurement
        for record in finished
        if record.measurement is not None
        and record.environment is not None
        and set_up_text(record.environment) == set_up
    ]


def _text(pilot: PilotRecord, took: float, num_steps: int) -> str:
    expected = of_a_run(Interval(*pilot.step), pilot.num_steps, pilot.spread, num_steps)
    interval = f"{short_text(expected.low)} to {short_text(expected.high)}"
    made_up = ", on made-up data" if pilot.is_made_up else ""
    estimated = f"estimate: {short_text(expected.value)} a step ({interval}{made_up})"
    where = "inside" if expected.low <= took <= expected.high else "outside"
    error = f"{_error_text(took, expected.value)} than estimated, " if took != expected.value else ""
    return f"{estimated}; the runs took {short_text(took)}: {error}{where} its interval"


def _error_text(took: float, expected: float) -> str:
    """`3.6 % longer`; where nothing was expected no share says by how much."""
    longer = "longer" if took > expected else "shorter"
    return f"{100 * abs(took / expected - 1):.1f} % {longer}" if expected > 0 else longer
