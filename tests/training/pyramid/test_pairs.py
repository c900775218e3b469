"""Pairs of views of still images, and batches of them."""

import numpy as np
import pytest
import torch

from partprop.base.errors import UserError
from partprop.data.stills import open_stills
from partprop.params import SyntheticData
from partprop.synthetic import write_stills
from partprop.training.common.scenery import Scenery
from partprop.training.pyramid.pairs import MIN_PIXELS, Pair, StillPairs
from partprop.training.pyramid.task import collate

CROP = 96
SETTINGS = SyntheticData(
    seed=5, width=160, height=96, train_images=1, val_images=1, still_images=6, train_videos=1, val_videos=1, frames=8
)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> StillPairs:
    folder = tmp_path_factory.mktemp("stills")
    write_stills(folder, SETTINGS)
    return StillPairs(Scenery.collect([(open_stills(folder), 1.0)]), CROP)


def drawn(pairs: StillPairs, count: int = 20) -> list[Pair]:
    return [pairs.draw(np.random.default_rng([3, number])) for number in range(count)]


def test_the_reference_shows_the_object_and_some_hide_a_side_of_it(pairs: StillPairs):
    hidden = []
    for pair in drawn(pairs):
        assert pair.images.shape == (2, CROP, CROP, 3)
        assert pair.images.dtype == np.uint8
        assert set(np.unique(pair.masks)) <= {0, 1}
        assert pair.masks[0].sum() >= MIN_PIXELS
        share = pair.masks[0][pair.shown > 0].sum() / pair.masks[0].sum()
        hidden.append(share < 1)
        assert 0.3 < share <= 1
    assert 0 < sum(hidden) < len(hidden) / 2


def test_the_same_seed_draws_the_same_pair_and_another_seed_another(pairs: StillPairs):
    first, second, other = (pairs.draw(np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.masks, second.masks)
    assert (first.images != other.images).any()


def test_too_small_crops_raise_a_one_line_error(pairs: StillPairs):
    with pytest.raises(UserError, match=r"index\.csv: almost no object has 256 pixels in its crop"):
        StillPairs(pairs.scenery, 8).draw(np.random.default_rng(0))


def test_a_batch_holds_pairs_and_images_in_any_order(pairs: StillPairs):
    first, second = drawn(pairs, 2)
    image = (torch.zeros(3, 64, 64), {"boxes": torch.zeros(0, 4)})
    batch = collate([first, image, second])
    assert [each.shape for each in batch.images] == [(3, 64, 64)]
    assert batch.views.shape == (2, 2, 3, CROP, CROP)
    assert batch.views.abs().max() <= 1
    cells = first.masks[1].reshape(CROP // 8, 8, CROP // 8, 8).mean((1, 3))
    np.testing.assert_allclose(batch.masks[0, 1], cells, atol=1e-6)
    np.testing.assert_array_equal(batch.shown[0], first.shown.reshape(CROP // 8, 8, CROP // 8, 8).min((1, 3)))
