"""One object from frame to frame: its parts are tracked, correlated and decoded; when it is lost, it is looked for."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from partprop.model.boxes import box_of_mask, enlarge, from_centre_size, to_centre_size
from partprop.model.correlation import FineFrame
from partprop.model.evidence import Correlated
from partprop.model.features import STRIDE, Features
from partprop.model.network import CONTEXT, Network
from partprop.model.propagation import join_parts
from partprop.model.readout import READOUT_EXTRA, Memory, read
from partprop.model.windows import Window, scaled
from partprop.tracking.parts import Parts, decode, describe, propose, redundant, track, unreliable
from partprop.tracking.places import cells, main_box, remembered_cells, with_room
from partprop.tracking.settings import Settings

CANDIDATES = 4  # places of the frame at which a lost object is looked for
HYSTERESIS = 0.1  # by which the confidence must exceed lost_score for a lost object to be found again
SIZE_MEMORY = 0.97  # per frame: the size of an object that is being covered fades, in thirty frames to 0.4
EARLIER = 2  # frames before the previous one in which contours of a single object are looked for, too
LEAST_PARTS = 2  # of each of several objects, which share the number of parts
RADIUS_OF_SEVERAL = 6  # reach of the local read-out for each of several objects, in cells of stride 8: that of the fine
COARSE = 4  # cells a side of what is remembered as one of the reference, beyond `remembered_cells`
RECENT_WEIGHT = 0.95  # of cosines with a recent frame, whose mask may be wrong, beside the reference's
SURE = 0.9  # of a recent frame only pixels that are object or background this surely are kept


@dataclass(frozen=True)
class Track:
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
    age: int = 0  # frames after the reference in which it was seen
    lost: bool = False


@dataclass(frozen=True)
class Seen:
    """What is read of a frame around the parts of an object.

    parts: at their new places. placed: the same, the whole object's box with room for what was covered. windows: (K, 4)
    in which they are decoded. window: that holds all, of the keys' grid. correlated: what is read in it.
    """

    parts: Parts
    placed: Parts
    windows: Tensor
    window: Window
    correlated: Correlated


class Follower:
    """Follows objects one by one; what it knows of each is its `Track` alone.

    Masks (H, W) are at the working resolution with its padding. `before` and `features` are of the previous and of the
    current frame; `objects` is how many are followed or lost at present.

    Args:
        network: in evaluation mode.
        settings: see `Settings`.
    """

    def __init__(self, network: Network, settings: Settings) -> None:
        self._network = network
        self._settings = settings

    def begin(self, features: Features, mask: Tensor, object_id: int, objects: int, next_name: int = 1) -> Track:
        """An object as its given mask (H, W) shows it, one of so many objects; parts are named from next_name on."""
        whole = main_box(mask)
        assert whole is not None
        boxes = torch.cat([whole[None], propose(mask, whole, self._parts_each(objects))])
        parts = describe(self._network, features, mask, boxes, next_name - 1)
        parts = replace(parts, names=(0, *parts.names[1:]))
        near = torch.zeros(features.keys.shape[2:], dtype=torch.bool, device=mask.device)
        near[remembered_cells(whole, features)] = True
        reference = self._network.memorise(features, mask[None, None]).coarsened(near, COARSE)
        weights = self._network.fit_filter(features, mask[None, None])
        size = to_centre_size(boxes[0])[1]
        return Track(object_id, parts, reference, weights, mask, size, next_name - 1 + len(parts), memory=reference)

    def look(self, tracked: Track, before: Features, features: Features, objects: int) -> Seen | None:
        """First half of the next frame of one of so many objects: its parts, and what is read around them.

        None of one that is lost.
        """
        if tracked.lost:
            return None
        return self._look(tracked, before, features, track(self._network, features, tracked.parts), _radius(objects))

    def move(
        self, tracked: Track, before: Features, features: Features, seen: Seen | None, objects: int
    ) -> tuple[Track, Tensor]:
        """One of so many objects in the next frame, and its probability (H, W) there, before it is merged with others.

        Of one that is lost, the probability is zero.

        Args:
            seen: as of `look`.
        """
        if seen is None:
            return self._search(tracked, before, features, _radius(objects))
        probability, presence, confidence = self._decode(tracked, features, seen)
        if confidence < self._settings.lost_score or box_of_mask(probability) is None:
            return replace(tracked, lost=True), torch.zeros_like(probability)
        scores = torch.cat([confidence[None], seen.parts.scores[1:] * presence[1:]])
        return replace(tracked, parts=seen.parts.moved(seen.parts.boxes, scores)), probability

    def _search(self, tracked: Track, before: Features, features: Features, radius: int | None) -> tuple[Track, Tensor]:
        """Look for a lost object in the whole frame: where the reference's pixels match, and where it was last."""
        # the reference alone: what is remembered of late may be what the object was lost to
        blank = replace(tracked, mask=torch.zeros_like(tracked.mask), memory=tracked.reference)
        whole, best, found = tracked.parts.select([0]), self._settings.lost_score + HYSTERESIS, None
        for box in self._candidates(tracked, features):
            parts = whole.moved(box[None], torch.ones_like(whole.scores))
            seen = self._look(blank, before, features, parts, radius)
            probability, _, confidence = self._decode(blank, features, seen)
            if confidence > best and box_of_mask(probability) is not None:
                best, found = float(confidence), (parts.moved(box[None], confidence[None]), probability)
        if found is None:
            return tracked, torch.zeros_like(tracked.mask)
        return replace(tracked, parts=found[0], lost=False, memory=tracked.reference), found[1]

    def _candidates(self, tracked: Track, features: Features) -> list[Tensor]:
        """Boxes of the object's size where it was last, and where correlation with the reference finds most of it."""
        centre, _ = to_centre_size(tracked.parts.boxes[0])
        boxes = [from_centre_size(centre, tracked.size)]
        if not self._network.pixel_correlation:
            return boxes
        shape = features.keys.shape[2:]
        temperature = self._network.correlation.log_temperature.exp()[0]
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

    def _look(self, tracked: Track, before: Features, features: Features, parts: Parts, radius: int | None) -> Seen:
        """Read the correlations around parts at their new boxes."""
        placed = parts.moved(with_room(parts.boxes, tracked.size), parts.scores)
        windows = enlarge(placed.boxes, CONTEXT)
        window = cells(windows, (features.keys.shape[2], features.keys.shape[3]))
        correlated = self._network.correlate(
            features,
            tracked.memory,
            tracked.filter_weights,
            before,
            tracked.mask[None, None],
            window,
            tracked.earlier,
            radius,
        )
        return Seen(parts, placed, windows, window, correlated)

    def _decode(self, tracked: Track, features: Features, seen: Seen) -> tuple[Tensor, Tensor, Tensor]:
        """Decode and join the masks of parts.

        Returns:
            Probability (H, W); the parts' presence (K,) in [0, 1]; the confidence in the object, a scalar in [0, 1]:
            its presence times the share of the mask that memory and filter find, too.
        """
        network, correlated, (rows, columns) = self._network, seen.correlated, seen.window
        last_windows = enlarge(with_room(tracked.parts.boxes[: len(seen.parts)], tracked.size), CONTEXT)
        corner = (rows.start, columns.start)
        prepared = network.prepare(correlated)
        corrections, present = decode(
            network, features, prepared, corner, seen.placed, last_windows, tracked.mask[None, None]
        )
        prior = F.interpolate(correlated.prior, scale_factor=STRIDE // 2, mode="bilinear", align_corners=False)
        shift = seen.windows.new_tensor([columns.start, rows.start] * 2) * STRIDE
        found = join_parts(prior[0, 0], corrections, seen.windows - shift, seen.parts.scores * present)
        probability = torch.zeros_like(tracked.mask)
        probability[scaled(seen.window, STRIDE)] = found
        support = network.support(correlated.evidence, F.avg_pool2d(found[None, None], STRIDE))
        return probability, present, present[0] * support[0]

    def remember(
        self, tracked: Track, before: Features, features: Features, mask: Tensor, won: Tensor, objects: int
    ) -> Track:
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
        age, memory, every = tracked.age + 1, tracked.memory, self._settings.memory_every
        if every and age % every == 0:
            memory = tracked.reference.joined(self._glance(features, mask, whole), RECENT_WEIGHT)
        return replace(
            tracked,
            parts=parts,
            size=size,
            mask=mask,
            next_name=next_name,
            memory=memory,
            earlier=_earlier(tracked, before) if objects == 1 else (),
            age=age,
        )

    def _glance(self, features: Features, mask: Tensor, whole: Tensor) -> Memory:
        """Memory of the object's surroundings in a frame with a predicted mask (H, W), without what is in doubt."""
        memory = self._network.memorise(features, mask[None, None], remembered_cells(whole, features))
        return memory.select((memory.mask[0] - 0.5).abs() > SURE - 0.5)

    def _parts_each(self, objects: int) -> int:
        """Parts, beside the whole, of each of so many objects."""
        return min(self._settings.parts, max(LEAST_PARTS, self._settings.parts // objects))

    def _renew(
        self, tracked: Track, features: Features, mask: Tensor, won: Tensor, parts: Parts, allowed: int
    ) -> tuple[Parts, int]:
        """At most so many parts, proposed again where they do not cover the object's pixels."""
        parts = parts.select(list(range(min(len(parts), allowed + 1))))
        missing = allowed + 1 - len(parts)
        boxes = propose(won, parts.boxes[0], missing, parts.boxes[1:])
        if len(boxes) == 0:
            return parts, tracked.next_name
        fresh = describe(self._network, features, mask, boxes, tracked.next_name)
        return parts.joined(fresh), tracked.next_name + len(boxes)


def _earlier(tracked: Track, before: Features) -> tuple[FineFrame, ...]:
    """What will be the frames before the previous one; none if the object is seen again only now."""
    if box_of_mask(tracked.mask) is None:  # of a lost object, merging leaves tiny probabilities
        return ()
    return (before.seen_fine(tracked.mask[None, None]), *tracked.earlier)[:EARLIER]


def _radius(objects: int) -> int | None:
    """Reach of the local read-out for each of so many objects; None: that of the network."""
    return None if objects == 1 else RADIUS_OF_SEVERAL
