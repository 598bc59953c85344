"""`sweep recipes schema` and `sweep recipes scale` as a user meets them."""

import csv
import json
import shlex
import sys

import pytest
from jsonschema import Draft202012Validator

import cli
from sweep.recipe.json_schema import recipe_schema
from sweep.recipe.library import shipped_recipes
from sweep.recipe.strict_yaml import read_mapping


def assert_refused(run, *texts):
    assert run.returncode == 2, run.stderr
    assert run.stdout == ""
    assert "Traceback" not in run.stderr
    for text in texts:
        assert text in run.stderr


def rates(sweep, recipe, *arguments):
    """What `sweep plan --rates` writes, without the ratio."""
    path = recipe.with_suffix(".csv")
    run = sweep("plan", recipe, "--rates", path, *arguments)
    assert run.returncode == 0, run.stderr
    return [(row["step"], row["epoch"], row["lr"]) for row in csv.DictReader(path.read_text().splitlines())]


def test_the_schema_is_printed_and_takes_every_shipped_recipe(sweep):
    run = sweep("recipes", "schema")
    assert (run.returncode, run.stderr) == (0, "")
    schema = json.loads(run.stdout)
    assert schema == recipe_schema()
    Draft202012Validator.check_schema(schema)
    for name, path in shipped_recipes().items():
        Draft202012Validator(schema).validate(read_mapping(path.read_bytes(), name).values)


@pytest.mark.parametrize("name", shipped_recipes())
@pytest.mark.parametrize(
    "arguments", [["--ratio", "0.5"], ["--ratio", "1/3", "--method", "steps"], ["--ratio", "150%"]]
)
def test_a_scaled_recipe_is_a_recipe_with_the_rates_of_the_ratio(sweep, tmp_path, name, arguments):
    run = sweep("recipes", "scale", name, *arguments)
    assert run.returncode == 0, run.stderr
    (tmp_path / "mine.yaml").write_text(run.stdout)
    (tmp_path / f"{name}.yaml").write_text(shipped_recipes()[name].read_text())
    asked = [word.replace("--ratio", "--ratios") for word in arguments]
    alone = rates(sweep, tmp_path / "mine.yaml", "--ratios", "1")
    assert len(alone) > 50
    assert alone == rates(sweep, tmp_path / f"{name}.yaml", *asked)


@pytest.mark.slow
def test_a_scaled_recipe_trains_to_the_same_weights(sweep, tmp_path):
    (tmp_path / "half.yaml").write_text(sweep("recipes", "scale", "smoke", "--ratio", "0.5").stdout)
    for recipe, ratio in (("smoke", "0.5"), ("./half.yaml", "1")):
        assert sweep("run", recipe, "--ratios", ratio, cwd=tmp_path).returncode == 0
    [one], [other] = (
        list(csv.DictReader(sweep("report", name, "--format", "csv", cwd=tmp_path).stdout.splitlines()))
        for name in ("smoke", "half")
    )
    assert one["weights_sha256"] == other["weights_sha256"]


def test_settings_are_in_the_scaled_recipe(sweep):
    settings = ("--set", "lr=0.2", "--set", "lr_scheduler=exponentiallr", "--set", "lr_gamma=0.9")
    run = sweep("recipes", "scale", "digits", "--ratio", "0.5", *settings)
    values = read_mapping(run.stdout.encode(), "digits").values
    assert (values["lr"], values["lr_gamma"]) == (0.2, pytest.approx(0.9 ** (19 / 9)))
    assert "lr, lr_scheduler, lr_gamma changed by options" in run.stdout


def test_warnings_go_to_standard_error(sweep):
    run = sweep("recipes", "scale", "digits", "--ratio", "0.1", "--set", "lr_gamma=0.5")
    assert run.returncode == 0
    assert "warning: --set: lr_gamma: ignored: lr_scheduler cosineannealinglr does not use it" in run.stderr
    assert "warning: recipes/digits.yaml" in run.stderr
    assert "the warm-up is 50 % of the run" in run.stderr
    assert "warning" not in run.stdout


def test_mistakes_are_reported_at_once(sweep):
    run = sweep("recipes", "scale", "digits", "--ratio", "0.5,1", "--set", "lr=fast", "--set", "epocs=3")
    assert_refused(run, "--ratio: '0.5,1' is not a ratio", "--set: lr:", "did you mean 'epochs'?")
    run = sweep("recipes", "scale", "digits", "--ratio", "0.5", "--method", "epochs", "--set", "method=steps")
    assert_refused(run, "given twice, by --set and by --method")
    assert_refused(sweep("recipes", "scale", "digits"), "--ratio")
    assert_refused(sweep("recipes", "scale", "digit", "--ratio", "1"), "did you mean 'digits'?")
    assert_refused(sweep("recipes", "scale", "digits", "--ratio", "1", "--format", "toml"), "--format")


def test_what_plan_refuses_is_refused(sweep):
    run = sweep("recipes", "scale", "digits", "--ratio", "0.01")
    assert_refused(run, "ratio 0.01: of 20 epochs that is none (take a ratio of at least 1/20, or use --method steps)")


@pytest.mark.parametrize("method", ["samples", "subset"])
def test_fewer_examples_an_epoch_are_refused(sweep, method):
    arguments = ("recipes", "scale", "digits", "--method", method, "--ratio")
    assert_refused(sweep(*arguments, "0.5"), "draws fewer examples", "scale it with --method epochs or steps")
    assert_refused(sweep(*arguments, "2"), "no more than 1442 examples")
    assert f"method: {method}\n" in sweep(*arguments, "1").stdout


def test_a_recipe_that_torchvisions_script_cannot_train_is_refused_with_every_reason(sweep):
    run = sweep("recipes", "scale", "smoke", "--ratio", "0.5", "--set", "lr_scheduler=wsd", "--format", "torchvision")
    assert_refused(
        run,
        "model: torchvision's script cannot train small_cnn",
        "--set: lr_scheduler: torchvision's script has no wsd, only steplr, cosineannealinglr, exponentiallr",
        "lr_warmup_epochs: ratio 0.5: 12/23 epochs: torchvision's script takes whole ones (--set lr_warmup_epochs=1ep)",
    )


def test_the_command_for_torchvisions_script_is_one_line_and_its_notes_go_to_standard_error(monkeypatch, capsys):
    monkeypatch.setattr("sweep.plan.reference_script.TORCHVISION_MODELS", {"small_cnn"})
    arguments = ["recipes", "scale", "digits", "--ratio", "0.5", "--set", "data_path=my data"]
    monkeypatch.setattr(sys, "argv", ["sweep", *arguments, "--format", "torchvision"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    printed = capsys.readouterr()
    [line] = printed.out.splitlines()
    assert shlex.split(line)[:6] == ["python", "train.py", "--model", "small_cnn", "--data-path", "my data"]
    assert "note: --batch-size counts the images of one GPU" in printed.err
    assert "note: the rate changes once an epoch" in printed.err
