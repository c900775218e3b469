"""Label propagation, the strongest baseline: labels follow the nearest features of an untrained network.

Sources: Vondrick et al., "Tracking Emerges by Colorizing Videos", ECCV 2018; Jabri, Owens, Efros, "Space-Time
Correspondence as a Contrastive Random Walk", NeurIPS 2020, for the usual settings: the first frame and the last few as
context, a limited radius, the k nearest neighbours, and a softmax with a temperature over them; Caron et al., "Emerging
Properties in Self-Supervised Vision Transformers", ICCV 2021, whose code rescales each label's probabilities before the
greatest wins. "Untrained" means for videos: the backbone knows ImageNet only.
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
LEVELS = slice(0, 3)  # C2, C3 and C4 of the backbone: together they find the same place far better than C3 alone
TILE = 16  # columns of cells whose similarities are computed together; changes the speed only


class BackboneFeatures:
    """Unit-length features of a frame at stride 8: maps uint8 RGB (H, W, 3) to float (C, h, w).

    Args:
        backbone: maps images (B, 3, H, W) to features C2..C5 at strides 4, 8, 16, 32.
        short_side: frames are shrunk so that their shorter side has at most this many pixels.
    """

    def __init__(self, backbone: nn.Module, short_side: int) -> None:
        self.backbone = backbone.eval()
        self.short_side = short_side

    @torch.inference_mode()
    def __call__(self, frame: np.ndarray) -> Tensor:
        height, width = frame.shape[:2]
        scale = min(1.0, self.short_side / min(height, width))
        # Whole cells, so that feature cells and label cells cover the same pixels.
        height, width = (max(STRIDE, STRIDE * round(side * scale / STRIDE)) for side in (height, width))
        resized = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
        levels = self.backbone(normalise(resized)[None])[LEVELS]
        shape = (height // STRIDE, width // STRIDE)
        at_stride = [functional.normalize(_resized(level, shape)[0], dim=0) for level in levels]
        return functional.normalize(torch.cat(at_stride), dim=0)


def _resized(level: Tensor, shape: tuple[int, int]) -> Tensor:
    """A level (1, C, ·, ·) at the size (h, w): finer ones averaged, coarser ones interpolated."""
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
    """Propagate the first label map through a video; memory does not grow with its length.

    Args:
        frames: uint8 RGB (H, W, 3) each.
        first_labels: uint8 (H, W).
        features: maps a frame to unit-length features (C, h, w).
        context_frames: number of last frames beside the first from which labels are taken.
        radius: greatest shift of a label in feature cells, along either axis.
        neighbours: number of most similar context cells that vote for a cell.
        temperature: of the softmax over the neighbours' cosine similarities.

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
    """Label probabilities of a frame as the mean over its cells' nearest context cells, weighted by similarity.

    Args:
        query: features (C, h, w).
        context: features (C, h, w) and label probabilities (L, h, w) of each context frame.
        radius, neighbours, temperature: as for `label_propagation`.

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
    """Stretch the probabilities (L, H, W) of each label to [0, 1], lest those of small objects blur below the rest."""
    votes = votes - votes.amin(dim=(1, 2), keepdim=True)
    return votes / votes.amax(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(votes.dtype).tiny)


def local_similarity(query: Tensor, key: Tensor, radius: int) -> Tensor:
    """Dot product of each query feature with the key features in the square window around it.

    Args:
        query, key: (C, h, w).
        radius: of the window, in cells.

    Returns:
        (h * w, side * side) with side = 2 * radius + 1, rows of the window first; -inf outside the frame.
    """
    channels, height, width = query.shape
    side, tiles = 2 * radius + 1, -(-width // TILE)
    fill = tiles * TILE - width
    queries = functional.pad(query, (0, fill)).view(channels, height, tiles, TILE).permute(1, 2, 3, 0).contiguous()
    keys = functional.pad(key, (radius, radius + fill, radius, radius))
    reach = TILE + 2 * radius  # columns of keys that a tile of a row can see
    keys = keys.unfold(2, reach, TILE).permute(1, 2, 0, 3).contiguous()  # (h + 2r, tiles, C, reach)
    result = query.new_empty(height, tiles, TILE, side, side)
    for shift in range(side):
        # One matrix product per tile and row, of all its columns with all that it can see, is faster than window by
        # window. The windows are its diagonals: columns x to x + 2r of row x.
        products = queries @ keys[shift : shift + height]  # (h, tiles, TILE, reach)
        strides = (tiles * TILE * reach, TILE * reach, reach + 1, 1)
        result[:, :, :, shift] = products.as_strided((height, tiles, TILE, side), strides)
    result = result.view(height, tiles * TILE, side, side)[:, :width]
    outside_y, outside_x = _outside(height, radius), _outside(width, radius)
    result.masked_fill_(outside_y[:, None, :, None] | outside_x[None, :, None, :], -torch.inf)
    return result.reshape(height * width, side * side)


def _outside(length: int, radius: int) -> Tensor:
    """Which cells of each cell's window along one axis lie outside the frame: bool (length, 2 * radius + 1)."""
    positions = torch.arange(length)[:, None] + torch.arange(-radius, radius + 1)
    return (positions < 0) | (positions >= length)


def _cell_index(window_index: Tensor, height: int, width: int, radius: int) -> Tensor:
    """Index into the h * w cells from an index into the window around each: (h * w, k) → (h * w, k)."""
    side = 2 * radius + 1
    cell = torch.arange(height * width)[:, None]
    y = cell // width + window_index // side - radius
    x = cell % width + window_index % side - radius
    # Cells outside the frame have no weight; any valid index will do for them.
    return y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
