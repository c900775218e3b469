"""Objects and grounds out of still images, made to move: the scene of a still clip, or the new setting of a video."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from partprop.base.errors import UserError
from partprop.data.coco import CocoImages
from partprop.data.labels import mask_box
from partprop.training.common import augment

SMALLEST = 24  # pixels of a side of an instance that is worth showing


@dataclass(frozen=True)
class Motion:
    """A smooth random motion, in output pixels: linear in time plus a deformation per frame."""

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
    def draw(cls, rng: np.random.Generator, size: int) -> "Motion":
        """A motion in a picture of `size` pixels a side."""
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
        """The map of a time; with `enter` the shown place crosses the picture instead of staying inside."""
        moved = self.shift + time * self.velocity + (self.entry * (1 - time) if enter else 0)
        now = zoom * np.exp(time * self.zoom_rate + rng.normal(0, 0.02))
        matrix = augment.affine(
            tuple(centre - moved / now), self.size, now, self.angle + time * self.spin, 0.0, self.flip
        )
        bend = augment.thin_plate_spline(rng, self.size, self.strength)
        grid = augment.affine_map(matrix, self.size)
        return grid + bend @ matrix[:, :2].T.astype(np.float32)


@dataclass(frozen=True)
class Setting:
    """What moves behind an object and what passes in front of it, either or neither; see `Scenery.setting`."""

    ground: np.ndarray | None
    ground_motion: Motion
    ground_colour: np.ndarray
    occluder: tuple[np.ndarray, np.ndarray] | None
    occluder_motion: Motion

    def apply(
        self, rng: np.random.Generator, view: np.ndarray, masks: list[np.ndarray], time: float
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """A frame, uint8 (S, S, 3), in this setting at a time, and what is still seen of its object's masks (S, S).

        The first mask is the whole object's, which is cut out where the ground is another.
        """
        if self.ground is not None:
            view = _over(augment.apply_colour(self._ground_at(rng, time), self.ground_colour), view, masks[0])
        if self.occluder is None:
            return view, masks
        image, mask = self.occluder
        box = mask_box(mask)
        assert box is not None
        zoom = 0.4 * self.occluder_motion.size / (box[2:] - box[:2]).max()
        place = self.occluder_motion.map_at(rng, time, (box[:2] + box[2:]) / 2, zoom, enter=True)
        front = augment.warp_mask(mask, place)
        return _over(view, augment.warp(image, place), front), [each * (1 - front) for each in masks]

    def _ground_at(self, rng: np.random.Generator, time: float) -> np.ndarray:
        assert self.ground is not None
        height, width = self.ground.shape[:2]
        zoom = self.ground_motion.size / min(height, width)
        return augment.warp(self.ground, self.ground_motion.map_at(rng, time, np.array([width, height]) / 2, zoom))


@dataclass(frozen=True)
class Scenery:
    """Instances of still images.

    Args:
        images: with instance masks.
        usable: (images, image, instance) numbers of those with a mask worth showing.
    """

    images: Sequence[CocoImages]
    usable: Sequence[tuple[int, int, int]]

    @classmethod
    def of(cls, images: Sequence[CocoImages]) -> "Scenery":
        """All instances with a mask of at least SMALLEST pixels a side.

        Raises:
            UserError: there is none.
        """
        usable = [
            (source, image, number)
            for source, split in enumerate(images)
            for image in range(len(split))
            for number, instance in enumerate(split.instances(image))
            if _worth_showing(instance.mask) and not instance.crowd
        ]
        if not usable:
            raise UserError(
                f"{images[0].annotation_file}: has no instance with a polygon of {SMALLEST} pixels a side or more; "
                "add some, or set train_tracking.still_share and paste_share to 0"
            )
        return cls(images, usable)

    def instance(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A random instance: its image, uint8 (H, W, 3), and its mask, uint8 (H, W) in {0, 1}."""
        source, image, number = self.usable[int(rng.integers(len(self.usable)))]
        mask = self.images[source].instances(image)[number].mask
        assert mask is not None
        return self.images[source].image(image), mask

    def setting(self, rng: np.random.Generator, size: int, ground_share: float, occluder_share: float) -> Setting:
        """Random surroundings for frames of `size` pixels a side, with these chances of a ground and of an occluder."""
        return Setting(
            ground=self.instance(rng)[0] if rng.random() < ground_share else None,
            ground_motion=Motion.draw(rng, size),
            ground_colour=augment.recolour(rng),
            occluder=self.instance(rng) if rng.random() < occluder_share else None,
            occluder_motion=Motion.draw(rng, size),
        )


def _worth_showing(mask: np.ndarray | None) -> bool:
    if mask is None:
        return False
    box = mask_box(mask)
    return box is not None and bool((box[2:] - box[:2]).min() >= SMALLEST)


def _over(ground: np.ndarray, front: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where(mask[..., None] > 0, front, ground)
