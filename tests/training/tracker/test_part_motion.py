"""Parts tracked by optical flow."""

import numpy as np
import pytest

from partprop.training.common import augment
from partprop.training.tracker.part_motion import track_parts

SIZE = 160


def texture(seed: int) -> np.ndarray:
    """Smooth noise, uint8 (160, 160, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    return augment.warp(coarse, augment.affine_map(augment.affine_matrix((20.0, 20.0), SIZE, 4.0), SIZE))


def scene(left: int, top: int, hidden: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A textured object of 60 pixels a side on another texture, and its mask."""
    image, mask = texture(1), np.zeros((SIZE, SIZE), np.uint8)
    if not hidden:
        image[top : top + 60, left : left + 60] = texture(2)[:60, : min(60, SIZE - left)]
        mask[top : top + 60, left : left + 60] = 1
    return image, mask


PARTS = np.array([[32.0, 42, 62, 72], [55, 60, 85, 90]], np.float32)


@pytest.mark.parametrize("step", [(0, 0), (3, 1), (-4, 5)])
def test_parts_move_with_their_pixels(step: tuple[int, int]):
    images, masks = zip(*(scene(30 + step[0] * time, 40 + step[1] * time) for time in range(4)), strict=True)
    boxes, tracked = track_parts(PARTS, images, masks)
    assert tracked.all()
    for time in range(4):
        np.testing.assert_allclose(boxes[time], PARTS + np.tile(step, 2) * time, atol=0.5)


def test_a_part_is_lost_for_good_when_the_object_disappears():
    images, masks = zip(*(scene(30, 40, hidden=time == 2) for time in range(4)), strict=True)
    boxes, tracked = track_parts(PARTS, images, masks)
    assert tracked[:2].all()
    assert not tracked[2:].any()
    np.testing.assert_array_equal(boxes[3], boxes[1])


@pytest.mark.parametrize(("left", "step"), [(10, 30), (96, 12)])  # by half its size; across the image's border
def test_a_part_is_lost_when_flow_fails(left: int, step: int):
    images, masks = zip(*(scene(left + step * time, 40) for time in range(4)), strict=True)
    _, tracked = track_parts(PARTS + np.array([left - 30, 0] * 2, np.float32), images, masks)
    assert not tracked[1:].any()


def test_a_box_without_the_object_is_lost_at_once():
    image, mask = scene(30, 40)
    _, tracked = track_parts(np.array([[120.0, 120, 150, 150]], np.float32), [image, image], [mask, mask])
    assert tracked.tolist() == [[True], [False]]
