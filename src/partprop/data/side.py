"""Sides of an object that its reference does not show: in the later frames, a piece of it has another surface."""

from dataclasses import dataclass

import cv2
import numpy as np

from partprop.data import augment

TILE = 128  # pixels a side of the surface that is spread over an object's box
LEAST = 0.25  # share of the box's extent that keeps its surface, and that gets another, at least
SOFT = 3  # pixels of the tile over which the one turns into the other


@dataclass(frozen=True)
class Side:
    """Another surface for a piece of an object.

    surface: uint8 (TILE, TILE, 3), spread over the object's box. shown: float32 (TILE, TILE), its opacity in [0, 1].
    """

    surface: np.ndarray
    shown: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, image: np.ndarray) -> "Side":
        """A piece of an image, uint8 (H, W, 3), in other colours, on one side of a random line through the box."""
        side = int(rng.integers(min(TILE, *image.shape[:2]), min(image.shape[:2]) + 1))
        top, left = (int(rng.integers(0, extent - side + 1)) for extent in image.shape[:2])
        piece = cv2.resize(image[top : top + side, left : left + side], (TILE, TILE), interpolation=cv2.INTER_AREA)
        angle, share = rng.uniform(0, 2 * np.pi), rng.uniform(LEAST, 1 - LEAST)
        y, x = (np.mgrid[:TILE, :TILE] + 0.5) / TILE
        along = x * np.cos(angle) + y * np.sin(angle)
        border = np.quantile(along, share)
        shown = np.clip((along - border) * TILE / SOFT + 0.5, 0, 1).astype(np.float32)
        return cls(augment.apply_colour(piece, augment.recolour(rng)), shown)

    def put_on(self, view: np.ndarray, mask: np.ndarray, box: np.ndarray) -> np.ndarray:
        """A picture, uint8 (H, W, 3), whose object with mask (H, W) in {0, 1} and box (4,) has this side."""
        scale = TILE / np.maximum(box[2:] - box[:2], 1)
        matrix = np.array([[scale[0], 0, -box[0] * scale[0]], [0, scale[1], -box[1] * scale[1]]])
        size, flags = (view.shape[1], view.shape[0]), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        surface, shown = (
            cv2.warpAffine(part, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
            for part in (self.surface, self.shown)
        )
        opacity = (shown * mask)[..., None]
        return (opacity * surface + (1 - opacity) * view).astype(np.uint8)
