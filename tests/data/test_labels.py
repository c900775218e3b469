"""Label maps: mask files, ids and boxes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from partprop.base.errors import UserError
from partprop.data.labels import VOID, davis_palette, ids_with_void, mask_box, object_ids, read_labels, write_labels

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


def test_mask_encodings(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    square = np.zeros((4, 4), np.uint8)
    square[1:3, 1:3] = 1
    Image.fromarray(square * 255).save(path)
    np.testing.assert_array_equal(read_labels(path), square)
    Image.fromarray(square.astype(bool)).save(path)
    np.testing.assert_array_equal(read_labels(path), square)
    Image.fromarray(np.repeat(square[..., None] * 255, 3, axis=2)).save(path)
    np.testing.assert_array_equal(read_labels(path), square)
    ids = square * 2
    ids[0, 0] = 255
    Image.fromarray(ids).save(path)
    np.testing.assert_array_equal(read_labels(path), ids)
    only_void = square * 255
    write_labels(path, only_void)  # in a palette, 255 is void even without any object
    np.testing.assert_array_equal(read_labels(path), only_void)


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGBA", (4, 4), (255, 0, 0, 255)),
        Image.new("RGB", (4, 4), (255, 0, 0)),
        Image.new("LA", (4, 4)),
        Image.fromarray(np.full((4, 4), 40000, np.uint16)),
        Image.fromarray(np.full((4, 4), 200, np.uint8)),
    ],
    ids=["rgba", "rgb", "grey with alpha", "16 bit", "soft edge"],
)
def test_masks_in_other_formats_are_refused(tmp_path: Path, image: Image.Image) -> None:
    image.save(tmp_path / "mask.png")
    with pytest.raises(UserError, match=r"mask\.png"):
        read_labels(tmp_path / "mask.png")


def test_the_palette_matches_davis() -> None:
    expected = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128], [128, 0, 128], [0, 128, 128]]
    assert davis_palette()[:7].tolist() == expected
    assert davis_palette()[[8, 22, 255]].tolist() == [[64, 0, 0], [0, 192, 128], [224, 224, 192]]


@settings(max_examples=40, deadline=None)
@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=20)))
def test_labels_round_trip_and_equal_labels_give_equal_bytes(tmp_path_factory, labels: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("labels")
    write_labels(folder / "a.png", labels)
    write_labels(folder / "b.png", labels.copy(order="F"))
    np.testing.assert_array_equal(read_labels(folder / "a.png"), labels)
    assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()
    with Image.open(folder / "a.png") as image:
        assert image.getpalette() == davis_palette().ravel().tolist()
