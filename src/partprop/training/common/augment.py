"""Random changes of geometry and colour that make training frames out of videos and still images.

All take an explicit numpy Generator, so that a sample depends on its seed alone. Maps are float32 (S, S, 2): the place
x, y in the source of each pixel of the output, as `cv2.remap` wants it.
"""

import cv2
import numpy as np

GREY = np.array([0.299, 0.587, 0.114])  # shares of red, green and blue in a pixel's lightness


def affine(
    centre: tuple[float, float], size: int, zoom: float, angle: float = 0.0, shear: float = 0.0, flip: bool = False
) -> np.ndarray:
    """The 2×3 matrix from output pixels to source pixels.

    Args:
        centre: x, y in the source that the output's centre shows.
        size: S, side of the square output.
        zoom: output pixels per source pixel.
        angle: of rotation, in degrees; shear: of the x axis; flip: mirror left and right.
    """
    cos, sin = np.cos(np.radians(angle)) / zoom, np.sin(np.radians(angle)) / zoom
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.array([[-1.0 if flip else 1.0, shear], [0.0, 1.0]])
    middle = (size - 1) / 2
    return np.column_stack([linear, np.array(centre) - linear @ [middle, middle]])


def affine_map(matrix: np.ndarray, size: int) -> np.ndarray:
    """The map of an affine matrix from output to source."""
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1).astype(np.float64)
    return (grid @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def thin_plate_spline(rng: np.random.Generator, size: int, strength: float, points: int = 4) -> np.ndarray:
    """A smooth random displacement (S, S, 2) in output pixels (Bookstein, PAMI 1989).

    Args:
        strength: standard deviation of the control points' shifts, as a share of the size.
        points: control points per side.
    """
    line = np.linspace(0, size - 1, points)
    control = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    shifts = rng.normal(0, strength * size, control.shape)
    count = len(control)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _radial(control, control)
    system[:count, count:] = np.column_stack([np.ones(count), control])
    system[count:, :count] = system[:count, count:].T
    weights = np.linalg.solve(system, np.vstack([shifts, np.zeros((3, 2))]))
    # the spline is smooth: evaluating it on a coarse grid, at cv2.resize's places, and resizing is enough
    coarse = (np.arange(17) + 0.5) * size / 17 - 0.5
    places = np.stack(np.meshgrid(coarse, coarse), -1).reshape(-1, 2)
    values = (
        _radial(places, control) @ weights[:count] + np.column_stack([np.ones(len(places)), places]) @ weights[count:]
    )
    return cv2.resize(values.reshape(17, 17, 2).astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)


def warp(image: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Resample an image, uint8 (H, W, 3), through a map; mid-grey, the network's zero, beyond its border."""
    grey = (127.0, 127.0, 127.0)
    return cv2.remap(
        image, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=grey
    )


def warp_mask(mask: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Resample a mask, uint8 (H, W) in {0, 1}, through a map; empty beyond its border."""
    soft = cv2.remap(
        mask * np.uint8(255), place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return (soft > 127).astype(np.uint8)


def colour_change(rng: np.random.Generator, strength: float) -> np.ndarray:
    """A random colour change as a 3×4 matrix on RGB: contrast, brightness, saturation and a tint."""
    contrast, saturation = 1 + rng.uniform(-strength, strength, 2)
    gains = contrast * (1 + rng.uniform(-strength, strength, 3) / 3)
    mix = saturation * np.eye(3) + (1 - saturation) * GREY
    shift = 127.5 * (1 - gains) + 255 * rng.uniform(-strength, strength) / 3
    return np.column_stack([gains[:, None] * mix, shift])


def recolour(rng: np.random.Generator) -> np.ndarray:
    """A strong colour change for all frames of a clip, as a 3×4 matrix: half of the time of hue, one in ten to grey.

    Few videos show few colours; what an object is made of should not be learnt from them.
    """
    change = colour_change(rng, 0.3)
    linear = change[:, :3]
    if rng.random() < 0.5:
        linear = linear @ _hue_turn(rng.uniform(-np.pi, np.pi))
    if rng.random() < 0.1:
        linear = np.tile(GREY, (3, 1))
    return np.column_stack([linear, change[:, 3]])


def apply_colour(image: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Apply a 3×4 colour matrix to an image, uint8 RGB."""
    return cv2.transform(image, change)  # saturates to uint8


def blur(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Motion blur along a random direction, up to 9 pixels."""
    length = int(rng.integers(3, 10))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = (length - 1) / 2
    ends = [(round(reach + s * reach * np.cos(angle)), round(reach + s * reach * np.sin(angle))) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def _hue_turn(angle: float) -> np.ndarray:
    """The rotation of RGB (3, 3) around the axis of grey (Rodrigues' formula)."""
    about_grey = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / np.sqrt(3)
    return np.cos(angle) * np.eye(3) + np.sin(angle) * about_grey + (1 - np.cos(angle)) / 3


def _radial(places: np.ndarray, control: np.ndarray) -> np.ndarray:
    square = ((places[:, None] - control[None]) ** 2).sum(-1)
    return 0.5 * square * np.log(np.maximum(square, 1e-12))
