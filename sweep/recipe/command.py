"""The command of a recipe, as it is run: its arguments, what is appended to go on, and where its figures stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sweep.recipe.duration import Duration, Unit
from sweep.recipe.metrics import MetricSource, parse_metrics
from sweep.recipe.placeholders import (
    OF_THE_RUN,
    TIMES,
    Exact,
    Placeholder,
    Template,
    exact_times,
    parse_command,
    setting_texts,
    time_texts,
)
from sweep.recipe.schema import Recipe

_OUTPUT = Placeholder("output_dir")


@dataclass(frozen=True)
class OwnCommand:
    """`resume` is what follows on the arguments where a trial goes on."""

    recipe: Recipe
    arguments: Template
    resume: Template
    figures: MetricSource

    @classmethod
    def of(cls, recipe: Recipe) -> OwnCommand:
        """The command of a recipe that has been checked.

        Raises:
            ValueError: with the first thing that is wrong with it.
        """
        found: dict[str, str] = {}
        command = _parse(recipe, lambda key, message: found.setdefault(key, message))
        for key, message in found.items():
            raise ValueError(f"{key}: {message}")
        return command

    @property
    def templates(self) -> dict[str, Template]:
        """Each by the key that it stands in."""
        file = {"metrics": self.figures.file} if self.figures.file is not None else {}
        return {"command": self.arguments, "resume_args": self.resume} | file

    def times(self, num_epochs: int) -> dict[str, Exact]:
        """Every length of a run of so many epochs, before rounding."""
        return exact_times(self.recipe, num_epochs)

    def fill(self, template: Template, num_epochs: int, of_the_run: Mapping[str, str] | None = None) -> list[str]:
        """The arguments of a run of so many epochs; what `of_the_run` does not name stays a placeholder."""
        times = self.times(num_epochs)
        values = {Placeholder(name): (text,) for name, text in (of_the_run or {}).items()}
        return template.fill(values | setting_texts(self.recipe, times) | time_texts(template, times))


def command_problems(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Each mistake in the keys of a command, with its key; none where the recipe has no command."""
    if recipe.kind != "command":
        return
    found: list[tuple[str, str]] = []
    command = _parse(recipe, lambda key, message: found.append((key, message)))
    yield from found
    if recipe.amp == "auto":
        yield "amp", "auto is chosen for the tool's own loop: write none, bf16 or fp16"
    yield from _no_epochs(recipe)
    if not found:
        yield from _left_open(command)
        yield from _unused(command)


def _parse(recipe: Recipe, complain: Callable[[str, str], object]) -> OwnCommand:
    arguments, resume, figures = Template(), Template(), MetricSource()
    try:
        arguments = parse_command(recipe.command or "")
    except ValueError as error:
        _complain(complain, "command", error)
    try:
        resume = parse_command(recipe.resume_args) if recipe.resume_args is not None else resume
    except ValueError as error:
        _complain(complain, "resume_args", error)
    try:
        figures = parse_metrics(recipe.metrics, recipe.metric)
    except ValueError as error:
        _complain(complain, "metrics", error)
    return OwnCommand(recipe, arguments, resume, figures)


def _complain(complain: Callable[[str, str], object], key: str, error: ValueError) -> None:
    for line in str(error).splitlines():
        complain(key, line)


def _no_epochs(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """A command counts epochs: nobody knows how many steps it makes of them."""
    if recipe.method != "epochs":
        yield "method", f"a command is scaled by epochs: {recipe.method} is not known to it"
    for name in TIMES:
        value = getattr(recipe, name)
        durations = value if isinstance(value, tuple) else (value,)
        if name != "epochs" and any(isinstance(at, Duration) and at.unit is Unit.STEP for at in durations):
            yield name, "a command counts epochs: write 5 or '0.2dur', not steps"


def _left_open(command: OwnCommand) -> Iterator[tuple[str, str]]:
    """Placeholders of keys that the recipe does not set, and that have no default."""
    baseline = int(command.recipe.epochs.amount)
    times = command.times(baseline)
    known = {*times, *OF_THE_RUN, *(placeholder.name for placeholder in setting_texts(command.recipe, times))}
    for key, template in command.templates.items():
        for name in dict.fromkeys(placeholder.name for placeholder in template.placeholders):
            if name not in known:
                yield key, f"{{{name}}}: the recipe does not set {name}"


def _unused(command: OwnCommand) -> Iterator[tuple[str, str]]:
    names = {placeholder.name for placeholder in command.arguments.placeholders}
    if not names & {"epochs", "ratio"}:
        yield "command", "it does not use {epochs}: every ratio would train the same"
    if "output_dir" in names:
        return
    if command.figures.file is not None and _OUTPUT in command.figures.file.placeholders:
        yield "metrics", "json: it is in {output_dir}, which the command does not use"
    if command.resume.arguments:
        yield "resume_args", "the command does not use {output_dir}: it leaves nothing there to go on from"
