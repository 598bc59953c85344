"""The README and the docs describe what is there."""

import dataclasses
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
import yaml

from sweep.store.journal import replay, write

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CI = (ROOT / "docs" / "ci.md").read_text()
REPORT = (ROOT / "docs" / "reading-the-report.md").read_text()
REFERENCE = (ROOT / "docs" / "recipe-reference.md").read_text()
RELIABILITY = (ROOT / "docs" / "reliability.md").read_text()


def code_lines(text):
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [line.partition("#")[0].strip() for tag, block in blocks if not tag for line in block.splitlines()]


def commands():
    """Every command of the app, and every group of them, by its words, with its options."""
    import cli

    def walk(command, words):
        names = [name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)]
        yield " ".join(words), [name for name in names if name[0] == "-"]
        for name, below in getattr(command, "commands", {}).items():
            yield from walk(below, [*words, name])

    return dict(walk(typer.main.get_command(cli.app), ["sweep"]))


def test_every_command_and_option_stands_in_the_readme():
    assert len(commands()) > 8
    for words, options in commands().items():
        assert words in README
        for option in options:
            assert re.search(rf"`{option}(?![\w-])", README), f"{words} {option}"


def test_the_readme_names_no_option_that_is_not_there():
    known = {option for options in commands().values() for option in options}
    ours = re.sub(r"^sweep recipes import '.*'", "", README, flags=re.MULTILINE)  # in quotes are torchvision's
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", ours)) <= known


def test_the_page_on_ci_names_every_event_with_its_fields():
    from sweep import events

    for event in events.Event.__args__:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", event.__name__).lower()
        [row] = [line for line in CI.splitlines() if line.startswith(f"| `{name}` |")]
        assert set(re.findall(r"`(\w+)`", row)) == {name} | {field.name for field in dataclasses.fields(event)}


def test_every_test_that_the_page_on_reliability_names_is_there():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", RELIABILITY)
    assert len(named) > 20
    for path, name in named:
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), flags=re.MULTILINE), f"{path}::{name}"
    rows = [line for line in RELIABILITY.splitlines() if line.startswith("| ")][2:]
    assert all("::test_" in row for row in rows)


def test_the_page_on_reliability_names_only_what_is_there():
    known = {option for options in commands().values() for option in options}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", RELIABILITY)) <= known
    [command] = re.findall(r"`python -m pytest ([^`]+)`", RELIABILITY)
    assert all((ROOT / folder).is_dir() for folder in command.split())


def test_the_workflows_are_whole_and_run_what_ci_runs():
    own = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert {"run": "bash .ci/run"} in own["jobs"]["test"]["steps"]
    [shown] = re.findall(r"^```yaml\n(.*?)^```", CI, flags=re.MULTILINE | re.DOTALL)
    steps = [step["run"] for step in yaml.safe_load(shown)["jobs"]["sweep"]["steps"] if "run" in step]
    assert [step.split()[:2] for step in steps[1:]] == [["sweep", "run"], ["sweep", "report"], ["sweep", "report"]]
    known = {option for options in commands().values() for option in options}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", "\n".join(steps))) <= known


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]
)
def test_every_link_to_a_file_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", (ROOT / page).read_text()):
        assert link.startswith("https://") or (ROOT / page).parent.joinpath(link).exists(), link


def test_the_page_on_imports_shows_what_its_command_prints(sweep, tmp_path):
    page = (ROOT / "docs" / "importing-recipes.md").read_text()
    [line] = [
        line for line in code_lines(page) if line.startswith("sweep recipes import 'torchrun") and "…" not in line
    ]
    [shown] = re.findall(r"^```yaml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    assert shown in printed(sweep(*shlex.split(line)[1:])) + "\n"
    output = tmp_path / "mine.yaml"
    assert sweep(*shlex.split(line)[1:], "--output", output).stdout == ""
    assert shown in output.read_text()


def test_the_recipes_of_the_page_on_your_own_training_are_recipes(tmp_path):
    from sweep.recipe.library import load_recipe

    page = (ROOT / "docs" / "your-own-training.md").read_text()
    recipes = []
    for text in re.findall(r"^```yaml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL):
        (tmp_path / "sweep.yaml").write_text(text)
        recipes.append(load_recipe(str(tmp_path / "sweep.yaml")).recipe)
    assert [recipe.kind for recipe in recipes] == ["command", "task"]
    assert recipes[0] == load_recipe(str(ROOT / "examples" / "plain_pytorch" / "sweep.yaml")).recipe
    for code in re.findall(r"^```py\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL):
        compile(code, "the page", "exec")


def test_every_recipe_stands_in_the_readme():
    for path in (ROOT / "recipes").glob("*.yaml"):
        assert f"`{path.stem}`" in README


def test_the_recipe_reference_is_the_schemas():
    script = "import make_recipe_reference as made; print(made.PAGE.read_text() == made.page())"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT / "docs", capture_output=True, text=True, check=True)
    assert run.stdout == "True\n", "run: python docs/make_recipe_reference.py"


def test_the_recipe_reference_says_of_every_key_what_a_ratio_does_to_it():
    from sweep.recipe.placeholders import NAMES
    from sweep.recipe.schema import NOT_IN_FINGERPRINT, Recipe

    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", REFERENCE, flags=re.MULTILINE)
    assert sorted(key for key, _ in rows) == sorted(Recipe.model_fields)
    assert set(re.findall(r"`\{(\w+)\}`", REFERENCE.partition("## Placeholders")[2])) == set(NAMES)
    at_a_ratio = dict(rows)
    assert {key for key, said in rows if said == "apart"} == NOT_IN_FINGERPRINT - {"method"}
    assert {key for key, said in rows if said == "scales"} == {"epochs"}
    assert at_a_ratio["lr_step_size"] == at_a_ratio["lr_cooldown"] == at_a_ratio["lr_milestones"] == "stretches"
    assert at_a_ratio["lr_warmup_epochs"] == "stays, unless `scale_warmup`"
    assert at_a_ratio["mixup_off"] == at_a_ratio["swa_interval"] == "stays, unless `scale_methods`"
    assert at_a_ratio["lr_min"] == at_a_ratio["batch_size"] == at_a_ratio["swa"] == "same"


@pytest.mark.parametrize(
    "line", [line for text in (README, CI) for line in code_lines(text) if line.startswith("sweep ")]
)
def test_the_commands_of_the_readme_and_of_the_page_on_ci_run(line, sweep, smoke_results, tmp_path):
    for name in ("digits", "smoke", "reference-smoke", "laptop"):
        shutil.copytree(smoke_results / "smoke", tmp_path / "results" / name)
    begun_elsewhere(smoke_results / "smoke" / "journal.jsonl", tmp_path / "results" / "server")
    shutil.copy(ROOT / "recipes" / "digits.yaml", tmp_path / "mine.yaml")
    (tmp_path / "tests" / "report").mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "report" / "ffcv_imagenet.csv", tmp_path / "tests" / "report")
    words = shlex.split(line.split(" > ")[0])[1:]
    run = sweep(*words, *(["--dry-run"] if words[0] == "run" else []), cwd=tmp_path)
    gate_failed = "--fail-under" in words and run.returncode == 1 and "is under" in run.stderr
    no_data = words[:2] == ["data", "get"] and run.returncode == 3 and "cannot be downloaded" in run.stderr
    assert run.returncode == 0 or gate_failed or no_data, run.stderr


def begun_elsewhere(journal, folder):
    """The same sweep as another machine would have it."""
    records = (
        record.model_copy(update={"started_at": "2026-01-01T00:00:00.000+00:00"} if record.kind == "start" else {})
        for record in replay(journal).records
    )
    folder.mkdir()
    write(folder / "journal.jsonl", records)


def test_the_readmes_own_recipe_can_be_trained(sweep, tmp_path):
    [recipe] = re.findall(r"^```yaml\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "mine.yaml").write_text(recipe)
    assert sweep("plan", tmp_path / "mine.yaml").returncode == 0


def test_the_python_of_the_readme_runs(tmp_path):
    [code] = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    short = code.replace('"digits", ratios=[0.25, 0.5, 1], seeds=3', '"smoke", ratios=0.25')
    assert short != code
    run = subprocess.run([sys.executable, "-c", short], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert re.search(r"^0\.25 +[0-9.]+ +0\.[0-9]+$", run.stdout, flags=re.MULTILINE), run.stdout


def test_the_reference_sweep_is_reported_as_the_readme_shows_it(sweep):
    assert printed(sweep("report", "reference-fashion-mnist", cwd=ROOT)) in README


def printed(run):
    """What a command printed, without what fills its lines up."""
    assert run.returncode == 0, run.stderr
    lines = [line.rstrip() for line in run.stdout.splitlines()]
    assert len(lines) > 8
    return "\n".join(lines)


@pytest.mark.parametrize("words", [line for line in code_lines(REPORT) if line.startswith("sweep report tests/")])
def test_the_page_on_the_report_shows_what_its_commands_print(words, sweep):
    assert printed(sweep(*shlex.split(words)[1:], cwd=ROOT)) in REPORT


def test_the_page_on_the_report_shows_the_reference_of_digits(sweep):
    assert printed(sweep("report", "reference-digits", cwd=ROOT)) in REPORT


def test_the_page_on_the_report_names_every_column_and_only_options_that_are_there():
    from sweep.report import gains, table

    named = set(re.findall(r"`([^`\n]+)`", REPORT))
    columns = re.findall(r'^        \("([^"]+)", lambda', Path(table.__file__).read_text(), flags=re.MULTILINE)
    assert len(columns) > 10
    assert set(columns) - {"recipe", "method"} <= named
    assert {"further time", "points", "per doubling", "per dollar"} <= named
    assert "further time" in Path(gains.__file__).read_text()
    known = {option for options in commands().values() for option in options}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", REPORT)) <= known


def test_the_make_targets_of_the_readme_and_of_contributing_are_there():
    there = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {line.split()[1] for line in code_lines(README) if line.startswith("make ")} == {"demo", "test"}
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    assert set(re.findall(r"`make ([a-z-]+)`", contributing)) == there - {"demo"}
    assert set(re.findall(r"\bmake ([a-z-]+) runs", README)) <= there


def test_continuous_integration_runs_the_slow_tests_too():
    targets = re.findall(r"^make (.+)$", (ROOT / ".ci" / "run").read_text(), flags=re.MULTILINE)
    assert targets == ["lint", "test", "test-slow"]
    assert re.findall(r"pytest .*-m (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE) == ['"not slow"', "slow"]


def test_the_project_speaks_of_itself_alone():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in tracked:
        if name != "LICENSE" and not name.startswith("tests/") and not name.endswith(".png"):
            text = (ROOT / name).read_text(encoding="utf-8")
            assert not re.search(r"/work/|/root/|\bissue #?\d|\bTODO\b|\bFIXME\b", text), name


def test_the_page_on_data_has_a_row_for_every_dataset_with_its_numbers():
    from sweep.recipe.datasets import DATASETS

    page = (ROOT / "docs" / "data.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", page, flags=re.MULTILINE))
    assert rows.keys() - {"dataset"} == DATASETS.keys()
    for name, dataset in DATASETS.items():
        if not dataset.is_open:
            assert rows[name] == f"{dataset.num_train:,}, {dataset.num_eval:,}"
            assert f"| {dataset.num_classes:,} |" in next(
                row for row in page.splitlines() if row.startswith(f"| `{name}`")
            )
        assert f"`{name}`" in README


def test_the_recipe_of_the_page_on_data_is_one(tmp_path):
    from sweep.recipe.library import load_recipe

    [text] = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "data.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "mine.yaml").write_text(text)
    assert load_recipe(str(tmp_path / "mine.yaml")).recipe.dataset == "ImageFolder"
