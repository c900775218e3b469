"""The parts of an object: proposed over its mask, tracked, scored, dropped and proposed again (FAVOS, section 3)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from partprop.model.boxes import enlarge, from_centre_size, to_centre_size
from partprop.model.features import Features
from partprop.model.network import CONTEXT, Network, RoiGroup
from partprop.model.part_tracker import best_boxes

SCALE = 0.5  # side of a part over the side of the object's box
SMALLEST = 12.0  # pixels of a part's side at the working resolution; smaller parts show no detail
KEEP_SCORE = 0.35  # a part with a lower score is dropped
MIN_GAIN = 0.08  # share of the mask that a new part must add
CELL = 5.0  # pixels per RoI cell at most, at the working resolution
SIZE_STEP = 4  # RoI sizes are multiples of it: the decoder halves them twice
LEAST_SIZE = 16


@dataclass(frozen=True)
class Parts:
    """K parts of an object; part 0 is the whole object.

    Attributes:
        boxes: (K, 4), xyxy in pixels of the working resolution.
        templates: (K, C, 8, 8), cropped when the part was proposed.
        guidance: (K, G, S, S), see `Network.guide`.
        scores: (K,) in [0, 1]. After tracking: similarity to the template. After decoding: similarity times presence;
            that of part 0 is the confidence in the object.
        names: a number for each part that never changes.
    """

    boxes: Tensor
    templates: Tensor
    guidance: Tensor
    scores: Tensor
    names: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.names)

    def select(self, indices: list[int]) -> "Parts":
        """The parts at some positions."""
        return Parts(
            self.boxes[indices],
            self.templates[indices],
            self.guidance[indices],
            self.scores[indices],
            tuple(self.names[index] for index in indices),
        )

    def without(self, indices: list[int]) -> "Parts":
        """All parts but those at some positions."""
        return self.select([index for index in range(len(self)) if index not in indices]) if indices else self

    def moved(self, boxes: Tensor, scores: Tensor) -> "Parts":
        """The same parts with new boxes (K, 4) and scores (K,)."""
        return Parts(boxes, self.templates, self.guidance, scores, self.names)

    def placed(self, whole: Tensor) -> "Parts":
        """Set the whole object's box to `whole` (4,) and scale the parts about their centres by the same factor."""
        growth = to_centre_size(whole)[1].prod().sqrt() / to_centre_size(self.boxes[0])[1].prod().sqrt()
        return self.moved(torch.cat([whole[None], enlarge(self.boxes[1:], float(growth))]), self.scores)

    def joined(self, others: "Parts") -> "Parts":
        """These parts followed by others."""
        return Parts(
            torch.cat([self.boxes, others.boxes]),
            torch.cat([self.templates, others.templates]),
            torch.cat([self.guidance, others.guidance]),
            torch.cat([self.scores, others.scores]),
            self.names + others.names,
        )


def create_parts(network: Network, features: Features, mask: Tensor, boxes: Tensor, first_name: int) -> Parts:
    """Crop templates and guidance of parts with boxes (K, 4) from a frame with mask (H, W) in [0, 1].

    Args:
        first_name: the parts are named first_name, first_name + 1, …
    """
    templates = network.tracker.embed(features.tracking_levels, boxes[None])[0]
    guidance = network.guide(features, mask[None, None], boxes[None])[0]
    names = tuple(range(first_name, first_name + len(boxes)))
    return Parts(boxes, templates, guidance, torch.ones(len(boxes), device=boxes.device), names)


def track(network: Network, features: Features, parts: Parts) -> Parts:
    """Move the parts to the peaks of the part tracker's response in the current frame."""
    scores = network.tracker(features.tracking_levels, parts.templates[None], parts.boxes[None])
    boxes, best = best_boxes(scores, parts.boxes[None])
    return parts.moved(boxes[0], best[0])


def roi_groups(boxes: Tensor, largest: int) -> list[RoiGroup]:
    """RoI sizes for parts with boxes (K, 4): the whole object by itself, its parts together.

    Small windows get fewer cells, in steps of SIZE_STEP: more would show no more detail.

    Args:
        largest: RoI size of the decoder, in cells.
    """
    groups = [slice(0, 1), slice(1, len(boxes))][: min(2, len(boxes))]
    return [(group, _roi_size(enlarge(boxes[group], CONTEXT), largest)) for group in groups]


def propose(mask: Tensor, whole: Tensor, count: int, taken: Tensor | None = None) -> Tensor:
    """Boxes of new parts, (≤ count, 4), chosen greedily by the share of the mask that they add.

    Args:
        mask: (H, W) in [0, 1].
        whole: (4,), the object's box; the mask outside of it is ignored.
        taken: (K, 4), boxes of existing parts.
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
    """Positions of parts with a low score, and of parts whose centre left the object's box (4,), slightly enlarged."""
    centres, _ = to_centre_size(parts.boxes)
    window = enlarge(whole, 1.2)
    inside = ((centres >= window[:2]) & (centres <= window[2:])).all(1)
    lost = (parts.scores < KEEP_SCORE) | ~inside
    return [index for index in range(1, len(parts)) if lost[index]]


def redundant(parts: Parts, mask: Tensor) -> list[int]:
    """Positions of parts that add too little of a mask (H, W) to the parts with a higher score.

    On an object that grows or turns, parts crowd where it still looks as before and leave new regions uncovered. The
    mask outside the whole object's box is ignored.
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


def _roi_size(windows: Tensor, largest: int) -> int:
    """Side in cells of the RoIs of windows (K, 4)."""
    side = float(to_centre_size(windows)[1].prod(1).sqrt().amax())
    return min(largest, max(LEAST_SIZE, SIZE_STEP * math.ceil(side / CELL / SIZE_STEP)))


def _candidates(inside: Tensor, whole: Tensor) -> Tensor:
    """Candidate boxes (N, 4), centred on a grid of the mask's pixels; none if parts would be too small to track."""
    _, size = to_centre_size(whole)
    if (size * SCALE).min() < SMALLEST:
        return inside.new_zeros(0, 4)
    step = max(2, int(size.max() / 12))
    ys, xs = inside[::step, ::step].nonzero(as_tuple=True)
    centres = torch.stack([xs, ys], 1).to(inside.dtype) * step + 0.5 + whole[:2]
    return from_centre_size(centres, (size * SCALE).expand_as(centres))


def _box_sums(values: Tensor, boxes: Tensor) -> Tensor:
    """Sum of values (H, W) in each box (N, 4), by an integral image."""
    height, width = values.shape
    integral = torch.zeros(height + 1, width + 1, dtype=values.dtype, device=values.device)
    integral[1:, 1:] = values.cumsum(0).cumsum(1)
    x1, y1, x2, y2 = boxes.round().long().unbind(1)
    x1, x2 = x1.clamp(0, width), x2.clamp(0, width)
    y1, y2 = y1.clamp(0, height), y2.clamp(0, height)
    return integral[y2, x2] - integral[y1, x2] - integral[y2, x1] + integral[y1, x1]


def _inside(mask: Tensor, whole: Tensor) -> tuple[Tensor, Tensor]:
    """The binarised mask (h, w) inside a box (4,), and the box's corner (4,): x, y, x, y."""
    return (mask[_pixels(whole)] > 0.5).float(), whole[[0, 1, 0, 1]]


def _clear(values: Tensor, box: Tensor) -> None:
    values[_pixels(box)] = 0


def _pixels(box: Tensor) -> tuple[slice, slice]:
    """Rows and columns of a box (4,)."""
    x1, y1, x2, y2 = box.round().long().clamp(min=0).tolist()
    return slice(y1, y2), slice(x1, x2)
