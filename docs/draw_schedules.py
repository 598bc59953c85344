"""Draws the pictures of docs/scaling-rules.md from planned values: `python docs/draw_schedules.py`.

Each picture shows what one `sweep plan … --rates` wrote: a value at three ratios, from the first step to the last.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd

DOCS = Path(__file__).parent
FOLDER = DOCS / "schedules"
RATIOS = "0.25,0.5,1.0"
WIDTH, HEIGHT = 640, 200  # pixels of the axes; with what stands around them the picture is under 800 wide
PADDING = {"left": 8, "top": 8, "right": 24, "bottom": 8}  # on the right for a name in a wider font
# A fifth of a pixel in a picture of this height: what is left out cannot be seen.
TOLERANCE = 0.001


@dataclass(frozen=True)
class Picture:
    """One picture: its file's name, its title, what `sweep plan` is told with --set, the recipe, and which value is
    drawn, by its column and in words."""

    name: str
    title: str
    settings: tuple[str, ...]
    recipe: str = "digits"
    column: str = "lr"
    axis: str = "learning rate"

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.svg"

    @property
    def command(self) -> str:
        """The command that plans it, as a reader would type it; it writes NAME.csv."""
        settings = " ".join(f"--set {shlex.quote(setting)}" for setting in self.settings)
        return f"sweep plan {self.recipe} --ratios {RATIOS} {settings} --rates {self.name}.csv"


def _of(scheduler: str, *settings: str) -> Picture:
    return Picture(scheduler, scheduler, (f"lr_scheduler={scheduler}", "epochs=16", *settings))


PICTURES = (
    _of("steplr", "lr_step_size=5", "lr_gamma=0.4"),
    _of("multisteplr", "lr_milestones=[8, 12, 15]", "lr_gamma=0.4"),
    _of("exponentiallr", "lr_gamma=0.8"),
    _of("cosineannealinglr", "lr_min=0.01"),
    _of("cosineannealingwarmrestarts", "lr_t_0=5", "lr_t_mult=2"),
    _of("linearlr", "lr_end_factor=0.1"),
    _of("polynomiallr", "lr_power=2"),
    _of("constantlr"),
    _of("wsd", "lr_cooldown=0.25dur"),
    Picture("warmup-kept", "cosineannealinglr with scale_warmup: false", ("epochs=16",)),
    Picture("warmup-scaled", "cosineannealinglr with scale_warmup: true", ("epochs=16", "scale_warmup=true")),
    Picture("once-an-epoch", "cosineannealinglr with lr_interval: epoch", ("epochs=16", "lr_interval=epoch")),
    # A recipe without a warm-up.
    Picture(
        "onecyclelr",
        "onecyclelr",
        ("lr_scheduler=onecyclelr", "epochs=16", "lr_cycle_momentum=false"),
        "cifar10_resnet18",
    ),
    Picture(
        "progressive_resizing",
        "progressive_resizing",
        ("epochs=16", "progressive_resizing=true"),
        "cifar10_resnet18",
        "image_size",
        "image side, pixels",
    ),
    Picture(
        "layer_freezing",
        "layer_freezing from epoch 2 on",
        ("epochs=16", "layer_freezing=true", "layer_freezing_start=2"),
        "cifar10_resnet18",
        "frozen_share",
        "frozen share of layers",
    ),
)


def planned(picture: Picture, folder: Path) -> pd.DataFrame:
    """Every step's value (ratio, step, epoch, value), as `sweep plan` writes them into `folder`."""
    words = shlex.split(picture.command)[1:]
    subprocess.run([sys.executable, "-m", "sweep", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    written = pd.read_csv(folder / f"{picture.name}.csv")
    return written[["ratio", "step", "epoch", picture.column]].rename(columns={picture.column: "value"})


def drawn(values: pd.DataFrame) -> pd.DataFrame:
    """The corners of each ratio's line (ratio, epoch, value): straight between them, upright where the value jumps."""
    peak = values["value"].max()
    lines = [_line(group, TOLERANCE * peak) for _, group in values.groupby("ratio")]
    return pd.concat(lines, ignore_index=True)


def _line(run: pd.DataFrame, tolerance: float) -> pd.DataFrame:
    epochs, values = run["epoch"].to_numpy(), run["value"].to_numpy()
    # The last value holds until the run's end, a step later.
    x = np.append(epochs, epochs[-1] + epochs[1] - epochs[0])
    y = np.append(values, values[-1])
    cuts = [0, *_jumps(y, tolerance), len(y)]
    corners: list[tuple[float, float]] = []
    for start, stop in pairwise(cuts):
        held = [(x[stop], y[stop - 1])] if stop < len(y) else []
        corners += _thinned([*zip(x[start:stop], y[start:stop], strict=True), *held], tolerance)
    return pd.DataFrame(
        {"ratio": run["ratio"].iloc[0], "epoch": [c[0] for c in corners], "value": [c[1] for c in corners]}
    )


def _jumps(y: np.ndarray, tolerance: float) -> list[int]:
    """The steps whose value differs from the one before by far more than the changes on either side."""
    change = np.abs(np.diff(y))
    beside = np.maximum(np.append(0, change[:-1]), np.append(change[1:], 0))
    return [int(step) + 1 for step in np.flatnonzero(change > 3 * beside + tolerance)]


def _thinned(points: list[tuple[float, float]], tolerance: float) -> list[tuple[float, float]]:
    """The ends, and what lies over `tolerance` from the line between them, again and again (Douglas and Peucker)."""
    if len(points) < 3:
        return points
    (x0, y0), (x1, y1) = points[0], points[-1]
    off = [abs(y - y0 - (y1 - y0) * (x - x0) / (x1 - x0)) for x, y in points]
    worst = int(np.argmax(off))
    if off[worst] <= tolerance:
        return [points[0], points[-1]]
    return [*_thinned(points[: worst + 1], tolerance)[:-1], *_thinned(points[worst:], tolerance)]


# Okabe and Ito's colours, which the colour-blind tell apart; the line styles and the names serve those who print in grey.
STYLES = {0.25: ("#d55e00", [2, 3]), 0.5: ("#0072b2", [9, 4]), 1.0: ("#000000", [1, 0])}


def chart(picture: Picture, corners: pd.DataFrame) -> alt.LayerChart:
    """The picture of one plan's lines, each named at its end."""
    ratios = sorted(STYLES, reverse=True)  # the longest lies lowest
    longest, peak = corners["epoch"].max(), corners["value"].max()
    x_axis = alt.Axis(tickCount=8, labelFlush=False)
    x = alt.X("epoch:Q", title="epoch", scale=alt.Scale(domain=[0, longest]), axis=x_axis)
    y = alt.Y(
        "value:Q", title=picture.axis, scale=alt.Scale(domain=[0, peak]), axis=alt.Axis(tickCount=5, titlePadding=10)
    )
    layers = [layer for ratio in ratios for layer in _layers(corners[corners["ratio"] == ratio], ratio, x, y)]
    return (
        alt.layer(*layers)
        .properties(
            width=WIDTH,
            height=HEIGHT,
            title=f"{picture.title}, at ratios {ratios[2]}, {ratios[1]} and {ratios[0]}",
            background="white",
            padding=PADDING,
        )
        .configure_view(stroke=None)
        .configure_axis(labelFontSize=13, titleFontSize=14, titleFontWeight="normal", gridColor="#e4e4e4")
        .configure_title(fontSize=15, anchor="start", fontWeight="normal")
    )


def _layers(line: pd.DataFrame, ratio: float, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    colour, dash = STYLES[ratio]
    end = alt.Chart(line.tail(1))
    name = {"text": f"{ratio}", "align": "left", "dx": 6, "dy": -9, "fontSize": 14, "fontWeight": "bold"}
    return [
        alt.Chart(line).mark_line(color=colour, strokeDash=dash, strokeWidth=2.5).encode(x=x, y=y),
        end.mark_point(color=colour, fill=colour, size=45, opacity=1).encode(x=x, y=y),
        end.mark_text(**name, stroke="white", strokeWidth=3).encode(x=x, y=y),
        end.mark_text(**name, color=colour).encode(x=x, y=y),
    ]


def draw(picture: Picture, path: Path) -> pd.DataFrame:
    """Plan `picture`, draw it into the SVG file `path`, and return the corners of its lines."""
    with tempfile.TemporaryDirectory() as folder:
        corners = drawn(planned(picture, Path(folder)))
    chart(picture, corners).save(path)
    return corners


if __name__ == "__main__":
    for each in PICTURES:
        draw(each, each.path)
