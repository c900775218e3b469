"""Objects of still images as moving objects, and as pasted backgrounds and occluders of other clips."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from partprop.base.errors import UserError
from partprop.data.instances import InstanceImages
from partprop.data.labels import mask_box
from partprop.training.common import augment

MAX_ATTEMPTS = 300  # draws until a clip shows MIN_SHOWN
MIN_SHOWN = 200  # pixels of a moving object in its first frame
TIME_STEP = 0.25  # of a moving object's frames, see `Motion`
MIN_SIDE = 24  # pixels of a usable object's width and height


@dataclass(frozen=True)
class Motion:
    """A smooth random motion through an image: linear in time, with a new deformation in each frame.

    Times are in steps: 0 is the reference frame, 1 the next one. Lengths are in pixels of the output.

    Attributes:
        size: side of the output.
        angle: at time 0, in degrees.
        spin: degrees per step.
        zoom_rate: change of the zoom's logarithm per step.
        shift: (2,), of the shown point from the output's centre at time 0.
        velocity: (2,), per step.
        entry: (2,), additional shift at time 0 of something that enters the image.
        flip: whether to mirror left and right.
        strength: of the thin-plate-spline deformation; see `augment.thin_plate_spline`.
    """

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
    def sample(cls, rng: np.random.Generator, size: int) -> "Motion":
        """Sample a motion for an output of `size` pixels a side."""
        direction = rng.uniform(0, 2 * np.pi)
        return cls(
            size=size,
            angle=rng.normal(0, 10),
            spin=rng.normal(0, 14),
            zoom_rate=rng.normal(0, 0.12),
            shift=rng.normal(0, 0.06, 2) * size,
            velocity=rng.normal(0, 0.06, 2) * size,
            entry=np.array([np.cos(direction), np.sin(direction)]) * rng.uniform(0.1, 0.5) * size,
            flip=bool(rng.random() < 0.5),
            strength=rng.uniform(0, 0.035),
        )

    def map_at(
        self, rng: np.random.Generator, time: float, centre: np.ndarray, zoom: float, enter: bool = False
    ) -> np.ndarray:
        """Return the sampling map, float32 (S, S, 2), at a time.

        Args:
            centre: (2,), the source point that moves.
            zoom: output pixels per source pixel at time 0.
            enter: whether the point crosses the image instead of staying inside.
        """
        offset = self.shift + time * self.velocity + (self.entry * (1 - time) if enter else 0)
        zoom_now = zoom * np.exp(time * self.zoom_rate + rng.normal(0, 0.02))
        matrix = augment.affine_matrix(
            tuple(centre - offset / zoom_now), self.size, zoom_now, self.angle + time * self.spin, 0.0, self.flip
        )
        displacement = augment.thin_plate_spline(rng, self.size, self.strength)
        return augment.affine_map(matrix, self.size) + displacement @ matrix[:, :2].T.astype(np.float32)


@dataclass(frozen=True)
class PastedScene:
    """A new background for an object, an occluder in front of it, both or neither; see `Scenery.sample_scene`.

    Attributes:
        background: uint8 (H, W, 3); None to keep the frame's own.
        background_colour: 3×4 matrix, applied to the background.
        occluder: image, uint8 (H, W, 3), and mask, uint8 (H, W), of an object; None for no occluder.
    """

    background: np.ndarray | None
    background_motion: Motion
    background_colour: np.ndarray
    occluder: tuple[np.ndarray, np.ndarray] | None
    occluder_motion: Motion

    def apply(
        self, rng: np.random.Generator, view: np.ndarray, masks: list[np.ndarray], time: float
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return a frame in this scene, and the visible pixels of each mask.

        Args:
            view: the frame, uint8 (S, S, 3).
            masks: uint8 (S, S) in {0, 1}; the first is the whole object, which is cut out in front of a new background.
            time: in steps; see `Motion`.
        """
        if self.background is not None:
            view = _paste(
                augment.apply_colour_matrix(self._background_at(rng, time), self.background_colour), view, masks[0]
            )
        if self.occluder is None:
            return view, masks
        image, mask = self.occluder
        box = mask_box(mask)
        assert box is not None
        zoom = 0.4 * self.occluder_motion.size / (box[2:] - box[:2]).max()
        sampling_map = self.occluder_motion.map_at(rng, time, (box[:2] + box[2:]) / 2, zoom, enter=True)
        front = augment.warp_mask(mask, sampling_map)
        return _paste(view, augment.warp(image, sampling_map), front), [each * (1 - front) for each in masks]

    def _background_at(self, rng: np.random.Generator, time: float) -> np.ndarray:
        assert self.background is not None
        height, width = self.background.shape[:2]
        zoom = self.background_motion.size / min(height, width)
        sampling_map = self.background_motion.map_at(rng, time, np.array([width, height]) / 2, zoom)
        return augment.warp(self.background, sampling_map)


@dataclass(frozen=True)
class Scenery:
    """Usable objects of still images; build it with `collect`.

    Attributes:
        sets: image sets that have usable objects.
        usable: of each set, the (image, object) indices of its usable objects.
        shares: of each set, the probability that an object is drawn from it.
    """

    sets: Sequence[InstanceImages]
    usable: Sequence[Sequence[tuple[int, int]]]
    shares: Sequence[float]

    @classmethod
    def collect(cls, weighted: Sequence[tuple[InstanceImages, float]], held_out: Collection[str] = ()) -> "Scenery":
        """Collect all objects whose mask has at least MIN_SIDE pixels a side, from images without held-out categories.

        Args:
            weighted: image sets, and the sampling weight of an object in each.
            held_out: categories that no image may show.

        Raises:
            UserError: there are none.
        """
        found = [(images, weight, _usable(images, held_out=held_out)) for images, weight in weighted if weight > 0]
        if not any(usable for _, _, usable in found):
            names = ", ".join(str(images.origin) for images, _ in weighted)
            raise UserError(
                f"{names}: no object has a mask of {MIN_SIDE} pixels a side or more; add some, see "
                "train_tracking.still_weights and held_out_categories, or use no still images"
            )
        return cls._weighted(found)

    @classmethod
    def of_categories(cls, sets: Sequence[InstanceImages], categories: Collection[str]) -> "Scenery":
        """Collect the objects of some categories whose mask has at least MIN_SIDE pixels a side.

        Raises:
            UserError: there are none.
        """
        found = [(images, 1.0, _usable(images, only=categories)) for images in sets]
        if not any(usable for _, _, usable in found):
            names = ", ".join(str(images.origin) for images in sets)
            raise UserError(
                f"train_tracking.held_out_categories: no object of {MIN_SIDE} pixels a side in {names} is one of "
                f"{', '.join(sorted(categories))}; correct the names"
            )
        return cls._weighted(found)

    @classmethod
    def _weighted(cls, found: Sequence[tuple[InstanceImages, float, list[tuple[int, int]]]]) -> "Scenery":
        """Image sets and their objects, drawn in proportion to the given weight times the number of objects."""
        present = [each for each in found if each[1] > 0 and each[2]]
        totals = np.array([weight * len(usable) for _, weight, usable in present])
        sets, _, usable = zip(*present, strict=True)
        return cls(sets, usable, (totals / totals.sum()).tolist())

    def sample_object(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the image, uint8 (H, W, 3), and the mask, uint8 (H, W) in {0, 1}, of a random object."""
        chosen = int(rng.choice(len(self.sets), p=self.shares)) if len(self.sets) > 1 else 0
        image, number = self.usable[chosen][int(rng.integers(len(self.usable[chosen])))]
        mask = self.sets[chosen].instances(image)[number].mask
        assert mask is not None
        return self.sets[chosen].image(image), mask

    def sample_scene(
        self, rng: np.random.Generator, size: int, background_share: float, occluder_share: float
    ) -> PastedScene:
        """Sample a scene for frames of `size` pixels a side.

        Args:
            background_share: probability of a new background.
            occluder_share: probability of an occluder.
        """
        return PastedScene(
            background=self.sample_object(rng)[0] if rng.random() < background_share else None,
            background_motion=Motion.sample(rng, size),
            background_colour=augment.sample_strong_colour_matrix(rng),
            occluder=self.sample_object(rng) if rng.random() < occluder_share else None,
            occluder_motion=Motion.sample(rng, size),
        )


def sample_moving_object(
    rng: np.random.Generator, scenery: Scenery, size: int, frames: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return a clip of an object that moves, turns and bends, often before a new background or behind an occluder.

    Returns:
        Its frames, uint8 (S, S, 3), and the object's visible pixels in each, uint8 (S, S) in {0, 1}, at least MIN_SHOWN
        in the first.

    Raises:
        UserError: MAX_ATTEMPTS clips showed less.
    """
    for _ in range(MAX_ATTEMPTS):
        image, mask = scenery.sample_object(rng)
        box = mask_box(mask)
        assert box is not None
        zoom = rng.uniform(0.3, 0.6) * size / float((box[2:] - box[:2]).max())
        motion = Motion.sample(rng, size)
        scene = scenery.sample_scene(rng, size, background_share=0.5, occluder_share=0.35)
        views, visible = [], []
        for time in TIME_STEP * np.arange(frames):
            sampling_map = motion.map_at(rng, time, (box[:2] + box[2:]) / 2, zoom)
            warped = augment.warp(image, sampling_map)
            view, (shown,) = scene.apply(rng, warped, [augment.warp_mask(mask, sampling_map)], time)
            views.append(view)
            visible.append(shown)
        if visible[0].sum() >= MIN_SHOWN:
            return views, visible
    raise UserError(f"{scenery.sets[0].origin}: almost no object shows {MIN_SHOWN} pixels; use images with larger ones")


def _usable(
    images: InstanceImages, held_out: Collection[str] = (), only: Collection[str] | None = None
) -> list[tuple[int, int]]:
    """The (image, object) indices of large enough objects.

    Args:
        held_out: categories that their images may not show.
        only: categories of the objects; None is any.
    """
    return [
        (index, number)
        for index in range(len(images))
        if only is None or set(only).intersection(images.categories_in(index))
        if not set(held_out).intersection(images.categories_in(index))
        for number, instance in enumerate(images.instances(index))
        if not instance.crowd and _is_large(instance.mask) and (only is None or instance.category in only)
    ]


def _is_large(mask: np.ndarray | None) -> bool:
    if mask is None:
        return False
    box = mask_box(mask)
    return box is not None and bool((box[2:] - box[:2]).min() >= MIN_SIDE)


def _paste(background: np.ndarray, front: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return `front` where the mask (S, S) is set and `background` elsewhere, both (S, S, 3)."""
    return np.where(mask[..., None] > 0, front, background)
