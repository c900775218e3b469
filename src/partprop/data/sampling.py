"""Training triples: from videos, and from still images made to move."""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from partprop.data import augment
from partprop.data.coco import CocoImages
from partprop.data.labels import VOID, mask_box
from partprop.data.triples import FRAMES, Triple, finish, move_with, random_parts
from partprop.data.video import Sequence
from partprop.errors import UserError

SMALLEST = 24  # pixels of a side of an instance that is worth showing


class Triples(Protocol):
    """Something that triples can be drawn from."""

    def draw(self, rng: np.random.Generator, progress: float) -> Triple:
        """One triple; `progress` in [0, 1] is how far training has come (for the curriculum)."""
        ...


@dataclass(frozen=True)
class VideoTriples:
    """Three frames of a video, forwards or backwards in time, in one crop around the object.

    Args:
        videos: with an annotation for at least three frames each.
        crop: side in pixels of the crops.
        max_gap: frames between two neighbours of the triple, reached at half of the training (curriculum).
        parts: number of parts beside the whole object.
    """

    videos: Many[Sequence]
    crop: int
    max_gap: int
    parts: int

    def draw(self, rng: np.random.Generator, progress: float) -> Triple:
        """See `Triples`."""
        video = self.videos[int(rng.integers(len(self.videos)))]
        indices = self._pick_frames(rng, video, progress)
        labels = [_labels(video, index) for index in indices]
        ids = np.setdiff1d(np.unique(labels[0]), (0, VOID))
        if len(ids) == 0:  # the object is hidden in the would-be reference
            return self.draw(rng, progress)
        object_id = rng.choice(ids)
        masks = [(frame == object_id).astype(np.uint8) for frame in labels]
        images = [video.image(index) for index in indices]
        return self._crop(rng, images, masks)

    def _pick_frames(self, rng: np.random.Generator, video: Sequence, progress: float) -> list[int]:
        reach = max(1, round(self.max_gap * min(1.0, 0.25 + 1.5 * progress)))
        gaps = [int(rng.integers(1, reach + 1)), int(rng.integers(1, max(1, reach // 2) + 1))]
        annotated = [index for index, mask in enumerate(video.masks) if mask is not None]
        gaps = [min(gap, (len(annotated) - 1) // 2) for gap in gaps]
        start = int(rng.integers(0, len(annotated) - sum(gaps)))
        places = [start, start + gaps[0], start + sum(gaps)]
        if rng.random() < 0.5:
            annotated = annotated[::-1]
        return [annotated[place] for place in places]

    def _crop(self, rng: np.random.Generator, images: list[np.ndarray], masks: list[np.ndarray]) -> Triple:
        boxes = [mask_box(mask) for mask in masks]
        reference = boxes[0]
        assert reference is not None
        zoom = _zoom(rng, reference, self.crop)
        centre = _middle(rng, [box for box in boxes if box is not None], 0.3 * self.crop / zoom)
        angle, shear, flip = rng.normal(0, 8), rng.normal(0, 0.08), bool(rng.random() < 0.5)
        colour = augment.colour_change(rng, 0.3)
        views, view_masks = [], []
        for image, mask in zip(images, masks, strict=True):
            matrix = augment.affine(tuple(centre), self.crop, zoom, angle + rng.normal(0, 1.5), shear, flip)
            place = augment.affine_map(matrix, self.crop)
            view = augment.apply_colour(augment.warp(image, place), _per_frame(rng, colour))
            views.append(augment.blur(rng, view) if rng.random() < 0.1 else view)
            view_masks.append(augment.warp_mask(mask, place))
        return finish(rng, views, view_masks, *self._boxes(rng, view_masks))

    def _boxes(self, rng: np.random.Generator, masks: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The object's box where it is seen, else the last; the parts move with it, their true places are unknown."""
        parts = random_parts(rng, masks[0], self.parts)
        reference = mask_box(masks[0])
        assert reference is not None
        boxes, tracked = np.zeros((FRAMES, 1 + self.parts, 4), np.float32), np.zeros((FRAMES, 1 + self.parts))
        last = reference
        for time, mask in enumerate(masks):
            box = mask_box(mask)
            tracked[time, 0] = box is not None
            last = last if box is None else box
            boxes[time, 0] = last
            boxes[time, 1:] = move_with(parts, reference, last).reshape(-1, 4)
        return boxes, tracked


@dataclass(frozen=True)
class StillTriples:
    """Three frames made of a still image's instance by affine and thin-plate-spline motion (RGMP, section 3.2).

    Half of the time the instance moves over another image instead of its own; sometimes a third image's instance
    passes in front. Because the motion is known, so are the true boxes of the parts.

    Args:
        images: with instance masks. crop, parts: as of `VideoTriples`.
    """

    images: CocoImages
    usable: Many[tuple[int, int]]  # (image, instance) pairs with a mask worth showing
    crop: int
    parts: int

    @classmethod
    def of(cls, images: CocoImages, crop: int, parts: int) -> "StillTriples":
        """From all instances with a mask of at least SMALLEST pixels a side.

        Raises:
            UserError: there is none.
        """
        usable = [
            (image, number)
            for image in range(len(images))
            for number, instance in enumerate(images.instances(image))
            if _worth_showing(instance.mask) and not instance.crowd
        ]
        if not usable:
            raise UserError(
                f"{images.annotation_file}: has no instance with a polygon of {SMALLEST} pixels a side or more; "
                "add some, or set train_tracking.still_share to 0"
            )
        return cls(images, usable, crop, parts)

    def draw(self, rng: np.random.Generator, progress: float) -> Triple:
        """See `Triples`."""
        image, mask = self._pick(rng)
        box = mask_box(mask)
        assert box is not None
        centre, zoom = (box[:2] + box[2:]) / 2, _zoom(rng, box, self.crop)
        parts = random_parts(rng, mask, self.parts)
        part_masks = [mask] + [_inside(mask, part) for part in parts]
        other_ground = self._pick(rng)[0] if rng.random() < 0.5 else None
        occluder = self._pick(rng) if rng.random() < 0.35 else None
        motion, ground_motion, front_motion = (_Motion.draw(rng, self.crop) for _ in range(3))
        colour, ground_colour = augment.colour_change(rng, 0.3), augment.colour_change(rng, 0.3)
        views, masks, layers = [], [], []
        for time in range(FRAMES):
            place = motion.map_at(rng, time, centre, zoom)
            view = augment.warp(image, place)
            layer = [augment.warp_mask(part, place) for part in part_masks]
            if other_ground is not None:
                view = _over(
                    augment.apply_colour(self._show(rng, other_ground, ground_motion, time), ground_colour),
                    view,
                    layer[0],
                )
            if occluder is not None:
                view, layer = self._occlude(rng, view, layer, occluder, front_motion, time)
            view = augment.apply_colour(view, _per_frame(rng, colour))
            views.append(augment.blur(rng, view) if rng.random() < 0.1 else view)
            masks.append(layer[0])
            layers.append(layer)
        if masks[0].sum() < 64:
            return self.draw(rng, progress)
        return finish(rng, views, masks, *_boxes_of_layers(layers))

    def _pick(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image, number = self.usable[int(rng.integers(len(self.usable)))]
        mask = self.images.instances(image)[number].mask
        assert mask is not None
        return self.images.image(image), mask

    def _show(self, rng: np.random.Generator, image: np.ndarray, motion: "_Motion", time: int) -> np.ndarray:
        height, width = image.shape[:2]
        return augment.warp(
            image, motion.map_at(rng, time, np.array([width, height]) / 2, self.crop / min(height, width))
        )

    def _occlude(
        self,
        rng: np.random.Generator,
        view: np.ndarray,
        layer: list[np.ndarray],
        occluder: tuple[np.ndarray, np.ndarray],
        motion: "_Motion",
        time: int,
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        image, mask = occluder
        box = mask_box(mask)
        assert box is not None
        zoom = 0.4 * self.crop / (box[2:] - box[:2]).max()
        place = motion.map_at(rng, time, (box[:2] + box[2:]) / 2, zoom, enter=True)
        front = augment.warp_mask(mask, place)
        return _over(view, augment.warp(image, place), front), [part * (1 - front) for part in layer]


@dataclass(frozen=True)
class _Motion:
    """A smooth random motion over the triple, in output pixels: linear in time plus a deformation per frame."""

    size: int
    angle: float
    spin: float
    zoom_rate: float
    shift: np.ndarray
    velocity: np.ndarray
    entry: np.ndarray
    flip: bool
    strength: float

    @classmethod
    def draw(cls, rng: np.random.Generator, size: int) -> "_Motion":
        direction = rng.uniform(0, 2 * np.pi)
        return cls(
            size=size,
            angle=rng.normal(0, 10),
            spin=rng.normal(0, 8),
            zoom_rate=rng.normal(0, 0.08),
            shift=rng.normal(0, 0.06, 2) * size,
            velocity=rng.normal(0, 0.06, 2) * size,
            entry=np.array([np.cos(direction), np.sin(direction)]) * rng.uniform(0.1, 0.5) * size,
            flip=bool(rng.random() < 0.5),
            strength=rng.uniform(0, 0.02),
        )

    def map_at(
        self, rng: np.random.Generator, time: int, centre: np.ndarray, zoom: float, enter: bool = False
    ) -> np.ndarray:
        """The map of frame `time`; with `enter` the shown place crosses the picture instead of staying inside."""
        moved = self.shift + time * self.velocity + (self.entry * (1 - time) if enter else 0)
        now = zoom * np.exp(time * self.zoom_rate + rng.normal(0, 0.02))
        matrix = augment.affine(
            tuple(centre - moved / now), self.size, now, self.angle + time * self.spin, 0.0, self.flip
        )
        bend = augment.thin_plate_spline(rng, self.size, self.strength)
        grid = augment.affine_map(matrix, self.size)
        return grid + bend @ matrix[:, :2].T.astype(np.float32)


@dataclass(frozen=True)
class MixedTriples:
    """A fixed share of still triples, the others from videos."""

    videos: Triples
    stills: Triples
    still_share: float

    def draw(self, rng: np.random.Generator, progress: float) -> Triple:
        """See `Triples`."""
        source = self.stills if rng.random() < self.still_share else self.videos
        return source.draw(rng, progress)


def _labels(video: Sequence, index: int) -> np.ndarray:
    labels = video.labels(index)
    assert labels is not None, "training videos are annotated in every frame"
    return labels


def _middle(rng: np.random.Generator, boxes: list[np.ndarray], reach: float) -> np.ndarray:
    """About the mean of the boxes' centres, but within `reach` of the first, which must stay in the crop."""
    centres = np.stack([(box[:2] + box[2:]) / 2 for box in boxes])
    wanted = centres.mean(0) + rng.normal(0, 0.1, 2) * (boxes[0][2:] - boxes[0][:2])
    return centres[0] + np.clip(wanted - centres[0], -reach, reach)


def _zoom(rng: np.random.Generator, box: np.ndarray, crop: int) -> float:
    """Output pixels per source pixel so that the object's larger side takes 25 to 100 % of the crop."""
    side = float((box[2:] - box[:2]).max())
    return float(np.clip(rng.uniform(0.25, 1.0) * crop / side, 0.3, 2.5))


def _per_frame(rng: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    """A little change of colour from frame to frame on top of the triple's."""
    extra = augment.colour_change(rng, 0.06)
    return np.column_stack([extra[:, :3] @ colour[:, :3], extra[:, :3] @ colour[:, 3] + extra[:, 3]])


def _worth_showing(mask: np.ndarray | None) -> bool:
    if mask is None:
        return False
    box = mask_box(mask)
    return box is not None and bool((box[2:] - box[:2]).min() >= SMALLEST)


def _inside(mask: np.ndarray, box: np.ndarray) -> np.ndarray:
    x1, y1, x2, y2 = np.round(box).astype(int).clip(0)
    part = np.zeros_like(mask)
    part[y1:y2, x1:x2] = mask[y1:y2, x1:x2]
    return part


def _over(ground: np.ndarray, front: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where(mask[..., None] > 0, front, ground)


def _boxes_of_layers(layers: list[list[np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (3, P, 4) of the parts' warped masks, and where they are seen; a hidden part keeps its last box."""
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
    return boxes, tracked
