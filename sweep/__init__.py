"""How long should I train? Train a recipe at a grid of scale ratios, and see what each further hour buys.

The public names are resolved when they are first used: importing `sweep` imports neither torch nor pandas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.api import plan_sweep as plan_sweep
    from sweep.api import run_sweep as run_sweep
    from sweep.request import SweepRequest as SweepRequest

__all__ = ["SweepRequest", "plan_sweep", "run_sweep"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from sweep import api

        return getattr(api, name)
    raise AttributeError(f"module 'sweep' has no attribute {name!r}")
