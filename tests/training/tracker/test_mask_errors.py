"""Errors on the previous mask, and teacher forcing."""

import torch
from torch import Tensor

from partprop.training.tracker.mask_errors import ClipSupervision, MaskErrors, apply_errors

SIDE = 64


def square() -> Tensor:
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[:, :, 20:40, 24:48] = 1
    return mask


def errors(drift: tuple[float, float] = (0.0, 0.0), dilation: float = 0.0, patches: Tensor | None = None) -> MaskErrors:
    shift = torch.tensor(drift)[None, :, None, None].expand(1, 2, 8, 8)
    return MaskErrors(shift, torch.tensor([dilation]), torch.zeros(1, 1, 32, 32) if patches is None else patches)


def require_close(mask: Tensor, expected: Tensor) -> None:
    """Equal up to rounding in grid_sample."""
    torch.testing.assert_close(mask, expected, atol=1e-4, rtol=0)


def test_zero_errors_keep_the_mask():
    require_close(apply_errors(square(), errors()), square())


def test_drift_is_a_fraction_of_the_sides():
    moved = apply_errors(square(), errors(drift=(4 / SIDE, -8 / SIDE)))
    require_close(moved, square().roll((-8, 4), (2, 3)))


def test_dilation_and_erosion_are_fractions_of_the_width():
    for cells in (3, -3):
        expected = torch.zeros_like(square())
        expected[:, :, 20 - cells : 40 + cells, 24 - cells : 48 + cells] = 1
        require_close(apply_errors(square(), errors(dilation=cells / SIDE)), expected)


def test_patches_set_and_clear_pixels():
    patches = torch.zeros(1, 1, 32, 32)
    patches[:, :, :2], patches[:, :, 15:] = 1, -1
    expected = square()
    expected[:, :, :4], expected[:, :, 30:] = 1, 0
    require_close(apply_errors(square(), errors(patches=patches)), expected)


def test_each_frame_has_errors_of_its_own():
    dilation = torch.tensor([[0.0, 3 / SIDE, -3 / SIDE]])
    clip = MaskErrors(torch.zeros(1, 3, 2, 8, 8), dilation, torch.zeros(1, 3, 1, 32, 32))
    areas = [round(float(apply_errors(square(), clip.at_frame(time)).sum())) for time in range(3)]
    assert areas == [20 * 24, 26 * 30, 14 * 18]


def test_a_teacher_forced_frame_starts_from_the_true_previous_mask():
    masks = torch.stack([square(), square().roll(4, 3), square().roll(8, 3)], 1)
    none = MaskErrors(torch.zeros(1, 3, 2, 8, 8), torch.zeros(1, 3), torch.zeros(1, 3, 1, 32, 32))
    supervision = ClipSupervision(masks, torch.tensor([[0.0, 0.0, 1.0]]), none)
    predicted = torch.full((1, 1, SIDE // 2, SIDE // 2), 0.3)
    require_close(supervision.previous_mask(predicted, 1), predicted)
    require_close(supervision.previous_mask(predicted, 2), torch.nn.functional.avg_pool2d(masks[:, 1], 2))
