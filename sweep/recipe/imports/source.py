"""What is to be imported, a command or a file -> the recipe."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sweep.errors import Problem, UsageError
from sweep.recipe.imports.draft import Imported
from sweep.recipe.imports.timm import import_args
from sweep.recipe.imports.torchvision import import_command
from sweep.recipe.library import read_bytes, shown_path

_FILE = re.compile(r"\S+\.ya?ml")


def import_recipe(source: str, gpus: int | None = None) -> Imported:
    """The recipe of `source`: the command line of torchvision's reference script, or the path of an args.yaml that
    timm's train.py has written. `gpus` says on how many it trains, where that is not in it.

    Raises:
        UsageError: with everything in it that is wrong.
    """
    if gpus is not None and gpus < 1:
        raise UsageError(Problem("must be at least 1", "--gpus"))
    if _is_file(source):
        path = Path(source)
        return import_args(read_bytes(path), shown_path(path), gpus)
    return import_command(source, gpus)


def _is_file(source: str) -> bool:
    if "\0" in source or "\n" in source:
        return False
    return _FILE.fullmatch(source.strip()) is not None or os.path.exists(source)
