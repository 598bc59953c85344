"""All of Fashion-MNIST: where it can be had, it is what the table of datasets says, and the recipes train on it."""

import csv
import io

import pytest
import torch

from sweep.recipe.datasets import DATASETS
from sweep.train.fetch import fetch
from sweep.train.loading import load_images

DATASET = DATASETS["FashionMNIST"]


def test_a_system_package_is_the_same_data(fashion_mnist, tmp_path):
    if not DATASET.package.folder.is_dir():
        pytest.skip(f"the system's package {DATASET.package.name} is not installed")
    assert fetch(DATASET, tmp_path) == f"taken from {DATASET.package.folder}"
    assert DATASET.problems(tmp_path) == []


def test_its_images_are_as_many_and_as_bright_as_the_table_says(fashion_mnist):
    train, evaluation = load_images(DATASET, fashion_mnist, torch.device("cpu"))
    assert (len(train), len(evaluation)) == (DATASET.num_train, DATASET.num_eval)
    assert train.pixels.shape[1:] == evaluation.pixels.shape[1:] == DATASET.shape
    pixels = train.pixels.double()
    assert pixels.mean().item() == pytest.approx(DATASET.pixel_mean[0], abs=1e-4)
    assert pixels.std(correction=0).item() == pytest.approx(DATASET.pixel_sd[0], abs=1e-4)
    assert train.labels.bincount().tolist() == [6000] * 10
    assert evaluation.labels.bincount().tolist() == [1000] * 10


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["fashion_mnist", "fashion_mnist_wsd"])
def test_its_recipes_train_on_it(sweep, fashion_mnist, tmp_path, recipe):
    short = ("--set", "epochs=2", "--set", "lr_warmup_epochs=40ba", "--method", "samples", "--ratios", "0.1")
    milestones = ("--set", "lr_milestones=[1.5]") if recipe == "fashion_mnist" else ()
    run = sweep("run", recipe, *short, *milestones, "--data-path", fashion_mnist, "--results", tmp_path)
    assert run.returncode == 0, run.stderr
    [row] = csv.DictReader(io.StringIO(sweep("report", "--results", tmp_path, "--format", "csv").stdout))
    assert row["steps"] == "94"
    assert float(row["accuracy"]) > 0.6  # a tenth of the recipes' images, twice; guessing gives 0.1
