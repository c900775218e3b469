"""Boxes of objects, and where they are remembered."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from partprop.tracking.places import encoded_cells, main_box

GRID = (14, 24)  # of a frame of 448x768


def test_the_main_box_is_that_of_all_large_components():
    mask = torch.zeros(60, 80)
    mask[10:30, 20:50] = 0.9
    mask[40:50, 60:75] = 0.8  # a quarter of the first
    assert main_box(mask).tolist() == [20, 10, 75, 50]


def test_specks_do_not_count():
    mask = torch.zeros(60, 80)
    mask[10:30, 20:50] = 0.9
    mask[2:5, 70:75] = 0.9
    mask[50:60, 0:80] = 0.4  # no object
    assert main_box(mask).tolist() == [20, 10, 50, 30]


def test_no_object_has_no_box():
    assert main_box(torch.full((6, 8), 0.4)) is None


@given(
    st.lists(
        st.tuples(*[st.floats(-300, 1000), st.floats(-300, 700), st.floats(1, 500), st.floats(1, 500)]), min_size=1
    )
)
def test_what_is_encoded_holds_room_around_every_object(places):
    boxes = torch.tensor([(x, y, x + width, y + height) for x, y, width, height in places])
    rows, columns = encoded_cells(boxes, GRID)
    for part, cells in ((rows, GRID[0]), (columns, GRID[1])):
        assert 0 <= part.start < part.stop <= cells
    least, share = (96, 0.75) if len(places) == 1 else (64, 0.5)
    for x, y, width, height in places:
        across, down = max(least, share * width), max(least, share * height)
        for part, first, last, size in (
            (columns, x - across, x + width + across, 768),
            (rows, y - down, y + height + down, 448),
        ):
            assert 32 * part.start <= max(0, min(first, size - 32)) + 1e-2
            assert 32 * part.stop >= min(size, max(last, 32)) - 1e-2


def test_little_of_a_frame_is_encoded_for_a_small_object():
    assert encoded_cells(torch.tensor([[300.0, 200, 320, 220]]), GRID) == (slice(3, 10), slice(6, 13))
