"""Procedural colour textures that make objects and backgrounds distinguishable."""

import colorsys
from dataclasses import dataclass, replace

import cv2
import numpy as np

PATTERNS = ("stripes", "checks", "spots", "patches", "cells")


@dataclass(frozen=True)
class Look:
    """The parameters of a texture; similar looks give similar textures.

    Attributes:
        pattern: one of PATTERNS.
        hues: of ground, pattern and accent, in turns of the colour circle.
        saturation: 0 to 1.
        values: brightness of the same three, 0 to 1.
        wavelength: of the pattern, in texture pixels.
        angle: of the pattern, in radians.
    """

    pattern: str
    hues: tuple[float, float, float]
    saturation: float
    values: tuple[float, float, float]
    wavelength: float
    angle: float


def draw_look(rng: np.random.Generator, saturation: tuple[float, float], wavelength: tuple[float, float]) -> Look:
    """A random look whose light and dark colours differ enough for the pattern to be visible."""
    hue = rng.uniform()
    light, dark = rng.uniform(0.6, 1.0), rng.uniform(0.15, 0.45)
    ground, pattern = (light, dark) if rng.uniform() < 0.5 else (dark, light)
    return Look(
        pattern=PATTERNS[rng.integers(len(PATTERNS))],
        hues=(hue, hue + rng.uniform(-0.2, 0.2), rng.uniform()),
        saturation=rng.uniform(*saturation),
        values=(ground, pattern, rng.uniform(0.4, 1.0)),
        wavelength=rng.uniform(*wavelength),
        angle=rng.uniform(0, np.pi),
    )


def similar_look(rng: np.random.Generator, look: Look) -> Look:
    """A look with the same pattern in neighbouring colours, at another size and angle."""
    shift = rng.uniform(0.08, 0.14) * rng.choice((-1, 1))
    ground, pattern, accent = look.hues
    return replace(
        look,
        hues=(ground + shift, pattern + shift, accent + 0.4),
        wavelength=look.wavelength * (1.5 if look.wavelength < 20 else 0.65),
        angle=look.angle + rng.uniform(0.6, 1.2),
    )


def paint(rng: np.random.Generator, look: Look, width: int, height: int) -> np.ndarray:
    """Paint a texture: uint8 (height, width, 3), RGB."""
    ground, pattern, accent = (
        255 * np.array(colorsys.hsv_to_rgb(hue % 1, look.saturation, value), np.float32)
        for hue, value in zip(look.hues, look.values, strict=True)
    )
    field = _field(rng, look, width, height)[..., None]
    image = ground + (pattern - ground) * np.clip(0.5 + 2.5 * field, 0, 1)
    patches = _noise(rng, width, height, 3 * look.wavelength)[..., None]
    image += (accent - image) * np.clip(4 * (patches - 0.9), 0, 1)
    grain = 1 + 0.06 * _noise(rng, width, height, 4) + 0.08 * _noise(rng, width, height, 50)
    return np.clip(image * grain[..., None], 0, 255).astype(np.uint8)


def blend(rng: np.random.Generator, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Blend patches of the second texture into the first; shape and type stay the same."""
    height, width = first.shape[:2]
    share = np.clip(0.5 + 4 * _noise(rng, width, height, height / 2), 0, 1)[..., None]
    return (first + share * (second.astype(np.float32) - first)).astype(np.uint8)


def _field(rng: np.random.Generator, look: Look, width: int, height: int) -> np.ndarray:
    """The pattern per pixel, about -1 to 1, distorted so that no two places are alike: (height, width)."""
    if look.pattern == "patches":
        return _noise(rng, width, height, look.wavelength)
    if look.pattern == "cells":
        return _cells(rng, width, height, look.wavelength)
    y, x = np.mgrid[:height, :width].astype(np.float32) * np.float32(2 * np.pi / look.wavelength)
    u = np.cos(look.angle) * x + np.sin(look.angle) * y + 1.2 * _noise(rng, width, height, 4 * look.wavelength)
    v = np.cos(look.angle) * y - np.sin(look.angle) * x + 1.2 * _noise(rng, width, height, 4 * look.wavelength)
    if look.pattern == "stripes":
        return np.sin(u)
    if look.pattern == "checks":
        return np.sin(u) * np.sin(v) * 2
    return np.cos(u) + np.cos(v) - 0.5


def _noise(rng: np.random.Generator, width: int, height: int, wavelength: float) -> np.ndarray:
    """Smooth noise of two octaves, with zero mean and unit variance: float32 (height, width)."""
    total = np.zeros((height, width), np.float32)
    for octave, weight in ((1, 1.0), (2, 0.5)):
        cell = max(wavelength / 2 / octave, 1)
        grid = rng.standard_normal((round(height / cell) + 3, round(width / cell) + 3), np.float32)
        total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return (total - total.mean()) / max(total.std(), 1e-6)


def _cells(rng: np.random.Generator, width: int, height: int, wavelength: float) -> np.ndarray:
    """Voronoi cells with one random value each: float32 (height, width)."""
    count = max(int(2 * width * height / wavelength**2), 4)
    free = np.full((height, width), 255, np.uint8)
    free[rng.integers(height, size=count), rng.integers(width, size=count)] = 0
    _, cell = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    return cv2.GaussianBlur(rng.uniform(-0.7, 0.7, count + 1).astype(np.float32)[cell], (0, 0), 0.8)
