"""The ways in which a sweep can fail, each with the exit code it ends the program with.

A user's mistake is a `Problem`: what is wrong, where, in which key, at which ratio, and how to mend it. Mistakes are
collected and raised together, so that nobody meets them one run at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a trial ended. `MISSING` is a trial of the plan that has no result yet."""

    FINISHED = "finished"
    DIVERGED = "diverged"
    CRASHED = "crashed"
    STALLED = "stalled"
    OUT_OF_MEMORY = "out_of_memory"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    MISSING = "missing"

    @property
    def is_final(self) -> bool:
        """Whether running the sweep again would leave this trial as it is: the rest is trained anew."""
        return self in (Outcome.FINISHED, Outcome.DIVERGED)

    @property
    def is_failure(self) -> bool:
        """Whether it was tried, and gave no result."""
        return self not in (Outcome.FINISHED, Outcome.INTERRUPTED, Outcome.MISSING)


@dataclass(frozen=True)
class Problem:
    """One mistake. `where` is `file:line` or the option's name; `ratio` is the ratio as it was typed."""

    message: str
    where: str | None = None
    key: str | None = None
    ratio: str | None = None
    fix: str | None = None

    def __str__(self) -> str:
        at_ratio = f"ratio {self.ratio}" if self.ratio is not None else None
        parts = [part for part in (self.where, self.key, at_ratio) if part]
        text = ": ".join([*parts, self.message])
        return f"{text} ({self.fix})" if self.fix else text


class SweepError(Exception):
    """Something a user can understand and mend. `problems` holds every mistake that was found."""

    exit_code = 1

    def __init__(self, problems: Problem | str | Iterable[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UsageError(SweepError):
    """A wrong option, or options that do not go together."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe that cannot be read, or cannot be trained at a ratio that was asked for."""


class MachineError(SweepError):
    """The machine cannot do it: data, disk, lock or device."""

    exit_code = 3


class Interrupted(SweepError):
    """Ctrl-C or a request to terminate; `exit_code` is 128 + the signal's number."""

    def __init__(self, signal_number: int) -> None:
        super().__init__("interrupted")
        self.exit_code = 128 + signal_number


def joined(errors: Iterable[SweepError]) -> SweepError:
    """One error with the problems of all, each once: of the kind that a user has to mend first."""
    errors = tuple(errors)
    problems = dict.fromkeys(problem for error in errors for problem in error.problems)
    kind = next((kind for kind in (UsageError, MachineError) if any(isinstance(e, kind) for e in errors)), SweepError)
    return kind(problems)


class Complaints:
    """Collects the mistakes of several steps, to report them all at once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def __enter__(self) -> Complaints:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        """Swallow a user's mistake and keep it; anything else passes through."""
        if isinstance(error, UsageError):
            self.problems.extend(error.problems)
            return True
        return False

    def raise_any(self) -> None:
        if self.problems:
            raise UsageError(self.problems)
