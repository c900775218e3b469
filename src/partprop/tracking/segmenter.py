"""The online loop: feed a video frame by frame, get the objects' masks, boxes and parts."""

from collections.abc import Callable
from functools import partial
from typing import Any

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
from partprop.model.windows import cut, scaled
from partprop.tracking.one_object import Follower, Track
from partprop.tracking.places import encoded_cells, with_room
from partprop.tracking.result import Result, require_arrays, with_given
from partprop.tracking.settings import Settings
from partprop.tracking.side_by_side import SideBySide

ENLARGED = 2.0  # times, at most, to reach the working resolution


class Segmenter:
    """Follows objects through one video. Nothing that is kept grows with the video's length.

    So that many objects stay affordable, each of several has fewer parts than a single one, is looked for less far
    around its last place, and its contours in the previous frame alone. On a processor they are computed side by side,
    in threads.

    Attributes:
        network: in evaluation mode.
        settings: see `Settings`.
    """

    def __init__(self, network: Network, settings: Settings) -> None:
        self.network = network
        self.settings = settings
        self._follower = Follower(network, settings)
        self._tracks: list[Track] = []
        self._before: Features  # of the previous frame
        self._size: tuple[int, ...]  # its height and width
        self._side_by_side = SideBySide(self._device)

    def start(self, image: np.ndarray, labels: np.ndarray) -> Result:
        """Begin with a frame and its mask; what was followed before is forgotten.

        Args:
            image: uint8 (H, W, 3), RGB.
            labels: uint8 (H, W), 0 background, object ids, 255 void; or bool, of one object with id 1.

        Raises:
            UserError: as of `step`.
        """
        if labels is None:
            raise UserError("masks are None; start with those of the objects, and go on with step")
        require_arrays(image, labels)
        self._tracks = []
        return self._advance(image, labels)

    def step(self, image: np.ndarray, labels: np.ndarray | None = None) -> Result:
        """Segment the next frame.

        Args:
            image: uint8 (H, W, 3), RGB.
            labels: true masks in it, as for `start`: of objects that appear, which are followed from here on, and of
                known ones, which are corrected: they are followed as they look here. A mask too small to be seen at
                the working resolution is taken for this frame alone.

        Raises:
            UserError: the frame has another size than those before, the masks have another than the frame, or these are
                no such arrays.
        """
        require_arrays(image, labels)
        if self._tracks and image.shape[:2] != self._size:
            height, width = image.shape[:2]
            raise UserError(f"a frame of {width}x{height} follows others of {self._size[1]}x{self._size[0]}; resize it")
        return self._advance(image, labels)

    @torch.inference_mode()
    def _advance(self, image: np.ndarray, labels: np.ndarray | None) -> Result:
        self._size = image.shape[:2]
        empty = Result(np.zeros(image.shape[:2], np.uint8), [], {}, {})
        if labels is None and not self._tracks:
            return empty
        features, shape = self._encode(image, everything=labels is not None)
        given = {} if labels is None else self._given(labels, shape)
        known = [tracked for tracked in self._tracks if tracked.object_id not in given]
        if labels is not None and not (known or given):
            return with_given(empty, labels, given)
        count = len(known) + len(given)
        each = self._side_by_side.each
        follower = self._follower
        names = {tracked.object_id: tracked.next_name for tracked in self._tracks}
        fresh = each(
            list(given.items()), lambda new: follower.begin(features, new[1], new[0], count, names.get(new[0], 1))
        )
        moved = each(
            known,
            lambda tracked: (tracked, follower.look(tracked, self._before, features, count)),
            lambda looked: follower.move(looked[0], self._before, features, looked[1], count),
        )
        merged = _merged([probability for _, probability in moved] + [tracked.mask for tracked in fresh], shape)
        enlarge = partial(_enlarged, merged, image.shape[:2], shape)
        followed, full = self._remember([tracked for tracked, _ in moved], merged, features, count, enlarge)
        self._tracks, self._before = followed + fresh, features
        result = self._result(full, shape)
        return result if labels is None else with_given(result, labels, given)

    def _remember(
        self, tracks: list[Track], merged: Tensor, features: Features, objects: int, meanwhile: Callable[[], Tensor]
    ) -> tuple[list[Track], Tensor]:
        """Tracks that take over their masks of those merged (K + 1, H, W), and what is computed meanwhile.

        Where there are more objects than threads it is computed beside them; fewer keep the cores busy as they are.
        """
        decided = zip(tracks, merged[1 : len(tracks) + 1], _won(merged)[: len(tracks)], strict=True)
        remembering = [
            partial(self._follower.remember, tracked, self._before, features, mask, won, objects)
            for tracked, mask, won in decided
        ]
        each = self._side_by_side.each
        if len(tracks) <= torch.get_num_threads():
            return each(remembering, _call), meanwhile()
        full, *followed = each([meanwhile, *remembering], _call)
        return followed, full

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def _given(self, labels: np.ndarray, shape: tuple[int, int]) -> dict[int, Tensor]:
        """Masks (H, W) of objects at the working resolution; without those too small to be seen there."""
        masks = {
            object_id: self._to_working((labels == object_id).astype(np.float32), shape)
            for object_id in object_ids(labels)
        }
        return {object_id: mask for object_id, mask in masks.items() if mask.max() > 0.5}

    def _encode(self, image: np.ndarray, everything: bool) -> tuple[Features, tuple[int, int]]:
        """Features of the frame at the working resolution, zero-padded; and that resolution's (height, width).

        Unless everything is asked for, features are zero where no object is looked for.
        """
        height, width = image.shape[:2]
        scale = min(ENLARGED, self.settings.short_side / min(height, width))
        shape = (max(1, round(height * scale)), max(1, round(width * scale)))
        padded = F.pad(normalise(_resized(image, shape)), (0, -shape[1] % COARSEST, 0, -shape[0] % COARSEST))
        grid = (padded.shape[1] // COARSEST, padded.shape[2] // COARSEST)
        window = (slice(0, grid[0]), slice(0, grid[1]))
        if not everything and self._tracks and not any(tracked.lost for tracked in self._tracks):
            wholes = [with_room(tracked.parts.boxes[:1], tracked.size) for tracked in self._tracks]
            window = encoded_cells(torch.cat(wholes), grid)
        features = self.network.encode(cut(padded[None], scaled(window, COARSEST)).to(self._device))
        return features.placed(window, grid), shape

    def _to_working(self, mask: np.ndarray, shape: tuple[int, int]) -> Tensor:
        padded = F.pad(torch.from_numpy(_resized(mask, shape)), (0, -shape[1] % COARSEST, 0, -shape[0] % COARSEST))
        return padded.to(self._device)

    def _result(self, full: Tensor, shape: tuple[int, int]) -> Result:
        """The result from probabilities (K + 1, H, W) at the input's resolution, background first."""
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


def _call(task: Callable[[], Any]) -> Any:
    return task()


def _merged(probabilities: list[Tensor], shape: tuple[int, int]) -> Tensor:
    """Probabilities (K + 1, H, W), background first, of objects that were found one by one; none in the padding."""
    merged = soft_aggregate(torch.stack(probabilities))
    merged[1:, shape[0] :] = merged[1:, :, shape[1] :] = 0
    return merged


def _enlarged(merged: Tensor, size: tuple[int, ...], shape: tuple[int, int]) -> Tensor:
    """Probabilities (K + 1, ·, ·) of the working resolution `shape`, and its padding, at the input's resolution."""
    seen = merged[:, : shape[0], : shape[1]]
    return F.interpolate(seen[None], size=(size[0], size[1]), mode="bilinear", align_corners=False)[0]


def _won(merged: Tensor) -> Tensor:
    """Where each object is the likeliest, (K, H, W) of 0 and 1; with several, its probability may be under a half."""
    return (merged[1:] == merged.amax(0)).to(merged.dtype)


def _resized(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    if pixels.shape[:2] == shape:
        return pixels
    kind = cv2.INTER_AREA if shape[0] < pixels.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(pixels, shape[::-1], interpolation=kind)
