"""Ids and boxes in label maps; reading and writing them is tested in test_video."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from partprop.data.labels import VOID, ids_with_void, mask_box, object_ids

LABELS = arrays(
    np.uint8,
    array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.one_of(st.integers(0, 255), st.sampled_from((0, 1, 254, VOID))),
)


@given(LABELS)
def test_ids_are_the_unique_values_without_background(labels: np.ndarray) -> None:
    unique = np.unique(labels).tolist()
    assert ids_with_void(labels) == [value for value in unique if value != 0]
    assert object_ids(labels) == [value for value in unique if value not in (0, VOID)]


@pytest.mark.parametrize(("value", "ids"), [(0, []), (1, [1]), (7, [7]), (VOID, [])])
def test_ids_of_a_uniform_label_map(value: int, ids: list[int]) -> None:
    assert object_ids(np.full((4, 5), value, np.uint8)) == ids


def test_box_of_a_mask_lies_on_pixel_edges() -> None:
    mask = np.zeros((10, 12), dtype=bool)
    assert mask_box(mask) is None
    mask[3, 5] = True
    assert mask_box(mask).tolist() == [5, 3, 6, 4]
    mask[9, 11] = True
    assert mask_box(mask).tolist() == [5, 3, 12, 10]
