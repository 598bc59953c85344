from pathlib import Path

import pytest

from sweep.errors import UsageError
from sweep.report.outputs import Outputs
from sweep.report.report_request import ReportRequest


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "a.gif", tmp_path / "none" / "a.txt", tmp_path)
    (tmp_path / "file").touch()
    request = ReportRequest(
        tmp_path, "json", "200 %", "x", predict="abc", within_points=-1, outputs=outputs, chart=True
    )
    with pytest.raises(UsageError) as caught:
        request.read()
    places = [problem.where for problem in caught.value.problems]
    expected = ["--within-points", "--html", "--plot", "--html", "--tensorboard", "--chart", "--predict"]
    assert places == [*expected, "--fail-under", "--at"]


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({"at": "0.5"}, "--at"),
        ({"predict": "0.5", "output": "csv"}, "--predict"),
        ({"chart": True, "output": "markdown"}, "--chart"),
        ({"outputs": Outputs(Path("a.html"), Path("a.html"))}, "--html"),
    ],
)
def test_what_would_have_no_effect_is_refused(asked: dict[str, object], where: str) -> None:
    with pytest.raises(UsageError) as caught:
        ReportRequest(Path("results"), **asked).read()  # type: ignore[arg-type]
    assert [problem.where for problem in caught.value.problems] == [where]


def test_a_gate_looks_at_ratio_one_unless_another_is_named() -> None:
    asked = ReportRequest(Path("results"), fail_under="97%").read()
    assert asked.gate is not None
    assert asked.gate.ratio.value == 1
    assert ReportRequest(Path("results")).read().gate is None
