"""A seeded choice of COCO's images, each by its own address."""

import io
import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from data_sets import Host
from partprop.base.errors import UserError
from partprop.data.coco import open_coco
from partprop.download import coco_subset
from partprop.download.checks import CocoCounts, check_coco
from partprop.download.coco_subset import download_subset
from partprop.download.layouts import COCO, RemoteFile

SPLITS = {"train2017": range(1, 41), "val2017": range(101, 121)}


def name_of(image: int) -> str:
    return f"{image:012d}.jpg"


@pytest.fixture
def official(host: Host, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host of 60 images, in the layout of the official one; one in ten has no annotation."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for split, images in SPLITS.items():
            content = {
                "images": [{"id": i, "file_name": name_of(i), "width": 32, "height": 24} for i in images],
                "annotations": [
                    {"id": i, "image_id": i, "category_id": 1, "bbox": [2, 2, 8, 8], "segmentation": [], "iscrowd": 0}
                    for i in images
                    if i % 10
                ],
                "categories": [{"id": 1, "name": "thing"}],
            }
            archive.writestr(f"annotations/instances_{split}.json", json.dumps(content))
            for image in images:
                pixels = io.BytesIO()
                Image.new("RGB", (32, 24), (image, 60, 30)).save(pixels, "JPEG")
                host.files[f"/{split}/{name_of(image)}"] = pixels.getvalue()
    host.files["/annotations/annotations_trainval2017.zip"] = packed.getvalue()
    monkeypatch.setattr(coco_subset, "COCO_HOST", host.url)
    annotations = RemoteFile(f"{host.url}/annotations/annotations_trainval2017.zip", None, None)
    monkeypatch.setattr(coco_subset, "COCO", type(COCO)(COCO.name, COCO.marker, COCO.patterns, (annotations,)))
    return host


def test_annotations_and_the_chosen_images_alone_are_downloaded(official: Host, tmp_path: Path) -> None:
    target = tmp_path / "data/coco"
    assert download_subset(12, target, check_coco) == CocoCounts(images=12, instances=12)
    train, val = (open_coco(target, split) for split in SPLITS)
    assert (len(train), len(val)) == (10, 2)
    assert len(official.requests) == 1 + 12
    assert sorted(file.name for file in (target / "val2017").iterdir()) == [name_of(image) for image in val.image_ids]
    assert not set(train.image_ids) & {10, 20, 30, 40}  # without annotations
    ids = train.image_ids
    download_subset(12, target, check_coco)
    assert open_coco(target, "train2017").image_ids == ids  # the same for everyone


def test_an_interrupted_download_resumes(official: Host, tmp_path: Path) -> None:
    chosen = tmp_path / "data/coco"
    download_subset(12, chosen, check_coco)
    missing = f"/train2017/{name_of(open_coco(chosen, 'train2017').image_ids[3])}"
    content = official.files.pop(missing)
    official.requests.clear()
    target = tmp_path / "again/coco"
    with pytest.raises(UserError, match=f"{missing}: the server responds 404"):
        download_subset(12, target, check_coco)
    assert not target.exists()
    done = {path for path, _ in official.requests} - {missing}
    official.files[missing] = content
    official.requests.clear()
    download_subset(12, target, check_coco)
    assert not done & {path for path, _ in official.requests}
