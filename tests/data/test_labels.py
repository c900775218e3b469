"""Boxes of label maps; reading and writing them is tested with the videos they belong to."""

import numpy as np

from partprop.data.labels import mask_box


def test_box_of_a_mask_lies_on_pixel_edges() -> None:
    mask = np.zeros((10, 12), dtype=bool)
    assert mask_box(mask) is None
    mask[3, 5] = True
    assert mask_box(mask).tolist() == [5, 3, 6, 4]
    mask[9, 11] = True
    assert mask_box(mask).tolist() == [5, 3, 12, 10]
