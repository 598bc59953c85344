"""Our training loop against Lightning's and Composer's trainers: `python bench/frameworks.py`, or `make bench`.

`fashion_mnist` in float32 on one thread: the same network, layout, optimizer and rates on both sides. Each trainer is
as plain as it gets (no logger, metric, checkpoint or progress bar) and reads normalised images, which lie in memory,
from a torch DataLoader; it mirrors a whole batch at once. Of several loaders the fastest is taken, after a trial.

Composer needs an older torch: it gets an environment of its own beside ours, `.venv-composer`, which is made here where
there is none. Each comparison runs in a process of its own, by beside_lightning.py and beside_composer.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from beside_framework import Found, from_json

from results import Row, report
from sweep.recipe.datasets import DATASETS

NUM_ROUNDS = 120
WANTED = 1.05
ROOT = Path(__file__).parent.parent
COMPOSER_VENV = ROOT / ".venv-composer"
COMPOSER_PACKAGES = ("mosaicml==0.32.1", "torch==2.7.*", "torchvision==0.22.*", "greenlet>=3.0")


def composer_python() -> Path:
    """The interpreter of the environment that holds Composer and this checkout; made in some minutes if need be."""
    python, ready = COMPOSER_VENV / "bin" / "python", COMPOSER_VENV / ".ready"
    if not ready.exists():
        print(f"making {COMPOSER_VENV.name}, with {', '.join(COMPOSER_PACKAGES)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", COMPOSER_VENV], check=True)
        install = [python, "-m", "pip", "install", "--quiet", *COMPOSER_PACKAGES, "--editable", ROOT]
        subprocess.run(install, check=True)
        ready.touch()
    return python


def run_beside(python: Path, script: str, data_path: Path, num_rounds: int) -> Found:
    """What `script` finds; whatever else it prints is shown if it fails."""
    command = [python, Path(__file__).with_name(script), data_path, str(num_rounds)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}error: {script}: exit code {done.returncode}")
    return from_json(done.stdout.splitlines()[-1])


def row(name: str, found: Found) -> Row:
    return Row(
        "training loop: fashion_mnist, float32, batches of 128",
        f"{name}, DataLoader: {found.loader}",
        str(found.share),
        str(WANTED),
        found.share.at_least(WANTED),
        str(found.itself),
    )


def note(name: str, found: Found) -> str:
    versions = ", ".join(f"{package} {number}" for package, number in found.versions.items())
    tried = "; ".join(f"{loader}: {share:.3f}" for loader, share in found.shares.items())
    return f"{name}: both sides with {versions}. The trial of its loaders gave {tried}."


def main(
    data_path: Annotated[Path, typer.Option(help="The folder that holds FashionMNIST.")] = Path("data"),
    num_rounds: Annotated[int, typer.Option(help="Rounds that are counted, of 5 steps of each side.")] = NUM_ROUNDS,
) -> None:
    """Compare with both; needs `sweep data get FashionMNIST`."""
    if problems := DATASETS["FashionMNIST"].problems(data_path):
        sys.exit("\n".join(f"error: {problem}" for problem in problems))
    pythons = {"Lightning": Path(sys.executable), "Composer": composer_python()}
    found = {
        name: run_beside(python, f"beside_{name.lower()}.py", data_path, num_rounds) for name, python in pythons.items()
    }
    report(
        "frameworks",
        [row(name, each) for name, each in found.items()],
        [
            f"The figure is ours over theirs in images/s: medians of {num_rounds} rounds of 5 steps, one thread.",
            *(note(name, each) for name, each in found.items()),
        ],
    )


if __name__ == "__main__":
    typer.run(main)
