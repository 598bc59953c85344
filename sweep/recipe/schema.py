"""The Recipe: a baseline to scale, every key known and typed, and frozen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Literal

from sweep.recipe.own_keys import OwnKeys

# What may differ between two runs of one baseline: how it is scaled and repeated, where it runs, what an hour costs.
NOT_IN_FINGERPRINT = frozenset(
    {"method", "seed", "min_shared_steps", "threads", "workers", "price", "data_path", "resume_args", "time_limit"}
)


class Recipe(OwnKeys):
    """A baseline: what is trained at ratio 1. A plain number in a time key counts epochs."""

    @property
    def kind(self) -> Literal["builtin", "task", "command"]:
        """What it names: a model and a dataset, a task of the user's own, or a command."""
        if self.command is not None:
            return "command"
        return "task" if self.task is not None else "builtin"

    @property
    def builtin_model(self) -> str:
        """The network's name, of a recipe of the kind that has one."""
        assert self.model is not None
        return self.model

    @property
    def builtin_dataset(self) -> str:
        """The dataset's name, of a recipe of the kind that has one."""
        assert self.dataset is not None
        return self.dataset

    def __hash__(self) -> int:
        return hash(self.fingerprint)  # some keys hold mappings

    @property
    def fingerprint(self) -> str:
        """What makes two baselines the same: 16 hex digits over every key that changes the training.

        Defaults are left out, so that a key added later changes no old fingerprint.
        """
        keys = self.model_dump(mode="json", exclude_defaults=True, exclude=set(NOT_IN_FINGERPRINT))
        return hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()[:16]

    def differences(self, recorded: Mapping[str, object]) -> dict[str, str]:
        """Each key of the fingerprint that differs from a recorded recipe, with `key was recorded, now mine`.

        A key that was not there when it was recorded had what is its default now.
        """
        return differences(recorded, self.model_dump(mode="json"))


def differences(recorded: Mapping[str, object], now: Mapping[str, object]) -> dict[str, str]:
    """The same of two recipes that were recorded."""
    defaults = Recipe().model_dump(mode="json")
    theirs, mine = defaults | dict(recorded), defaults | dict(now)
    keys = sorted((mine.keys() | theirs.keys()) - NOT_IN_FINGERPRINT)
    changed = [key for key in keys if mine.get(key) != theirs.get(key)]
    return {key: f"{key} was {theirs.get(key)}, now {mine.get(key)}" for key in changed}
