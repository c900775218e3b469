"""What training does to the previous mask: each error does what it says, the true mask is given where told."""

import torch
from torch import Tensor

from partprop.training.tracker.mask_errors import Lesson, MaskErrors, disturb

SIDE = 64


def square() -> Tensor:
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[:, :, 20:40, 24:48] = 1
    return mask


def errors(drift: tuple[float, float] = (0.0, 0.0), spread: float = 0.0, paint: Tensor | None = None) -> MaskErrors:
    shift = torch.tensor(drift)[None, :, None, None].expand(1, 2, 8, 8)
    return MaskErrors(shift, torch.tensor([spread]), torch.zeros(1, 1, 32, 32) if paint is None else paint)


def same(mask: Tensor, expected: Tensor) -> None:
    """Equal but for the rounding of the grid at which the mask is sampled."""
    torch.testing.assert_close(mask, expected, atol=1e-4, rtol=0)


def test_without_errors_the_mask_stays():
    same(disturb(square(), errors()), square())


def test_the_contour_drifts_by_a_share_of_the_sides():
    moved = disturb(square(), errors(drift=(4 / SIDE, -8 / SIDE)))
    same(moved, square().roll((-8, 4), (2, 3)))


def test_the_mask_grows_and_shrinks_by_a_share_of_the_width():
    for cells in (3, -3):
        expected = torch.zeros_like(square())
        expected[:, :, 20 - cells : 40 + cells, 24 - cells : 48 + cells] = 1
        same(disturb(square(), errors(spread=cells / SIDE)), expected)


def test_paint_adds_and_takes_away_pieces():
    paint = torch.zeros(1, 1, 32, 32)
    paint[:, :, :2], paint[:, :, 15:] = 1, -1
    expected = square()
    expected[:, :, :4], expected[:, :, 30:] = 1, 0
    same(disturb(square(), errors(paint=paint)), expected)


def test_each_frame_has_its_own():
    spread = torch.tensor([[0.0, 3 / SIDE, -3 / SIDE]])
    clip = MaskErrors(torch.zeros(1, 3, 2, 8, 8), spread, torch.zeros(1, 3, 1, 32, 32))
    areas = [round(float(disturb(square(), clip.at(time)).sum())) for time in range(3)]
    assert areas == [20 * 24, 26 * 30, 14 * 18]


def test_the_true_mask_of_the_frame_before_is_given_where_told():
    masks = torch.stack([square(), square().roll(4, 3), square().roll(8, 3)], 1)
    none = MaskErrors(torch.zeros(1, 3, 2, 8, 8), torch.zeros(1, 3), torch.zeros(1, 3, 1, 32, 32))
    lesson = Lesson(masks, torch.tensor([[0.0, 0.0, 1.0]]), none)
    found = torch.full((1, 1, SIDE // 2, SIDE // 2), 0.3)
    same(lesson.prepare(found, 1), found)
    same(lesson.prepare(found, 2), torch.nn.functional.avg_pool2d(masks[:, 1], 2))
