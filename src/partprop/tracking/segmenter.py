"""The online loop: look, move, merge and remember, frame by frame."""

from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from partprop.base.errors import UserError
from partprop.data.labels import object_ids
from partprop.data.tracks import PartBox
from partprop.model.backbone.imagenet import normalise
from partprop.model.features import COARSEST, Features
from partprop.model.network import Network
from partprop.model.propagation import soft_aggregate
from partprop.model.windows import cut, scaled, whole_window
from partprop.tracking.one_object import Given, Merged, Moved, ObjectStep, Track
from partprop.tracking.places import encoded_cells, with_room
from partprop.tracking.result import Result, require_arrays, with_given
from partprop.tracking.settings import Budget, Settings
from partprop.tracking.side_by_side import SideBySide

ENLARGED = 2.0  # greatest factor by which frames are enlarged to the working resolution


class Segmenter:
    """Segments objects online, frame by frame. Memory does not grow with the video's length.

    To keep many objects affordable, each of several has a smaller `Budget` than a single one. On a CPU, objects run
    side by side in threads.

    Attributes:
        network: in evaluation mode.
        settings: see `Settings`.
    """

    def __init__(self, network: Network, settings: Settings) -> None:
        self.network = network
        self.settings = settings
        self._tracks: list[Track] = []
        self._previous: Features | None = None  # features of the previous frame
        self._size: tuple[int, ...]  # its height and width
        self._objects = SideBySide(self._device)

    def start(self, image: np.ndarray, labels: np.ndarray) -> Result:
        """Start with a frame and its mask; earlier objects are forgotten.

        Args:
            image: uint8 (H, W, 3), RGB.
            labels: uint8 (H, W), 0 background, object ids, 255 void; or bool, one object with id 1.

        Raises:
            UserError: the masks are None, or an array has a wrong type or shape.
        """
        if labels is None:
            raise UserError("masks are None; start with the objects' masks, then call step without")
        require_arrays(image, labels)
        self._tracks = []
        return self._advance(image, labels)

    def step(self, image: np.ndarray, labels: np.ndarray | None = None) -> Result:
        """Segment the next frame; without objects so far the result is empty.

        Args:
            image: uint8 (H, W, 3), RGB.
            labels: true masks in this frame, see `start`. New objects are segmented from here on, known ones restart
                from this frame. A mask too small for the working resolution counts for this frame alone.

        Raises:
            UserError: the frame's size differs from that of earlier frames, or the arrays have a wrong type or shape.
        """
        require_arrays(image, labels)
        if self._tracks and image.shape[:2] != self._size:
            height, width = image.shape[:2]
            raise UserError(
                f"a frame of {width}x{height} pixels after frames of {self._size[1]}x{self._size[0]}; resize it"
            )
        return self._advance(image, labels)

    @torch.inference_mode()
    def _advance(self, image: np.ndarray, labels: np.ndarray | None) -> Result:
        self._size = image.shape[:2]
        nothing = Result(np.zeros(image.shape[:2], np.uint8), [], {}, {})
        if labels is None and not self._tracks:
            return nothing
        features, shape = self._encode(image, full_frame=labels is not None)
        given = [] if labels is None else self._given(labels, shape)
        ids = {each.object_id for each in given}
        known = [each for each in self._tracks if each.object_id not in ids]
        if labels is not None and not (known or given):
            return with_given(nothing, labels, ids)
        budget = Budget.share(self.settings, len(known) + len(given))
        step = ObjectStep(self.network, self.settings, budget, self._previous, features)

        begun = self._objects.each(given, step.begin)
        moved = self._objects.each(known, step.look, step.move)
        merged = _merge([each.probability for each in moved] + [each.mask for each in begun], shape)
        enlarge = partial(_enlarge, merged, image.shape[:2], shape)
        full, remembered = self._objects.each_beside(enlarge, _divide(merged, moved), step.remember)

        self._tracks, self._previous = remembered + begun, features
        result = self._result(full, shape)
        return result if labels is None else with_given(result, labels, ids)

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def _given(self, labels: np.ndarray, shape: tuple[int, int]) -> list[Given]:
        """Objects with masks at the working resolution; those too small to be visible there are left out."""
        names = {each.object_id: each.next_name for each in self._tracks}
        given = [
            Given(number, self._to_working((labels == number).astype(np.float32), shape), names.get(number, 1))
            for number in object_ids(labels)
        ]
        return [each for each in given if each.mask.max() > 0.5]

    def _encode(self, image: np.ndarray, full_frame: bool) -> tuple[Features, tuple[int, int]]:
        """Features of the frame at the working resolution, zero-padded; and that resolution, (height, width).

        Args:
            full_frame: encode the whole frame; else features are zero where no object can be.
        """
        height, width = image.shape[:2]
        scale = min(ENLARGED, self.settings.short_side / min(height, width))
        shape = (max(1, round(height * scale)), max(1, round(width * scale)))
        padded = F.pad(normalise(_resized(image, shape)), (0, -shape[1] % COARSEST, 0, -shape[0] % COARSEST))
        grid = (padded.shape[1] // COARSEST, padded.shape[2] // COARSEST)
        window = whole_window(grid)
        if not full_frame and self._tracks and not any(tracked.lost for tracked in self._tracks):
            wholes = [with_room(tracked.parts.boxes[:1], tracked.size) for tracked in self._tracks]
            window = encoded_cells(torch.cat(wholes), grid)
        features = self.network.encode(cut(padded[None], scaled(window, COARSEST)).to(self._device))
        return features.padded_to_frame(window, grid), shape

    def _to_working(self, mask: np.ndarray, shape: tuple[int, int]) -> Tensor:
        padded = F.pad(torch.from_numpy(_resized(mask, shape)), (0, -shape[1] % COARSEST, 0, -shape[0] % COARSEST))
        return padded.to(self._device)

    def _result(self, full: Tensor, shape: tuple[int, int]) -> Result:
        """The result for probabilities (K + 1, H, W) at the input's resolution, background first."""
        size = full.shape[1:]
        labels, best = np.zeros((size[0], size[1]), np.uint8), full[0]
        for tracked, probability in zip(self._tracks, full[1:], strict=True):  # several times faster than argmax
            if tracked.lost:
                continue
            labels[(probability > best).cpu().numpy()] = tracked.object_id
            best = torch.maximum(best, probability)
        ids = [tracked.object_id for tracked in self._tracks]
        boxes = self._boxes(size, shape)
        confidence = dict.fromkeys(ids, 0.0) | {box.object_id: box.score for box in boxes if box.part == 0}
        return Result(labels, boxes, dict(zip(ids, full[1:].cpu().numpy(), strict=True)), confidence)

    def _boxes(self, size: tuple[int, ...], shape: tuple[int, int]) -> list[PartBox]:
        scale = torch.tensor([size[1] / shape[1], size[0] / shape[0]] * 2)
        return [
            PartBox(tracked.object_id, name, tuple((box.cpu() * scale).tolist()), float(score))
            for tracked in self._tracks
            if not tracked.lost
            for name, box, score in zip(tracked.parts.names, tracked.parts.boxes, tracked.parts.scores, strict=True)
        ]


def _merge(probabilities: list[Tensor], shape: tuple[int, int]) -> Tensor:
    """Merge objects that were decoded one by one: (K + 1, H, W), background first, zero in the padding."""
    merged = soft_aggregate(torch.stack(probabilities))
    merged[1:, shape[0] :] = merged[1:, :, shape[1] :] = 0
    return merged


def _enlarge(merged: Tensor, size: tuple[int, ...], shape: tuple[int, int]) -> Tensor:
    """Resize probabilities (K + 1, ·, ·) from the working resolution `shape`, without padding, to the input's size."""
    seen = merged[:, : shape[0], : shape[1]]
    return F.interpolate(seen[None], size=(size[0], size[1]), mode="bilinear", align_corners=False)[0]


def _divide(merged: Tensor, moved: Sequence[Moved]) -> list[Merged]:
    """Each moved object's share of the merged probabilities (K + 1, H, W); it may win pixels with less than a half."""
    won = (merged[1:] == merged.amax(0)).to(merged.dtype)
    return [Merged(each.track, merged[1 + index], won[index]) for index, each in enumerate(moved)]


def _resized(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    if pixels.shape[:2] == shape:
        return pixels
    kind = cv2.INTER_AREA if shape[0] < pixels.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(pixels, shape[::-1], interpolation=kind)
