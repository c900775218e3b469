"""Sides of an object that its reference does not show."""

import numpy as np

from partprop.data.labels import mask_box
from partprop.data.side import LEAST, Side

MASK = np.zeros((120, 200), np.uint8)
MASK[30:90, 40:160] = 1
BOX = mask_box(MASK)


def drawn(count: int = 20) -> list[Side]:
    noise = np.random.default_rng(1).integers(0, 80, (90, 70, 3)).astype(np.uint8)
    return [Side.draw(np.random.default_rng([2, number]), noise) for number in range(count)]


def test_a_new_side_covers_a_piece_of_the_object_and_nothing_else():
    view = np.full((*MASK.shape, 3), 255, np.uint8)
    for side in drawn():
        changed = (side.put_on(view, MASK, BOX) != 255).any(-1)
        assert not changed[MASK == 0].any()
        assert LEAST - 0.06 <= changed[MASK == 1].mean() <= 1 - LEAST + 0.06


def test_it_moves_and_grows_with_the_object():
    moved = np.zeros((240, 300), np.uint8)
    moved[100:220, 20:260] = 1  # twice as large
    for side in drawn(6):
        small = side.put_on(np.full((*MASK.shape, 3), 255, np.uint8), MASK, BOX)[30:90, 40:160]
        large = side.put_on(np.full((*moved.shape, 3), 255, np.uint8), moved, mask_box(moved))[100:220, 20:260]
        same = (small[1:-1, 1:-1] != 255).any(-1) == (large[::2, ::2][1:-1, 1:-1] != 255).any(-1)
        assert same.mean() > 0.95
