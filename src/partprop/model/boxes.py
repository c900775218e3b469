"""Boxes as tensors (…, 4), xyxy in pixels, and RoIAlign on them."""

import torch
import torch.nn.functional as F
from torch import Tensor


def enlarge(boxes: Tensor, factor: float) -> Tensor:
    """Scale boxes (…, 4) about their centres."""
    centre, size = to_centre_size(boxes)
    return from_centre_size(centre, size * factor)


def to_centre_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Centres (…, 2) as x, y and sizes (…, 2) as width, height of boxes (…, 4)."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]


def from_centre_size(centre: Tensor, size: Tensor) -> Tensor:
    """The inverse of `to_centre_size`."""
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def box_of_mask(mask: Tensor, threshold: float = 0.5) -> Tensor | None:
    """The tight box (4,) of the pixels of a mask (H, W) above `threshold`; None if there are none."""
    ys, xs = ((mask.amax(dim) > threshold).nonzero()[:, 0] for dim in (1, 0))
    if len(xs) == 0:
        return None
    return torch.stack([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1]).float()


def roi_align(features: Tensor, boxes: Tensor, size: int, stride: float) -> Tensor:
    """RoIAlign (He et al., ICCV 2017, section 3) with one sample in each bin; zero outside the features.

    The same as `torchvision.ops.roi_align(…, sampling_ratio=1, aligned=True)` inside the image, through `grid_sample`,
    whose backward pass is several times faster on a CPU.

    Args:
        features: (B, C, H, W).
        boxes: (B, K, 4), in pixels of the image.
        size: side of the square output.
        stride: pixels of the image per feature cell.

    Returns:
        (B, K, C, size, size).
    """
    batch, channels, height, width = features.shape
    bins = (torch.arange(size, device=features.device, dtype=features.dtype) + 0.5) / size
    extent = boxes.new_tensor([width * stride, height * stride])
    corner = boxes[..., :2] / extent * 2 - 1
    span = (boxes[..., 2:] - boxes[..., :2]) / extent * 2
    xs = corner[..., :1] + span[..., :1] * bins
    ys = corner[..., 1:] + span[..., 1:] * bins
    count = boxes.shape[1]
    grid = torch.stack([xs[:, :, None, :].expand(-1, -1, size, -1), ys[:, :, :, None].expand(-1, -1, -1, size)], dim=-1)
    grid = grid.reshape(batch, count * size, size, 2).to(features.dtype)
    sampled = F.grid_sample(features, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return sampled.view(batch, channels, count, size, size).transpose(1, 2)


def paste(crops: Tensor, boxes: Tensor, shape: tuple[int, int], stride: float = 1.0) -> Tensor:
    """The inverse of `roi_align`: resample crops into the image, zero outside their boxes.

    Args:
        crops: (K, C, S, S).
        boxes: (K, 4), in pixels of the image.
        shape: (H, W) of the output.
        stride: pixels of the image per output cell.

    Returns:
        (K, C, H, W).
    """
    height, width = shape
    size = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3)
    xs = (torch.arange(width, device=boxes.device, dtype=boxes.dtype) + 0.5) * stride
    ys = (torch.arange(height, device=boxes.device, dtype=boxes.dtype) + 0.5) * stride
    xs = (xs[None] - boxes[:, :1]) / size[:, :1] * 2 - 1
    ys = (ys[None] - boxes[:, 1:2]) / size[:, 1:] * 2 - 1
    grid = torch.stack([xs[:, None, :].expand(-1, height, -1), ys[:, :, None].expand(-1, -1, width)], dim=-1)
    return F.grid_sample(crops, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
