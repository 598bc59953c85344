"""What `--slurm` says of a job, by sbatch's own names."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from sweep.errors import Problem, UsageError
from sweep.recipe.spelling import nearest

_TEXT = r"\S{1,200}"
_NUMBER = r"[1-9][0-9]{0,5}"
_GPUS = rf"([A-Za-z0-9_.-]+:)?{_NUMBER}"
_SIZE = r"[0-9]{1,9}[KMGT]?"
_FORMS = {
    **dict.fromkeys(("account", "comment", "constraint", "exclude", "gres", "nodelist"), _TEXT),
    **dict.fromkeys(("partition", "qos", "reservation", "wckey", "mail_type", "mail_user"), _TEXT),
    **dict.fromkeys(("cpus_per_task", "cpus_per_gpu"), _NUMBER),
    **dict.fromkeys(("gpus", "gpus_per_node", "gpus_per_task"), _GPUS),
    **dict.fromkeys(("mem", "mem_per_cpu", "mem_per_gpu"), _SIZE),
    "time": "",  # see minutes_of
    "signal_delay_s": _NUMBER,
}
_EXAMPLES = {_NUMBER: "4", _GPUS: "1 or a100:1", _SIZE: "16G", _TEXT: "a text without spaces"}
# As sbatch reads them: minutes, minutes:seconds, hours:minutes:seconds, days-hours, and so on.
_TIMES = (
    re.compile(r"(?P<m>[0-9]{1,7})(:(?P<s>[0-9]{1,2}))?"),
    re.compile(r"(?P<h>[0-9]{1,5}):(?P<m>[0-9]{1,2}):(?P<s>[0-9]{1,2})"),
    re.compile(r"(?P<d>[0-9]{1,4})-(?P<h>[0-9]{1,2})(:(?P<m>[0-9]{1,2})(:(?P<s>[0-9]{1,2}))?)?"),
)
# Chosen: submitit's own; before a job's time ends there have to be so many seconds to write a checkpoint in.
SIGNAL_DELAY_SECONDS = 90


def job_parameters(options: Mapping[str, str]) -> dict[str, str | int]:
    """What a job is submitted with; `time` in minutes. `options` have underscores in their names, as submitit has it.

    Raises:
        UsageError: with every mistake in them.
    """
    problems = [problem for name, value in options.items() if (problem := _problem(name, value)) is not None]
    if "time" not in options:
        fix = "time=02:00:00; what takes longer is saved before that, and goes on in a job that follows"
        problems.append(Problem("it does not say how long a job may take", "--slurm", fix=fix))
    if problems:
        raise UsageError(problems)
    minutes, delay = minutes_of(options["time"]), int(options.get("signal_delay_s", SIGNAL_DELAY_SECONDS))
    assert minutes is not None
    if minutes * 60 <= delay:
        reason = f"no time is left to train: a job is told to write a checkpoint {delay} s before its end"
        raise UsageError(Problem(reason, "--slurm", "time", fix="give it more, or a smaller signal_delay_s"))
    return {**options, "time": minutes, "signal_delay_s": delay}


def _problem(name: str, value: str) -> Problem | None:
    if name not in _FORMS:
        return Problem(
            f"is no option of a job{nearest(name, _FORMS)}", "--slurm", name, fix=f"known: {', '.join(_FORMS)}"
        )
    if name == "time":
        fix = "as sbatch has it: 90, 02:00:00 or 1-12"
        return None if minutes_of(value) else Problem(f"{value!r} is no time", "--slurm", name, fix=fix)
    if re.fullmatch(_FORMS[name], value):
        return None
    return Problem(f"{value!r} does not fit", "--slurm", name, fix=f"write {_EXAMPLES[_FORMS[name]]}")


def minutes_of(text: str) -> int | None:
    """A time as sbatch writes it in whole minutes, rounded up as Slurm does; None where it is none."""
    found = next((found for form in _TIMES if (found := form.fullmatch(text)) is not None), None)
    if found is None:
        return None
    days, hours, minutes, seconds = (int(found.groupdict().get(unit) or 0) for unit in "dhms")
    return days * 1440 + hours * 60 + minutes + math.ceil(seconds / 60)
