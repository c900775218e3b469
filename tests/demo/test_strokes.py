"""Label maps from strokes over a frame."""

import numpy as np
import pytest

from partprop.base.errors import UserError
from partprop.demo.strokes import label_strokes
from partprop.media.drawing import OBJECT_COLOURS

SIZE = (40, 60)


def layer(*strokes: tuple[slice, slice, tuple[int, int, int]]) -> np.ndarray:
    pixels = np.zeros((*SIZE, 4), np.uint8)
    for rows, columns, colour in strokes:
        pixels[rows, columns] = (*colour, 255)
    return pixels


@pytest.fixture
def image() -> np.ndarray:
    """A red square of 12 pixels on green."""
    image = np.full((*SIZE, 3), (20, 120, 40), np.uint8)
    image[14:26, 20:32] = (220, 30, 30)
    return image


def test_each_colour_is_an_object(image: np.ndarray) -> None:
    near_second = tuple(value + 2 for value in OBJECT_COLOURS[1])
    layers = [layer((slice(0, 5), slice(0, 9), OBJECT_COLOURS[0]), (slice(20, 30), slice(7, 8), near_second))]
    labels = label_strokes(image, layers, "the object")
    assert (labels[0:5, 0:9] == 1).all()
    assert (labels[20:30, 7] == 2).all()
    assert (labels > 0).sum() == 45 + 10


def test_upper_layers_win(image: np.ndarray) -> None:
    layers = [
        layer((slice(0, 9), slice(0, 9), OBJECT_COLOURS[0])),
        layer((slice(3, 6), slice(3, 6), OBJECT_COLOURS[2])),
    ]
    labels = label_strokes(image, layers, "the object")
    assert (labels[3:6, 3:6] == 3).all()
    assert (labels == 1).sum() == 81 - 9


def test_the_smoothed_rim_of_a_stroke_is_ignored(image: np.ndarray) -> None:
    stroke = layer((slice(0, 9), slice(0, 9), OBJECT_COLOURS[0]))
    stroke[9, :9] = (*OBJECT_COLOURS[0], 100)
    assert (label_strokes(image, [stroke], "the object") == 1).sum() == 81


def test_a_diagonal_stroke_spans_a_box(image: np.ndarray) -> None:
    stroke = layer(*((slice(row, row + 1), slice(row + 6, row + 7), OBJECT_COLOURS[0]) for row in range(11, 29)))
    labels = label_strokes(image, [stroke], "a box")
    true = np.zeros(SIZE, bool)
    true[14:26, 20:32] = True
    assert ((labels == 1) & true).sum() / ((labels == 1) | true).sum() > 0.9


def corners(colour: tuple[int, int, int], *pixels: tuple[int, int]) -> list[tuple[slice, slice, tuple[int, int, int]]]:
    return [(slice(y, y + 1), slice(x, x + 1), colour) for y, x in pixels]


def test_a_box_inside_another_is_in_front(image: np.ndarray) -> None:
    image[17:20, 23:26] = (250, 250, 30)
    inner, outer = [(16, 22), (20, 26)], [(11, 17), (28, 34)]
    for first, second in ((inner, outer), (outer, inner)):
        labels = label_strokes(
            image, [layer(*corners(OBJECT_COLOURS[0], *first), *corners(OBJECT_COLOURS[1], *second))], "a box"
        )
        assert labels[18, 24] == (1 if first is inner else 2)
        assert set(np.unique(labels)) == {0, 1, 2}


def test_an_object_hidden_by_another_is_refused(image: np.ndarray) -> None:
    rising, falling = [(11, 34), (28, 17)], [(11, 17), (28, 34)]  # diagonals of the same box
    with pytest.raises(UserError, match="Object 1 is hidden"):
        label_strokes(
            image, [layer(*corners(OBJECT_COLOURS[0], *rising), *corners(OBJECT_COLOURS[1], *falling))], "a box"
        )


def test_layers_of_another_size_are_resized(image: np.ndarray) -> None:
    half = layer((slice(0, 10), slice(0, 20), OBJECT_COLOURS[0]))[::2, ::2]
    assert (label_strokes(image, [half], "the object")[:10, :20] == 1).all()


@pytest.mark.parametrize("layers", [[], [np.zeros((*SIZE, 4), np.uint8)]])
def test_no_strokes_are_an_error(image: np.ndarray, layers: list[np.ndarray]) -> None:
    with pytest.raises(UserError, match="paint an object"):
        label_strokes(image, layers, "the object")
