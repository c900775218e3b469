"""Training clips as arrays, and random boxes of parts and errors of masks for them."""

from dataclasses import dataclass

import numpy as np

from partprop.data.labels import mask_box

RANDOM_SEARCH_SHARE = 0.15  # of clips with a far reference, in which the object is first searched at a random place
ERROR_SHARE = 0.5  # of frames, before which the mask gets errors like those that accumulate in a long video
PATCH_SHARE = 0.4  # of the masks with errors, in which a patch is set or cleared
MAX_DRIFT = 0.08  # standard deviation of the contour's drift, at most, as a fraction of the object's size
MAX_DILATION = 0.06  # of the mask, or erosion, as a fraction of the object's size
DRIFT_GRID = 8  # cells per side of the grid on which the contour drifts
PATCH_GRID = 32  # cells per side of the grid on which patches are drawn
TEACHER_FORCED_SHARE = 0.5  # of clips with a far reference, whose frame 2 starts from the true mask of frame 1
BLANKED_SHARE = 0.03  # of frames, before which the mask is blanked, so that the network learns to recover from losses


@dataclass(frozen=True)
class ClipLength:
    """Frames of a clip: the reference, and later frames far from it or right after it.

    Late in the training clips are longer, so that errors add up as in use.

    Args:
        frames: at first.
        late_frames: in the last `late_share` of the steps.
    """

    frames: int
    late_frames: int
    late_share: float

    def at(self, progress: float) -> int:
        """Number of frames when a fraction `progress` in [0, 1] of the training is done."""
        return self.late_frames if self.late_share and progress >= 1 - self.late_share else self.frames


@dataclass(frozen=True)
class PartBoxes:
    """Boxes of an object (part 0) and of its parts in the T frames of a clip.

    Attributes:
        carried: float32 (T, P, 4), xyxy in pixels; the object's box, and parts that move and scale with it. For still
            images, whose motion is known, equal to `true`.
        true: float32 (T, P, 4), the true boxes where tracked.
        tracked: (T, P), 1 where the true box is known, else 0.
    """

    carried: np.ndarray
    true: np.ndarray
    tracked: np.ndarray


@dataclass(frozen=True)
class Clip:
    """A reference frame and T - 1 later frames of one object (part 0) and its parts.

    Attributes:
        images: uint8 (T, S, S, 3), RGB.
        masks: uint8 (T, S, S) in {0, 1}.
        boxes: float32 (T, P, 4), xyxy in pixels; the true boxes where tracked.
        tracked: float32 (T, P), 1 where the true box is known, else 0.
        windows: float32 (T, P, 4), boxes in which the parts' masks are decoded.
        last_boxes: float32 (T, P, 4), boxes around which the part tracker searches.
        remembered: float32 (T,), 0 where the previous mask is blanked, else 1.
        teacher_forced: float32 (T,), 1 where the frame starts from the true previous mask, 0 for the predicted one.
        drift: float32 (T, 2, 8, 8), of the previous mask, as are the next two; see `mask_errors.MaskErrors`.
        dilation: float32 (T,).
        patches: float32 (T, 1, 32, 32).
    """

    images: np.ndarray
    masks: np.ndarray
    boxes: np.ndarray
    tracked: np.ndarray
    windows: np.ndarray
    last_boxes: np.ndarray
    remembered: np.ndarray
    teacher_forced: np.ndarray
    drift: np.ndarray
    dilation: np.ndarray
    patches: np.ndarray


def sample_part_boxes(rng: np.random.Generator, mask: np.ndarray, count: int) -> np.ndarray:
    """Return `count` random boxes of parts, float32 (count, 4), xyxy in pixels.

    Each is centred on a pixel of the mask and has 35 to 75 % of the object's width and height.

    Args:
        mask: (H, W), not empty.
    """
    box = mask_box(mask)
    assert box is not None
    ys, xs = np.nonzero(mask)
    picks = rng.integers(0, len(xs), count)
    centres = np.stack([xs[picks], ys[picks]], -1) + 0.5
    sizes = np.maximum(rng.uniform(0.35, 0.75, (count, 2)) * (box[2:] - box[:2]), 4)
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], -1).astype(np.float32)


def carry_along(parts: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Move and scale part boxes (P, 4) as the object's box changed from `source` (4,) to `target` (4,)."""
    scale = (target[2:] - target[:2]) / np.maximum(source[2:] - source[:2], 1)
    return ((parts.reshape(-1, 2, 2) - source[:2]) * scale + target[:2]).reshape(parts.shape)


def jitter(rng: np.random.Generator, boxes: np.ndarray, shift: float, scale: float) -> np.ndarray:
    """Add normally distributed errors to boxes (…, 4); returns float32.

    Args:
        shift: standard deviation of the centre, as a fraction of the box's size.
        scale: standard deviation of the logarithm of the size.
    """
    centre, size = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    centre = centre + rng.normal(0, shift, centre.shape) * size
    # mostly one factor for width and height, like the errors of trackers
    factor = rng.normal(0, scale, (*size.shape[:-1], 1)) + rng.normal(0, scale / 3, size.shape)
    size = size * np.exp(np.clip(factor, -0.7, 0.7))
    return np.concatenate([centre - size / 2, centre + size / 2], -1).astype(np.float32)


def make_clip(
    rng: np.random.Generator, images: list[np.ndarray], masks: list[np.ndarray], parts: PartBoxes, far: bool
) -> Clip:
    """Return a clip with the box and mask errors of an imperfect tracker.

    Args:
        images: T, uint8 (S, S, 3).
        masks: T, uint8 (S, S) in {0, 1}.
        parts: boxes of object and parts.
        far: frame 1 does not follow the reference. The object must be found from the reference alone, as after a loss:
            the previous mask is blanked. Frame 2 then starts from the prediction for frame 1 or from its true mask,
            which may contain sides of the object that the reference does not show.
    """
    boxes = parts.true
    # windows that follow the optical flow, instead of moving with the object, cost accuracy
    windows = _displace_parts(rng, jitter(rng, parts.carried, 0.08, 0.12), images[0].shape[0])
    windows[0] = boxes[0]
    before = np.concatenate([boxes[:1], boxes[:-1]])
    remembered = (rng.random(len(images)) > BLANKED_SHARE).astype(np.float32)
    teacher_forced = np.zeros(len(images), np.float32)
    if far:
        teacher_forced[2] = rng.random() < TEACHER_FORCED_SHARE
        before[1], remembered[1] = boxes[1], 0
        if rng.random() < RANDOM_SEARCH_SHARE:
            windows[1, :1] = _at_random_place(rng, windows[1, :1], images[0].shape[0])
    last_boxes = jitter(rng, before, 0.1, 0.08)
    errors = [_sample_mask_errors(rng, box, images[0].shape[0]) for box in before[:, 0]]
    drift, dilation, patches = (np.stack(each).astype(np.float32) for each in zip(*errors, strict=True))
    return Clip(
        images=np.stack(images),
        masks=np.stack(masks),
        boxes=boxes,
        tracked=parts.tracked.astype(np.float32),
        windows=windows,
        last_boxes=last_boxes,
        remembered=remembered,
        teacher_forced=teacher_forced,
        drift=drift,
        dilation=dilation,
        patches=patches,
    )


def _sample_mask_errors(rng: np.random.Generator, box: np.ndarray, size: int) -> tuple[np.ndarray, float, np.ndarray]:
    """Return drift, dilation and patches, often zero, for a mask with box (4,) in an image of `size` pixels a side."""
    patches = np.zeros((1, PATCH_GRID, PATCH_GRID))
    if rng.random() >= ERROR_SHARE:
        return np.zeros((2, DRIFT_GRID, DRIFT_GRID)), 0.0, patches
    sides = (box[2:] - box[:2]) / size
    side = float(np.sqrt(sides.prod()))
    drift = rng.normal(0, rng.uniform(0, MAX_DRIFT) * side, (2, DRIFT_GRID, DRIFT_GRID))
    dilation = rng.uniform(-MAX_DILATION, MAX_DILATION) * side
    if rng.random() < PATCH_SHARE:
        centre = box[:2] / size + rng.uniform(-0.1, 1.1, 2) * sides
        radii = rng.uniform(0.1, 0.3, 2) * sides
        cells = (np.arange(PATCH_GRID) + 0.5) / PATCH_GRID
        x, y = ((cells - middle) / radius for middle, radius in zip(centre, radii, strict=True))
        patches[0, x[None] ** 2 + y[:, None] ** 2 < 1] = rng.choice([-1, 1], p=[0.6, 0.4])
    return drift, dilation, patches


def _displace_parts(rng: np.random.Generator, windows: np.ndarray, size: int) -> np.ndarray:
    """Move one part in five to a random place, so that the network also sees windows without the object."""
    for part in range(1, windows.shape[1]):
        if rng.random() < 0.2:
            windows[1:, part] = _at_random_place(rng, windows[1:, part], size)
    return windows


def _at_random_place(rng: np.random.Generator, boxes: np.ndarray, size: int) -> np.ndarray:
    """Centre boxes (N, 4) on one random point of an image of `size` pixels a side."""
    return boxes + np.tile(rng.uniform(0, size, 2) - (boxes[:, :2] + boxes[:, 2:]) / 2, 2)
