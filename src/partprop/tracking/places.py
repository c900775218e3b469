"""Regions of a frame in which objects are encoded, decoded and remembered: boxes, and windows of grid cells."""

import cv2
import numpy as np
import torch
from torch import Tensor

from partprop.model.boxes import box_of_mask, enlarge, from_centre_size, to_centre_size
from partprop.model.features import COARSEST, STRIDE, Features
from partprop.model.windows import Window

ENCODED = 2.5  # side of the encoded window over the side of the object's box in the previous frame
LEAST_BESIDE = 96.0  # least margin of that window in pixels: the reach of the local read-out
# The same for several objects, which share a window: the smallest that cost no accuracy (docs/decisions.md).
ENCODED_OF_SEVERAL, LEAST_BESIDE_SEVERAL = 2.0, 64.0
REMEMBERED = 1.5  # side of the window that is memorised cell by cell, over the side of the object's box


def with_room(boxes: Tensor, size: Tensor) -> Tensor:
    """Boxes (K, 4) with the first, the whole object's, grown to at least `size` (2,), to find what reappears."""
    centre, visible = to_centre_size(boxes[:1])
    return torch.cat([from_centre_size(centre, torch.maximum(visible, size)), boxes[1:]])


def remembered_cells(whole: Tensor, features: Features) -> Window:
    """Window of the stride-8 grid that is memorised for an object with box (4,)."""
    return covering_window(enlarge(whole[None], REMEMBERED), features.grid)


def encoded_cells(wholes: Tensor, grid: tuple[int, int]) -> Window:
    """Window of the coarsest grid that is encoded to find objects with boxes (K, 4) in the next frame."""
    centre, size = to_centre_size(wholes)
    single = len(wholes) == 1
    side, beside = (ENCODED, LEAST_BESIDE) if single else (ENCODED_OF_SEVERAL, LEAST_BESIDE_SEVERAL)
    room = torch.maximum(side * size, size + 2 * beside)
    return covering_window(from_centre_size(centre, room), grid, COARSEST)


def covering_window(boxes: Tensor, grid: tuple[int, int], stride: int = STRIDE) -> Window:
    """Smallest window of a grid, by default that of stride 8, that contains all boxes (K, 4); at least one cell."""
    x1, y1 = (boxes[:, :2].amin(0) / stride).floor().long().tolist()
    x2, y2 = (boxes[:, 2:].amax(0) / stride).ceil().long().tolist()
    top, left = min(max(y1, 0), grid[0] - 1), min(max(x1, 0), grid[1] - 1)
    return slice(top, min(max(y2, top + 1), grid[0])), slice(left, min(max(x2, left + 1), grid[1]))


def main_box(mask: Tensor) -> Tensor | None:
    """Tight box (4,) of a mask (H, W) in [0, 1], ignoring components smaller than a tenth of the largest; or None."""
    whole = box_of_mask(mask)
    if whole is None:
        return None
    left, top, right, bottom = whole.long().tolist()
    binary = (mask[top:bottom, left:right] > 0.5).to(torch.uint8).cpu().numpy()
    _, _, stats, _ = cv2.connectedComponentsWithStats(binary, connectivity=8)
    components = stats[1:]
    kept = components[components[:, cv2.CC_STAT_AREA] >= 0.1 * components[:, cv2.CC_STAT_AREA].max()]
    corners = kept[:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP]] + (left, top)
    far = corners + kept[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    box = np.concatenate([corners.min(0), far.max(0)]).astype(np.float32)
    return torch.from_numpy(box).to(mask.device)
