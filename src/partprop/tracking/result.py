"""What the online loop takes and says of a frame."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from partprop.base.errors import UserError
from partprop.data.labels import object_ids
from partprop.data.tracks import PartBox


@dataclass(frozen=True)
class Result:
    """What is known of a frame; arrays at the input's resolution.

    labels: uint8 (H, W), object ids. boxes: of all objects and parts that are seen. probabilities: float32 (H, W) in
    [0, 1] of each object. confidence: in each object, in [0, 1]; 0 where it is lost.
    """

    labels: np.ndarray
    boxes: list[PartBox]
    probabilities: dict[int, np.ndarray]
    confidence: dict[int, float]


def require_arrays(image: np.ndarray, labels: np.ndarray | None) -> None:
    """Check that a frame is uint8 (H, W, 3), and its masks, if any, uint8 or bool (H, W) and not all void.

    Raises:
        UserError: they are not.
    """
    for what, array in (("a frame", image), ("masks", labels)):
        if not isinstance(array, np.ndarray) and (array is not None or what == "a frame"):
            raise UserError(f"{what}: {type(array).__name__} is no NumPy array; make it one: np.asarray(...)")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise UserError(f"a frame is {image.dtype} {image.shape}; give uint8 (height, width, 3), RGB")
    if labels is None:
        return
    if labels.dtype not in (np.uint8, np.bool_) or labels.ndim != 2:
        raise UserError(f"masks are {labels.dtype} {labels.shape}; give uint8 (height, width) with object ids")
    if labels.shape != image.shape[:2]:
        (height, width), (high, wide) = labels.shape, image.shape[:2]
        raise UserError(
            f"masks of {width}x{height} pixels on a frame of {wide}x{high}; resize them: "
            f"cv2.resize(labels, ({wide}, {high}), interpolation=cv2.INTER_NEAREST)"
        )
    if labels.dtype == np.uint8 and labels.any() and not object_ids(labels):
        raise UserError("masks hold nothing but 0 and 255, which is void; of a white object give mask > 0")


def with_given(result: Result, given: np.ndarray, followed: Collection[int]) -> Result:
    """A result with the given masks as they are; those too small to be `followed` have confidence 0 and no boxes."""
    labels, probabilities = result.labels.copy(), dict(result.probabilities)
    ids = object_ids(given)
    for number in ids:
        mask = given == number
        labels[labels == number] = 0
        labels[mask] = number
        probabilities[number] = mask.astype(np.float32)
    unseen = {number: 0.0 for number in ids if number not in followed}
    boxes = [box for box in result.boxes if box.object_id not in unseen]
    return Result(labels, boxes, probabilities, result.confidence | unseen)
