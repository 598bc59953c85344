"""What may be spent, as it is typed."""

import pytest

from sweep.budget import Budget
from sweep.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4h", 14_400),
        ("90m", 5_400),
        ("90min", 5_400),
        ("45s", 45),
        ("2d", 172_800),
        ("1h30m", 5_400),
        ("1h 30m", 5_400),
        ("1.5h", 5_400),
        ("0.1H", 360),
    ],
)
def test_a_time_is_read(text, seconds):
    assert Budget.parse(text, "--within") == Budget(text, seconds=seconds)


@pytest.mark.parametrize(("text", "dollars"), [("$50", 50), ("$ 0.75", 0.75), ("$12.50", 12.5)])
def test_dollars_are_read(text, dollars):
    assert Budget.parse(text, "--within") == Budget(text, dollars=dollars)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0h", "nothing to spend"),
        ("$0", "nothing to spend"),
        ("0s0m", "nothing to spend"),
        ("4w", "'w' is no unit of time"),
        ("4 fortnights", "'fortnights' is no unit of time"),
        ("4", "neither a time nor dollars"),
        ("50$", "neither a time nor dollars"),
        ("-4h", "neither a time nor dollars"),
        ("", "neither a time nor dollars"),
        ("nan", "neither a time nor dollars"),
        ("1e3h", "'e' is no unit of time"),
        ("9" * 10 + "h", "neither a time nor dollars"),
    ],
)
def test_what_is_no_budget_is_told_with_one_that_is(text, message):
    with pytest.raises(UsageError, match=rf"--max-cost: .*{message}.*4h"):
        Budget.parse(text, "--max-cost")
