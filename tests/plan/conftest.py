"""Recipes as files, and their plans."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweep.plan.stages import Plan, make_plan
from sweep.recipe.duration import parse_ratios
from sweep.recipe.library import LoadedRecipe, load_recipe

Planner = Callable[..., Plan]

HEAD = "model: small_cnn\ndataset: digits\n"


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LoadedRecipe]:
    """load(key=value, …): the recipe of a file `r.yaml` in the current folder, the first of these keys on line 3."""
    monkeypatch.chdir(tmp_path)

    def load(**keys: Any) -> LoadedRecipe:
        text = HEAD + "".join(f"{key}: {_spelled(value)}\n" for key, value in keys.items())
        Path("r.yaml").write_text(text)
        return load_recipe("r.yaml")

    return load


@pytest.fixture
def plan(load: Callable[..., LoadedRecipe]) -> Planner:
    """plan("0.5,1", key=value, …): the plan of that recipe, of 1,000 examples unless `examples` says otherwise."""

    def plan(ratios: str = "1", *, examples: int = 1000, num_seeds: int = 1, shares: bool = True, **keys: Any) -> Plan:
        return make_plan(load(**keys), parse_ratios(ratios), num_seeds, examples, shares)

    return plan


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
