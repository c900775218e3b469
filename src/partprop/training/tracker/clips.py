"""Training samples as arrays, and the boxes of parts that go with them."""

from dataclasses import dataclass

import numpy as np

from partprop.data.labels import mask_box

FRAMES = 4  # the reference, and three in a row, far from it or right after it

SOUGHT_ELSEWHERE = 0.15  # share of far references after which the object is first looked for at a random place
ERRONEOUS = 0.5  # share of frames before which the mask is disturbed, as errors would pile up in a long video
PAINTED = 0.4  # of these, share of which a piece is missing or too much
DRIFT = 0.08  # of a contour, standard deviation at most, over the object's size
SPREAD = 0.06  # of a mask outwards or inwards at most, over the object's size
GRID = 8  # cells a side of the grid on which a contour drifts
PAINT_GRID = 32
TOLD = 0.5  # share of far references after which the second frame starts from the true mask of the first
FORGOTTEN = 0.03  # share of frames before which the mask is blanked, so that losses are trained for


@dataclass(frozen=True)
class PartBoxes:
    """Boxes of an object, part 0, and of its parts in the frames of a clip: float32 (4, P, 4), xyxy in pixels.

    moved: the object's own box, and parts that move as it does; of stills, whose motion is known, as true. true: where
    the parts are, if tracked (4, P) is 1.
    """

    moved: np.ndarray
    true: np.ndarray
    tracked: np.ndarray


@dataclass(frozen=True)
class Clip:
    """A reference and three frames in a row of one object with its parts; part 0 is the whole object.

    images: uint8 (4, S, S, 3), RGB. masks: uint8 (4, S, S) in {0, 1}. Boxes: float32 (4, P, 4), xyxy in pixels:
    boxes are true where tracked (4, P) is 1, windows are where masks are decoded, last is where tracking starts.
    remembered: float32 (4,), 0 where the previous mask is to be blanked, else 1. told: float32 (4,), 1 where it is the
    true one instead of what the network found. drift: float32 (4, 2, 8, 8), spread: float32 (4,) and paint: float32
    (4, 1, 32, 32), its errors, as of `lesson.MaskErrors`.
    """

    images: np.ndarray
    masks: np.ndarray
    boxes: np.ndarray
    tracked: np.ndarray
    windows: np.ndarray
    last: np.ndarray
    remembered: np.ndarray
    told: np.ndarray
    drift: np.ndarray
    spread: np.ndarray
    paint: np.ndarray


def random_parts(rng: np.random.Generator, mask: np.ndarray, count: int) -> np.ndarray:
    """Boxes, float32 (count, 4), of random parts of a mask that is not empty.

    Each is centred on a pixel of the mask and has 35 to 75 % of the object's width and height.
    """
    box = mask_box(mask)
    assert box is not None
    ys, xs = np.nonzero(mask)
    picks = rng.integers(0, len(xs), count)
    centres = np.stack([xs[picks], ys[picks]], -1) + 0.5
    sizes = np.maximum(rng.uniform(0.35, 0.75, (count, 2)) * (box[2:] - box[:2]), 4)
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], -1).astype(np.float32)


def move_with(parts: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Move part boxes (P, 4) as the object's box moved from source (4,) to target (4,)."""
    scale = (target[2:] - target[:2]) / np.maximum(source[2:] - source[:2], 1)
    return ((parts.reshape(-1, 2, 2) - source[:2]) * scale + target[:2]).reshape(parts.shape)


def jitter(rng: np.random.Generator, boxes: np.ndarray, shift: float, scale: float) -> np.ndarray:
    """Boxes (…, 4) with normally distributed errors: shift as a share of their size, scale as its log."""
    centre, size = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    centre = centre + rng.normal(0, shift, centre.shape) * size
    # mostly a common factor of width and height, as trackers err
    factor = rng.normal(0, scale, (*size.shape[:-1], 1)) + rng.normal(0, scale / 3, size.shape)
    size = size * np.exp(np.clip(factor, -0.7, 0.7))
    return np.concatenate([centre - size / 2, centre + size / 2], -1).astype(np.float32)


def finish(
    rng: np.random.Generator, images: list[np.ndarray], masks: list[np.ndarray], parts: PartBoxes, far: bool
) -> Clip:
    """Add the boxes that a tracker with errors would have, and stack.

    Args:
        far: frame 1 does not follow the reference: the object has to be found by the reference alone, as after a loss.
            Either what is predicted there is what the frames after it start from, or the true mask, in which there may
            be sides of the object that the reference does not show.
    """
    boxes = parts.true
    # decoding where optical flow leads, instead of where parts go that move with the object, costs accuracy
    windows = _misplace(rng, jitter(rng, parts.moved, 0.08, 0.12), images[0].shape[0])
    windows[0] = boxes[0]
    before = np.concatenate([boxes[:1], boxes[:-1]])
    remembered = (rng.random(FRAMES) > FORGOTTEN).astype(np.float32)
    told = np.zeros(FRAMES, np.float32)
    if far:
        told[2] = rng.random() < TOLD
        before[1], remembered[1] = boxes[1], 0
        if rng.random() < SOUGHT_ELSEWHERE:
            windows[1, :1] = _anywhere(rng, windows[1, :1], images[0].shape[0])
    last = jitter(rng, before, 0.1, 0.08)
    errors = [_errors(rng, box, images[0].shape[0]) for box in before[:, 0]]
    drift, spread, paint = (np.stack(each).astype(np.float32) for each in zip(*errors, strict=True))
    known = parts.tracked.astype(np.float32)
    return Clip(np.stack(images), np.stack(masks), boxes, known, windows, last, remembered, told, drift, spread, paint)


def _errors(rng: np.random.Generator, box: np.ndarray, size: int) -> tuple[np.ndarray, float, np.ndarray]:
    """Drift, spread and paint of a mask with this box (4,) in a picture of `size` pixels a side; often none."""
    paint = np.zeros((1, PAINT_GRID, PAINT_GRID))
    if rng.random() >= ERRONEOUS:
        return np.zeros((2, GRID, GRID)), 0.0, paint
    sides = (box[2:] - box[:2]) / size
    side = float(np.sqrt(sides.prod()))
    drift = rng.normal(0, rng.uniform(0, DRIFT) * side, (2, GRID, GRID))
    spread = rng.uniform(-SPREAD, SPREAD) * side
    if rng.random() < PAINTED:
        centre = box[:2] / size + rng.uniform(-0.1, 1.1, 2) * sides
        reach = rng.uniform(0.1, 0.3, 2) * sides
        cells = (np.arange(PAINT_GRID) + 0.5) / PAINT_GRID
        x, y = ((cells - middle) / half for middle, half in zip(centre, reach, strict=True))
        paint[0, x[None] ** 2 + y[:, None] ** 2 < 1] = rng.choice([-1, 1], p=[0.6, 0.4])
    return drift, spread, paint


def _misplace(rng: np.random.Generator, windows: np.ndarray, size: int) -> np.ndarray:
    """Put one part in five at a random place, so that the network also sees windows without the object."""
    for part in range(1, windows.shape[1]):
        if rng.random() < 0.2:
            windows[1:, part] = _anywhere(rng, windows[1:, part], size)
    return windows


def _anywhere(rng: np.random.Generator, boxes: np.ndarray, size: int) -> np.ndarray:
    """Boxes (N, 4) moved to one random place in a picture of `size` pixels a side."""
    return boxes + np.tile(rng.uniform(0, size, 2) - (boxes[:, :2] + boxes[:, 2:]) / 2, 2)
