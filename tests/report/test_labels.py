"""Labels find room beside their points, or are left out: none covers a point, a line or another label."""

from hypothesis import given
from hypothesis import strategies as st

from sweep.report.label_places import Box, Place, Room

RIGHT, LEFT = Place(8, 0, "left"), Place(-8, 0, "right")
NUMBERS = st.integers(0, 300)


def room(width: float = 300) -> Room:
    return Room(Box(0, 0, width, 300))


def test_the_first_place_that_is_free_is_taken() -> None:
    drawn = room()
    assert drawn.find("0.5", 10, 100, 100, (RIGHT, LEFT)) is RIGHT
    assert drawn.find("0.5", 10, 100, 100, (RIGHT, LEFT)) is LEFT
    assert drawn.find("0.5", 10, 100, 100, (RIGHT, LEFT)) is None


def test_a_label_does_not_stick_out() -> None:
    assert room(120).find("a long label", 10, 100, 100, (RIGHT,)) is None


def test_a_label_does_not_cover_a_line() -> None:
    drawn = room()
    drawn.take_line((100, 100), (200, 100))
    assert drawn.find("0.5", 10, 100, 100, (RIGHT, LEFT)) is LEFT


@given(st.lists(st.tuples(NUMBERS, NUMBERS, st.text("01.", min_size=1, max_size=9)), max_size=30))
def test_no_two_labels_overlap(labels: list[tuple[int, int, str]]) -> None:
    drawn = room()
    for x, y, text in labels:
        drawn.find(text, 12, x, y, (RIGHT, LEFT, Place(0, 12, "center")))
    for place, box in enumerate(drawn.taken):
        assert box.lies_in(drawn.whole)
        assert not any(box.overlaps(other) for other in drawn.taken[:place])
