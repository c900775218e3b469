"""The readers on real files; each test is skipped unless its data set is beside the checkout."""

from pathlib import Path

import numpy as np
import pytest

from partprop.data.coco import open_coco
from partprop.data.video import open_sequences, split_names

SUBSET = Path(__file__).resolve().parents[3] / "shared/data"


def subset(name: str) -> Path:
    folder = SUBSET / name
    if not folder.is_dir():
        pytest.skip(f"the real subset ../shared/data/{name} is missing")
    return folder


@pytest.mark.parametrize(("split", "name"), [("train", "bear"), ("val", "blackswan")])
def test_davis_2016_shows_one_object(split: str, name: str) -> None:
    root = subset("DAVIS")
    assert name in split_names(root, split, 2016)
    [video] = open_sequences(root, [name], 2016)
    labels = video.labels(0)
    assert labels is not None
    assert labels.shape == video.image(0).shape[:2]
    assert np.unique(labels).tolist() == [0, 1]


def test_several_objects_keep_their_ids() -> None:
    [schoolgirls] = open_sequences(subset("multi_object"), ["schoolgirls"], 2017)
    assert np.unique(schoolgirls.labels(0)).tolist() == list(range(8))


def test_coco_val_has_polygons_and_crowds() -> None:
    images = open_coco(subset("coco"), "val2017")
    instances = [instance for index in range(len(images)) for instance in images.instances(index)]
    assert len(images.categories) == 80
    assert all(instance.mask is not None for instance in instances)
    assert any(instance.crowd for instance in instances)


def test_coco_train_has_instances_without_polygon() -> None:
    images = open_coco(subset("coco"), "train2017")
    assert any(instance.mask is None for index in range(len(images)) for instance in images.instances(index))
