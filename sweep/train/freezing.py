"""Layer freezing: the first layers of a network are trained no further (Composer's layer freezing, FreezeOut)."""

from __future__ import annotations

from math import floor

from torch import nn
from torch.nn import Parameter

# A share that was computed as k / n comes back from a float as a bit less than k layers of n.
_ROUNDING = 1e-9


class Freezing:
    """Which of a network's layers are trained.

    Its layers are the modules that hold parameters themselves, in the order in which the network registers them; the
    last one is never frozen. A parameter that several layers hold counts as the last one's. A frozen one gets no
    gradient, no weight decay and no update, and the optimizer keeps what it knows of it. BatchNorm's statistics go on.
    """

    def __init__(self, model: nn.Module) -> None:
        layers = [list(module.parameters(recurse=False)) for module in model.modules()]
        self._layers = _each_once([layer for layer in layers if layer])
        self._num_frozen = 0

    def freeze(self, share: float) -> None:
        """Freeze the first `share` of the layers, 0..1 of all but the last, rounded down; train the others."""
        num_frozen = floor(share * (len(self._layers) - 1) + _ROUNDING)
        if num_frozen == self._num_frozen:
            return
        self._num_frozen = num_frozen
        for index, layer in enumerate(self._layers):
            for parameter in layer:
                parameter.requires_grad_(index >= num_frozen)


def _each_once(layers: list[list[Parameter]]) -> list[list[Parameter]]:
    """Every parameter in the last of the layers that hold it; one that the network itself does not train in none."""
    last = {parameter: index for index, layer in enumerate(layers) for parameter in layer if parameter.requires_grad}
    return [[p for p in layer if last.get(p) == index] for index, layer in enumerate(layers)]
