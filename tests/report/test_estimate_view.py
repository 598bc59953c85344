"""Estimates as tables, of pilots made by hand."""

import json
from typing import Any

import pytest
from histories import a_pilot

from sweep.estimating import Seats, make_estimate
from sweep.planning import plan_sweep
from sweep.report.estimate_view import Estimate, estimate_document, estimate_grids, estimate_notes, memory_text
from sweep.report.plan_view import plan_to_json
from sweep.request import SweepRequest

ONE, TWO = Seats(1, 1, 1), Seats(2, 2, 2)
SHARED = ("lr_scheduler=wsd", "min_shared_steps=10")


def estimate_of(*settings: str, seats: tuple[Seats, ...] = (ONE, TWO), **changes: Any) -> Estimate:
    plan = plan_sweep(SweepRequest("digits", "0.5,1.0", settings=settings))
    return make_estimate(plan, a_pilot(**changes), seats)


def test_a_ratio_takes_its_steps_with_the_doubt_of_so_few() -> None:
    estimate = estimate_of()
    assert estimate.training(460).value == 460 * 0.25
    half = estimate.training(460).high - estimate.training(460).value
    assert half == pytest.approx(460 * 0.02 * (1 + 400 / 460) ** 0.5)


def test_the_tables_have_a_row_for_each_ratio_and_number_of_jobs() -> None:
    runs, jobs = estimate_grids(estimate_of())
    assert runs.headers == ("ratio", "steps", "train time", "memory")
    assert runs.rows[1] == ("1.0", "460", "1m 55s (1m 42s to 2m 08s)", "3.2 GB of 16.0 GB")
    assert jobs.headers == ("jobs", "devices", "time")
    assert [row[:2] for row in jobs.rows] == [("1", "1"), ("2", "2")]
    # 690 steps, 30 evaluations, two stages, one start.
    assert estimate_of().jobs[0].once.value == pytest.approx(690 * 0.25 + 30 * 2 + 2 * 0.5 + 5)


def test_two_jobs_end_with_the_longest_trial() -> None:
    [_, two] = estimate_of().jobs
    assert two.once.value == pytest.approx(460 * 0.25 + 20 * 2 + 0.5 + 5)


def test_what_is_trained_once_is_compared_with_each_trial_alone() -> None:
    estimate = estimate_of(*SHARED, "price=3600")
    _, jobs = estimate_grids(estimate)
    assert jobs.headers == ("jobs", "devices", "time", "dollars", "each trial alone", "dollars alone")
    saved = estimate.num_steps_alone - estimate.plan.num_steps
    assert saved > 0
    one = estimate.jobs[0]
    assert one.alone.value - one.once.value >= 0.25 * saved - 1
    dollars, alone = (estimate.dollars(steps) for steps in (estimate.plan.num_steps, estimate.num_steps_alone))
    assert dollars is not None
    assert alone is not None
    assert (dollars.value, alone.value) == (0.25 * estimate.plan.num_steps, 0.25 * estimate.num_steps_alone)


def test_dollars_are_of_all_the_devices_that_a_trial_takes() -> None:
    one, two = (estimate_of("price=3.6", f"devices_per_trial={number}") for number in (1, 2))
    assert one.dollars(1000) == one.training(1000) * 0.001
    assert two.dollars(1000) == two.training(1000) * 0.002
    assert any("tried out on one device" in note for note in estimate_notes(two))
    assert not any("tried out on one device" in note for note in estimate_notes(one))


def test_what_does_not_fit_beside_each_other_is_said() -> None:
    assert not any("fit" in note for note in estimate_notes(estimate_of()))
    [note] = [note for note in estimate_notes(estimate_of(total_bytes=6_000_000_000)) if "fit" in note]
    assert note == "2 jobs beside each other take 6.4 GB of 6.0 GB: they do not fit"
    [note] = [note for note in estimate_notes(estimate_of(total_bytes=3_000_000_000)) if "fit" in note]
    assert note == "a run takes 3.2 GB of 3.0 GB: it does not fit"
    assert [each["fits"] for each in estimate_document(estimate_of(total_bytes=6_000_000_000))["sweep"]] == [
        True,
        False,
    ]
    apart = estimate_of(total_bytes=6_000_000_000, seats=(ONE, Seats(2, 2, 1)))  # each on a GPU of its own
    assert not any("fit" in note for note in estimate_notes(apart))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"is_made_up": True}, "on made-up data"),
        ({"spread": 0.4}, "its bursts of steps differ by ± 40 %: the machine was busy"),
        ({"step": (0.2, 0.25, 0.3)}, "less precise than ± 5 %: more --pilot-seconds narrow the interval"),
        ({"varying": ("image_size",)}, "steps differ along a run (image_size)"),
    ],
)
def test_what_is_doubtful_is_said_and_nothing_else_is(changes: dict[str, Any], said: str) -> None:
    sound = {"step": (0.245, 0.25, 0.255)}
    assert any(note.startswith(said) for note in estimate_notes(estimate_of(**sound | changes)))
    assert not any(note.startswith(said) for note in estimate_notes(estimate_of(**sound)))


def test_a_name_that_is_no_text_to_print_is_made_one() -> None:
    pilot = a_pilot()
    environment = pilot.environment.model_copy(update={"device_name": "a\n\x1b[31mname"})
    [_, jobs] = estimate_grids(estimate_of(environment=environment))
    assert not any(character in note for note in jobs.notes for character in "\n\x1b")


def test_the_document_is_json_and_the_plans_own_stays_as_it_was() -> None:
    estimate = estimate_of("price=1")
    document = json.loads(plan_to_json(estimate.plan, estimate_document(estimate)))
    assert document["estimate"]["runs"][1]["train_seconds"]["value"] == 115.0
    assert document["estimate"]["pilot"]["step"] == {"low": 0.23, "value": 0.25, "high": 0.27}
    assert json.loads(plan_to_json(estimate.plan)) == {k: v for k, v in document.items() if k != "estimate"}


def test_memory_is_read_against_what_there_is() -> None:
    assert memory_text(a_pilot(), 4) == "12.8 GB of 16.0 GB"


def test_an_interval_is_what_a_program_gets() -> None:
    assert estimate_document(estimate_of())["sweep"][0]["seconds"].keys() == {"low", "value", "high"}
