"""The readers on real files; skipped unless the development subset is beside the checkout."""

from pathlib import Path

import numpy as np
import pytest

from partprop.data.coco import open_coco
from partprop.data.video import open_davis, open_sequences

SUBSET = Path(__file__).resolve().parents[3] / "shared/data"
pytestmark = pytest.mark.skipif(not SUBSET.is_dir(), reason="the real subset ../shared/data is missing")


def test_davis_2016() -> None:
    train, val = (open_davis(SUBSET / "DAVIS", split, 2016) for split in ("train", "val"))
    assert (len(train), len(val), sum(map(len, val))) == (30, 20, 1376)
    for sequence in (train[0], val[0]):
        labels = sequence.labels(0)
        assert labels is not None
        assert labels.shape == sequence.image(0).shape[:2]
        assert np.unique(labels).tolist() == [0, 1]


def test_several_objects() -> None:
    [schoolgirls] = open_sequences(SUBSET / "multi_object", ["schoolgirls"], 2017)
    assert np.unique(schoolgirls.labels(0)).tolist() == list(range(8))


def test_coco() -> None:
    data = open_coco(SUBSET / "coco", "val2017")
    instances = [instance for index in range(len(data)) for instance in data.instances(index)]
    assert (len(data), len(data.categories)) == (204, 80)
    assert len(instances) == 1786
    assert sum(instance.crowd for instance in instances) == 21
    assert all(instance.mask is not None for instance in instances)
    boxes_only = open_coco(SUBSET / "coco", "train2017")
    assert any(instance.mask is None for index in range(len(boxes_only)) for instance in boxes_only.instances(index))
