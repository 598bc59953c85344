"""`sweep recipes import`: a command or a file, printed or written, with its exit code."""

from pathlib import Path

import pytest

from sweep.errors import UsageError
from sweep.recipe.imports.source import import_recipe
from sweep.recipe.library import load_recipe

FILE = Path(__file__).with_name("args.yaml")
COMMAND = "torchrun --nproc_per_node=8 train.py --model resnet50 --ra-sampler"


def test_a_command_is_printed_as_a_recipe_and_what_changes_the_training_is_said(sweep):
    run = sweep("recipes", "import", COMMAND)
    assert run.returncode == 0
    assert run.stdout == import_recipe(COMMAND).text
    assert run.stderr.startswith("warning: left out, although it changes the training: --ra-sampler: ")


def test_it_is_written_to_a_file_and_can_be_planned(sweep, tmp_path):
    run = sweep("recipes", "import", COMMAND, "--gpus", "2", "--output", "mine.yaml", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (0, "")
    assert load_recipe(str(tmp_path / "mine.yaml")).recipe.batch_size == 64
    assert sweep("plan", "./mine.yaml", cwd=tmp_path).returncode == 0


def test_a_file_that_cannot_be_written_is_said(sweep, tmp_path):
    run = sweep("recipes", "import", COMMAND, "--output", tmp_path / "no" / "\n" / "mine.yaml", cwd=tmp_path)
    (tmp_path / "folder").mkdir()
    assert sweep("recipes", "import", COMMAND, "--output", tmp_path / "folder").returncode == 3
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    "source", ["", "x", "torchrun train.py 'x", "train.py --epochs x", "no-such.yaml", "torchrun train.py; rm -rf ."]
)
def test_what_cannot_be_imported_ends_with_two(source, sweep, tmp_path):
    (tmp_path / "kept").touch()
    run = sweep("recipes", "import", source, "--output", "mine.yaml", cwd=tmp_path)
    assert run.returncode == 2
    assert run.stderr.startswith("error: ")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize("gpus", [0, -1])
def test_a_number_of_gpus_is_above_zero(gpus):
    with pytest.raises(UsageError, match="--gpus: must be at least 1"):
        import_recipe(COMMAND, gpus)


def test_what_is_a_file_is_read_as_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert import_recipe(str(FILE)).values["model"] == "timm/resnet50"
    Path("my args").write_bytes(FILE.read_bytes())
    assert import_recipe("my args").origin == import_recipe(str(FILE)).origin
    for absent in ("absent.yaml", "absent.yml"):
        with pytest.raises(UsageError, match=f"{absent}: cannot be read: No such file"):
            import_recipe(absent)
    with pytest.raises(UsageError, match="cannot be read"):
        import_recipe(str(tmp_path))


def test_a_command_of_timms_script_is_told_what_to_give_instead():
    with pytest.raises(UsageError, match=r"timm's train\.py: give the args\.yaml"):
        import_recipe("python train.py /data --model resnet50 --sched cosine --warmup-epochs 3")
