"""A recipe's `task: module:function` -> the Task that the function returns, or what is wrong with it.

The module is looked for in the recipe's folder, then in the one that the sweep was started in, then among what is
installed. The first two are on `sys.path` from then on, so that it can import its neighbours.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from sweep.errors import Problem, RecipeError
from sweep.recipe.library import shown_path
from sweep.recipe.schema import Recipe
from sweep.recipe.spelling import nearest
from sweep.train.blame import blame, is_theirs
from sweep.train.generators import seed_generators, set_aside
from sweep.train.memory import is_out_of_memory
from sweep.train.user_task import Task


def load_task(recipe: Recipe, folders: Sequence[Path]) -> Task:
    """Import the module that the recipe names, and call its function: with the same random numbers in every process.

    Raises:
        RecipeError: with what is wrong with it, its place in the user's own file where there is one.
    """
    assert recipe.task is not None
    name, _, function = recipe.task.partition(":")
    with set_aside():
        seed_generators(0)  # data that it draws is the same for all seeds, and for each Worker
        made = _call(_find_function(_import(name, folders), function), recipe)
    if not isinstance(made, Task):
        raise _wrong(f"{function} returns a {type(made).__name__}, not a sweep.Task")
    return made


def code_sha256(recipe: Recipe, folders: Sequence[Path]) -> str:
    """The hash of the module's file, and of those in the same folders that were imported with it."""
    assert recipe.task is not None
    files = _own_files(recipe.task.partition(":")[0], folders)
    # By name and content, not by path: several may have one name, and their folder may be moved.
    parts = sorted(f"{hashlib.sha256(file.read_bytes()).hexdigest()} {file.name}" for file in files)
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _own_files(name: str, folders: Sequence[Path]) -> set[Path]:
    roots = [folder.resolve() for folder in folders]
    named = getattr(sys.modules[name], "__file__", None)
    imported = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    # Python files alone: a compiled library differs between machines. Some modules of torch have no absolute path.
    paths = {Path(file).resolve() for file in imported if isinstance(file, str) and Path(file).is_absolute()}
    own = {path for path in paths if path.suffix == ".py" and any(path.is_relative_to(root) for root in roots)}
    return {path for path in own if is_theirs(str(path))} | ({Path(named).resolve()} if named else set())


def _import(name: str, folders: Sequence[Path]) -> ModuleType:
    for folder in reversed([str(folder.resolve()) for folder in folders]):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    importlib.invalidate_caches()
    _check_it_is_there(name, folders)
    sys.dont_write_bytecode = True  # nothing is written beside a user's own files
    try:
        return importlib.import_module(name)
    except SystemExit as error:
        raise _wrong(
            f"importing {name} ends the program ({blame(error)})",
            "keep what a script does below `if __name__ == '__main__':`",
        ) from error
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise _wrong(f"importing {name} fails: {blame(error)}") from error


def _check_it_is_there(name: str, folders: Sequence[Path]) -> None:
    """That its first part can be found, and is not hidden by another module of that name."""
    first = name.partition(".")[0]
    if name.endswith(".py"):
        raise _wrong(f"{name} is a file: a module is named without .py", f"write {name.removesuffix('.py')}:…")
    own = PathFinder.find_spec(first, [str(folder.resolve()) for folder in folders])
    loaded = getattr(sys.modules.get(first), "__file__", None)
    if own is not None and own.origin is not None and loaded not in (None, own.origin):
        raise _wrong(
            f"{shown_path(Path(own.origin))} cannot be imported, since Python has a module {first} ({loaded})",
            "give it another name",
        )
    if own is None and first not in sys.modules and importlib.util.find_spec(first) is None:
        looked = ", ".join(
            shown_path(folder) or "." for folder in dict.fromkeys(folder.resolve() for folder in folders)
        )
        hint = nearest(first, sorted(_modules_in(folders)))
        raise _wrong(f"there is no module {first}{hint}; looked in {looked}, and among what is installed")


def _modules_in(folders: Sequence[Path]) -> Iterator[str]:
    for folder in folders:
        yield from (path.stem for path in folder.glob("*.py"))


def _find_function(module: ModuleType, name: str) -> Callable[[Recipe], Any]:
    function = getattr(module, name, None)
    if callable(function):
        return function  # type: ignore[no-any-return]
    if function is not None:
        raise _wrong(f"{name} is no function, but a {type(function).__name__}")
    functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    where = shown_path(Path(module.__file__)) if module.__file__ else module.__name__
    raise _wrong(f"{where} has no function {name}{nearest(name, functions)}")


def _call(function: Callable[[Recipe], Any], recipe: Recipe) -> Any:
    try:
        return function(recipe)
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise
        raise _wrong(f"{recipe.task} raises {blame(error)}") from error


def _wrong(message: str, fix: str | None = None) -> RecipeError:
    return RecipeError(Problem(message, key="task", fix=fix))
