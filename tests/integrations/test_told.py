"""What a training of somebody else's is told, and how it answers."""

import json
import sys
from fractions import Fraction

import pytest

from sweep.errors import MachineError, UsageError
from sweep.integrations.told import RATIO_VARIABLE, told_ratio, write_metrics


def test_a_ratio_that_is_passed_goes_before_the_environments(monkeypatch):
    monkeypatch.setenv(RATIO_VARIABLE, "1/3")
    assert told_ratio(None).value == Fraction(1, 3)
    assert told_ratio(0.7).value == Fraction(7, 10)
    monkeypatch.setenv(RATIO_VARIABLE, "")
    with pytest.raises(UsageError, match=f"^{RATIO_VARIABLE}: '' is not a ratio"):
        told_ratio(None)
    with pytest.raises(UsageError, match=r"^ratio: '0' is not above zero: a run of no length trains nothing$"):
        told_ratio(0)


def test_metrics_are_a_line_of_json_without_what_json_has_not(tmp_path):
    write_metrics(tmp_path / "metrics.json", {"accuracy": 0.5, "loss": float("inf")}, 1.5)
    text = (tmp_path / "metrics.json").read_text()
    assert text.endswith("}\n")
    assert json.loads(text) == {"accuracy": 0.5, "loss": None, "train_seconds": 1.5}


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MachineError, match="nowhere"):
        write_metrics(tmp_path / "nowhere" / "metrics.json", {}, 1.0)


@pytest.mark.parametrize(("name", "missing"), [("lightning", "lightning"), ("hugging_face", "transformers")])
def test_what_is_not_installed_is_named_with_the_command_that_gets_it(monkeypatch, name, missing):
    for loaded in [module for module in sys.modules if module.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, f"sweep.integrations.{name}", raising=False)
    with pytest.raises(ImportError, match=f"pip install {missing}"):
        __import__(f"sweep.integrations.{name}")
