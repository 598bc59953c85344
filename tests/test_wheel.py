"""What is installed: everything in one package, and no module called `cli` beside it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [path] = folder.glob("budget_sweep-*.whl")
    return path


def test_the_wheel_holds_one_package_and_nothing_beside_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"sweep"}
    assert "sweep/_cli.py" in names
    assert {name for name in names if name.startswith("sweep/recipes/")} == {
        f"sweep/recipes/{path.name}" for path in (ROOT / "recipes").glob("*.yaml")
    }


def test_the_unpacked_wheel_runs_beside_a_foreign_module_called_cli(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "site" / "cli.py").write_text("raise SystemExit('the wrong module was imported')")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    run = subprocess.run(
        [sys.executable, "-P", "-m", "sweep", "plan", "digits", "--ratios", "0.5"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "10" in run.stdout
    where = subprocess.run(
        [sys.executable, "-P", "-c", "import sweep; print(sweep.__file__)"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert where.stdout.startswith(str(tmp_path))
