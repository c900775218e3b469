"""The parts of an object: proposed over its mask, tracked, scored, dropped and proposed again (FAVOS, section 3)."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from partprop.model.boxes import enlarge, from_centre_size, roi_align, to_centre_size
from partprop.model.evidence import Prepared
from partprop.model.features import Features
from partprop.model.network import CONTEXT, Network
from partprop.model.part_tracker import best_boxes

SCALE = 0.5  # sides of parts over those of the object's box
SMALLEST = 12.0  # pixels of the working resolution below which a part shows no detail
KEEP_SCORE = 0.35  # similarity times presence, below which a part is dropped
MIN_GAIN = 0.08  # share of the mask that a further part must add
CELL = 5.0  # pixels of the working resolution, or a little less, of a cell of the RoIs in which masks are decoded
SIZE_STEP = 4  # RoIs have a multiple of so many cells a side: the decoder halves them twice
LEAST_SIZE = 16


@dataclass(frozen=True)
class Parts:
    """K parts of an object; part 0 is the whole object.

    boxes: (K, 4) in pixels of the working resolution. templates: (K, C, 8, 8). guidance: (K, G, S, S).
    scores: (K,) in [0, 1], the similarity to the template; once masks are decoded, times the presence, and that of part
    0 is the confidence in the object. names: a number that stays with each part.
    """

    boxes: Tensor
    templates: Tensor
    guidance: Tensor
    scores: Tensor
    names: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.names)

    def select(self, indices: list[int]) -> "Parts":
        """Some of the parts."""
        return Parts(
            self.boxes[indices],
            self.templates[indices],
            self.guidance[indices],
            self.scores[indices],
            tuple(self.names[index] for index in indices),
        )

    def without(self, indices: list[int]) -> "Parts":
        """The other parts."""
        return self.select([index for index in range(len(self)) if index not in indices]) if indices else self

    def moved(self, boxes: Tensor, scores: Tensor) -> "Parts":
        """The same parts at other places."""
        return Parts(boxes, self.templates, self.guidance, scores, self.names)

    def placed(self, whole: Tensor) -> "Parts":
        """The same parts when the whole object's box is known to be `whole` (4,): they grow and shrink with it."""
        growth = to_centre_size(whole)[1].prod().sqrt() / to_centre_size(self.boxes[0])[1].prod().sqrt()
        return self.moved(torch.cat([whole[None], enlarge(self.boxes[1:], float(growth))]), self.scores)

    def joined(self, others: "Parts") -> "Parts":
        """These parts and others."""
        return Parts(
            torch.cat([self.boxes, others.boxes]),
            torch.cat([self.templates, others.templates]),
            torch.cat([self.guidance, others.guidance]),
            torch.cat([self.scores, others.scores]),
            self.names + others.names,
        )


def describe(network: Network, features: Features, mask: Tensor, boxes: Tensor, first_name: int) -> Parts:
    """Parts with boxes (K, 4) as they look in a frame with this mask (H, W)."""
    templates = network.tracker.embed(features.tracking_levels, boxes[None])[0]
    guidance = network.guide(features, mask[None, None], boxes[None])[0]
    names = tuple(range(first_name, first_name + len(boxes)))
    return Parts(boxes, templates, guidance, torch.ones(len(boxes), device=boxes.device), names)


def track(network: Network, features: Features, parts: Parts) -> Parts:
    """Find the parts in the next frame."""
    scores = network.tracker(features.tracking_levels, parts.templates[None], parts.boxes[None])
    boxes, best = best_boxes(scores, parts.boxes[None])
    return parts.moved(boxes[0], best[0])


def decode(
    network: Network,
    features: Features,
    prepared: Prepared,
    offset: tuple[int, int],
    parts: Parts,
    before: Tensor,
    mask: Tensor,
) -> tuple[Tensor, Tensor]:
    """The parts' masks in their windows, of those of small parts no more cells than show something new.

    Args:
        features, prepared, offset: of the current frame, as of `Network.decode`.
        parts: K of them, at their places in it.
        before: (K, 4), their windows in the previous frame; mask: (1, 1, H, W), the mask there.

    Returns:
        Corrections (K, 1, 2S, 2S) of the prior, S the network's RoI size, and presence (K,) in [0, 1].
    """
    decoded = []
    for group in (slice(0, 1), slice(1, len(parts))):
        boxes = parts.boxes[group]
        if len(boxes) == 0:
            continue
        size = _size(enlarge(boxes, CONTEXT), network.roi_size)
        previous = roi_align(mask, before[None, group], 2 * size, 1)
        guidance = _resized(parts.guidance[group], size)
        _, corrections, presence = network.decode(features, prepared, offset, boxes[None], previous, guidance[None])
        decoded.append((_resized(corrections[0], 2 * network.roi_size), presence[0].sigmoid()))
    corrections, presence = (torch.cat(groups) for groups in zip(*decoded, strict=True))
    return corrections, presence


def propose(mask: Tensor, whole: Tensor, count: int, taken: Tensor | None = None) -> Tensor:
    """Boxes (≤ count, 4) over a mask, chosen one by one for the share of the mask that they newly cover.

    Args:
        mask: (H, W) in [0, 1].
        whole: (4,), the object's box; what the mask has outside is not covered.
        taken: (K, 4) boxes of parts that exist already.
    """
    if count == 0:
        return mask.new_zeros(0, 4)
    left, corner = _inside(mask, whole)
    candidates = _candidates(left, whole)
    area = left.sum()
    for box in taken if taken is not None else []:
        _clear(left, box - corner)
    chosen: list[Tensor] = []
    while len(chosen) < count and len(candidates):
        gains = _box_sums(left, candidates - corner)
        best = int(gains.argmax())
        if gains[best] < MIN_GAIN * area:
            break
        chosen.append(candidates[best])
        _clear(left, candidates[best] - corner)
    return torch.stack(chosen) if chosen else mask.new_zeros(0, 4)


def unreliable(parts: Parts, whole: Tensor) -> list[int]:
    """Indices of parts that are no longer similar to their template or have left the object's window (4,)."""
    centres, _ = to_centre_size(parts.boxes)
    window = enlarge(whole, 1.2)
    inside = ((centres >= window[:2]) & (centres <= window[2:])).all(1)
    lost = (parts.scores < KEEP_SCORE) | ~inside
    return [index for index in range(1, len(parts)) if lost[index]]


def redundant(parts: Parts, mask: Tensor) -> list[int]:
    """Indices of parts that show too little of a mask (H, W) beside those that are more similar to their template.

    Parts of an object that grows or turns crowd where it still looks as it did, and what is new would have none. What
    the mask has outside the whole object's box does not count.
    """
    whole = parts.boxes[0]
    left, corner = _inside(mask, whole)
    least, found = MIN_GAIN * left.sum(), []
    for index in (1 + parts.scores[1:].argsort(descending=True)).tolist():
        box = parts.boxes[index] - corner
        if left[_pixels(box)].sum() < least:
            found.append(index)
        else:
            _clear(left, box)
    return found


def _size(windows: Tensor, largest: int) -> int:
    """Side of the RoIs of windows (K, 4), in cells."""
    side = float(to_centre_size(windows)[1].prod(1).sqrt().amax())
    return min(largest, max(LEAST_SIZE, SIZE_STEP * math.ceil(side / CELL / SIZE_STEP)))


def _resized(maps: Tensor, size: int) -> Tensor:
    """Maps (K, C, ·, ·) at another resolution."""
    if maps.shape[-1] == size:
        return maps
    return F.interpolate(maps, size=(size, size), mode="bilinear", align_corners=False, antialias=True)


def _candidates(inside: Tensor, whole: Tensor) -> Tensor:
    """Boxes centred on a grid of the pixels inside the object's box; none if they would be too small to be tracked."""
    _, size = to_centre_size(whole)
    if (size * SCALE).min() < SMALLEST:
        return inside.new_zeros(0, 4)
    step = max(2, int(size.max() / 12))
    ys, xs = inside[::step, ::step].nonzero(as_tuple=True)
    centres = torch.stack([xs, ys], 1).to(inside.dtype) * step + 0.5 + whole[:2]
    return from_centre_size(centres, (size * SCALE).expand_as(centres))


def _box_sums(values: Tensor, boxes: Tensor) -> Tensor:
    """Sum of values (H, W) inside each box (N, 4), through an integral image."""
    height, width = values.shape
    integral = torch.zeros(height + 1, width + 1, dtype=values.dtype, device=values.device)
    integral[1:, 1:] = values.cumsum(0).cumsum(1)
    x1, y1, x2, y2 = boxes.round().long().unbind(1)
    x1, x2 = x1.clamp(0, width), x2.clamp(0, width)
    y1, y2 = y1.clamp(0, height), y2.clamp(0, height)
    return integral[y2, x2] - integral[y1, x2] - integral[y2, x1] + integral[y1, x1]


def _inside(mask: Tensor, whole: Tensor) -> tuple[Tensor, Tensor]:
    """Where a mask (H, W) is true, 0 or 1, inside its tight box (4,), and the box's corner (4,): x, y, x, y."""
    return (mask[_pixels(whole)] > 0.5).float(), whole[[0, 1, 0, 1]]


def _clear(values: Tensor, box: Tensor) -> None:
    values[_pixels(box)] = 0


def _pixels(box: Tensor) -> tuple[slice, slice]:
    """Rows and columns of a box (4,)."""
    x1, y1, x2, y2 = box.round().long().clamp(min=0).tolist()
    return slice(y1, y2), slice(x1, x2)
