"""`sweep compare --format json` against its schema."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tables import contender_through

from sweep.report.comparison import compare_all
from sweep.report.comparison_json import comparison_to_json
from sweep.report.contender import Contender, Lineup

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json.loads((DOCS / "compare.schema.json").read_text())
OLD = (0.75, 0.85, 0.90)
SEEDS = (-0.002, 0.0, 0.002)


def contender(
    name: str, means: Sequence[float] = OLD, spread: Sequence[float] = (0.0,), seconds: float = 100
) -> Contender:
    ratios = (0.5, 1.0, 2.0, 4.0)
    return contender_through(
        *(
            (ratio, seconds * ratio, [mean + away for away in spread])
            for ratio, mean in zip(ratios, means, strict=False)
        ),
        name=name,
    )


def refuse(name: str) -> None:
    raise AssertionError(name)


def document_of(*contenders: Contender) -> dict[str, Any]:
    """The document, held to its schema and to JSON's own numbers."""
    lineup = Lineup(contenders, ())
    document = json.loads(comparison_to_json(lineup, compare_all(lineup)), parse_constant=refuse)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return document


def test_the_schema_is_itself_a_schema_and_up_to_date() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    script = "import make_compare_schema as made; print(made.PAGE.read_text() == made.page())"
    run = subprocess.run([sys.executable, "-c", script], cwd=DOCS, capture_output=True, text=True, check=True)
    assert run.stdout == "True\n", "run: cd docs; python make_compare_schema.py"


def objects(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [found for one in schema for found in objects(one)]
    if not isinstance(schema, dict):
        return []
    return [schema] * ("properties" in schema) + [found for one in schema.values() for found in objects(one)]


def test_the_schema_is_strict_and_describes_every_key() -> None:
    for one in objects(SCHEMA):
        assert one["additionalProperties"] is False
        assert one["required"] == list(one["properties"])
        assert all(key.get("description") for key in one["properties"].values())


@pytest.mark.parametrize("spread", [(0.0,), SEEDS])
def test_curves_that_cross_are_valid(spread: Sequence[float]) -> None:
    document = document_of(contender("a", spread=spread), contender("b", (0.70, 0.86, 0.92), spread))
    (told,) = document["comparisons"]
    assert [crossing["ahead"] for crossing in told["crossings"]] == ["b"]
    assert len(told["measured_costs"]) == 3
    assert [at for at in told["by_cost"] if at in told["measured_costs"]] == told["measured_costs"]
    assert (told["by_cost"][0]["simultaneous_ci95"] is None) == (spread == (0.0,))


def test_who_leads_where_is_told_with_the_interval_of_the_crossing() -> None:
    first, second = document_of(contender("a", spread=SEEDS), contender("b", (0.70, 0.86, 0.92), SEEDS))["leads"]
    assert [(lead["best"], lead["is_sure"]) for lead in (first, second)] == [("a", True), ("b", True)]
    assert first["from_seconds"] == {"value": pytest.approx(50), "low": None, "high": None}
    assert first["to_seconds"] == second["from_seconds"]["value"]
    assert second["from_seconds"]["low"] < second["from_seconds"]["value"] < second["from_seconds"]["high"]
    assert document_of(contender("a"), contender("b"))["leads"][0]["is_sure"] is None


@pytest.mark.parametrize(
    ("new", "key"),
    [
        (contender("b", seconds=1e6), "train_seconds"),
        (contender("b", seconds=1e-3), "train_seconds"),
        (contender("b", (0.1, 0.2, 0.3)), "qualities"),
        (contender("b", (0.99, 0.995, 0.999)), "qualities"),
    ],
)
def test_curves_with_nothing_in_common_are_valid_and_null(new: Contender, key: str) -> None:
    (told,) = document_of(contender("a"), new)["comparisons"]
    assert told["averaged"][key] is None


def test_an_end_that_is_not_there_is_null() -> None:
    wide = tuple(3 * away for away in SEEDS)
    (told,) = document_of(contender("a", spread=wide), contender("b", (0.74, 0.84, 0.851), wide))["comparisons"]
    times = told["at_equal_quality"]["times_cheaper"]
    assert times["low"] is None
    assert times["high"] > times["value"]


def test_single_lengths_and_whole_accuracies_are_valid() -> None:
    document_of(contender("a", (1.0,)), contender("b", (1.0,)))
    document_of(contender("a", (0.0, 1.0, 1.0, 1.0)), contender("b", (0.0, 0.1, 1.0, 1.0)), contender("c", (0.5, 0.0)))


def test_what_the_schema_does_not_name_is_refused() -> None:
    document = document_of(contender("a"), contender("b"))
    document["comparisons"][0]["averaged"]["more"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(document)
