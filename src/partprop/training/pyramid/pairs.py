"""Pairs of views of a still image's object, by which keys learn to match."""

from dataclasses import dataclass

import numpy as np

from partprop.base.errors import UserError
from partprop.data.labels import mask_box
from partprop.training.common import augment
from partprop.training.common.scenery import PastedScene, Scenery

MIN_PIXELS = 256  # of the object in the reference
MAX_ATTEMPTS = 300  # draws until a reference shows MIN_PIXELS
BACKGROUND_SHARE, OCCLUDER_SHARE = 0.35, 0.3  # of pairs with a pasted background, and with a pasted occluder
HIDDEN_SHARE = 0.3  # of pairs, in which the reference does not show a side of the object
HIDDEN_QUANTILES = (0.35, 0.7)  # of the object's pixels that stay shown
COLOUR_SHARE, BLUR_SHARE, COARSE_SHARE = 0.8, 0.15, 0.15  # of views with a change of their own


@dataclass(frozen=True)
class Pair:
    """A reference view and a later view of an object.

    Attributes:
        images: uint8 (2, S, S, 3), RGB.
        masks: uint8 (2, S, S) in {0, 1}.
        shown: uint8 (S, S), 0 in a half-plane of the reference whose object pixels are not to be matched, as a side of
            the object that the reference does not show; else 1.
    """

    images: np.ndarray
    masks: np.ndarray
    shown: np.ndarray


@dataclass(frozen=True)
class StillPairs:
    """Pairs of views under rotation, scaling, shear, thin-plate splines and changes of colour and sharpness.

    Unlike the clips that train the tracker, a view has a large motion, since the keys must match an object with its
    reference after many frames.

    Args:
        scenery: the objects.
        crop: S, side of a view in pixels.
    """

    scenery: Scenery
    crop: int

    def draw(self, rng: np.random.Generator) -> Pair:
        """Draw a pair.

        Raises:
            UserError: MAX_ATTEMPTS references showed no large enough object.
        """
        for _ in range(MAX_ATTEMPTS):
            views, masks = self._views(rng)
            if masks[0].sum() >= MIN_PIXELS:
                return Pair(np.stack(views), np.stack(masks), self._shown(rng, masks[0]))
        origin = self.scenery.sets[0].origin
        raise UserError(f"{origin}: almost no object has {MIN_PIXELS} pixels in its crop; use images with larger ones")

    def _views(self, rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
        image, mask = self.scenery.sample_object(rng)
        box = mask_box(mask)
        assert box is not None
        scene = self.scenery.sample_scene(rng, self.crop, BACKGROUND_SHARE, OCCLUDER_SHARE)
        colour = augment.sample_strong_colour_matrix(rng)
        maps = self._maps(rng, box, image.shape)
        views = [self._view(rng, image, mask, sampling_map, scene, time) for time, sampling_map in enumerate(maps)]
        return [_change_look(rng, view, colour) for view, _ in views], [visible for _, visible in views]

    def _maps(self, rng: np.random.Generator, box: np.ndarray, shape: tuple[int, ...]) -> list[np.ndarray]:
        """Sampling maps of both views around a box (4,) in an image of `shape` (H, W, …)."""
        size, side = self.crop, float((box[2:] - box[:2]).max())
        zoom = float(np.clip(rng.uniform(0.25, 1.0) * size / side, 0.6 * size / min(shape[:2]), 2.5))
        turn, growth, flip = rng.normal(0, 25), rng.normal(0, 0.3), bool(rng.random() < 0.5)
        maps = []
        for time in (-0.5, 0.5):
            zoom_now = zoom * float(np.exp(growth * time))
            centre = (box[:2] + box[2:]) / 2 - rng.normal(0, 0.12, 2) * size / zoom_now
            matrix = augment.affine_matrix(tuple(centre), size, zoom_now, turn * time, rng.normal(0, 0.1), flip)
            bent = augment.thin_plate_spline(rng, size, rng.uniform(0, 0.06)) @ matrix[:, :2].T.astype(np.float32)
            maps.append(augment.affine_map(matrix, size) + bent)
        return maps

    def _view(
        self,
        rng: np.random.Generator,
        image: np.ndarray,
        mask: np.ndarray,
        sampling_map: np.ndarray,
        scene: PastedScene,
        time: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """A view (S, S, 3) and the object's visible pixels (S, S) in it."""
        warped = augment.warp(image, sampling_map)
        view, (visible,) = scene.apply(rng, warped, [augment.warp_mask(mask, sampling_map)], time)
        return view, visible

    def _shown(self, rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
        shown = np.ones_like(mask)
        if rng.random() < HIDDEN_SHARE:
            angle = rng.uniform(0, 2 * np.pi)
            rows, columns = np.indices(mask.shape)
            position = columns * np.cos(angle) + rows * np.sin(angle)
            shown[position > np.quantile(position[mask > 0], rng.uniform(*HIDDEN_QUANTILES))] = 0
        return shown


def _change_look(rng: np.random.Generator, view: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Apply the pair's colour matrix, and changes of colour, motion and resolution of the view's own."""
    view = augment.apply_colour_matrix(view, colour)
    if rng.random() < COLOUR_SHARE:
        view = augment.apply_colour_matrix(view, augment.sample_colour_matrix(rng, 0.25))
    if rng.random() < BLUR_SHARE:
        view = augment.motion_blur(rng, view)
    return augment.coarsen(view, rng.uniform(0.3, 0.8)) if rng.random() < COARSE_SHARE else view
