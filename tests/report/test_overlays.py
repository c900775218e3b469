import numpy as np
import pandas as pd

from partprop.report.overlays import OBJECTS, PART_BOX, TRUE_CONTOUR, WIDTH, overlay

NO_BOXES = pd.DataFrame(columns=["object", "part", "x1", "y1", "x2", "y2"])


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 100, dtype=np.uint8)


def square(value: int, height: int = 54, width: int = 96) -> np.ndarray:
    labels = np.zeros((height, width), dtype=np.uint8)
    labels[10:40, 20:60] = value
    return labels


def test_prediction_is_tinted_inside_and_outlined():
    picture = overlay(grey(54, 96), square(2), None, NO_BOXES)
    scale = WIDTH // 96
    assert picture.shape == (54 * scale, WIDTH, 3)
    assert (picture[25 * scale, 40 * scale] == np.round(0.55 * 100 + 0.45 * np.array(OBJECTS[1]))).all()
    assert (picture[25 * scale, 60 * scale - 1] == OBJECTS[1]).all()
    assert (picture[5 * scale, 5 * scale] == 100).all()


def test_true_contour_is_drawn_but_void_is_not():
    picture = overlay(grey(54, 96), square(0), square(1), NO_BOXES)
    assert (picture == TRUE_CONTOUR).all(axis=2).any()
    picture = overlay(grey(54, 96), square(0), square(255), NO_BOXES)
    assert (picture == 100).all()


def test_boxes_are_scaled_with_the_picture_when_it_shrinks():
    boxes = pd.DataFrame([(1, 0, 200, 100, 600, 300), (1, 3, 300, 150, 500, 250)], columns=NO_BOXES.columns)
    picture = overlay(grey(540, 960), square(0, 540, 960), None, boxes)
    assert picture.shape == (270, WIDTH, 3)
    assert (picture[100, 100] == OBJECTS[0]).all()
    assert (picture[100, 150] == PART_BOX).all()
