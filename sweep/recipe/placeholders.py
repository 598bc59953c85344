"""The placeholders of a command: `{epochs}`, `{lr_step_size:exact}`, … A fixed list, and no str.format.

The unit is the epoch. Lengths are exact fractions of it until they are written: `{name}` is rounded half up, to at
least 1 (a warm-up, and the times of methods, may be 0); `{name:exact}` has to be a whole number; `{name:float}` is the
fraction as a decimal. `{{` and `}}` are braces. A command is split into arguments as a shell would, and never
interpreted: what a placeholder stands for is part of its argument, whatever is in it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from sweep.recipe.duration import Duration, Ratio, Unit, round_half_up
from sweep.recipe.schema import Recipe
from sweep.recipe.spelling import nearest

# Lengths of the schedule, dilated with the run; the warm-up keeps its length unless the recipe scales it.
SCHEDULE_TIMES = ("lr_warmup_epochs", "lr_step_size", "lr_milestones", "lr_t_0", "lr_cooldown")
# Times of methods: in `dur` they follow the run, in epochs they do with `scale_methods`.
METHOD_TIMES = (
    *("mixup_off", "swa_start", "swa_end", "swa_interval"),
    *("progressive_resizing_start", "progressive_resizing_end", "layer_freezing_start"),
)
TIMES = ("epochs", *SCHEDULE_TIMES, *METHOD_TIMES)
# The same at every ratio, but for `lr_gamma` of exponentiallr.
SETTINGS = (
    *("batch_size", "gradient_accumulation_steps", "opt", "lr", "momentum", "weight_decay", "norm_weight_decay"),
    *("label_smoothing", "clip_grad_norm", "lr_scheduler", "lr_warmup_method", "lr_warmup_decay", "lr_gamma"),
    *("lr_min", "lr_t_mult", "lr_power", "lr_start_factor", "lr_end_factor"),
    *("lr_pct_start", "lr_div_factor", "lr_final_div_factor", "lr_base_momentum", "lr_max_momentum"),
    *("mixup_alpha", "cutmix_alpha", "random_erase", "auto_augment", "hflip_prob"),
    *("model_ema_steps", "model_ema_decay", "train_crop_size", "val_resize_size", "val_crop_size"),
    *("amp", "workers", "data_path"),
)
# Of the run itself.
OF_THE_RUN = ("seed", "ratio", "output_dir", "device", "threads")
NAMES = (*TIMES, *SETTINGS, *OF_THE_RUN)
_MAY_BE_ZERO = frozenset({"lr_warmup_epochs", *METHOD_TIMES})
_FORMS = ("exact", "float")
_PARTS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")

Exact = Fraction | tuple[Fraction, ...]


@dataclass(frozen=True)
class Placeholder:
    """`{name}` or, with a `form`, `{name:exact}` and `{name:float}`."""

    name: str
    form: str = ""

    def __str__(self) -> str:
        return f"{{{self.name}:{self.form}}}" if self.form else f"{{{self.name}}}"


Argument = tuple[str | Placeholder, ...]


@dataclass(frozen=True)
class Template:
    """A text with placeholders, as the arguments that it was split into."""

    arguments: tuple[Argument, ...] = ()

    @property
    def placeholders(self) -> tuple[Placeholder, ...]:
        """Each once, in their order."""
        found = [part for argument in self.arguments for part in argument if isinstance(part, Placeholder)]
        return tuple(dict.fromkeys(found))

    def fill(self, values: Mapping[Placeholder, tuple[str, ...]]) -> list[str]:
        """The arguments with the texts of `values` in them; a placeholder that has none stays as it is.

        Several values are several arguments where their placeholder is one by itself, else they are joined by commas.
        """
        filled: list[str] = []
        for argument in self.arguments:
            texts = [(part,) if isinstance(part, str) else values.get(part, (str(part),)) for part in argument]
            filled += texts[0] if len(texts) == 1 else ["".join(",".join(text) for text in texts)]
        return filled


def parse_command(text: str) -> Template:
    """Read a command line.

    Raises:
        ValueError: with everything that is wrong, a line each.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"cannot be split into arguments: {str(error).lower()}") from None
    if not words:
        raise ValueError("empty: write the program and its arguments")
    return _template(words)


def parse_path(text: str) -> Template:
    """Read a path with placeholders: it is one argument.

    Raises:
        ValueError: with everything that is wrong, a line each.
    """
    return _template([text])


def _template(words: list[str]) -> Template:
    problems: dict[str, None] = {}
    arguments = tuple(tuple(_parts(word, problems)) for word in words)
    if any("\0" in word for word in words):
        problems["a zero byte cannot stand in an argument"] = None
    if problems:
        raise ValueError("\n".join(problems))
    return Template(arguments)


def _parts(word: str, problems: dict[str, None]) -> Iterator[str | Placeholder]:
    end, text = 0, ""
    for match in _PARTS.finditer(word):
        text += word[end : match.start()]
        end = match.end()
        if match[0] in ("{{", "}}"):
            text += match[0][0]
        elif match[1] is None:
            problems[f"an unbalanced {match[0]} in {word!r}: write {match[0] * 2} for a brace"] = None
        else:
            if text:
                yield text
            text = ""
            yield _placeholder(match[1], problems)
    if (text := text + word[end:]) or not word:
        yield text


def _placeholder(inner: str, problems: dict[str, None]) -> Placeholder:
    name, colon, form = inner.partition(":")
    if name not in NAMES:
        hint = nearest(name, list(NAMES)) or "; docs/commands.md lists them"
        problems[f"unknown placeholder {{{inner}}}{hint} (write {{{{ and }}}} for braces)"] = None
    elif colon and name not in TIMES:
        problems[f"{{{inner}}}: {name} is no length that is scaled: write {{{name}}}"] = None
    elif colon and form not in _FORMS:
        problems[f"{{{inner}}}: write {{{name}}}, {{{name}:exact}} or {{{name}:float}}"] = None
    return Placeholder(name, form)


def exact_times(recipe: Recipe, num_epochs: int) -> dict[str, Exact]:
    """Every length of a run of `num_epochs`, in epochs, before rounding; those that the recipe does not have are left
    out."""
    run = _Run(recipe, Fraction(num_epochs))
    found: dict[str, Exact] = {"epochs": Fraction(num_epochs), "lr_warmup_epochs": run.warmup}
    from_warmup = recipe.lr_step_origin == "warmup"
    found["lr_step_size"] = run.interval(recipe.lr_step_size, from_warmup)
    if recipe.lr_milestones:
        found["lr_milestones"] = tuple(run.milestone(at, from_warmup) for at in recipe.lr_milestones)
    if recipe.lr_t_0 is not None:
        found["lr_t_0"] = run.interval(recipe.lr_t_0, from_warmup=True)
    found["lr_cooldown"] = run.length(recipe.lr_cooldown, from_warmup=True)
    times = {name: getattr(recipe, name) for name in METHOD_TIMES}
    return found | {name: run.time(at) for name, at in times.items() if isinstance(at, Duration)}


@dataclass(frozen=True)
class _Run:
    """A run of the recipe, in epochs: as schedule.py's Dilation, with a warm-up that need be no whole number."""

    recipe: Recipe
    num_epochs: Fraction

    @property
    def _realised(self) -> Fraction:
        return self.num_epochs / self.recipe.epochs.amount

    @property
    def _baseline_warmup(self) -> Fraction:
        return self._baseline(self.recipe.lr_warmup_epochs)

    @property
    def warmup(self) -> Fraction:
        follows = self.recipe.scale_warmup or self.recipe.lr_warmup_epochs.unit is Unit.RUN
        return self._baseline_warmup * (self._realised if follows else 1)

    def _baseline(self, duration: Duration) -> Fraction:
        return duration.amount * (self.recipe.epochs.amount if duration.unit is Unit.RUN else 1)

    def stretch(self, from_warmup: bool) -> Fraction:
        """By how much lengths grow; what fills the baseline has nothing to be stretched, and is refused elsewhere."""
        left = self.recipe.epochs.amount - self._baseline_warmup
        return (self.num_epochs - self.warmup) / left if from_warmup and left > 0 else self._realised

    def interval(self, duration: Duration, from_warmup: bool) -> Fraction:
        return self._baseline(duration) * self.stretch(from_warmup)

    def length(self, duration: Duration, from_warmup: bool) -> Fraction:
        if duration.unit is Unit.RUN:
            return duration.amount * self.num_epochs
        return self.interval(duration, from_warmup)

    def milestone(self, duration: Duration, from_warmup: bool) -> Fraction:
        """Counted from where the recipe counts; a fraction of the run always lies at that part of it."""
        before = self.warmup if from_warmup and duration.unit is Unit.RUN else 0
        return self.length(duration, from_warmup) - before

    def time(self, duration: Duration) -> Fraction:
        if duration.unit is Unit.RUN:
            return duration.amount * self.num_epochs
        return duration.amount * (self._realised if self.recipe.scale_methods else 1)


def rounded(name: str, value: Fraction) -> int:
    """The whole number that `{name}` stands for."""
    return max(0 if name in _MAY_BE_ZERO else 1, round_half_up(value))


def parts_of(value: Exact) -> tuple[Fraction, ...]:
    """A length, or each of several."""
    return value if isinstance(value, tuple) else (value,)


def epochs_of_run(recipe: Recipe, ratio: Ratio) -> int:
    """The epochs of a run: whole ones, as `method: epochs` has them."""
    return floor(recipe.epochs.amount * ratio.value)


def time_texts(template: Template, times: Mapping[str, Exact]) -> dict[Placeholder, tuple[str, ...]]:
    """What the placeholders of lengths stand for. Those of form `exact` have been checked."""
    return {
        placeholder: tuple(_time_text(placeholder, part) for part in parts_of(times[placeholder.name]))
        for placeholder in template.placeholders
        if placeholder.name in times
    }


def _time_text(placeholder: Placeholder, value: Fraction) -> str:
    return repr(float(value)) if placeholder.form == "float" else str(rounded(placeholder.name, value))


def setting_texts(recipe: Recipe, times: Mapping[str, Exact]) -> dict[Placeholder, tuple[str, ...]]:
    """What the placeholders of settings stand for; those that the recipe leaves open are left out."""
    values = {name: getattr(recipe, name) for name in SETTINGS}
    if recipe.lr_scheduler == "exponentiallr":
        values["lr_gamma"] = _gamma(recipe, times)
    return {Placeholder(name): (_setting_text(value),) for name, value in values.items() if value is not None}


def _gamma(recipe: Recipe, times: Mapping[str, Exact]) -> float:
    """The factor of an epoch that makes the same of the run's epochs after its warm-up."""
    epochs, warmup = times["epochs"], times["lr_warmup_epochs"]
    assert isinstance(epochs, Fraction)
    assert isinstance(warmup, Fraction)
    stretch = _Run(recipe, epochs).stretch(from_warmup=True)
    return recipe.lr_gamma ** float(1 / stretch) if stretch > 0 else recipe.lr_gamma


def _setting_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
