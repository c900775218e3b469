"""Label propagation, the strongest baseline: each cell takes the labels of its nearest neighbours in feature space.

The backbone is trained on ImageNet only, not on videos. Sources: Vondrick et al., "Tracking Emerges by Colorizing
Videos", ECCV 2018; Jabri, Owens, Efros, "Space-Time Correspondence as a Contrastive Random Walk", NeurIPS 2020, for the
usual settings (first and last few frames as context, limited radius, softmax with temperature over the k nearest
neighbours); Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", ICCV 2021, whose code rescales
the probabilities of each label before the argmax.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from partprop.model.backbone.imagenet import normalise

STRIDE = 8
LEVELS = slice(0, 3)  # C2, C3 and C4 of the backbone: together they match far better than C3 alone
TILE = 16  # columns of cells whose similarities are computed together; affects the speed only


class BackboneFeatures:
    """Extractor of unit-length features at stride 8: maps uint8 RGB (H, W, 3) to float (C, h, w).

    Args:
        backbone: maps images (B, 3, H, W) to features C2..C5 at strides 4, 8, 16, 32.
        short_side: maximum shorter side of a frame in pixels; larger frames are shrunk.
    """

    def __init__(self, backbone: nn.Module, short_side: int) -> None:
        self.backbone = backbone.eval()
        self.short_side = short_side

    @torch.inference_mode()
    def __call__(self, frame: np.ndarray) -> Tensor:
        height, width = frame.shape[:2]
        scale = min(1.0, self.short_side / min(height, width))
        # Rounded to whole cells, so that feature cells and label cells cover the same pixels.
        height, width = (max(STRIDE, STRIDE * round(side * scale / STRIDE)) for side in (height, width))
        resized = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
        levels = self.backbone(normalise(resized)[None])[LEVELS]
        shape = (height // STRIDE, width // STRIDE)
        at_stride = [functional.normalize(_resized(level, shape)[0], dim=0) for level in levels]
        return functional.normalize(torch.cat(at_stride), dim=0)


def _resized(level: Tensor, shape: tuple[int, int]) -> Tensor:
    """Resize a level (1, C, ·, ·) to (h, w): average pooling if it is finer, bilinear interpolation if coarser."""
    if level.shape[2] > shape[0]:
        return functional.adaptive_avg_pool2d(level, shape)
    return functional.interpolate(level, shape, mode="bilinear", align_corners=False)


@torch.inference_mode()
def label_propagation(
    frames: Iterable[np.ndarray],
    first_labels: np.ndarray,
    features: Callable[[np.ndarray], Tensor],
    context_frames: int,
    radius: int,
    neighbours: int,
    temperature: float,
) -> Iterator[np.ndarray]:
    """Propagate the first label map through a video. Memory does not grow with its length.

    Args:
        frames: uint8 RGB (H, W, 3) each.
        first_labels: uint8 (H, W).
        features: maps a frame to unit-length features (C, h, w).
        context_frames: number of previous frames that serve as context in addition to the first.
        radius: maximum shift of a label along each axis, in feature cells.
        neighbours: number of most similar context cells that vote for a cell.
        temperature: of the softmax over the cosine similarities of the neighbours.

    Yields:
        The label map of each frame, the first included: uint8 (H, W).
    """
    ids = np.unique(first_labels)
    first: tuple[Tensor, Tensor] | None = None
    recent: deque[tuple[Tensor, Tensor]] = deque(maxlen=context_frames)
    for frame in frames:
        query = features(frame)
        if first is None:
            one_hot = torch.from_numpy(first_labels == ids[:, None, None]).float()
            first = query, functional.interpolate(one_hot[None], query.shape[1:], mode="area")[0]
            yield first_labels
            continue
        votes = propagate(query, [first, *recent], radius, neighbours, temperature)
        recent.append((query, votes))
        full = functional.interpolate(votes[None], first_labels.shape, mode="bilinear", align_corners=False)[0]
        yield ids[rescale(full).argmax(dim=0).numpy()]


def propagate(
    query: Tensor, context: Iterable[tuple[Tensor, Tensor]], radius: int, neighbours: int, temperature: float
) -> Tensor:
    """Label probabilities of a frame: for each cell, the mean over its nearest context cells, weighted by similarity.

    Args:
        query: features (C, h, w).
        context: features (C, h, w) and label probabilities (L, h, w) of each context frame.
        radius, neighbours, temperature: as in `label_propagation`.

    Returns:
        Label probabilities (L, h, w).
    """
    height, width = query.shape[1:]
    neighbours = min(neighbours, (2 * radius + 1) ** 2)
    similarities, votes = [], []
    for key, labels in context:
        best, window_index = local_similarity(query, key, radius).topk(neighbours, dim=-1)
        similarities.append(best)
        votes.append(labels.flatten(1)[:, _cell_index(window_index, height, width, radius)])
    similarity, chosen = torch.cat(similarities, dim=-1).topk(neighbours, dim=-1)
    weights = (similarity / temperature).softmax(dim=-1)
    chosen_votes = torch.cat(votes, dim=-1).gather(-1, chosen.expand(len(votes[0]), -1, -1))
    return (chosen_votes * weights).sum(dim=-1).view(-1, height, width)


def rescale(votes: Tensor) -> Tensor:
    """Scale the probabilities (L, H, W) of each label to [0, 1], so that blurred small objects can win the argmax."""
    votes = votes - votes.amin(dim=(1, 2), keepdim=True)
    return votes / votes.amax(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(votes.dtype).tiny)


def local_similarity(query: Tensor, key: Tensor, radius: int) -> Tensor:
    """Dot products of each query feature with the key features in the square window around it.

    Args:
        query, key: (C, h, w).
        radius: of the window, in cells.

    Returns:
        (h * w, side * side) with side = 2 * radius + 1, windows in row-major order; -inf outside the frame.
    """
    channels, height, width = query.shape
    side, tiles = 2 * radius + 1, -(-width // TILE)
    fill = tiles * TILE - width
    queries = functional.pad(query, (0, fill)).view(channels, height, tiles, TILE).permute(1, 2, 3, 0).contiguous()
    keys = functional.pad(key, (radius, radius + fill, radius, radius))
    reach = TILE + 2 * radius  # columns of keys in the windows of a tile
    keys = keys.unfold(2, reach, TILE).permute(1, 2, 0, 3).contiguous()  # (h + 2r, tiles, C, reach)
    result = query.new_empty(height, tiles, TILE, side, side)
    for shift in range(side):
        # One matrix product per tile and row, of its queries with all keys in reach, is faster than one per window. The
        # windows are the diagonals of the product: columns x to x + 2r of row x.
        products = queries @ keys[shift : shift + height]  # (h, tiles, TILE, reach)
        strides = (tiles * TILE * reach, TILE * reach, reach + 1, 1)
        result[:, :, :, shift] = products.as_strided((height, tiles, TILE, side), strides)
    result = result.view(height, tiles * TILE, side, side)[:, :width]
    outside_y, outside_x = _outside(height, radius), _outside(width, radius)
    result.masked_fill_(outside_y[:, None, :, None] | outside_x[None, :, None, :], -torch.inf)
    return result.reshape(height * width, side * side)


def _outside(length: int, radius: int) -> Tensor:
    """Mask of the window positions along one axis that are outside the frame: bool (length, 2 * radius + 1)."""
    positions = torch.arange(length)[:, None] + torch.arange(-radius, radius + 1)
    return (positions < 0) | (positions >= length)


def _cell_index(window_index: Tensor, height: int, width: int, radius: int) -> Tensor:
    """Convert indices into the window around each cell to indices into the h * w cells: (h * w, k) to (h * w, k)."""
    side = 2 * radius + 1
    cell = torch.arange(height * width)[:, None]
    y = cell // width + window_index // side - radius
    x = cell % width + window_index % side - radius
    # Cells outside the frame have zero weight, so any valid index will do.
    return y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
