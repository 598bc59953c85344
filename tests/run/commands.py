"""Sweeps whose recipe is a command: a tiny script of a test, run by the Worker's own code."""

import shlex
import sys
from pathlib import Path

from sweep.api import run_request
from sweep.request import SweepRequest
from sweep.run.executors.inline import InlineExecutor
from sweep.store.history import read_history

# What every script finds: its arguments by name.
HEAD = """\
import json, os, signal, subprocess, sys, time
said = dict(zip(sys.argv[1::2], sys.argv[2::2]))
epochs, seed, output = int(said["--epochs"]), int(said["--seed"]), said["--to"]
"""
ACCURACY = "metrics: {accuracy: 'Acc@1 ([^ ]+)', scale: percent}\n"


def write_recipe(folder, script, keys=ACCURACY, options=""):
    """Put `script` and a recipe that runs it into `folder`; returns the recipe's path."""
    (folder / "train.py").write_text(HEAD + script)
    program = shlex.quote(sys.executable)
    line = f"{program} train.py --epochs {{epochs}} --seed {{seed}} --to {{output_dir}} {options}"
    recipe = folder / "own.yaml"
    recipe.write_text(f"command: {line}\nepochs: 10\n{keys}")
    return recipe


def run(recipe, ratios="1", tell=lambda event: None, **asked):
    """Run the recipe in this process, all but the commands; returns the results."""
    request = SweepRequest(str(recipe), ratios, results=recipe.parent / "results", **asked)
    run_request(request, tell, make_executor=lambda *placed: InlineExecutor())
    return read_history(recipe.parent / "results" / "own" / "journal.jsonl").results


def logs(folder):
    return {path.stem: path.read_text(errors="replace") for path in Path(folder).glob("results/own/logs/*.log")}
