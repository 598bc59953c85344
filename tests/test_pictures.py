"""Pictures through the installed command: beside the table, never instead of it."""

import shutil

import pytest


@pytest.mark.parametrize(
    ("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<svg"), ("pdf", b"%PDF"), ("html", b"<!DOC")]
)
def test_report_writes_each_kind_of_picture_and_prints_the_table_all_the_same(
    sweep, smoke_results, tmp_path, kind, start
):
    path = tmp_path / f"curve.{kind}"
    run = sweep("report", "smoke", "--results", smoke_results, "--plot", path)
    assert run.returncode == 0, run.stderr
    assert path.read_bytes().startswith(start)
    assert run.stdout == sweep("report", "smoke", "--results", smoke_results).stdout


def test_a_name_that_is_no_picture_is_refused_before_the_sweep_is_read(sweep, tmp_path):
    run = sweep("report", "missing", "--results", tmp_path, "--plot", tmp_path / "curve.jpg")
    assert run.returncode == 2
    assert "curve.jpg is no kind of picture" in run.stderr
    assert "missing" not in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told_before_anything_is_read(sweep, smoke_results, tmp_path):
    run = sweep("report", "smoke", "--results", smoke_results, "--plot", tmp_path / "none" / "curve.svg")
    assert run.returncode == 2
    assert "is no folder (make it first)" in run.stderr
    assert run.stdout == ""


def test_the_chart_stands_below_the_table(sweep, smoke_results):
    table = sweep("report", "smoke", "--results", smoke_results).stdout
    run = sweep("report", "smoke", "--results", smoke_results, "--chart")
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(table)
    assert "accuracy, %" in run.stdout.removeprefix(table)


@pytest.mark.parametrize("output", ["csv", "json", "markdown"])
def test_the_chart_goes_with_the_table_alone(sweep, smoke_results, output):
    run = sweep("report", "smoke", "--results", smoke_results, "--chart", "--format", output)
    assert (run.returncode, run.stdout) == (2, "")
    assert "--chart: goes with --format table alone" in run.stderr


def test_compare_draws_all_curves(sweep, smoke_results, tmp_path):
    for name in ("one", "two"):
        shutil.copytree(smoke_results / "smoke", tmp_path / name)
    run = sweep("compare", "one", "two", "--results", tmp_path, "--plot", tmp_path / "both.svg")
    assert run.returncode == 0, run.stderr
    drawn = (tmp_path / "both.svg").read_text()
    assert all(f">{name}</text>" in drawn for name in ("one", "two"))
