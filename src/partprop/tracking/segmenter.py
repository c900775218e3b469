"""The online loop: feed a video frame by frame, get the objects' masks, boxes and parts."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from partprop.errors import UserError
from partprop.evaluation.frames import object_ids
from partprop.model.backbone import normalise
from partprop.model.boxes import box_of_mask, enlarge, from_centre_size, to_centre_size
from partprop.model.correlation import FineFrame
from partprop.model.features import COARSEST, STRIDE, Features
from partprop.model.network import CONTEXT, Network
from partprop.model.propagation import join_parts, soft_aggregate
from partprop.model.readout import READOUT_EXTRA, Memory, read
from partprop.model.windows import cut, scaled
from partprop.tracking.parts import Parts, decode, describe, propose, redundant, track, unreliable
from partprop.tracking.places import cells, encoded_cells, main_box, remembered_cells, with_room
from partprop.tracking.result import PartBox, Result, require_arrays, with_given
from partprop.tracking.side_by_side import SideBySide

ENLARGED = 2.0  # times, at most, to reach the working resolution
CANDIDATES = 4  # places of the frame at which a lost object is looked for
HYSTERESIS = 0.1  # by which the confidence must exceed lost_score for a lost object to be found again
SIZE_MEMORY = 0.97  # per frame: an object that is being covered keeps its size for about thirty frames
EARLIER = 2  # frames before the previous one in which contours of a single object are looked for, too
LEAST_PARTS = 2  # of each of several objects, which share the number of parts
COARSE = 4  # cells a side of what is remembered as one of the first frame beyond it
RECENT_WEIGHT = 0.95  # of cosines with a recent frame, whose mask may be wrong, beside the reference's
SURE = 0.9  # of a recent frame only pixels that are object or background this surely are kept


@dataclass(frozen=True)
class Settings:
    """How a video is run.

    short_side: the working resolution, pixels of the frame's shorter side, which is at most doubled for it. parts: at
    most so many beside the whole object; several objects share them, but each has two, if so many are allowed.
    lost_score: confidence in [0, 1] below which an object counts as lost. memory_every: the object is remembered from
    every so many frames, the last of which is kept; 0 remembers the first frame alone.
    """

    short_side: int
    parts: int
    lost_score: float
    memory_every: int


@dataclass(frozen=True)
class _Track:
    """What is carried from frame to frame of one object."""

    object_id: int
    parts: Parts
    reference: Memory  # the frame of the given mask, coarser far from the object
    filter_weights: Tensor | None  # (1, D), fitted to that frame
    mask: Tensor  # (H, W) probability in the previous frame
    size: Tensor  # (2,) width and height, of late at the largest: what to look for when it is covered or lost
    next_name: int
    memory: Memory  # the reference and, from `memory_every` on, the object's surroundings in a frame of late
    earlier: tuple[FineFrame, ...] = ()  # frames before the previous one, the last first, since it was lost
    age: int = 0  # frames after the first in which it was seen
    lost: bool = False


class Segmenter:
    """Follows objects through one video. Nothing that is kept grows with the video's length.

    So that many objects stay affordable, each of several has fewer parts than a single one, and their contours are
    looked for in the previous frame alone. On a processor they are computed side by side, in threads.

    Attributes:
        network: in evaluation mode.
        settings: see `Settings`.
    """

    def __init__(self, network: Network, settings: Settings) -> None:
        self.network = network
        self.settings = settings
        self._tracks: list[_Track] = []
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
        return self.step(image, labels)

    @torch.inference_mode()
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
        self._size = image.shape[:2]
        features, shape = self._encode(image, everything=labels is not None)
        given = {} if labels is None else self._given(labels, shape)
        known = [tracked for tracked in self._tracks if tracked.object_id not in given]
        if not known and not given:
            empty = Result(np.zeros(image.shape[:2], np.uint8), [], {}, {})
            return empty if labels is None else with_given(empty, labels, given)
        count = len(known) + len(given)
        each = self._side_by_side.map
        fresh = each(lambda new: self._begin(features, new[1], new[0], count), list(given.items()))
        moved = each(lambda tracked: self._move(tracked, features), known)
        merged = _merged([probability for _, probability in moved] + [tracked.mask for tracked in fresh], shape)
        tracks = [tracked for tracked, _ in moved]
        decided = list(zip(tracks, merged[1 : len(tracks) + 1], _won(merged)[: len(tracks)], strict=True))
        followed = each(lambda one: self._remember(one[0], features, one[1], one[2], count), decided)
        self._tracks, self._before = followed + fresh, features
        result = self._result(merged, image.shape[:2], shape)
        return result if labels is None else with_given(result, labels, given)

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

    def _begin(self, features: Features, mask: Tensor, object_id: int, objects: int) -> _Track:
        """An object as its given mask (H, W) shows it, one of so many objects."""
        whole = main_box(mask)
        assert whole is not None
        boxes = torch.cat([whole[None], propose(mask, whole, self._parts_each(objects))])
        parts = describe(self.network, features, mask, boxes, 0)
        near = remembered_cells(whole, features)
        reference = self.network.memorise(features, mask[None, None]).coarsened(near, COARSE)
        weights = self.network.fit_filter(features, mask[None, None])
        size = to_centre_size(boxes[0])[1]
        return _Track(object_id, parts, reference, weights, mask, size, next_name=len(parts), memory=reference)

    def _move(self, tracked: _Track, features: Features) -> tuple[_Track, Tensor]:
        """The object in the next frame, and its probability (H, W) there, before it is merged with others."""
        return self._search(tracked, features) if tracked.lost else self._follow(tracked, features)

    def _follow(self, tracked: _Track, features: Features) -> tuple[_Track, Tensor]:
        """Track the parts, read the correlations around them, decode and join their masks."""
        parts = track(self.network, features, tracked.parts)
        probability, presence, confidence = self._propagate(tracked, features, parts)
        if confidence < self.settings.lost_score or box_of_mask(probability) is None:
            return replace(tracked, lost=True), torch.zeros_like(probability)
        scores = torch.cat([confidence[None], parts.scores[1:] * presence[1:]])
        return replace(tracked, parts=parts.moved(parts.boxes, scores)), probability

    def _search(self, tracked: _Track, features: Features) -> tuple[_Track, Tensor]:
        """Look for a lost object in the whole frame: where the reference's pixels match, and where it was last."""
        # the reference alone: what is remembered of late may be what the object was lost to
        blank = replace(tracked, mask=torch.zeros_like(tracked.mask), memory=tracked.reference)
        whole, best, found = tracked.parts.select([0]), self.settings.lost_score + HYSTERESIS, None
        for box in self._candidates(tracked, features):
            parts = whole.moved(box[None], torch.ones_like(whole.scores))
            probability, _, confidence = self._propagate(blank, features, parts)
            if confidence > best and box_of_mask(probability) is not None:
                best, found = float(confidence), (parts.moved(box[None], confidence[None]), probability)
        if found is None:
            return tracked, torch.zeros_like(tracked.mask)
        return replace(tracked, parts=found[0], lost=False, memory=tracked.reference), found[1]

    def _candidates(self, tracked: _Track, features: Features) -> list[Tensor]:
        """Boxes of the object's size where it was last, and where correlation with the reference finds most of it."""
        centre, _ = to_centre_size(tracked.parts.boxes[0])
        boxes = [from_centre_size(centre, tracked.size)]
        if not self.network.pixel_correlation:
            return boxes
        shape = features.keys.shape[2:]
        temperature = self.network.correlation.log_temperature.exp()[0]
        readout = read(tracked.reference, features.keys.flatten(2), temperature).unflatten(2, shape)
        found = readout[:, -READOUT_EXTRA, None]
        width, height = (max(1, int(side / STRIDE)) | 1 for side in tracked.size.tolist())
        density = F.avg_pool2d(found, (height, width), 1, (height // 2, width // 2))[0, 0]
        for _ in range(CANDIDATES - 1):
            row, column = divmod(int(density.argmax()), density.shape[1])
            place = centre.new_tensor([column + 0.5, row + 0.5]) * STRIDE
            boxes.append(from_centre_size(place, tracked.size))
            density[
                max(0, row - height // 2) : row + height // 2 + 1, max(0, column - width // 2) : column + width // 2 + 1
            ] = -1
        return boxes

    def _propagate(self, tracked: _Track, features: Features, parts: Parts) -> tuple[Tensor, Tensor, Tensor]:
        """Decode and join the parts' masks at their new boxes.

        Returns:
            Probability (H, W); the parts' presence (K,) in [0, 1]; the confidence in the object, a scalar in [0, 1]:
            its presence times the share of the mask that memory and filter find, too.
        """
        network, grid = self.network, (features.keys.shape[2], features.keys.shape[3])
        boxes = with_room(parts.boxes, tracked.size)
        windows = enlarge(boxes, CONTEXT)
        rows, columns = cells(windows, grid)
        mask = tracked.mask[None, None]
        correlated = network.correlate(
            features, tracked.memory, tracked.filter_weights, self._before, mask, (rows, columns), tracked.earlier
        )
        before = enlarge(with_room(tracked.parts.boxes[: len(parts)], tracked.size), CONTEXT)
        corrections, present = decode(
            network, features, correlated, (rows.start, columns.start), parts.moved(boxes, parts.scores), before, mask
        )
        prior = F.interpolate(correlated.prior, scale_factor=STRIDE // 2, mode="bilinear", align_corners=False)
        shift = boxes.new_tensor([columns.start, rows.start] * 2) * STRIDE
        found = join_parts(prior[0, 0], corrections, windows - shift, parts.scores * present)
        small = F.avg_pool2d(found[None, None], STRIDE)
        probability = torch.zeros_like(tracked.mask)
        probability[scaled((rows, columns), STRIDE)] = found
        return probability, present, present[0] * network.support(correlated.evidence, small)[0]

    def _remember(self, tracked: _Track, features: Features, mask: Tensor, won: Tensor, objects: int) -> _Track:
        """Take the merged mask of one of so many objects over; the pixels that it won place the object and its parts.

        An object that won none, for others cover it, is lost.
        """
        whole = None if tracked.lost else main_box(won)
        if whole is None:
            return replace(tracked, mask=mask, earlier=(), lost=True)
        parts = tracked.parts.placed(whole)
        parts = parts.without(unreliable(parts, whole))
        parts = parts.without(redundant(parts, won))
        parts, next_name = self._renew(tracked, features, mask, won, parts, self._parts_each(objects))
        size = torch.maximum(tracked.size * SIZE_MEMORY, to_centre_size(whole)[1])
        age, memory, every = tracked.age + 1, tracked.memory, self.settings.memory_every
        if every and age % every == 0:
            memory = tracked.reference.joined(self._glance(features, mask, whole), RECENT_WEIGHT)
        return replace(
            tracked,
            parts=parts,
            size=size,
            mask=mask,
            next_name=next_name,
            memory=memory,
            earlier=self._earlier(tracked) if objects == 1 else (),
            age=age,
        )

    def _earlier(self, tracked: _Track) -> tuple[FineFrame, ...]:
        """What will be the frames before the previous one; none if the object is seen again only now."""
        if box_of_mask(tracked.mask) is None:  # of a lost object, merging leaves tiny probabilities
            return ()
        return (self._before.seen_fine(tracked.mask[None, None]), *tracked.earlier)[:EARLIER]

    def _glance(self, features: Features, mask: Tensor, whole: Tensor) -> Memory:
        """Memory of the object's surroundings in a frame with a predicted mask (H, W), without what is in doubt."""
        memory = self.network.memorise(features, mask[None, None])
        near = remembered_cells(whole, features)
        return memory.select(near.flatten() & ((memory.mask[0] - 0.5).abs() > SURE - 0.5))

    def _parts_each(self, objects: int) -> int:
        """Parts, beside the whole, of each of so many objects."""
        return min(self.settings.parts, max(LEAST_PARTS, self.settings.parts // objects))

    def _renew(
        self, tracked: _Track, features: Features, mask: Tensor, won: Tensor, parts: Parts, allowed: int
    ) -> tuple[Parts, int]:
        """At most so many parts, proposed again where they do not cover the object's pixels."""
        parts = parts.select(list(range(min(len(parts), allowed + 1))))
        missing = allowed + 1 - len(parts)
        boxes = propose(won, parts.boxes[0], missing, parts.boxes[1:])
        if len(boxes) == 0:
            return parts, tracked.next_name
        fresh = describe(self.network, features, mask, boxes, tracked.next_name)
        return parts.joined(fresh), tracked.next_name + len(boxes)

    def _result(self, merged: Tensor, size: tuple[int, ...], shape: tuple[int, int]) -> Result:
        """The result at the input's resolution from probabilities (K + 1, H, W), background first."""
        seen = merged[:, : shape[0], : shape[1]]
        full = F.interpolate(seen[None], size=(size[0], size[1]), mode="bilinear", align_corners=False)[0]
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


def _merged(probabilities: list[Tensor], shape: tuple[int, int]) -> Tensor:
    """Probabilities (K + 1, H, W), background first, of objects that were found one by one; none in the padding."""
    merged = soft_aggregate(torch.stack(probabilities))
    merged[1:, shape[0] :] = merged[1:, :, shape[1] :] = 0
    return merged


def _won(merged: Tensor) -> Tensor:
    """Where each object is the likeliest, (K, H, W) of 0 and 1; with several, its probability may be under a half."""
    return (merged[1:] == merged.amax(0)).to(merged.dtype)


def _resized(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    if pixels.shape[:2] == shape:
        return pixels
    kind = cv2.INTER_AREA if shape[0] < pixels.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(pixels, shape[::-1], interpolation=kind)
