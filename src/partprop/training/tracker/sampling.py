"""Random training clips from videos, and from still images made to move."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from partprop.base.errors import UserError
from partprop.data.labels import mask_box, object_ids
from partprop.data.video import Video
from partprop.training.common import augment
from partprop.training.common.scenery import Motion, PastedScene, Scenery
from partprop.training.tracker.clips import Clip, ClipLength, PartBoxes, carry_along, make_clip, sample_part_boxes
from partprop.training.tracker.part_motion import track_parts

NEAR_GAP = 2  # annotated frames between the reference and the next frame of a clip, up to which the reference is near
MAX_STEP = 2  # annotated frames between two consecutive later frames of a clip
MIN_PIXELS = 64  # of the object in the reference
MAX_ATTEMPTS = 300  # draws until a reference shows MIN_PIXELS
STILL_BACKGROUND_SHARE = 0.5  # of still clips, that get a pasted background
STILL_OCCLUDER_SHARE = 0.35  # of still clips, that get a pasted occluder
MAX_ZOOM_CHANGE = 1.5  # factor between the crops of a far reference and of the later frames


class ClipSource(Protocol):
    """A source of training clips."""

    def draw(self, rng: np.random.Generator, progress: float) -> Clip:
        """Draw a clip.

        Args:
            progress: fraction of the training that is done, in [0, 1], for the curriculum.
        """
        ...


@dataclass(frozen=True)
class VideoClips:
    """Clips of a reference and later frames of a video, forwards or backwards in time.

    The later frames are 1 or 2 annotated frames apart; a video with fewer annotated frames repeats one of them.

    A far reference has a crop of its own, around the object, since its position says nothing about the later frames.

    Args:
        videos: with at least three annotated frames each.
        crop: side of the crops in pixels.
        length: of the clips.
        max_gap: annotated frames between the reference and the next frame; reached halfway through the training
            (curriculum).
        parts: number of parts in addition to the whole object.
        paste_share: probability of a pasted background, and of a pasted occluder.
        scenery: source of both; None only if `paste_share` is 0.
    """

    videos: Sequence[Video]
    crop: int
    length: ClipLength
    max_gap: int
    parts: int
    paste_share: float
    scenery: Scenery | None

    def draw(self, rng: np.random.Generator, progress: float) -> Clip:
        """Draw a clip; see `ClipSource`.

        Raises:
            UserError: MAX_ATTEMPTS references showed no large enough object.
        """
        for _ in range(MAX_ATTEMPTS):
            if (clip := self._try_to_draw(rng, progress)) is not None:
                return clip
        names = ", ".join(video.name for video in self.videos[:3])
        raise UserError(
            f"{names}: almost no object has {MIN_PIXELS} pixels in its crop; train on videos with larger objects"
        )

    def _try_to_draw(self, rng: np.random.Generator, progress: float) -> Clip | None:
        """Return a clip, or None if the reference shows too little of the object."""
        video = self.videos[int(rng.integers(len(self.videos)))]
        annotated = [index for index, mask in enumerate(video.masks) if mask is not None]
        indices, far = pick_frames(rng, annotated, self.length.at(progress), self.max_gap, progress)
        labels = [_labels(video, index) for index in indices]
        ids = object_ids(labels[0])
        if not ids:  # the reference shows no object
            return None
        object_id = rng.choice(ids)
        masks = [(frame == object_id).astype(np.uint8) for frame in labels]
        views, masks = self._crop(rng, [video.image(index) for index in indices], masks, far)
        if masks[0].sum() < MIN_PIXELS:  # the object is tiny or behind the pasted occluder
            return None
        return make_clip(rng, views, masks, track_random_parts(rng, views, masks, self.parts, far), far)

    def _crop(
        self, rng: np.random.Generator, images: list[np.ndarray], masks: list[np.ndarray], far: bool
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return augmented crops (S, S, 3) of the frames, and the object's visible pixels (S, S) in each."""
        crops = self._crop_centres(rng, images[0].shape, [mask_box(mask) for mask in masks], far)
        angle, shear, flip = rng.normal(0, 12), rng.normal(0, 0.08), bool(rng.random() < 0.5)
        turn = rng.normal(0, 12) if far else 0.0  # of the later frames, in degrees
        colour, scene = augment.sample_strong_colour_matrix(rng), self._sample_scene(rng)
        times = _frame_times(rng, len(images))
        views, visible = [], []
        for image, mask, (centre, zoom), time in zip(images, masks, crops, times, strict=True):
            angle_now = angle + turn * (time > 0) + rng.normal(0, 1.5)
            matrix = augment.affine_matrix(tuple(centre), self.crop, zoom, angle_now, shear, flip)
            sampling_map = augment.affine_map(matrix, self.crop)
            view, shown = augment.warp(image, sampling_map), [augment.warp_mask(mask, sampling_map)]
            if scene is not None:
                view, shown = scene.apply(rng, view, shown, time)
            views.append(_augment_view(rng, view, colour))
            visible.append(shown[0])
        return views, visible

    def _sample_scene(self, rng: np.random.Generator) -> PastedScene | None:
        if self.scenery is None:
            return None
        return self.scenery.sample_scene(rng, self.crop, self.paste_share, self.paste_share)

    def _crop_centres(
        self, rng: np.random.Generator, shape: tuple[int, ...], boxes: list[np.ndarray | None], far: bool
    ) -> list[tuple[np.ndarray, float]]:
        """Return the centre (2,) of each frame's crop in source pixels, and its zoom in output per source pixels.

        Args:
            shape: (H, W, …) of the frames.
            boxes: of the object in each frame, None where it is not visible.
        """
        reference = boxes[0]
        assert reference is not None
        zoom = _sample_zoom(rng, reference, self.crop, shape)
        if not far:
            known = [box for box in boxes if box is not None]
            return [(_sample_centre(rng, known, 0.3 * self.crop / zoom), zoom)] * len(boxes)
        later = [box for box in boxes[1:] if box is not None] or [reference]
        later_zoom = _sample_zoom(rng, later[0], self.crop, shape)
        later_zoom = float(np.clip(later_zoom, zoom / MAX_ZOOM_CHANGE, zoom * MAX_ZOOM_CHANGE))
        first = (_sample_centre(rng, [reference], 0.3 * self.crop / zoom), zoom)
        return [first] + [(_sample_centre(rng, later, 0.3 * self.crop / later_zoom), later_zoom)] * (len(boxes) - 1)


@dataclass(frozen=True)
class StillClips:
    """Clips of a still image's object under affine and thin-plate-spline motion.

    RGMP (Oh et al., CVPR 2018, section 3.2) trains on such pairs; splines are those of MaskTrack (Perazzi et al., CVPR
    2017, section 3.2). Half of the clips have another image as background, and some an object of a third image as
    occluder. Since the motion is known, so are the boxes of the parts' visible pixels.

    Args:
        scenery: the objects.
        crop: side of the frames in pixels.
        length: of the clips.
        parts: number of parts in addition to the whole object.
    """

    scenery: Scenery
    crop: int
    length: ClipLength
    parts: int

    def draw(self, rng: np.random.Generator, progress: float) -> Clip:
        """Draw a clip; see `ClipSource`.

        Raises:
            UserError: MAX_ATTEMPTS references showed no large enough object.
        """
        for _ in range(MAX_ATTEMPTS):
            if (clip := self._try_to_draw(rng, self.length.at(progress))) is not None:
                return clip
        file = self.scenery.sets[0].origin
        raise UserError(f"{file}: almost no object has {MIN_PIXELS} pixels in its crop; use images with larger ones")

    def _try_to_draw(self, rng: np.random.Generator, frames: int) -> Clip | None:
        """Return a clip, or None if the reference shows too little of the object."""
        image, mask = self.scenery.sample_object(rng)
        box = mask_box(mask)
        assert box is not None
        centre, zoom = (box[:2] + box[2:]) / 2, _sample_zoom(rng, box, self.crop, image.shape)
        part_masks = [mask] + [_mask_in_box(mask, part) for part in sample_part_boxes(rng, mask, self.parts)]
        motion = Motion.sample(rng, self.crop)
        scene = self.scenery.sample_scene(rng, self.crop, STILL_BACKGROUND_SHARE, STILL_OCCLUDER_SHARE)
        colour = augment.sample_strong_colour_matrix(rng)
        views, visible = [], []
        for time in _frame_times(rng, frames):
            sampling_map = motion.map_at(rng, time, centre, zoom)
            view = augment.warp(image, sampling_map)
            view, shown = scene.apply(rng, view, [augment.warp_mask(part, sampling_map) for part in part_masks], time)
            views.append(_augment_view(rng, view, colour))
            visible.append(shown)
        if visible[0][0].sum() < MIN_PIXELS:
            return None
        far = bool(rng.random() < 0.5)
        return make_clip(rng, views, [masks[0] for masks in visible], _boxes_of_masks(visible), far)


@dataclass(frozen=True)
class MixedClips:
    """Clips of still images with probability `still_share`, else of videos."""

    videos: ClipSource
    stills: ClipSource
    still_share: float

    def draw(self, rng: np.random.Generator, progress: float) -> Clip:
        """Draw a clip; see `ClipSource`."""
        source = self.stills if rng.random() < self.still_share else self.videos
        return source.draw(rng, progress)


def pick_frames(
    rng: np.random.Generator, annotated: list[int], frames: int, max_gap: int, progress: float
) -> tuple[list[int], bool]:
    """Pick a reference and later frames in either direction of time.

    Args:
        annotated: indices of the annotated frames of a video, at least three.
        frames: number to pick, at least three.
        max_gap: largest gap between the reference and the next frame in annotated frames. A quarter of it is used at
            the start of the training, all of it from the middle on.
        progress: fraction of the training that is done, in [0, 1].

    Returns:
        The indices, of the reference first, and whether the reference is far from the others.
    """
    reach = max(1, round(max_gap * min(1.0, 0.25 + 1.5 * progress)))
    step = min(int(rng.integers(1, MAX_STEP + 1)), (len(annotated) - 1) // (frames - 1))
    gap = min(int(rng.integers(1, reach + 1)), len(annotated) - 1 - (frames - 2) * step)
    start = int(rng.integers(0, len(annotated) - gap - (frames - 2) * step))
    positions = [start, *(start + gap + step * number for number in range(frames - 1))]
    if rng.random() < 0.5:
        annotated = annotated[::-1]
    return [annotated[position] for position in positions], gap > NEAR_GAP


def track_random_parts(
    rng: np.random.Generator, views: list[np.ndarray], masks: list[np.ndarray], count: int, far: bool
) -> PartBoxes:
    """Return the boxes of an object and of random parts, tracked by optical flow, in the frames of a video clip.

    Where the object is not visible, its box is the last one.

    Args:
        views: frames, uint8 (S, S, 3).
        masks: of the object, uint8 (S, S) in {0, 1}; not empty in the first frame.
        count: number of parts.
        far: whether the reference is far from the later frames; parts are then not tracked.
    """
    parts = sample_part_boxes(rng, masks[0], count)
    reference = mask_box(masks[0])
    assert reference is not None
    carried, tracked = np.zeros((len(masks), 1 + count, 4), np.float32), np.zeros((len(masks), 1 + count))
    last = reference
    for time, mask in enumerate(masks):
        box = mask_box(mask)
        tracked[time, 0] = box is not None
        last = last if box is None else box
        carried[time, 0] = last
        carried[time, 1:] = carry_along(parts, reference, last)
    true = carried.copy()
    if count and not far:
        by_flow, is_tracked = track_parts(parts, views, masks)
        true[:, 1:] = np.where(is_tracked[..., None], by_flow, carried[:, 1:])
        tracked[:, 1:] = is_tracked
    return PartBoxes(carried, true, tracked)


def _labels(video: Video, index: int) -> np.ndarray:
    labels = video.labels(index)
    assert labels is not None, "only annotated frames are picked"
    return labels


def _frame_times(rng: np.random.Generator, frames: int) -> list[float]:
    """Return the times of a clip's frames: one step after the reference, then in smaller steps of equal length."""
    slow = rng.uniform(0.1, 0.6) * 2 / (frames - 2)  # longer clips do not move further
    return [0.0, *(1.0 + slow * number for number in range(frames - 1))]


def _sample_centre(rng: np.random.Generator, boxes: list[np.ndarray], reach: float) -> np.ndarray:
    """Return a point near the mean of the boxes' centres, within `reach` of the first, which must stay in the crop."""
    centres = np.stack([(box[:2] + box[2:]) / 2 for box in boxes])
    wanted = centres.mean(0) + rng.normal(0, 0.1, 2) * (boxes[0][2:] - boxes[0][:2])
    return centres[0] + np.clip(wanted - centres[0], -reach, reach)


def _sample_zoom(rng: np.random.Generator, box: np.ndarray, crop: int, shape: tuple[int, ...]) -> float:
    """Return output pixels per source pixel: the object's larger side takes 25 to 100 % of the crop.

    At most 2.5; at least so large that the image, of `shape` (H, W, …), fills the crop, since nothing is learnt beyond
    its border.
    """
    side = float((box[2:] - box[:2]).max())
    return float(np.clip(rng.uniform(0.25, 1.0) * crop / side, crop / min(shape[:2]), 2.5))


def _augment_view(rng: np.random.Generator, view: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Apply the clip's colour matrix with a small change per frame, and motion blur to one frame in ten."""
    extra = augment.sample_colour_matrix(rng, 0.06)
    matrix = np.column_stack([extra[:, :3] @ colour[:, :3], extra[:, :3] @ colour[:, 3] + extra[:, 3]])
    view = augment.apply_colour_matrix(view, matrix)
    return augment.motion_blur(rng, view) if rng.random() < 0.1 else view


def _mask_in_box(mask: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the mask (H, W), cleared outside a box (4,)."""
    x1, y1, x2, y2 = np.round(box).astype(int).clip(0)
    part = np.zeros_like(mask)
    part[y1:y2, x1:x2] = mask[y1:y2, x1:x2]
    return part


def _boxes_of_masks(visible: list[list[np.ndarray]]) -> PartBoxes:
    """Return the boxes of the parts' visible masks; a hidden part keeps its last box.

    Args:
        visible: for each frame the masks (S, S) of object and parts.
    """
    count = len(visible[0])
    boxes, tracked = np.zeros((len(visible), count, 4), np.float32), np.zeros((len(visible), count))
    whole = mask_box(visible[0][0])
    for part in range(count):
        last = whole
        for time, masks in enumerate(visible):
            box = mask_box(masks[part])
            tracked[time, part] = box is not None and (box[2:] - box[:2]).min() >= 4
            last = box if tracked[time, part] else last
            boxes[time, part] = last
    tracked[1:] *= tracked[0]  # a part hidden in the reference has no template
    return PartBoxes(boxes, boxes, tracked)
