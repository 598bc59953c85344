"""The keys of a training that is its user's own: a task in Python, or a command; and of what it is judged by."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sweep.recipe.fields import all_finite, as_float
from sweep.recipe.method_keys import MethodKeys

TASK_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"


class OwnKeys(MethodKeys):
    """In place of `model` and `dataset`: a `task`, or a `command`."""

    task: Annotated[str, Field(pattern=TASK_PATTERN)] | None = Field(
        None,
        description="ours: `module:function`, of your own, which takes the recipe and returns a `sweep.Task`",
    )
    task_args: Annotated[dict[str, Any], AfterValidator(all_finite)] = Field(
        {}, description="ours, task: values of your own, for that function to read"
    )
    command: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="ours: a command of your own that trains one run, with placeholders such as `{epochs}`"
    )
    metrics: dict[str, str] = Field(
        {},
        description="ours, command: where its metrics are read: a pattern each, or `json:` with a file; default: the "
        "last line of output that is JSON",
    )
    resume_args: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="ours, command: what is appended to it where it goes on after an interruption"
    )
    time_limit: Annotated[float, Field(gt=0, le=1e9), BeforeValidator(as_float)] | None = Field(
        None, description="ours, command: seconds after which it is ended"
    )
    metric: Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]{0,63}$")] = Field(
        "accuracy", description="ours: what a run is judged by; `accuracy` is a share in 0..1"
    )
    mode: Literal["max", "min"] = Field("max", description="ours: whether a larger or a smaller value of it is better")
