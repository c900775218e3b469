"""The overlay of a frame: tinted masks, outlines and boxes."""

import numpy as np

from partprop.data.tracks import PartBox
from partprop.media.drawing import OBJECT_COLOURS, PART_BOX, TRUE_CONTOUR, WIDTH, overlay


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 100, dtype=np.uint8)


def square(value: int, height: int = 54, width: int = 96) -> np.ndarray:
    labels = np.zeros((height, width), dtype=np.uint8)
    labels[10:40, 20:60] = value
    return labels


def test_predicted_masks_are_tinted_and_outlined() -> None:
    picture = overlay(grey(54, 96), square(2), None, ())
    scale = WIDTH // 96
    assert picture.shape == (54 * scale, WIDTH, 3)
    assert (picture[25 * scale, 40 * scale] == np.round(0.55 * 100 + 0.45 * np.array(OBJECT_COLOURS[1]))).all()
    assert (picture[25 * scale, 60 * scale - 1] == OBJECT_COLOURS[1]).all()
    assert (picture[5 * scale, 5 * scale] == 100).all()


def test_true_contours_are_drawn_without_void() -> None:
    picture = overlay(grey(54, 96), square(0), square(1), ())
    assert (picture == TRUE_CONTOUR).all(axis=2).any()
    picture = overlay(grey(54, 96), square(0), square(255), ())
    assert (picture == 100).all()


def test_boxes_are_scaled_with_the_picture() -> None:
    boxes = [PartBox(1, 0, (200, 100, 600, 300), 0.9), PartBox(1, 3, (300, 150, 500, 250), 0.5)]
    picture = overlay(grey(540, 960), square(0, 540, 960), None, boxes)
    assert picture.shape == (270, WIDTH, 3)
    assert (picture[100, 100] == OBJECT_COLOURS[0]).all()
    assert (picture[100, 150] == PART_BOX).all()
