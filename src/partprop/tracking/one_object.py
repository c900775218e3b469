"""The step of one object from frame to frame: look, move, remember; search when it is lost."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from partprop.model.boxes import box_of_mask, enlarge, from_centre_size, to_centre_size
from partprop.model.correlation import Past
from partprop.model.evidence import Correlated
from partprop.model.features import STRIDE, Features, FineFrame
from partprop.model.network import CONTEXT, Network, PlacedParts
from partprop.model.readout import Memory
from partprop.model.windows import scaled
from partprop.tracking.parts import Parts, create_parts, propose, redundant, roi_groups, track, unreliable
from partprop.tracking.places import covering_window, main_box, remembered_cells, with_room
from partprop.tracking.settings import Budget, Settings

CANDIDATES = 4  # places of the frame at which a lost object is searched for
HYSTERESIS = 0.1  # by which the confidence must exceed lost_score for a lost object to count as found
SIZE_MEMORY = 0.97  # decay per frame of the remembered size of an object under occlusion: 0.4 after thirty frames
COARSE = 4  # cells a side that are merged in the reference memory far from the object
RECENT_WEIGHT = 0.95  # of cosines with a recent frame, whose predicted mask may be wrong
SURE = 0.9  # probability of object or background from which a pixel of a recent frame is memorised


@dataclass(frozen=True)
class Track:
    """State of one object between frames.

    Attributes:
        parts: at their boxes in the previous frame, or in the last one in which the object was visible.
        reference: memory of the frame with the given mask, coarser far from the object.
        filter_weights: (1, D), fitted to that frame.
        mask: (H, W) probability in the previous frame.
        size: (2,) width and height, a decaying maximum: what to search for under occlusion.
        next_name: of the next part.
        memory: the reference, and the object's surroundings in a recent frame, refreshed every `memory_every` frames.
        earlier: frames before the previous one, latest first, since the object was last lost.
        age: number of frames since the reference in which the object was visible.
    """

    object_id: int
    parts: Parts
    reference: Memory
    filter_weights: Tensor
    mask: Tensor
    size: Tensor
    next_name: int
    memory: Memory
    earlier: tuple[FineFrame, ...] = ()
    age: int = 0
    lost: bool = False


class Given(NamedTuple):
    """An object with a given mask (H, W); its parts are named from `first_name` on."""

    object_id: int
    mask: Tensor
    first_name: int


@dataclass(frozen=True)
class Reading:
    """What `look` finds around the parts of a visible object.

    Attributes:
        track: the object's state before this frame.
        parts: at their tracked boxes.
        boxes: (K, 4), the same with the whole object's box grown to its remembered size; masks are decoded around them.
        correlated: of the window that contains all of them.
    """

    track: Track
    parts: Parts
    boxes: Tensor
    correlated: Correlated


class Moved(NamedTuple):
    """A track in the current frame, and its probability (H, W) before objects are merged; zero if it is lost."""

    track: Track
    probability: Tensor


class Merged(NamedTuple):
    """A track, its merged probability (H, W), and the pixels (H, W) of 0 and 1 at which it is the likeliest."""

    track: Track
    mask: Tensor
    won: Tensor


class Decoded(NamedTuple):
    """Probability (H, W); presence (K,) of the parts in [0, 1]; confidence in the object, a scalar in [0, 1].

    The confidence is the object's presence times the share of its mask that memory and filter confirm.
    """

    probability: Tensor
    presence: Tensor
    confidence: Tensor


class ObjectStep:
    """The step of each object from the previous frame to the current one.

    Objects are processed independently; a `Track` holds all state of one. Masks (H, W) are at the working resolution,
    padding included.

    Args:
        network: in evaluation mode.
        settings: of the online loop.
        budget: of each object in this frame.
        previous: features of the previous frame; None for the first frame, in which objects can only `begin`.
        current: features of the current frame.
    """

    def __init__(
        self, network: Network, settings: Settings, budget: Budget, previous: Features | None, current: Features
    ) -> None:
        self._network = network
        self._settings = settings
        self._budget = budget
        self._previous_features = previous
        self._current = current

    def begin(self, given: Given) -> Track:
        """Start, or restart, an object from its given mask."""
        features, mask = self._current, given.mask
        whole = main_box(mask)
        assert whole is not None, "masks without pixels are left out before"
        boxes = torch.cat([whole[None], propose(mask, whole, self._budget.parts)])
        parts = create_parts(self._network, features, mask, boxes, given.first_name - 1)
        parts = replace(parts, names=(0, *parts.names[1:]))
        near = torch.zeros(features.grid, dtype=torch.bool, device=mask.device)
        near[remembered_cells(whole, features)] = True
        reference = self._network.memorise(features, mask[None, None]).coarsened(near, COARSE)
        return Track(
            object_id=given.object_id,
            parts=parts,
            reference=reference,
            filter_weights=self._network.fit_filter(features, mask[None, None]),
            mask=mask,
            size=to_centre_size(boxes[0])[1],
            next_name=given.first_name - 1 + len(parts),
            memory=reference,
        )

    def look(self, known: Track) -> Reading | Track:
        """Track the parts and correlate their surroundings; a lost track is returned as it is."""
        if known.lost:
            return known
        return self._correlate(known, track(self._network, self._current, known.parts))

    def move(self, looked: Reading | Track) -> Moved:
        """Decode the masks of the parts; search for a lost object in the whole frame."""
        if isinstance(looked, Track):
            return self._search(looked)
        found = self._decode(looked)
        if found.confidence < self._settings.lost_score or box_of_mask(found.probability) is None:
            return Moved(replace(looked.track, lost=True), torch.zeros_like(found.probability))
        scores = torch.cat([found.confidence[None], looked.parts.scores[1:] * found.presence[1:]])
        return Moved(replace(looked.track, parts=looked.parts.moved(looked.parts.boxes, scores)), found.probability)

    def remember(self, merged: Merged) -> Track:
        """Take over the merged mask; the pixels that the object won place the object and its parts.

        An object that won no pixel is occluded, and lost.
        """
        known, mask, won = merged
        whole = None if known.lost else main_box(won)
        if whole is None:
            return replace(known, mask=mask, earlier=(), lost=True)
        parts, next_name = self._renew(known, mask, won, whole)
        age, memory, every = known.age + 1, known.memory, self._settings.memory_every
        if every and age % every == 0:
            memory = known.reference.joined(self._recent_memory(mask, whole), RECENT_WEIGHT)
        return replace(
            known,
            parts=parts,
            size=torch.maximum(known.size * SIZE_MEMORY, to_centre_size(whole)[1]),
            mask=mask,
            next_name=next_name,
            memory=memory,
            earlier=self._history(known),
            age=age,
        )

    @property
    def _previous(self) -> Features:
        assert self._previous_features is not None, "only objects that begin have no previous frame"
        return self._previous_features

    def _search(self, known: Track) -> Moved:
        """Search for a lost object at its last place, and where the reference's pixels match."""
        # the reference alone: the recent frame may show a distractor
        blank = replace(known, mask=torch.zeros_like(known.mask), memory=known.reference)
        object_part, best, found = known.parts.select([0]), self._settings.lost_score + HYSTERESIS, None
        for box in self._candidates(known):
            reading = self._correlate(blank, object_part.moved(box[None], torch.ones_like(object_part.scores)))
            decoded = self._decode(reading)
            if decoded.confidence > best and box_of_mask(decoded.probability) is not None:
                best = float(decoded.confidence)
                found = reading.parts.moved(box[None], decoded.confidence[None]), decoded.probability
        if found is None:
            return Moved(known, torch.zeros_like(known.mask))
        return Moved(replace(known, parts=found[0], lost=False, memory=known.reference), found[1])

    def _candidates(self, known: Track) -> list[Tensor]:
        """Boxes (4,) of the object's size at its last place, and where most cells match the reference."""
        centre, _ = to_centre_size(known.parts.boxes[0])
        boxes = [from_centre_size(centre, known.size)]
        found = self._network.correlation.locate(self._current, known.reference)
        if found is None:
            return boxes
        width, height = (max(1, int(side / STRIDE)) | 1 for side in known.size.tolist())
        density = F.avg_pool2d(found, (height, width), 1, (height // 2, width // 2))[0, 0]
        for _ in range(CANDIDATES - 1):
            row, column = divmod(int(density.argmax()), density.shape[1])
            place = centre.new_tensor([column + 0.5, row + 0.5]) * STRIDE
            boxes.append(from_centre_size(place, known.size))
            rows = slice(max(0, row - height // 2), row + height // 2 + 1)
            columns = slice(max(0, column - width // 2), column + width // 2 + 1)
            density[rows, columns] = -1
        return boxes

    def _correlate(self, known: Track, parts: Parts) -> Reading:
        """Correlate the surroundings of parts at their new boxes."""
        boxes = with_room(parts.boxes, known.size)
        window = covering_window(enlarge(boxes, CONTEXT), self._current.grid)
        past = Past(known.memory, known.filter_weights, self._previous, known.mask[None, None], known.earlier)
        correlated = self._network.correlate(self._current, past, window, self._budget.radius)
        return Reading(known, parts, boxes, correlated)

    def _decode(self, reading: Reading) -> Decoded:
        """Decode and join the masks of the parts."""
        known, parts, correlated = reading.track, reading.parts, reading.correlated
        before = with_room(known.parts.boxes[: len(parts)], known.size)
        placed = PlacedParts(reading.boxes[None], before[None], parts.guidance[None], parts.scores[None])
        groups = roi_groups(reading.boxes, self._network.decoder.roi_size)
        found = self._network.decode(self._current, correlated, placed, groups)
        probability = torch.zeros_like(known.mask)
        probability[scaled(correlated.window, STRIDE)] = found.probability[0, 0]
        presence = found.presence[0].sigmoid()
        support = self._network.correlation.support(correlated.evidence, F.avg_pool2d(found.probability, STRIDE))
        return Decoded(probability, presence, presence[0] * support[0])

    def _renew(self, known: Track, mask: Tensor, won: Tensor, whole: Tensor) -> tuple[Parts, int]:
        """Drop unreliable and redundant parts, and propose new ones on pixels that no part covers."""
        parts = known.parts.placed(whole)
        parts = parts.without(unreliable(parts, whole))
        parts = parts.without(redundant(parts, won))
        allowed = self._budget.parts + 1
        parts = parts.select(list(range(min(len(parts), allowed))))
        boxes = propose(won, parts.boxes[0], allowed - len(parts), parts.boxes[1:])
        if len(boxes) == 0:
            return parts, known.next_name
        fresh = create_parts(self._network, self._current, mask, boxes, known.next_name)
        return parts.joined(fresh), known.next_name + len(boxes)

    def _recent_memory(self, mask: Tensor, whole: Tensor) -> Memory:
        """Memory of the object's surroundings in the current frame, without uncertain pixels."""
        memory = self._network.memorise(self._current, mask[None, None], remembered_cells(whole, self._current))
        return memory.select((memory.mask[0] - 0.5).abs() > SURE - 0.5)

    def _history(self, known: Track) -> tuple[FineFrame, ...]:
        """Frames before the previous one, for the next frame; none if the object has just reappeared."""
        if self._budget.history == 0 or box_of_mask(known.mask) is None:  # merging leaves a lost object tiny values
            return ()
        return (self._previous.fine_frame(known.mask[None, None]), *known.earlier)[: self._budget.history]
