"""What is said wherever a cyclic run's figures stand: that they are an approximation, and by how much they were off
where that was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

CYCLIC = "cyclic"


@dataclass(frozen=True)
class Bias:
    """How many points the mean accuracy at the end of a cycle was above that of scaled runs of its length, and half of
    the 95 % interval of that."""

    ratio: str
    points: float
    ci95: float


# Measured: fashion_mnist with 14 epochs and lr_scheduler cosineannealinglr, seeds 0 to 2, CPU, one thread; paired by
# seed, t with 2 degrees of freedom. docs/budgets.md has the commands and each seed's accuracy. The first cycle
# is the scaled run itself, step for step.
MEASURED = (Bias("1/7", 0.0, 0.0), Bias("3/7", -0.033, 0.277), Bias("1", -0.140, 0.667))
_WHERE = "Fashion-MNIST (14 epochs, cosine, 3 seeds)"


def is_approximate(method: str) -> bool:
    """Whether what it measures stands in for runs that were not trained."""
    return method == CYCLIC


def method_text(method: str) -> str:
    """A method's name where its figures stand."""
    return f"{method} (approximate)" if is_approximate(method) else method


def approximation_notes() -> list[str]:
    """What stands beside the figures of cyclic runs."""
    return [
        "approximate: one cyclic run, whose state at the end of each cycle stands in for a scaled run of that length; "
        "its ratio 1.0 is no run of the recipe's own schedule either",
        f"its bias where it was measured, on {_WHERE}, in points against scaled runs: {_biases()}; elsewhere it is not "
        "known",
    ]


def _biases() -> str:
    return ", ".join(f"{_points(bias)} at ratio {bias.ratio}" for bias in MEASURED)


def _points(bias: Bias) -> str:
    return f"{bias.points:+.2f} ± {bias.ci95:.2f}" if bias.ci95 else "none"
