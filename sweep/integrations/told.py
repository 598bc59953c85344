"""What a sweep tells a training that is somebody else's, and what it reads of it: a ratio, and metrics as JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

from sweep.errors import Problem, UsageError
from sweep.recipe.duration import Ratio
from sweep.store.durable import replacing

RATIO_VARIABLE = "SWEEP_RATIO"


def told_ratio(ratio: object) -> Ratio:
    """`ratio` itself, or where it is None what the environment's SWEEP_RATIO says.

    Raises:
        UsageError: there is none, or it is none.
    """
    given = os.environ.get(RATIO_VARIABLE) if ratio is None else ratio
    where = "ratio" if ratio is not None else RATIO_VARIABLE
    if given is None:
        raise UsageError(Problem("no ratio is given", where="ratio", fix=f"pass one, or set {RATIO_VARIABLE}"))
    try:
        return Ratio.of(given)
    except ValueError as error:
        raise UsageError(Problem(str(error), where=where)) from None


def write_metrics(path: Path, metrics: Mapping[str, float], train_seconds: float) -> None:
    """Write the JSON that a recipe with a `command` reads; what is not finite was not measured: null.

    Raises:
        MachineError: it cannot be written.
    """
    values = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
    with replacing(path) as file:
        file.write(json.dumps(values | {"train_seconds": train_seconds}, allow_nan=False) + "\n")
