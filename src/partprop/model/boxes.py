"""Boxes as tensors (…, 4), xyxy in pixels, and RoIAlign on them."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def enlarge(boxes: Tensor, factor: float) -> Tensor:
    """Scale boxes (…, 4) about their centres."""
    centre, size = to_centre_size(boxes)
    return from_centre_size(centre, size * factor)


def to_centre_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Centres (…, 2) as x, y and sizes (…, 2) as width, height of boxes (…, 4)."""
    near, far = boxes.split(2, -1)
    return (near + far) / 2, far - near


def from_centre_size(centre: Tensor, size: Tensor) -> Tensor:
    """The inverse of `to_centre_size`."""
    half = size / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def box_of_mask(mask: Tensor) -> Tensor | None:
    """Tight box (4,) of the pixels of a mask (H, W) above 0.5; None without such pixels."""
    ys, xs = ((mask.amax(dim) > 0.5).nonzero()[:, 0] for dim in (1, 0))
    if len(xs) == 0:
        return None
    return torch.stack([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1]).float()


def roi_align(features: Tensor, boxes: Tensor, size: int, stride: float) -> Tensor:
    """RoIAlign (He et al., ICCV 2017, section 3) with one sample per bin; zero outside the features.

    Equal to `torchvision.ops.roi_align(…, sampling_ratio=1, aligned=True)` inside the image. `grid_sample` makes its
    backward pass several times faster on a CPU.

    Args:
        features: (B, C, H, W).
        boxes: (B, K, 4), in pixels of the image.
        size: side of the square output.
        stride: pixels of the image per feature cell.

    Returns:
        (B, K, C, size, size).
    """
    return roi_align_all([(features, stride, size)], boxes)[0]


def roi_align_all(maps: Sequence[tuple[Tensor, float, int]], boxes: Tensor) -> list[Tensor]:
    """`roi_align` on several maps of the same frames, given as (features, stride, size).

    Sampling positions are computed once per size: on a processor that takes as long as sampling a small map.
    """
    features, stride, _ = maps[0]
    extent = (features.shape[3] * stride, features.shape[2] * stride)
    assert all((cells.shape[3] * step, cells.shape[2] * step) == extent for cells, step, _ in maps[1:])
    near, span = _on_frame(boxes, extent)
    sizes = {size for _, _, size in maps}
    places = {size: _places(near, span, size) for size in sizes}
    return [_sampled(cells, places[size], boxes.shape[1]) for cells, _, size in maps]


def _on_frame(boxes: Tensor, extent: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """First corner and sides, (B, K, 2, 1), of boxes (B, K, 4) in a frame (width, height) scaled to [-1, 1]²."""
    half = boxes.new_tensor([[extent[0] / 2], [extent[1] / 2]])
    near, far = boxes[..., None].split(2, -2)
    return near / half - 1, (far - near) / half


def _places(near: Tensor, span: Tensor, size: int) -> Tensor:
    """Bin centres (B, K·size, size, 2), x and y, of boxes given as in `_on_frame`."""
    bins = torch.arange(1, 2 * size, 2, device=near.device, dtype=near.dtype) / (2 * size)
    xs, ys = (near + span * bins).unbind(2)
    return torch.stack(torch.broadcast_tensors(xs[:, :, None], ys[..., None]), -1).flatten(1, 2)


def _sampled(features: Tensor, places: Tensor, count: int) -> Tensor:
    """Sample features (B, C, H, W) at places (B, K·size, size, 2) of K = count boxes: (B, K, C, size, size)."""
    sampled = F.grid_sample(
        features, places.to(features.dtype), mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return sampled.unflatten(2, (count, sampled.shape[3])).transpose(1, 2)


def paste(crops: Tensor, boxes: Tensor, shape: tuple[int, int], stride: float = 1.0) -> Tensor:
    """Inverse of `roi_align`: resample crops into the image, zero outside their boxes.

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
