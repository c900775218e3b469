"""Objects of several sets of still images, drawn by weight, some categories held out."""

from pathlib import Path

import numpy as np
import pytest

from partprop.base.errors import UserError
from partprop.data.coco import CocoImages, open_coco
from partprop.data.stills import StillImages, open_stills
from partprop.params import SyntheticData
from partprop.synthetic import write_coco, write_stills
from partprop.training.common.scenery import MIN_SHOWN, Scenery, sample_moving_object

SETTINGS = SyntheticData(
    seed=5, width=160, height=96, train_images=8, val_images=1, still_images=8, train_videos=1, val_videos=1, frames=8
)
Sets = tuple[CocoImages, StillImages]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Sets:
    folder = tmp_path_factory.mktemp("images")
    write_coco(folder, SETTINGS)
    (folder / "static").mkdir()
    write_stills(folder / "static", SETTINGS)
    return open_coco(folder, "train2017"), open_stills(folder / "static")


def test_sets_are_drawn_by_weight_times_their_number_of_objects(sets: Sets) -> None:
    scenery = Scenery.collect([(sets[0], 1.0), (sets[1], 3.0)])
    counts = [len(usable) for usable in scenery.usable]
    assert scenery.shares[1] == pytest.approx(3 * counts[1] / (counts[0] + 3 * counts[1]))
    images = [scenery.sample_object(np.random.default_rng(number))[0] for number in range(200)]
    stills = {sets[1].image(index).tobytes() for index in range(len(sets[1]))}
    assert np.mean([image.tobytes() in stills for image in images]) == pytest.approx(scenery.shares[1], abs=0.12)


def test_a_set_without_weight_or_images_is_left_out(sets: Sets, tmp_path: Path) -> None:
    assert Scenery.collect([(sets[0], 1.0), (sets[1], 0.0)]).sets == (sets[0],)
    assert Scenery.collect([(sets[0], 1.0), (open_stills(tmp_path), 1.0)]).sets == (sets[0],)


def test_no_image_with_a_held_out_category_is_used(sets: Sets) -> None:
    scenery = Scenery.collect([(images, 1.0) for images in sets], ["star"])
    for images, usable in zip(scenery.sets, scenery.usable, strict=True):
        assert not any("star" in images.categories_in(index) for index, _ in usable)


def test_objects_of_given_categories_alone(sets: Sets) -> None:
    scenery = Scenery.of_categories(sets, ["star"])
    chosen = [
        images.instances(index)[number].category
        for images, usable in zip(scenery.sets, scenery.usable, strict=True)
        for index, number in usable
    ]
    assert set(chosen) == {"star"}
    with pytest.raises(UserError, match=r"held_out_categories: no object .* is one of unicorn; correct the names"):
        Scenery.of_categories(sets, ["unicorn"])


def test_a_moving_object_is_shown_at_first_and_moves(sets: Sets) -> None:
    scenery = Scenery.collect([(images, 1.0) for images in sets])
    for number in range(4):
        images, masks = sample_moving_object(np.random.default_rng(number), scenery, 96, 5)
        assert len(images) == len(masks) == 5
        assert images[0].shape == (96, 96, 3)
        assert masks[0].sum() >= MIN_SHOWN
        assert (masks[0] != masks[-1]).any()
