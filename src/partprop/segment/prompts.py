"""Prompts: masks and boxes with which the user shows objects in some frames."""

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

GRABCUT_SIDE = 320  # pixels of the longer side of the crop given to GrabCut, whose time grows with the area
GRABCUT_ITERATIONS = 5
CONTEXT = 0.4  # margin around a box, relative to its size, from which GrabCut learns the background
MIN_FILL = 0.02  # share of a box that GrabCut's mask must fill; below it, the whole box is the mask


@dataclass(frozen=True)
class Prompt:
    """A mask file or a box in one frame.

    Attributes:
        frame: number of the frame; None for the first frame that is segmented.
        mask: a mask file with one or more objects; None for a box.
        box: x1, y1, x2, y2 in pixels, along pixel edges; None for a mask.
        object_id: id for all objects of the mask, 1 to 254; None keeps the ids in the file.
    """

    frame: int | None
    mask: Path | None = None
    box: tuple[float, float, float, float] | None = None
    object_id: int | None = None


def parse_mask(text: str) -> Prompt:
    """Parse `[FRAME:][ID=]PNG`.

    Raises:
        UserError: the text is empty, or the id is out of range.
    """
    frame, rest = _parse_frame(text)
    number, file = re.fullmatch(r"(?:(\d+)=)?(.+)", rest, re.DOTALL).groups()  # type: ignore[union-attr]  # it matches anything
    if number is not None and not 0 < int(number) < VOID:
        raise UserError(f"--mask {text}: {number} is not a valid object id; choose one from 1 to {VOID - 1}")
    return Prompt(frame, mask=Path(file), object_id=None if number is None else int(number))


def parse_box(text: str) -> Prompt:
    """Parse `[FRAME:]X1,Y1,X2,Y2`, in pixels.

    Raises:
        UserError: the text is not four numbers, or the box is empty.
    """
    frame, numbers = _parse_frame(text)
    try:
        x1, y1, x2, y2 = map(float, numbers.split(","))
    except ValueError:
        raise UserError(f"--box {text}: not a box; write its left, top, right and bottom as X1,Y1,X2,Y2") from None
    if not (x2 - x1 >= 1 and y2 - y1 >= 1 and math.isfinite(x2 - x1 + y2 - y1)):
        raise UserError(f"--box {text}: the box is empty; write its left, top, right and bottom as X1,Y1,X2,Y2")
    return Prompt(frame, box=(x1, y1, x2, y2))


def _parse_frame(text: str) -> tuple[int | None, str]:
    """The frame number, None without one, and the rest of the text."""
    found = re.fullmatch(r"(?:(\d+):)?(.+)", text, re.DOTALL)
    if found is None:
        raise UserError("--mask, --box: empty; name a PNG, or write a box as X1,Y1,X2,Y2")
    return int(found[1]) if found[1] else None, found[2]


def require_prompts(prompts: Iterable[Prompt], size: tuple[int, int], resize: bool) -> None:
    """Check the prompts of one frame before anything is segmented.

    Args:
        prompts: all prompts of the frame.
        size: (height, width) of the frames.
        resize: masks of another size are resized to it.

    Raises:
        UserError: a mask is missing, unreadable, empty or of another size; two masks show the same object id; one
            object covers another completely; or a box reaches outside the frame.
    """
    sources: dict[int, Path] = {}
    labels = np.zeros(size, np.uint8)
    for prompt in prompts:
        if prompt.mask is not None:
            mask = _read_mask(prompt)
            _require_new_ids(prompt, object_ids(mask), sources)
            _require_objects(prompt.mask, mask, size, resize)
            _require_kept_by_resize(prompt.mask, mask, _draw(labels, mask), size)
        if prompt.box is not None:
            x1, y1, x2, y2 = prompt.box
            if x1 < 0 or y1 < 0 or x2 > size[1] or y2 > size[0]:
                raise UserError(
                    f"{_option(prompt.box)}: reaches outside the frames of {size[1]}x{size[0]} pixels; correct it"
                )
    _require_visible(labels, sources)


def _require_objects(path: Path, mask: np.ndarray, size: tuple[int, int], resize: bool) -> None:
    if not object_ids(mask):
        raise UserError(f"{path}: shows no object; paint it in white, or in one colour for each object")
    if mask.shape != size and not resize:
        height, width = mask.shape
        raise UserError(
            f"{path}: mask of {width}x{height} pixels on frames of {size[1]}x{size[0]}; save it at that size, or add "
            "--resize"
        )


def _require_new_ids(prompt: Prompt, ids: list[int], sources: dict[int, Path]) -> None:
    """Raise UserError if an earlier mask of the frame shows one of the ids; then add them to `sources`."""
    assert prompt.mask is not None
    for number in ids:
        if number in sources:
            free = min(set(range(1, VOID)) - set(sources) - set(ids), default=None)
            frame = "" if prompt.frame is None else f"{prompt.frame}:"
            example = f": --mask {frame}{free}={prompt.mask}" if free and len(ids) == 1 else ""
            raise UserError(
                f"{prompt.mask}: shows object {number}, as does {sources[number]}; give it another id{example}"
            )
    sources.update(dict.fromkeys(ids, prompt.mask))


def _require_kept_by_resize(path: Path, mask: np.ndarray, drawn: list[int], size: tuple[int, int]) -> None:
    if missing := sorted(set(object_ids(mask)) - set(drawn)):
        raise UserError(
            f"{path}: object {missing[0]} vanishes when the mask is resized to {size[1]}x{size[0]} pixels; save the "
            "mask at that size"
        )


def _require_visible(labels: np.ndarray, sources: Mapping[int, object]) -> None:
    """Raise UserError if an object id of `sources`, which name its prompt, is missing in a label map."""
    for number in sorted(set(sources) - set(object_ids(labels))):
        raise UserError(
            f"{sources[number]}: its object {number} is completely covered by another object of this frame; leave one "
            "of them out"
        )


def highest_id(prompts: Iterable[Prompt]) -> int:
    """The highest object id in the masks, 0 without masks. Objects of boxes get higher ids.

    Raises:
        UserError: a mask is missing or unreadable.
    """
    return max((max(object_ids(_read_mask(prompt)), default=0) for prompt in prompts if prompt.mask), default=0)


def draw_prompts(prompts: Iterable[Prompt], image: np.ndarray, highest: int) -> np.ndarray:
    """Combine the prompts of a frame into a label map.

    Args:
        prompts: masks keep their ids; objects of boxes get the next free ids, in order.
        image: the frame, uint8 (H, W, 3), RGB.
        highest: the highest id in use so far.

    Returns:
        uint8 (H, W), 0 background, object ids from 1.

    Raises:
        UserError: no id is left for a box, or a box covers another object completely.
    """
    labels = np.zeros(image.shape[:2], np.uint8)
    sources: dict[int, object] = {}
    for prompt in sorted(prompts, key=lambda prompt: prompt.mask is None):
        if prompt.mask is not None:
            sources |= dict.fromkeys(_draw(labels, _read_mask(prompt)), prompt.mask)
        if prompt.box is not None:
            highest = max(highest, int(labels.max())) + 1
            if highest >= VOID:
                raise UserError(f"--box: no object id is left; use ids up to {VOID - 2} in masks")
            labels[mask_in_box(image, prompt.box)] = highest
            sources[highest] = _option(prompt.box)
    _require_visible(labels, sources)
    return labels


def _draw(labels: np.ndarray, mask: np.ndarray) -> list[int]:
    """Draw a mask, resized if necessary, over a label map; return the ids that are left after resizing."""
    mask = cv2.resize(mask, labels.shape[::-1], interpolation=cv2.INTER_NEAREST)
    shown = (mask != 0) & (mask != VOID)
    labels[shown] = mask[shown]
    return object_ids(mask)


def _option(box: tuple[float, float, float, float]) -> str:
    """A box as on the command line."""
    return "--box " + ",".join(f"{side:g}" for side in box)


def _read_mask(prompt: Prompt) -> np.ndarray:
    """The label map of a mask file, uint8 (H, W). In a palette of black and white only, white is the object.

    Raises:
        UserError: the file is missing or unreadable, or black is in its palette but not as the first colour.
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
                    f"{prompt.mask}: the first palette colour, the background, is not black; save the mask "
                    "with black first, or as grey values of 0, 1, 2, ..."
                )
    if prompt.object_id is not None:
        labels[(labels != 0) & (labels != VOID)] = prompt.object_id
    return labels


def mask_in_box(image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """Segment the object in a box with GrabCut (Rother et al., SIGGRAPH 2004).

    Args:
        image: uint8 (H, W, 3), RGB.
        box: x1, y1, x2, y2 in pixels.

    Returns:
        bool (H, W); the whole box if GrabCut finds no object that differs from the surroundings.
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    left, top = max(0, int(x1 - CONTEXT * (x2 - x1))), max(0, int(y1 - CONTEXT * (y2 - y1)))
    right, bottom = min(width, int(x2 + CONTEXT * (x2 - x1)) + 1), min(height, int(y2 + CONTEXT * (y2 - y1)) + 1)
    scale = min(1.0, GRABCUT_SIDE / max(right - left, bottom - top))
    small = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    crop = cv2.resize(image[top:bottom, left:right], small, interpolation=cv2.INTER_AREA)
    inner = [round((side - origin) * scale) for side, origin in zip((x1, y1, x2, y2), (left, top) * 2, strict=True)]
    classes = np.full(crop.shape[:2], cv2.GC_BGD, np.uint8)
    classes[inner[1] : inner[3], inner[0] : inner[2]] = cv2.GC_PR_FGD
    found = _grabcut(crop, classes)
    mask = np.zeros((height, width), bool)
    shape = (right - left, bottom - top)
    mask[top:bottom, left:right] = cv2.resize(found.astype(np.float32), shape, interpolation=cv2.INTER_LINEAR) > 0.5
    if mask.sum() < MIN_FILL * (x2 - x1) * (y2 - y1):
        mask[math.floor(y1) : math.ceil(y2), math.floor(x1) : math.ceil(x2)] = True
    return mask


def _grabcut(image: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The foreground, bool (H, W), from GrabCut's initial classes, uint8 (H, W), which are overwritten."""
    # without background to learn from (the box is the whole frame), or without a pixel in a very thin box
    if len(np.unique(classes)) == 1:
        return classes == cv2.GC_PR_FGD
    cv2.setRNGSeed(0)  # the same box gives the same mask
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    bgr, unused = np.ascontiguousarray(image[..., ::-1]), (0, 0, 0, 0)
    cv2.grabCut(bgr, classes, unused, background, foreground, GRABCUT_ITERATIONS, cv2.GC_INIT_WITH_MASK)
    return (classes == cv2.GC_FGD) | (classes == cv2.GC_PR_FGD)
