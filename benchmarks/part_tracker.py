"""Measure the errors of the part tracker.

    .venv/bin/python benchmarks/part_tracker.py data/davis dance-jump drift-turn
    .venv/bin/python benchmarks/part_tracker.py data/davis dance-jump drift-turn --weights mine.safetensors

Proposes parts on true masks of the named training sequences, on which the weights must not have been trained, and
tracks them. Errors are distances of centres as shares of a part's sides:

- displaced: in the same frame, from a box displaced by up to 0.3 of its sides, without the window that favours small
  motion. The truth is exact.
- next frame: as in inference. The truth is the median DIS optical flow of the part's pixels, so errors below 0.05 are
  not meaningful. Compared with parts searched for after a shift by the tracked motion of the whole object, parts left
  in place, and parts moved with the object's true box.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from training_videos import named_sequences, parser_of, prepare, working_frame

from partprop.base.errors import UserError
from partprop.data.video import Video
from partprop.model.boxes import box_of_mask, to_centre_size
from partprop.model.network import Network
from partprop.model.part_tracker import best_boxes
from partprop.pretrained import LITE0, load_pretrained
from partprop.tracking.parts import propose

PARTS = 6
DISPLACED = 0.3  # of a part's sides


class Frame(NamedTuple):
    """A frame at the working resolution.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        mask: (H, W) in [0, 1], of object 1.
        levels: P3, P4, P5 of the padded frame.
    """

    image: np.ndarray
    mask: Tensor
    levels: list[Tensor]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--weights", type=Path, default=LITE0, help="weights written by scripts/ship_weights.py")
    parser.add_argument("--every", type=int, default=5, help="measure every N-th frame")
    arguments = parser.parse_args()
    prepare(arguments.threads)
    try:
        network, settings = load_pretrained(arguments.weights)
        chosen = named_sequences(arguments.davis, arguments.sequences)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    errors: dict[str, list[Tensor]] = defaultdict(list)
    random = torch.Generator().manual_seed(0)
    for sequence in chosen:
        for now, following in pairs(network, sequence, settings.short_side, arguments.every):
            for name, values in measure(network, now, following, random).items():
                errors[name].append(values)
    print("                                       median   mean  above 0.25  number")
    for name, parts in errors.items():
        values = torch.cat(parts)
        far = (values > 0.25).float().mean()
        print(f"{name:37s}  {values.median():6.3f} {values.mean():6.3f}  {far:10.2f}  {len(values):6d}")


@torch.inference_mode()
def pairs(network: Network, sequence: Video, short_side: int, every: int) -> Iterator[tuple[Frame, Frame]]:
    """Yield every `every`-th frame with the next one, if both show the object."""
    for index in range(0, len(sequence) - 1, every):
        frames = [_frame(network, sequence, number, short_side) for number in (index, index + 1)]
        if all(box_of_mask(frame.mask) is not None for frame in frames):
            yield frames[0], frames[1]


def _frame(network: Network, sequence: Video, index: int, short_side: int) -> Frame:
    image, mask, padded = working_frame(sequence, index, short_side)
    return Frame(image, mask, network.encode(padded).tracking_levels)


@torch.inference_mode()
def measure(network: Network, now: Frame, following: Frame, random: torch.Generator) -> dict[str, Tensor]:
    """Errors (K,) of the parts for each way of placing them, and (1,) of the whole object."""
    whole, ahead = box_of_mask(now.mask), box_of_mask(following.mask)
    assert whole is not None
    assert ahead is not None
    boxes = torch.cat([whole[None], propose(now.mask, whole, PARTS)])
    templates = network.tracker.embed(now.levels, boxes[None])
    shift = DISPLACED * (2 * torch.rand(len(boxes), 2, generator=random) - 1) * to_centre_size(boxes)[1]
    start = boxes + shift.repeat(1, 2)
    found, _ = best_boxes(network.tracker(now.levels, templates, start[None]), start[None], window_weight=0)
    tracked, _ = best_boxes(network.tracker(following.levels, templates, boxes[None]), boxes[None])
    with_whole = (to_centre_size(ahead)[0] - to_centre_size(boxes[0])[0]).repeat(2)
    along = boxes + (tracked[0, :1] - boxes[:1])
    nearer, _ = best_boxes(network.tracker(following.levels, templates, along[None]), along[None])
    truth = boxes + flow_of(now, following, boxes).repeat(1, 2)
    return {
        "whole, displaced": _error(found[0], boxes)[:1],
        "parts, displaced": _error(found[0], boxes)[1:],
        "parts, next frame: tracked": _error(tracked[0], truth)[1:],
        "parts, next frame: object, then parts": _error(nearer[0], truth)[1:],
        "parts, next frame: left": _error(boxes, truth)[1:],
        "parts, next frame: as the object": _error(boxes + with_whole, truth)[1:],
    }


def flow_of(now: Frame, following: Frame, boxes: Tensor) -> Tensor:
    """Median optical flow (K, 2), x and y in pixels, of the object's pixels in each box (K, 4)."""
    grey = [cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY) for frame in (now, following)]
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(grey[0], grey[1], None)  # type: ignore[call-overload]
    inside, motions = now.mask.numpy() > 0.5, []
    for x1, y1, x2, y2 in boxes.round().long().clamp(min=0).tolist():
        seen = flow[y1:y2, x1:x2][inside[y1:y2, x1:x2]]
        motions.append(np.median(seen, 0))
    return torch.from_numpy(np.stack(motions))


def _error(boxes: Tensor, truth: Tensor) -> Tensor:
    """Distance of centres along each axis, divided by the side of the true box; the larger of the two."""
    centre, size = to_centre_size(truth)
    return ((to_centre_size(boxes)[0] - centre) / size).abs().amax(1)


if __name__ == "__main__":
    main()
