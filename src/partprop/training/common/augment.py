"""Random geometric and colour augmentation of frames and still images.

Randomness comes from an explicit NumPy generator, so a sample depends on its seed alone. A sampling map is float32
(S, S, 2): the source position x, y of each output pixel, as in `cv2.remap`.
"""

import cv2
import numpy as np

LUMA = np.array([0.299, 0.587, 0.114])  # weights of red, green and blue (ITU-R BT.601)


def affine_matrix(
    centre: tuple[float, float], size: int, zoom: float, angle: float = 0.0, shear: float = 0.0, flip: bool = False
) -> np.ndarray:
    """Return the 2×3 matrix from output pixels to source pixels.

    Args:
        centre: x, y in the source of the output's centre.
        size: S, side of the square output in pixels.
        zoom: output pixels per source pixel.
        angle: of the rotation, in degrees.
        shear: x shift per pixel of y.
        flip: whether to mirror left and right.
    """
    cos, sin = np.cos(np.radians(angle)) / zoom, np.sin(np.radians(angle)) / zoom
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.array([[-1.0 if flip else 1.0, shear], [0.0, 1.0]])
    middle = (size - 1) / 2
    return np.column_stack([linear, np.array(centre) - linear @ [middle, middle]])


def affine_map(matrix: np.ndarray, size: int) -> np.ndarray:
    """Return the sampling map of an affine matrix from output to source, for an output of `size` pixels a side."""
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1).astype(np.float64)
    return (grid @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def thin_plate_spline(rng: np.random.Generator, size: int, strength: float, points: int = 4) -> np.ndarray:
    """Return a smooth random displacement, float32 (S, S, 2), x and y in output pixels (Bookstein, PAMI 1989).

    Args:
        size: S, side of the output in pixels.
        strength: standard deviation of the control points' shifts, as a fraction of `size`.
        points: control points per side.
    """
    line = np.linspace(0, size - 1, points)
    control = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    shifts = rng.normal(0, strength * size, control.shape)
    count = len(control)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _thin_plate(control, control)
    system[:count, count:] = np.column_stack([np.ones(count), control])
    system[count:, :count] = system[:count, count:].T
    weights = np.linalg.solve(system, np.vstack([shifts, np.zeros((3, 2))]))
    # The spline is smooth, so a coarse grid is enough; its points are those that cv2.resize interpolates between.
    coarse = (np.arange(17) + 0.5) * size / 17 - 0.5
    positions = np.stack(np.meshgrid(coarse, coarse), -1).reshape(-1, 2)
    values = (
        _thin_plate(positions, control) @ weights[:count]
        + np.column_stack([np.ones(len(positions)), positions]) @ weights[count:]
    )
    return cv2.resize(values.reshape(17, 17, 2).astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)


def warp(image: np.ndarray, sampling_map: np.ndarray) -> np.ndarray:
    """Resample an image, uint8 (H, W, 3), with a sampling map; beyond its border it is mid-grey, the network's zero."""
    grey = (127.0, 127.0, 127.0)
    return cv2.remap(
        image,
        sampling_map[..., 0],
        sampling_map[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=grey,
    )


def warp_mask(mask: np.ndarray, sampling_map: np.ndarray) -> np.ndarray:
    """Resample a mask, uint8 (H, W) in {0, 1}, with a sampling map; beyond its border it is 0."""
    soft = cv2.remap(
        mask * np.uint8(255),
        sampling_map[..., 0],
        sampling_map[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )
    return (soft > 127).astype(np.uint8)


def sample_colour_matrix(rng: np.random.Generator, strength: float) -> np.ndarray:
    """Sample a 3×4 matrix on RGB that changes contrast, brightness, saturation and tint.

    Args:
        strength: largest relative change; 0 returns the identity.
    """
    contrast, saturation = 1 + rng.uniform(-strength, strength, 2)
    gains = contrast * (1 + rng.uniform(-strength, strength, 3) / 3)
    mix = saturation * np.eye(3) + (1 - saturation) * LUMA
    shift = 127.5 * (1 - gains) + 255 * rng.uniform(-strength, strength) / 3
    return np.column_stack([gains[:, None] * mix, shift])


def sample_strong_colour_matrix(rng: np.random.Generator) -> np.ndarray:
    """Sample a strong 3×4 colour matrix for all frames of a clip; half of them turn the hue, one in ten gives grey.

    A few videos show few colours; the network should not learn objects by them.
    """
    change = sample_colour_matrix(rng, 0.3)
    linear = change[:, :3]
    if rng.random() < 0.5:
        linear = linear @ _hue_rotation(rng.uniform(-np.pi, np.pi))
    if rng.random() < 0.1:
        linear = np.tile(LUMA, (3, 1))
    return np.column_stack([linear, change[:, 3]])


def apply_colour_matrix(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Apply a 3×4 colour matrix to an image, uint8 (H, W, 3), RGB."""
    return cv2.transform(image, matrix)  # saturates to uint8


def motion_blur(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Blur an image along a random direction, by 3 to 9 pixels."""
    length = int(rng.integers(3, 10))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = (length - 1) / 2
    ends = [(round(reach + s * reach * np.cos(angle)), round(reach + s * reach * np.sin(angle))) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def coarsen(image: np.ndarray, scale: float) -> np.ndarray:
    """Shrink an image, uint8 (H, W, 3), by a factor `scale` below 1, and enlarge it again: an image out of focus."""
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)


def _hue_rotation(angle: float) -> np.ndarray:
    """Return the rotation (3, 3) of RGB by `angle` radians about the grey axis (Rodrigues' formula)."""
    grey_axis = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / np.sqrt(3)
    return np.cos(angle) * np.eye(3) + np.sin(angle) * grey_axis + (1 - np.cos(angle)) / 3


def _thin_plate(points: np.ndarray, control: np.ndarray) -> np.ndarray:
    """Return the thin-plate kernel r² log r between points (N, 2) and control points (M, 2): (N, M)."""
    square = ((points[:, None] - control[None]) ** 2).sum(-1)
    return 0.5 * square * np.log(np.maximum(square, 1e-12))
