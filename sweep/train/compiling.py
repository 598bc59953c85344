"""torch.compile, so that nothing compiles behind the warm-up and nothing falls back to plain code unnoticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

# torch goes on without compiling once a network has come in so many forms; each size of images and batches is one.
_MANY_FORMS = 10_000


def compiled(model: nn.Module) -> Callable[..., Any]:
    """The network's forward pass, compiled at its first call with inputs of a size: each size has code of its own, so
    that what is computed depends on nothing that came before. Copies of the network share the code.
    """
    limits = torch._dynamo.config  # torch's own way to set them
    limits.recompile_limit = limits.accumulated_recompile_limit = _MANY_FORMS
    return torch.compile(model, dynamic=False)
