"""Training clips: from videos, and from still images made to move."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from partprop.base.errors import UserError
from partprop.data.labels import mask_box, object_ids
from partprop.data.video import Video
from partprop.training.common import augment
from partprop.training.tracker.clips import FRAMES, Clip, PartBoxes, finish, move_with, random_parts
from partprop.training.tracker.part_motion import follow
from partprop.training.tracker.scenery import Motion, Scenery, Setting

NEAR = 2  # annotated frames from the reference up to which a frame counts as the one right after it
STEP = 2  # annotated frames between the later frames of a clip, at most
FEWEST = 64  # pixels of the object that the reference must show
ATTEMPTS = 300  # draws until a reference shows so much
OCCLUDER_SHARE = 0.35  # of still clips
SCALE_CHANGE = 1.5  # between a far reference and the frames after it, at most, beside the object's own


class Clips(Protocol):
    """Something that clips can be drawn from."""

    def draw(self, rng: np.random.Generator, progress: float) -> Clip:
        """One clip; `progress` in [0, 1] is how far training has come (for the curriculum)."""
        ...


@dataclass(frozen=True)
class VideoClips:
    """A reference and three frames in a row of a video, forwards or backwards in time.

    A reference that lies far from the others is shown in a crop of its own, around the object: where it was then does
    not help to find it now.

    Args:
        videos: with an annotation for at least three frames each.
        crop: side in pixels of the crops.
        max_gap: annotated frames between reference and next frame, reached at half of the training (curriculum).
        parts: number of parts beside the whole object.
        paste_share: of the clips that get another ground, and of those that get an occluder.
        scenery: where these come from; None only if paste_share is 0.
    """

    videos: Sequence[Video]
    crop: int
    max_gap: int
    parts: int
    paste_share: float
    scenery: Scenery | None

    def draw(self, rng: np.random.Generator, progress: float) -> Clip:
        """See `Clips`.

        Raises:
            UserError: hardly any object in the videos is large enough.
        """
        for _ in range(ATTEMPTS):
            if (clip := self._try(rng, progress)) is not None:
                return clip
        names = ", ".join(video.name for video in self.videos[:3])
        raise UserError(f"{names}: hardly an object has {FEWEST} pixels in its crop; train on videos with larger ones")

    def _try(self, rng: np.random.Generator, progress: float) -> Clip | None:
        """A clip, or nothing where the reference does not show enough of an object."""
        video = self.videos[int(rng.integers(len(self.videos)))]
        indices, far = self._pick_frames(rng, video, progress)
        labels = [_labels(video, index) for index in indices]
        ids = object_ids(labels[0])
        if not ids:  # the object is hidden in the would-be reference
            return None
        object_id = rng.choice(ids)
        masks = [(frame == object_id).astype(np.uint8) for frame in labels]
        views, masks = self._crop(rng, [video.image(index) for index in indices], masks, far)
        if masks[0].sum() < FEWEST:  # the object is hidden by an occluder, or tiny
            return None
        return finish(rng, views, masks, self._boxes(rng, views, masks, far), far)

    def _pick_frames(self, rng: np.random.Generator, video: Video, progress: float) -> tuple[list[int], bool]:
        """Numbers of the frames, and whether the reference lies far from the others."""
        annotated = [index for index, mask in enumerate(video.masks) if mask is not None]
        reach = max(1, round(self.max_gap * min(1.0, 0.25 + 1.5 * progress)))
        step = min(int(rng.integers(1, STEP + 1)), (len(annotated) - 1) // (FRAMES - 1))
        gap = min(int(rng.integers(1, reach + 1)), len(annotated) - 1 - (FRAMES - 2) * step)
        start = int(rng.integers(0, len(annotated) - gap - (FRAMES - 2) * step))
        places = [start, *(start + gap + step * number for number in range(FRAMES - 1))]
        if rng.random() < 0.5:
            annotated = annotated[::-1]
        return [annotated[place] for place in places], gap > NEAR

    def _crop(
        self, rng: np.random.Generator, images: list[np.ndarray], masks: list[np.ndarray], far: bool
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Views (S, S, 3) and masks (S, S) of the frames in their crops and their setting."""
        places = self._places(rng, images[0].shape, [mask_box(mask) for mask in masks], far)
        angle, shear, flip = rng.normal(0, 12), rng.normal(0, 0.08), bool(rng.random() < 0.5)
        turn = rng.normal(0, 12) if far else 0.0  # of the frames after the reference
        colour, setting, times = augment.recolour(rng), self._setting(rng), _times(rng)
        views, seen = [], []
        for image, mask, (centre, zoom), time in zip(images, masks, places, times, strict=True):
            angle_now = angle + turn * (time > 0) + rng.normal(0, 1.5)
            matrix = augment.affine(tuple(centre), self.crop, zoom, angle_now, shear, flip)
            place = augment.affine_map(matrix, self.crop)
            view, shown = augment.warp(image, place), [augment.warp_mask(mask, place)]
            if setting is not None:
                view, shown = setting.apply(rng, view, shown, time)
            views.append(_finish_view(rng, view, colour))
            seen.append(shown[0])
        return views, seen

    def _setting(self, rng: np.random.Generator) -> Setting | None:
        if self.scenery is None:
            return None
        return self.scenery.setting(rng, self.crop, self.paste_share, self.paste_share)

    def _places(
        self, rng: np.random.Generator, shape: tuple[int, ...], boxes: list[np.ndarray | None], far: bool
    ) -> list[tuple[np.ndarray, float]]:
        """Centre in source pixels and zoom of each frame's crop."""
        reference = boxes[0]
        assert reference is not None
        zoom = _zoom(rng, reference, self.crop, shape)
        if not far:
            known = [box for box in boxes if box is not None]
            return [(_middle(rng, known, 0.3 * self.crop / zoom), zoom)] * FRAMES
        later = [box for box in boxes[1:] if box is not None] or [reference]
        other = _zoom(rng, later[0], self.crop, shape)
        other = float(np.clip(other, zoom / SCALE_CHANGE, zoom * SCALE_CHANGE))
        first = (_middle(rng, [reference], 0.3 * self.crop / zoom), zoom)
        return [first] + [(_middle(rng, later, 0.3 * self.crop / other), other)] * (FRAMES - 1)

    def _boxes(
        self, rng: np.random.Generator, views: list[np.ndarray], masks: list[np.ndarray], far: bool
    ) -> PartBoxes:
        """The object's box where it is seen, else the last; where parts go is known by optical flow alone."""
        parts = random_parts(rng, masks[0], self.parts)
        reference = mask_box(masks[0])
        assert reference is not None
        moved, tracked = np.zeros((FRAMES, 1 + self.parts, 4), np.float32), np.zeros((FRAMES, 1 + self.parts))
        last = reference
        for time, mask in enumerate(masks):
            box = mask_box(mask)
            tracked[time, 0] = box is not None
            last = last if box is None else box
            moved[time, 0] = last
            moved[time, 1:] = move_with(parts, reference, last)
        true = moved.copy()
        if self.parts and not far:
            followed, known = follow(parts, views, masks)
            true[:, 1:] = np.where(known[..., None], followed, moved[:, 1:])
            tracked[:, 1:] = known
        return PartBoxes(moved, true, tracked)


@dataclass(frozen=True)
class StillClips:
    """Four frames made of a still image's instance by affine and thin-plate-spline motion.

    RGMP (section 3.2) trains on such pairs; splines are MaskTrack's (section 3.2).

    Half of the time the instance moves over another image instead of its own; sometimes a third image's instance
    passes in front. Because the motion is known, so are the true boxes of what is seen of the parts.

    Args:
        scenery: the instances. crop, parts: as of `VideoClips`.
    """

    scenery: Scenery
    crop: int
    parts: int

    def draw(self, rng: np.random.Generator, progress: float) -> Clip:
        """See `Clips`.

        Raises:
            UserError: hardly any instance is large enough.
        """
        for _ in range(ATTEMPTS):
            if (clip := self._try(rng)) is not None:
                return clip
        file = self.scenery.images[0].annotation_file
        raise UserError(f"{file}: hardly an instance has {FEWEST} pixels in its crop; use images with larger ones")

    def _try(self, rng: np.random.Generator) -> Clip | None:
        """A clip, or nothing where the reference does not show enough of the instance."""
        image, mask = self.scenery.instance(rng)
        box = mask_box(mask)
        assert box is not None
        centre, zoom = (box[:2] + box[2:]) / 2, _zoom(rng, box, self.crop, image.shape)
        part_masks = [mask] + [_inside(mask, part) for part in random_parts(rng, mask, self.parts)]
        motion, setting = Motion.draw(rng, self.crop), self.scenery.setting(rng, self.crop, 0.5, OCCLUDER_SHARE)
        colour = augment.recolour(rng)
        views, layers = [], []
        for time in _times(rng):
            place = motion.map_at(rng, time, centre, zoom)
            view, layer = augment.warp(image, place), [augment.warp_mask(part, place) for part in part_masks]
            view, layer = setting.apply(rng, view, layer, time)
            views.append(_finish_view(rng, view, colour))
            layers.append(layer)
        if layers[0][0].sum() < FEWEST:
            return None
        far = bool(rng.random() < 0.5)
        return finish(rng, views, [layer[0] for layer in layers], _boxes_of_layers(layers), far)


@dataclass(frozen=True)
class MixedClips:
    """A fixed share of still clips, the others from videos."""

    videos: Clips
    stills: Clips
    still_share: float

    def draw(self, rng: np.random.Generator, progress: float) -> Clip:
        """See `Clips`."""
        source = self.stills if rng.random() < self.still_share else self.videos
        return source.draw(rng, progress)


def _labels(video: Video, index: int) -> np.ndarray:
    labels = video.labels(index)
    assert labels is not None, "only annotated frames are picked"
    return labels


def _times(rng: np.random.Generator) -> list[float]:
    """When the frames of a moving still are: one step from the reference, then smaller ones."""
    slow = rng.uniform(0.1, 0.6)
    return [0.0, *(1.0 + slow * number for number in range(FRAMES - 1))]


def _middle(rng: np.random.Generator, boxes: list[np.ndarray], reach: float) -> np.ndarray:
    """About the mean of the boxes' centres, but within `reach` of the first, which must stay in the crop."""
    centres = np.stack([(box[:2] + box[2:]) / 2 for box in boxes])
    wanted = centres.mean(0) + rng.normal(0, 0.1, 2) * (boxes[0][2:] - boxes[0][:2])
    return centres[0] + np.clip(wanted - centres[0], -reach, reach)


def _zoom(rng: np.random.Generator, box: np.ndarray, crop: int, shape: tuple[int, ...]) -> float:
    """Output pixels per source pixel so that the object's larger side takes 25 to 100 % of the crop, but at most 2.5.

    And at least so that the image, of `shape`, fills the crop's height and width: beyond its border nothing is learnt.
    """
    side = float((box[2:] - box[:2]).max())
    return float(np.clip(rng.uniform(0.25, 1.0) * crop / side, crop / min(shape[:2]), 2.5))


def _finish_view(rng: np.random.Generator, view: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """A frame in the clip's colours, with a little change of its own, and now and then with motion blur."""
    extra = augment.colour_change(rng, 0.06)
    change = np.column_stack([extra[:, :3] @ colour[:, :3], extra[:, :3] @ colour[:, 3] + extra[:, 3]])
    view = augment.apply_colour(view, change)
    return augment.blur(rng, view) if rng.random() < 0.1 else view


def _inside(mask: np.ndarray, box: np.ndarray) -> np.ndarray:
    x1, y1, x2, y2 = np.round(box).astype(int).clip(0)
    part = np.zeros_like(mask)
    part[y1:y2, x1:x2] = mask[y1:y2, x1:x2]
    return part


def _boxes_of_layers(layers: list[list[np.ndarray]]) -> PartBoxes:
    """Those of the parts' warped masks, where they are seen; a hidden part keeps its last box."""
    count = len(layers[0])
    boxes, tracked = np.zeros((FRAMES, count, 4), np.float32), np.zeros((FRAMES, count))
    whole = mask_box(layers[0][0])
    for part in range(count):
        last = whole
        for time, layer in enumerate(layers):
            box = mask_box(layer[part])
            tracked[time, part] = box is not None and (box[2:] - box[:2]).min() >= 4
            last = box if tracked[time, part] else last
            boxes[time, part] = last
    tracked[1:] *= tracked[0]  # a part that is hidden in the reference has no template to be found by
    return PartBoxes(boxes, boxes, tracked)
