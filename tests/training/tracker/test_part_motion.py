"""Parts followed by optical flow."""

import numpy as np
import pytest

from partprop.training.common import augment
from partprop.training.tracker.part_motion import follow

SIZE = 160


def texture(seed: int) -> np.ndarray:
    """Smooth noise, uint8 (160, 160, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    return augment.warp(coarse, augment.affine_map(augment.affine((20.0, 20.0), SIZE, 4.0, 0.0, 0.0, False), SIZE))


def scene(left: int, top: int, hidden: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A textured object of 60 pixels a side on another ground, and its mask."""
    image, mask = texture(1), np.zeros((SIZE, SIZE), np.uint8)
    if not hidden:
        image[top : top + 60, left : left + 60] = texture(2)[:60, : min(60, SIZE - left)]
        mask[top : top + 60, left : left + 60] = 1
    return image, mask


PARTS = np.array([[32.0, 42, 62, 72], [55, 60, 85, 90]], np.float32)


@pytest.mark.parametrize("step", [(0, 0), (3, 1), (-4, 5)])
def test_parts_go_where_their_pixels_go(step: tuple[int, int]):
    images, masks = zip(*(scene(30 + step[0] * time, 40 + step[1] * time) for time in range(4)), strict=True)
    boxes, known = follow(PARTS, images, masks)
    assert known.all()
    for time in range(4):
        np.testing.assert_allclose(boxes[time], PARTS + np.tile(step, 2) * time, atol=0.5)


def test_what_vanishes_is_unknown_from_there_on():
    images, masks = zip(*(scene(30, 40, hidden=time == 2) for time in range(4)), strict=True)
    boxes, known = follow(PARTS, images, masks)
    assert known[:2].all()
    assert not known[2:].any()
    np.testing.assert_array_equal(boxes[3], boxes[1])


@pytest.mark.parametrize(("left", "step"), [(10, 30), (96, 12)])  # by half its size; over the picture's border
def test_what_flow_cannot_follow_is_unknown(left: int, step: int):
    images, masks = zip(*(scene(left + step * time, 40) for time in range(4)), strict=True)
    _, known = follow(PARTS + np.array([left - 30, 0] * 2, np.float32), images, masks)
    assert not known[1:].any()


def test_a_part_without_the_object_is_unknown():
    image, mask = scene(30, 40)
    _, known = follow(np.array([[120.0, 120, 150, 150]], np.float32), [image, image], [mask, mask])
    assert known.tolist() == [[True], [False]]
