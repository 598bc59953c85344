"""What several tests of training are compared with."""

import csv

import pytest


@pytest.fixture
def planned_rates(sweep, tmp_path):
    """planned_rates("smoke", …): the rates that `sweep plan` writes with these arguments, in the order of the steps."""

    def read(*arguments):
        path = tmp_path / "rates.csv"
        plan = sweep("plan", *arguments, "--rates", path)
        assert plan.returncode == 0, plan.stderr
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [int(row["step"]) for row in rows] == list(range(len(rows)))
        return [float(row["lr"]) for row in rows]

    return read
