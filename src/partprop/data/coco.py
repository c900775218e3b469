"""Images with instance masks in the layout of COCO: <split>/*.jpg and annotations/instances_<split>.json."""

import json
import math
import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle_codec

from partprop.base.errors import UserError
from partprop.data.images import read_rgb
from partprop.data.instances import Instance

FAR = 10  # times the longer image side: polygons that reach further are errors
_REQUIRED: dict[str, dict[str, type]] = {
    "images": {"id": int, "file_name": str, "width": int, "height": int},
    "annotations": {"id": int, "image_id": int, "category_id": int, "bbox": list},
    "categories": {"id": int, "name": str},
}


class CocoImages:
    """The images of one split and their instances; open with `open_coco`.

    Attributes:
        image_ids: ids of the images in ascending order; methods take a position in it.
        categories: class names by dense class number, 1 to K, in the order of the file's category ids.
        category_ids: the file's category ids by dense class number.
        annotation_file: the JSON file.
    """

    def __init__(self, folder: Path, annotation_file: Path, content: Mapping[str, list[dict[str, Any]]]) -> None:
        self.annotation_file = annotation_file
        self._folder = folder
        self._images = {image["id"]: image for image in content["images"]}
        self.image_ids: tuple[int, ...] = tuple(sorted(self._images))
        by_id = {category["id"]: category["name"] for category in content["categories"]}
        self.category_ids: dict[int, int] = dict(enumerate(sorted(by_id), start=1))
        self.categories: dict[int, str] = {dense: by_id[given] for dense, given in self.category_ids.items()}
        self._dense = {given: dense for dense, given in self.category_ids.items()}
        self._annotations: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for annotation in content["annotations"]:
            self._annotations[annotation["image_id"]].append(annotation)

    def __len__(self) -> int:
        return len(self.image_ids)

    def file(self, index: int) -> Path:
        """The image file at a position."""
        return self._folder / self._images[self.image_ids[index]]["file_name"]

    def size(self, index: int) -> tuple[int, int]:
        """(width, height) in pixels of the image at a position, as stated in the annotation file."""
        image = self._images[self.image_ids[index]]
        return image["width"], image["height"]

    def image(self, index: int) -> np.ndarray:
        """Read the image at a position: uint8 (H, W, 3), RGB.

        Raises:
            UserError: the file is missing or corrupt, or its size differs from the annotation file.
        """
        pixels = read_rgb(self.file(index))
        self.check_size(index, (pixels.shape[1], pixels.shape[0]))
        return pixels

    def check_size(self, index: int, found: tuple[int, int]) -> None:
        """Raise UserError if the (width, height) `found` differs from the annotation file."""
        if found != self.size(index):
            declared = "{}x{}".format(*self.size(index))
            raise UserError(
                f"{self.file(index)}: {found[0]}x{found[1]} pixels, but {self.annotation_file.name} says {declared}; "
                "restore the annotated image"
            )

    def annotations(self, index: int) -> list[dict[str, Any]]:
        """The raw annotations of the image at a position; `segmentation`, `iscrowd` and `area` may be missing."""
        return self._annotations[self.image_ids[index]]

    def instances(self, index: int) -> list[Instance]:
        """The instances of the image at a position, including crowds, without boxes of zero area.

        Raises:
            UserError: a segmentation is malformed.
        """
        width, height = self.size(index)
        found = []
        for annotation in self.annotations(index):
            left, top, box_width, box_height = annotation["bbox"]
            box = np.array([left, top, left + box_width, top + box_height], dtype=np.float32)
            box = box.clip(0, [width, height, width, height]).astype(np.float32)
            if box[2] <= box[0] or box[3] <= box[1]:  # a few of COCO's own boxes have zero area
                continue
            found.append(
                Instance(
                    box_xyxy=box,
                    category=self.categories[self._dense[annotation["category_id"]]],
                    mask=self._mask(annotation, width, height),
                    crowd=bool(annotation.get("iscrowd", 0)),
                )
            )
        return found

    def categories_in(self, index: int) -> set[str]:
        """The categories annotated in the image at a position, with or without mask."""
        return {self.categories[self._dense[annotation["category_id"]]] for annotation in self.annotations(index)}

    @property
    def origin(self) -> Path:
        """The annotation file."""
        return self.annotation_file

    def _mask(self, annotation: Mapping[str, Any], width: int, height: int) -> np.ndarray | None:
        try:
            return _decode(annotation.get("segmentation") or [], width, height)
        except Exception as error:  # pycocotools raises plain Exception, TypeError or ValueError
            raise UserError(
                f"{self.annotation_file}: segmentation of annotation {annotation['id']} is malformed ({error}); "
                "correct or remove it"
            ) from None


def open_coco(root: Path, split: str) -> CocoImages:
    """Open one split and check every reference in its annotation file.

    Args:
        root: the folder that holds annotations/ and the image folders.
        split: "train2017" or "val2017".

    Raises:
        UserError: a folder or file is missing, the annotation file is not in COCO's instances format, two entries share
            an id, or an annotation refers to a missing image or category.
    """
    annotation_file = root / "annotations" / f"instances_{split}.json"
    folder = root / split
    content = _read(annotation_file)
    _check_entries(annotation_file, content)
    _check_files(annotation_file, content, folder)
    return CocoImages(folder, annotation_file, content)


def valid_polygons(polygons: list[list[float]]) -> list[list[float]]:
    """The polygons with at least three corners; some of COCO's own have fewer."""
    return [polygon for polygon in polygons if len(polygon) >= 6]


def _read(file: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        content = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{file}: no such file; expected COCO's layout (annotations/ and image folders)") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: not valid JSON ({error}); fetch the file again") from None
    for key in _REQUIRED:
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise UserError(f"{file}: not a COCO instances file, the list {key!r} is missing; use instances_*.json")
    if not content["images"]:
        raise UserError(f"{file}: lists no images; use a split with images")
    return content


def _check_entries(file: Path, content: Mapping[str, list[dict[str, Any]]]) -> None:
    for key, fields in _REQUIRED.items():
        ids = set()
        for position, entry in enumerate(content[key]):
            for field, kind in fields.items():
                if not isinstance(entry, dict) or not isinstance(entry.get(field), kind):
                    raise UserError(f"{file}: {key}[{position}] has no {field!r} of type {kind.__name__}; correct it")
            if entry["id"] in ids:
                raise UserError(
                    f"{file}: {key}[{position}] has the same id {entry['id']} as another entry; renumber it"
                )
            ids.add(entry["id"])
    for image in content["images"]:
        if image["width"] < 1 or image["height"] < 1:
            raise UserError(f"{file}: image {image['id']} is {image['width']}x{image['height']} pixels; correct it")
    images = {image["id"] for image in content["images"]}
    categories = {category["id"] for category in content["categories"]}
    for annotation in content["annotations"]:
        if annotation["image_id"] not in images:
            raise UserError(
                f"{file}: annotation {annotation['id']} names image {annotation['image_id']}, which is not listed; "
                "add or remove it"
            )
        if annotation["category_id"] not in categories:
            raise UserError(
                f"{file}: annotation {annotation['id']} names category {annotation['category_id']}, which is not "
                "listed; add or remove it"
            )
        if not _is_box(annotation["bbox"]):
            raise UserError(
                f"{file}: bbox of annotation {annotation['id']} is not [x, y, width, height] in pixels; correct it"
            )


def _is_box(box: list[Any]) -> bool:
    return (
        len(box) == 4
        and all(isinstance(value, int | float) and math.isfinite(value) for value in box)
        and box[2] >= 0
        and box[3] >= 0
    )


def _check_files(file: Path, content: Mapping[str, list[dict[str, Any]]], folder: Path) -> None:
    try:
        present = set(os.listdir(folder))  # one listing: 118,000 separate checks take minutes on a network disk
    except OSError:
        raise UserError(f"{folder}: no such folder; {file.name} needs its images there") from None
    for image in content["images"]:
        if image["file_name"] not in present:
            raise UserError(f"{file}: names the image {image['file_name']}, which is not in {folder}; add or remove it")


def _decode(segmentation: Any, width: int, height: int) -> np.ndarray | None:
    """Decode polygons or a run-length encoding to uint8 (height, width); None if there is neither."""
    if isinstance(segmentation, dict):
        if list(segmentation["size"]) != [height, width]:
            raise ValueError(f"its size is not {[height, width]}")
        counts = segmentation["counts"]
        if isinstance(counts, list):
            if sum(counts) != width * height:
                raise ValueError("its run lengths do not fill the image")
            segmentation = rle_codec.frPyObjects(segmentation, height, width)
        mask = rle_codec.decode(segmentation)
        if mask.sum(dtype=np.int64) != rle_codec.area(segmentation):  # a short encoding leaves pixels undefined
            raise ValueError("its run lengths do not fill the image")
        return mask
    if any(len(polygon) % 2 for polygon in segmentation):
        raise ValueError("a polygon has an odd number of coordinates")
    polygons = valid_polygons(segmentation)
    if not polygons:
        return None
    far = FAR * max(width, height)
    if not all(-far <= value <= far for polygon in polygons for value in polygon):  # also false for NaN
        raise ValueError(
            "a polygon reaches far beyond the image"
        )  # pycocotools would allocate memory for the whole edge
    return rle_codec.decode(rle_codec.merge(rle_codec.frPyObjects(polygons, height, width)))
