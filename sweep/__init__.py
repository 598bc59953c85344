"""How long should I train? Train a recipe at a grid of scale ratios, and see what each further hour buys.

The public names are resolved when they are first used: importing `sweep` imports neither torch nor pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.errors import SweepError as SweepError
    from sweep.functions import run_sweep as run_sweep
    from sweep.functions import scale_schedule as scale_schedule
    from sweep.train.schedulers import scale_scheduler as scale_scheduler
    from sweep.train.user_task import Task as Task

_PLACES = {
    "SweepError": "sweep.errors",
    "Task": "sweep.train.user_task",
    "run_sweep": "sweep.functions",
    "scale_schedule": "sweep.functions",
    "scale_scheduler": "sweep.train.schedulers",
}
__all__ = ["SweepError", "Task", "run_sweep", "scale_schedule", "scale_scheduler"]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'sweep' has no attribute {name!r}")
