"""What a user shows of the objects: masks and boxes in some frames."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from partprop.base.errors import UserError
from partprop.data.images import open_image
from partprop.data.labels import VOID, object_ids, read_labels

GRABCUT_SIDE = 320  # pixels of the longer side of what GrabCut looks at; its time grows with the area
GRABCUT_ROUNDS = 5
ROOM = 0.4  # of a box's size around it, from which GrabCut learns the background
LEAST = 0.02  # share of a box that its object must fill; else the whole box is taken


@dataclass(frozen=True)
class Prompt:
    """A mask file, or a box, of a frame; frame None is the first that is segmented.

    object_id: of all that the mask shows; None keeps the ids in it.
    """

    frame: int | None
    mask: Path | None = None
    box: tuple[float, float, float, float] | None = None
    object_id: int | None = None


def parse_mask(text: str) -> Prompt:
    """`[FRAME:][ID=]PNG`.

    Raises:
        UserError: nothing is written, or no object can have that id.
    """
    frame, rest = _parse_frame(text)
    number, file = re.fullmatch(r"(?:(\d+)=)?(.+)", rest, re.DOTALL).groups()  # type: ignore[union-attr]  # it matches anything
    if number is not None and not 0 < int(number) < VOID:
        raise UserError(f"--mask {text}: no object has the number {number}; choose one from 1 to {VOID - 1}")
    return Prompt(frame, mask=Path(file), object_id=None if number is None else int(number))


def parse_box(text: str) -> Prompt:
    """`[FRAME:]X1,Y1,X2,Y2`, in pixels.

    Raises:
        UserError: these are no four numbers, or the box is empty.
    """
    frame, numbers = _parse_frame(text)
    try:
        x1, y1, x2, y2 = map(float, numbers.split(","))
    except ValueError:
        raise UserError(f"--box {text}: not a box; write its left, top, right and bottom as X1,Y1,X2,Y2") from None
    if not (x2 - x1 >= 1 and y2 - y1 >= 1 and math.isfinite(x2 - x1 + y2 - y1)):
        raise UserError(f"--box {text}: the box is empty; write its left, top, right and bottom as X1,Y1,X2,Y2")
    return Prompt(frame, box=(x1, y1, x2, y2))


def require_prompts(prompts: Iterable[Prompt], size: tuple[int, int], resize: bool) -> None:
    """Check, before anything is computed, that masks and boxes of one frame fit frames of size (height, width).

    Raises:
        UserError: a mask is missing, unreadable, empty or of other size (unless it may be resized), two masks show the
            same object or one covers all of another's, or a box lies outside the frame.
    """
    shown: dict[int, Path] = {}
    drawn = np.zeros(size, np.uint8)
    for prompt in prompts:
        if prompt.mask is not None:
            labels = _read_mask(prompt)
            ids, (height, width) = object_ids(labels), labels.shape
            _require_new(prompt, ids, shown)
            if not ids:
                raise UserError(f"{prompt.mask}: shows no object; paint it in white, or in one colour for each object")
            if (height, width) != size and not resize:
                raise UserError(
                    f"{prompt.mask}: mask of {width}x{height} pixels on frames of {size[1]}x{size[0]}; make it of that "
                    "size, or add --resize to have it stretched"
                )
            if gone := sorted(set(ids) - set(_draw(drawn, labels))):
                raise UserError(
                    f"{prompt.mask}: stretched to {size[1]}x{size[0]} pixels, it shows nothing of object {gone[0]}; "
                    "make it of that size"
                )
        if prompt.box is not None:
            x1, y1, x2, y2 = prompt.box
            if x1 < 0 or y1 < 0 or x2 > size[1] or y2 > size[0]:
                box = ",".join(f"{side:g}" for side in prompt.box)
                raise UserError(f"--box {box}: reaches outside the frames, which have {size[1]}x{size[0]} pixels")
    _require_seen(drawn, shown)


def _require_new(prompt: Prompt, ids: list[int], shown: dict[int, Path]) -> None:
    """Check that no mask of the frame before this one shows one of its objects, and add them to `shown`."""
    assert prompt.mask is not None
    for number in ids:
        if number in shown:
            free = min(set(range(1, VOID)) - set(shown) - set(ids), default=None)
            frame = "" if prompt.frame is None else f"{prompt.frame}:"
            way = f": --mask {frame}{free}={prompt.mask}" if free and len(ids) == 1 else ""
            raise UserError(
                f"{prompt.mask}: shows object {number}, as {shown[number]} does; give it another number{way}"
            )
    shown.update(dict.fromkeys(ids, prompt.mask))


def highest_id(prompts: Iterable[Prompt]) -> int:
    """The highest id in the masks, 0 without any: the objects of boxes get those after it.

    Raises:
        UserError: a mask is missing or unreadable.
    """
    return max((int(max(object_ids(_read_mask(prompt)), default=0)) for prompt in prompts if prompt.mask), default=0)


def draw_prompts(prompts: Iterable[Prompt], image: np.ndarray, used: int) -> np.ndarray:
    """The label map that the prompts of a frame make together.

    Args:
        prompts: masks keep their ids; the objects of boxes get the next free ones, in order.
        image: the frame, uint8 (H, W, 3), RGB.
        used: the highest id of other frames.

    Raises:
        UserError: no id is left for a box, or all of an object is covered by those of boxes.
    """
    labels = np.zeros(image.shape[:2], np.uint8)
    shown: dict[int, object] = {}
    for prompt in sorted(prompts, key=lambda prompt: prompt.mask is None):
        if prompt.mask is not None:
            shown |= dict.fromkeys(_draw(labels, _read_mask(prompt)), prompt.mask)
        if prompt.box is not None:
            used = max(used, int(labels.max())) + 1
            if used >= VOID:
                raise UserError(f"--box: no number is left for its object; masks may have ids up to {VOID - 2} then")
            labels[mask_in_box(image, prompt.box)] = used
            shown[used] = "--box " + ",".join(f"{side:g}" for side in prompt.box)
    _require_seen(labels, shown)
    return labels


def _draw(labels: np.ndarray, given: np.ndarray) -> list[int]:
    """Draw a mask, stretched to its size, over a label map; gives the ids of the objects that are drawn."""
    given = cv2.resize(given, labels.shape[::-1], interpolation=cv2.INTER_NEAREST)
    shown = (given != 0) & (given != VOID)
    labels[shown] = given[shown]
    return object_ids(given)


def _require_seen(labels: np.ndarray, shown: Mapping[int, object]) -> None:
    """Check that objects, by what shows them, are all in a label map.

    Raises:
        UserError: one is not.
    """
    for number in sorted(set(shown) - set(object_ids(labels))):
        raise UserError(
            f"{shown[number]}: all of its object {number} is covered by another of this frame; leave one out"
        )


def _read_mask(prompt: Prompt) -> np.ndarray:
    """The label map (H, W) of a mask file; of a palette that has but black and white, white is the object.

    Raises:
        UserError: the file is missing or unreadable, or black is a colour of its palette but not the first.
    """
    assert prompt.mask is not None
    if not prompt.mask.exists():
        raise UserError(f"--mask {prompt.mask}: no such file; name a PNG that shows the object")
    labels = read_labels(prompt.mask)
    with open_image(prompt.mask) as image:
        if image.mode == "P":
            colours = np.array(image.convert("RGB"))
            if np.isin(colours, (0, 255)).all() and (colours == colours[..., :1]).all():
                labels = (colours[..., 0] == 255).astype(np.uint8)
            elif colours[labels == 0].any() and not colours[labels > 0].any(1).all():
                raise UserError(
                    f"{prompt.mask}: its black is not the first colour of the palette, which is the background; save "
                    "the mask with black first, or as grey values of 0, 1, 2, ..."
                )
    if prompt.object_id is not None:
        labels[(labels != 0) & (labels != VOID)] = prompt.object_id
    return labels


def mask_in_box(image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The object in a box, bool (H, W), by GrabCut (Rother et al., SIGGRAPH 2004): what differs from what is around it.

    The whole box where nothing does.
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    left, top = max(0, int(x1 - ROOM * (x2 - x1))), max(0, int(y1 - ROOM * (y2 - y1)))
    right, bottom = min(width, int(x2 + ROOM * (x2 - x1)) + 1), min(height, int(y2 + ROOM * (y2 - y1)) + 1)
    scale = min(1.0, GRABCUT_SIDE / max(right - left, bottom - top))
    small = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    near = cv2.resize(image[top:bottom, left:right], small, interpolation=cv2.INTER_AREA)
    rectangle = [round((side - origin) * scale) for side, origin in zip((x1, y1, x2, y2), (left, top) * 2, strict=True)]
    kinds = np.full(near.shape[:2], cv2.GC_BGD, np.uint8)
    kinds[rectangle[1] : rectangle[3], rectangle[0] : rectangle[2]] = cv2.GC_PR_FGD
    found = _grabcut(near, kinds)
    mask = np.zeros((height, width), bool)
    shape = (right - left, bottom - top)
    mask[top:bottom, left:right] = cv2.resize(found.astype(np.float32), shape, interpolation=cv2.INTER_LINEAR) > 0.5
    if mask.sum() < LEAST * (x2 - x1) * (y2 - y1):
        mask[math.floor(y1) : math.ceil(y2), math.floor(x1) : math.ceil(x2)] = True
    return mask


def _grabcut(image: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    # the box is the whole frame, and there is no background to learn, or it is too thin to hold a pixel
    if len(np.unique(kinds)) == 1:
        return kinds == cv2.GC_PR_FGD
    cv2.setRNGSeed(0)  # the same box gives the same mask
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    bgr, unused = np.ascontiguousarray(image[..., ::-1]), (0, 0, 0, 0)
    cv2.grabCut(bgr, kinds, unused, background, foreground, GRABCUT_ROUNDS, cv2.GC_INIT_WITH_MASK)
    return (kinds == cv2.GC_FGD) | (kinds == cv2.GC_PR_FGD)


def _parse_frame(text: str) -> tuple[int | None, str]:
    found = re.fullmatch(r"(?:(\d+):)?(.+)", text, re.DOTALL)
    if found is None:
        raise UserError("--mask, --box: empty; name a PNG, or write a box as X1,Y1,X2,Y2")
    return int(found[1]) if found[1] else None, found[2]
