"""Training triples: masks and boxes belong together, parts are known where the motion is."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from partprop.data.coco import open_coco
from partprop.data.labels import mask_box
from partprop.data.sampling import MixedTriples, StillTriples, VideoTriples
from partprop.data.synthetic import write_coco, write_davis
from partprop.data.triples import Triple, move_with, random_parts
from partprop.data.video import open_davis
from partprop.errors import UserError
from partprop.params import SyntheticData

CROP, PARTS = 96, 2
SETTINGS = SyntheticData(
    seed=5, width=160, height=96, train_images=8, val_images=1, train_videos=2, val_videos=1, frames=12
)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> VideoTriples:
    folder = tmp_path_factory.mktemp("davis")
    write_davis(folder, SETTINGS, 2016)
    return VideoTriples(open_davis(folder, "train", 2016), CROP, 4, PARTS)


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> StillTriples:
    folder = tmp_path_factory.mktemp("coco")
    write_coco(folder, SETTINGS)
    return StillTriples.of(open_coco(folder, "train2017"), CROP, PARTS)


@pytest.fixture(params=["videos", "stills"])
def triples(request: pytest.FixtureRequest):
    return request.getfixturevalue(request.param)


def test_only_annotated_frames_are_drawn(videos: VideoTriples):
    masks = tuple(mask if index % 3 == 0 else None for index, mask in enumerate(videos.videos[0].masks))
    sparse = replace(videos, videos=[replace(videos.videos[0], masks=masks)])
    for triple in drawn(sparse, 6):
        assert triple.masks[0].any()


def test_images_without_usable_masks_are_one_line(tmp_path: Path):
    write_coco(tmp_path, SETTINGS)
    file = tmp_path / "annotations/instances_train2017.json"
    content = json.loads(file.read_text())
    boxes = [{**annotation, "segmentation": []} for annotation in content["annotations"]]
    file.write_text(json.dumps({**content, "annotations": boxes}))
    with pytest.raises(UserError, match=r"instances_train2017\.json: has no instance with a polygon"):
        StillTriples.of(open_coco(tmp_path, "train2017"), CROP, PARTS)


def drawn(triples, count: int = 12) -> list[Triple]:
    return [triples.draw(np.random.default_rng([7, number]), 0.5) for number in range(count)]


def test_shapes_and_kinds(triples):
    for triple in drawn(triples, 4):
        assert triple.images.shape == (3, CROP, CROP, 3)
        assert triple.images.dtype == np.uint8
        assert triple.masks.shape == (3, CROP, CROP)
        assert set(np.unique(triple.masks)) <= {0, 1}
        for boxes in (triple.boxes, triple.windows, triple.last):
            assert boxes.shape == (3, 1 + PARTS, 4)
            assert boxes.dtype == np.float32
            assert (boxes[..., 2:] > boxes[..., :2]).all()
        assert triple.tracked.shape == (3, 1 + PARTS)


def test_the_object_is_in_the_reference_and_its_box_is_tight(triples):
    for triple in drawn(triples):
        np.testing.assert_array_equal(triple.boxes[0, 0], mask_box(triple.masks[0]))
        np.testing.assert_array_equal(triple.windows[0], triple.boxes[0])
        for time in range(3):
            box = mask_box(triple.masks[time])
            if triple.tracked[time, 0]:
                assert box is not None
                np.testing.assert_array_equal(triple.boxes[time, 0], box)


def test_the_same_seed_draws_the_same(triples):
    for first, second in zip(drawn(triples, 3), drawn(triples, 3), strict=True):
        for name in ("images", "masks", "boxes", "windows", "last", "remembered"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_parts_of_videos_are_never_taught_as_known(videos: VideoTriples):
    assert all((triple.tracked[:, 1:] == 0).all() for triple in drawn(videos))


def test_parts_of_stills_hold_the_object(stills: StillTriples):
    known = 0
    for triple in drawn(stills):
        for time in range(3):
            for part in range(1, 1 + PARTS):
                if triple.tracked[time, part]:
                    x1, y1, x2, y2 = triple.boxes[time, part].astype(int)
                    window = triple.masks[time][y1:y2, x1:x2]
                    assert window[0].any()
                    assert window[:, 0].any()
                    known += 1
    assert known > 12


def test_mixed_share_is_kept(videos: VideoTriples, stills: StillTriples):
    mixed = MixedTriples(videos, stills, 0.5)
    taught = [triple.tracked[0, 1:].any() for triple in drawn(mixed, 40)]
    assert 8 <= sum(taught) <= 32


def test_random_parts_lie_on_the_mask():
    mask = np.zeros((50, 60), np.uint8)
    mask[10:40, 20:50] = 1
    for box in random_parts(np.random.default_rng(0), mask, 20):
        x, y = (box[:2] + box[2:]) / 2
        assert mask[int(y), int(x)]
        assert (box[2:] - box[:2] <= 0.75 * 30 + 1e-3).all()


def test_moving_with_the_object_keeps_relative_places():
    parts = np.array([[0.0, 0, 10, 10], [5, 5, 10, 10]])
    moved = move_with(parts, np.array([0.0, 0, 10, 10]), np.array([20.0, 30, 40, 70]))
    np.testing.assert_allclose(moved.reshape(-1, 4), [[20, 30, 40, 70], [30, 50, 40, 70]])
