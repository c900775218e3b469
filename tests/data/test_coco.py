"""Images and instance masks in the layout of COCO."""

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO

from partprop.base.errors import UserError
from partprop.data.coco import open_coco

WIDTH, HEIGHT = 20, 12
CONTENT: dict[str, Any] = {
    "images": [
        {"id": 7, "file_name": "000000000007.jpg", "width": WIDTH, "height": HEIGHT},
        {"id": 3, "file_name": "000000000003.jpg", "width": WIDTH, "height": HEIGHT},
    ],
    "annotations": [
        {
            "id": 1,
            "image_id": 3,
            "category_id": 90,
            "bbox": [2, 3, 6, 4],
            "iscrowd": 0,
            "area": 24,
            "segmentation": [[2, 3, 8, 3, 8, 7, 2, 7]],
        },
        {"id": 2, "image_id": 3, "category_id": 5, "bbox": [10, 2, 40, 5], "iscrowd": 0, "segmentation": []},
        {
            "id": 3,
            "image_id": 3,
            "category_id": 5,
            "bbox": [0, 0, 1, 12],
            "iscrowd": 1,
            "segmentation": {"size": [HEIGHT, WIDTH], "counts": [0, 12, 228]},
        },
        {"id": 4, "image_id": 3, "category_id": 5, "bbox": [5, 5, 0, 4], "iscrowd": 0, "segmentation": []},
    ],
    "categories": [{"id": 90, "name": "zebra"}, {"id": 5, "name": "apple"}],
}


def write(root: Path, content: Any) -> Path:
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / "val2017").mkdir(exist_ok=True)
    file = root / "annotations/instances_val2017.json"
    file.write_text(json.dumps(content))
    for name in ("000000000003.jpg", "000000000007.jpg"):
        Image.new("RGB", (WIDTH, HEIGHT), (0, 0, 200)).save(root / "val2017" / name, quality=95)
    return file


def test_images_are_ordered_by_id(tmp_path: Path) -> None:
    file = write(tmp_path, CONTENT)
    data = open_coco(tmp_path, "val2017")
    assert (len(data), data.image_ids, data.annotation_file) == (2, (3, 7), file)
    assert (data.image(0).shape, data.image(0).dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    assert data.image(0)[0, 0, 2] > 190  # blue comes last: RGB
    assert data.instances(1) == []


def test_categories_are_dense_and_ordered_by_id(tmp_path: Path) -> None:
    write(tmp_path, CONTENT)
    data = open_coco(tmp_path, "val2017")
    assert data.categories == {1: "apple", 2: "zebra"}
    assert data.category_ids == {1: 5, 2: 90}
    assert [instance.category for instance in data.instances(0)] == ["zebra", "apple", "apple"]


def test_instances(tmp_path: Path) -> None:
    write(tmp_path, CONTENT)
    polygon, box, crowd = open_coco(tmp_path, "val2017").instances(0)
    assert polygon.box_xyxy.tolist() == [2, 3, 8, 7]
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[3:7, 2:8] = 1
    np.testing.assert_array_equal(polygon.mask, expected)
    assert not polygon.crowd
    assert box.box_xyxy.tolist() == [10, 2, WIDTH, 7]  # cut at the border
    assert box.mask is None
    assert crowd.crowd
    assert crowd.mask is not None
    assert crowd.mask[:, 0].all()
    assert not crowd.mask[:, 1:].any()


def test_masks_match_pycocotools(tmp_path: Path) -> None:
    content = copy.deepcopy(CONTENT)
    content["annotations"][0]["segmentation"] = [[1.5, 1.2, 9.7, 2.1, 6.3, 10.4], [12, 1, 18.5, 3, 15, 9]]
    reference = COCO(str(write(tmp_path, content)))
    instances = open_coco(tmp_path, "val2017").instances(0)
    for position in (0, 2):
        expected = reference.annToMask(reference.anns[content["annotations"][position]["id"]])
        np.testing.assert_array_equal(instances[position].mask, expected)


def _set(*path: Any) -> Any:
    *keys, last, value = path

    def change(content: Any) -> None:
        for key in keys:
            content = content[key]
        content[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda content: content.pop("categories"), "categories"),
        (_set("images", []), "no images"),
        (_set("images", 0, "file_name", "000000000009.jpg"), "000000000009.jpg"),
        (_set("images", 0, "file_name", "../val2017/000000000007.jpg"), "000000000007.jpg"),
        (_set("images", 0, "width", 0), "image 7"),
        (_set("images", 0, "id", 3), "id 3"),
        (lambda content: content["images"][1].pop("height"), "height"),
        (_set("annotations", 1, "id", 1), "id 1"),
        (_set("annotations", 1, "image_id", 99), "image 99"),
        (_set("annotations", 1, "category_id", 1), "category 1"),
        (_set("annotations", 1, "bbox", [1, 2, 3]), "annotation 2"),
        (_set("annotations", 1, "bbox", [1, 2, -3, 4]), "annotation 2"),
        (_set("annotations", 1, "bbox", [1, 2, float("nan"), 4]), "annotation 2"),
        (_set("annotations", 1, "not an object"), "annotations.1"),
    ],
)
def test_broken_annotations_are_a_one_line_error_when_opened(tmp_path: Path, change: Any, named: str) -> None:
    content = copy.deepcopy(CONTENT)
    change(content)
    write(tmp_path, content)
    with pytest.raises(UserError, match=named) as caught:
        open_coco(tmp_path, "val2017")
    assert str(caught.value).startswith(str(tmp_path / "annotations/instances_val2017.json"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_not_coco_json(tmp_path: Path, text: bytes) -> None:
    write(tmp_path, CONTENT).write_bytes(text)
    with pytest.raises(UserError, match=r"instances_val2017\.json"):
        open_coco(tmp_path, "val2017")


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"instances_val2017\.json: no such file"):
        open_coco(tmp_path, "val2017")
    write(tmp_path, CONTENT)
    (tmp_path / "val2017").rename(tmp_path / "images")
    with pytest.raises(UserError, match="val2017: no such folder"):
        open_coco(tmp_path, "val2017")


@pytest.mark.parametrize(
    "segmentation",
    [
        [[1, 2, 3, 4, 5, 6, 7]],
        [["a", 2, 3, 4, 5, 6]],
        "polygon",
        5,
        {"size": [5, 5], "counts": [25]},
        {"size": [HEIGHT, WIDTH]},
        {"size": [HEIGHT, WIDTH], "counts": [1, -1]},
        {"size": [HEIGHT, WIDTH], "counts": [100]},
        {"size": [HEIGHT, WIDTH], "counts": "P" * 50},
        [[1, 1, 9, 1, 1e9, 9]],
        [[1, 1, 9, 1, float("nan"), 9]],
    ],
)
def test_malformed_segmentation(tmp_path: Path, segmentation: Any) -> None:
    content = copy.deepcopy(CONTENT)
    content["annotations"][0]["segmentation"] = segmentation
    write(tmp_path, content)
    data = open_coco(tmp_path, "val2017")
    with pytest.raises(UserError, match="segmentation of annotation 1"):
        data.instances(0)


def test_polygons_with_too_few_corners_give_no_mask(tmp_path: Path) -> None:
    content = copy.deepcopy(CONTENT)
    content["annotations"][0]["segmentation"] = [[1, 2, 3, 4]]  # pycocotools would take four numbers for a box
    write(tmp_path, content)
    assert open_coco(tmp_path, "val2017").instances(0)[0].mask is None


def test_damaged_and_replaced_images(tmp_path: Path) -> None:
    write(tmp_path, CONTENT)
    data = open_coco(tmp_path, "val2017")
    file = tmp_path / "val2017/000000000003.jpg"
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"000000000003\.jpg: not a readable image"):
        data.image(0)
    Image.new("RGB", (HEIGHT, WIDTH)).save(file)
    with pytest.raises(UserError, match=r"12x20 pixels, but instances_val2017\.json says 20x12"):
        data.image(0)


VALUES = st.none() | st.booleans() | st.integers(-3, 99) | st.floats() | st.text(max_size=3) | st.just([]) | st.just({})


@settings(max_examples=150, deadline=None)
@given(data=st.data(), value=VALUES)
def test_invalid_values_raise_only_user_errors(tmp_path_factory, data: st.DataObject, value: Any) -> None:
    root = tmp_path_factory.mktemp("coco")
    content = copy.deepcopy(CONTENT)
    place: Any = content
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = value
    write(root, content)
    with contextlib.suppress(UserError):
        opened = open_coco(root, "val2017")
        for index in range(len(opened)):
            assert all(instance.category in opened.categories.values() for instance in opened.instances(index))
