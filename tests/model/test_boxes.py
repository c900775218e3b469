"""Boxes as tensors, RoIAlign and its inverse."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import roi_align as torchvision_roi_align

from partprop.model.boxes import box_of_mask, enlarge, from_centre_size, paste, roi_align, roi_align_all, to_centre_size


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.floats(8, 30), st.floats(8, 30)),
    st.tuples(st.floats(4, 60), st.floats(4, 60)),
    st.sampled_from([4, 7, 16]),
)
def test_roi_align_is_torchvisions_inside_the_image(corner, size, cells):
    features = torch.randn(2, 3, 24, 28, generator=torch.Generator().manual_seed(0))
    box = torch.tensor([corner[0], corner[1], min(corner[0] + size[0], 104), min(corner[1] + size[1], 88)])
    boxes = torch.stack([box, box + 2])[None].expand(2, -1, -1)
    ours = roi_align(features, boxes, cells, 4)
    theirs = torchvision_roi_align(features, list(boxes), cells, 0.25, 1, aligned=True)
    torch.testing.assert_close(ours.flatten(0, 1), theirs, atol=1e-4, rtol=1e-4)


def test_roi_align_is_zero_outside():
    assert roi_align(torch.ones(1, 1, 4, 4), torch.tensor([[[100.0, 100, 140, 140]]]), 4, 8).sum() == 0


def test_maps_of_several_strides_and_sizes_are_aligned_as_each_alone():
    generator = torch.Generator().manual_seed(2)
    maps = [
        (torch.randn(2, 3, 64 // stride, 96 // stride, generator=generator), stride, size)
        for stride, size in ((4, 6), (16, 6), (8, 9))
    ]
    corners = 40 * torch.rand(2, 5, 2, generator=generator)
    boxes = torch.cat([corners, corners + 1 + 30 * torch.rand(2, 5, 2, generator=generator)], -1)
    for (features, stride, size), aligned in zip(maps, roi_align_all(maps, boxes), strict=True):
        torch.testing.assert_close(aligned, roi_align(features, boxes, size, stride), atol=0, rtol=0)


def test_paste_inverts_roi_align():
    image = torch.nn.functional.avg_pool2d(
        torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(1)), 5, 1, 2
    )
    box = torch.tensor([[8.0, 12, 24, 28]])
    crop = roi_align(image, box[None], 16, 1)[0]
    pasted = paste(crop, box, (40, 40))
    torch.testing.assert_close(pasted[0, 0, 13:27, 9:23], image[0, 0, 13:27, 9:23], atol=1e-5, rtol=0)
    assert pasted[0, 0, :11].sum() == 0
    assert pasted[0, 0, :, 26:].sum() == 0


def test_paste_at_a_stride_covers_the_same_place():
    crop = torch.ones(1, 1, 8, 8)
    pasted = paste(crop, torch.tensor([[16.0, 8, 48, 40]]), (32, 32), 2)
    inside = pasted[0, 0] > 0.99
    assert inside[5:19, 9:23].all()
    assert inside.sum() <= 16 * 16


def test_centre_and_size_round_trip():
    boxes = torch.tensor([[1.0, 2, 5, 10], [0, 0, 3, 3]])
    torch.testing.assert_close(from_centre_size(*to_centre_size(boxes)), boxes)
    torch.testing.assert_close(enlarge(boxes[:1], 1.5), torch.tensor([[0.0, 0, 6, 12]]))


def test_box_of_mask():
    mask = torch.zeros(6, 8)
    mask[2:4, 3:7] = 0.9
    assert box_of_mask(mask).tolist() == [3, 2, 7, 4]
    assert box_of_mask(torch.zeros(6, 8)) is None
