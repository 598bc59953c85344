"""What is installed: everything in one package, and no module called `cli` beside it."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Without what could bring this checkout's modules in by another way.
CLEAN = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


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


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The command of a virtual environment into which the wheel was installed, beside a foreign module called `cli`.

    What it depends on is borrowed from this environment: installing torch anew takes minutes and gigabytes.
    """
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    [site] = folder.glob("lib/python*/site-packages")
    install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, env=CLEAN)
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    (site / "cli.py").write_text("raise SystemExit('the wrong module was imported')")
    return folder / "bin" / "sweep"


def test_the_installed_wheel_runs_its_recipes_in_another_folder_and_writes_results_there(installed, tmp_path):
    (tmp_path / "cli.py").write_text("raise SystemExit('the wrong module was imported')")
    (tmp_path / "sweep").mkdir()  # nor is a folder of this name taken for the package

    def sweep(*words):
        return subprocess.run([installed, *words], cwd=tmp_path, env=CLEAN, capture_output=True, text=True, check=True)

    assert "digits" in sweep("recipes", "list").stdout
    run = sweep("run", "smoke", "--ratios", "0.25", "--jobs", "2")
    assert "0.25" in run.stdout
    assert (tmp_path / "results" / "smoke" / "journal.jsonl").is_file()
    assert "recipe smoke" in sweep("report", "--html", "report.html").stdout
    assert "How to reproduce it" in (tmp_path / "report.html").read_text()
    asked = [installed.with_name("python"), "-P", "-c", "import sweep; print(sweep.__file__)"]
    where = subprocess.run(asked, cwd=tmp_path, env=CLEAN, capture_output=True, text=True, check=True).stdout
    assert Path(where.strip()).is_relative_to(installed.parent.parent)
