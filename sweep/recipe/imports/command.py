"""A command as it is typed into a shell -> the words of the script, and how many processes the launcher starts.

No shell takes part: words are split at blanks and quotes and mean themselves, whatever signs they hold.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from sweep.errors import Problem, UsageError
from sweep.printable import is_unicode
from sweep.recipe.fields import shown

# A recipe, which repeats it in its head, is a page of text.
MAX_CHARS = 16 * 1024
_WHERE = "the command"
# With a blank before the line's end too, where a shell would end the command: it is met in what people publish.
_CONTINUED = re.compile(r"\\[ \t]*\r?\n")
_ATTACHED = re.compile(r"(-[nN])([0-9]+)")
# What torchrun, torch.distributed.launch and srun call the processes of a machine, machines, and all processes.
_PER_NODE = ("nproc_per_node", "ntasks_per_node")
_NODES = ("nnodes", "nodes", "N")
_ALL = ("ntasks", "n")
_COUNTS = (*_PER_NODE, *_NODES, *_ALL)


@dataclass(frozen=True)
class Command:
    """`script` is the path of the script, `words` what it is told. `processes` is how often it is started: once a GPU.

    `text` is the whole of it on one line.
    """

    text: str
    script: str
    words: tuple[str, ...]
    processes: int


def read_command(text: str, processes: int | None = None) -> Command:
    """Take a command apart; `processes`, where given, is in place of what its launcher says.

    Raises:
        UsageError: it cannot be split, names no script, or does not say how many processes there are.
    """
    words = _split(text)
    at = next((index for index, word in enumerate(words) if word.endswith(".py")), None)
    if at is None:
        raise UsageError(Problem("names no script", _WHERE, fix="for example torchrun --nproc_per_node=8 train.py …"))
    if processes is None:
        processes = _processes(words[:at])
    return Command(" ".join(_CONTINUED.sub(" ", text).split()), words[at], tuple(words[at + 1 :]), processes)


def _split(text: str) -> list[str]:
    if len(text) > MAX_CHARS:
        raise UsageError(Problem(f"over {MAX_CHARS} characters", _WHERE))
    if "\0" in text or not is_unicode(text):
        raise UsageError(Problem("holds a NUL or bytes that are no UTF-8", _WHERE))
    try:
        return shlex.split(_CONTINUED.sub(" ", text))
    except ValueError as error:
        raise UsageError(Problem(f"cannot be split: {str(error).lower()}", _WHERE, fix="close the quotes")) from None


def _processes(launcher: Iterable[str]) -> int:
    counts = _counts(list(launcher))
    per_node = next((counts[name] for name in _PER_NODE if name in counts), None)
    nodes = next((counts[name] for name in _NODES if name in counts), 1)
    everything = next((counts[name] for name in _ALL if name in counts), None)
    if per_node is None and everything is not None:
        return everything
    return (1 if per_node is None else per_node) * nodes


def _counts(launcher: list[str]) -> dict[str, int]:
    counts = {}
    for word, following in pairwise([*launcher, ""]):
        attached = _ATTACHED.fullmatch(word)
        spelling, equals, value = (attached[1], "=", attached[2]) if attached else word.partition("=")
        name = spelling.lstrip("-").replace("-", "_")
        if word.startswith("-") and name in _COUNTS:
            counts[name] = _count(spelling, value if equals else following)
    return counts


def _count(spelling: str, text: str) -> int:
    if re.fullmatch(r"[1-9][0-9]{0,5}", text) is None:
        message = f"{shown(text)} does not say how many processes there are"
        raise UsageError(Problem(message, spelling, fix="say it with --gpus"))
    return int(text)
