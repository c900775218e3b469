"""Scenes: bodies in front of a background seen by a moving camera, rendered to an image and an exact label map."""

from dataclasses import dataclass

import cv2
import numpy as np

from partprop.synthetic.body import ANGLES, DIRECTIONS, Body, Lobe

TEXTURE_UNIT = 32  # texture pixels per unit of a body


@dataclass(frozen=True)
class Actor:
    """A body and its motion.

    Attributes:
        body: the body.
        track: (frames, 3, 3), transforms from the body's coordinates to pixels.
        label: its id in the label map; 0 for scenery, which occludes objects but is not one.
    """

    body: Body
    track: np.ndarray
    label: int


@dataclass(frozen=True)
class Scene:
    """The complete content of a video.

    Attributes:
        width, height: of the frames, in pixels.
        background: uint8 (any, any, 3), RGB, larger than the frame.
        camera: (frames, 2, 3), transforms from the frame's to the background's pixels.
        actors: from back to front.
        light: (frames, 3), gain per colour.
        noise: standard deviation of the sensor noise, in grey levels.
        noise_seed: of the sensor noise.
    """

    width: int
    height: int
    background: np.ndarray
    camera: np.ndarray
    actors: tuple[Actor, ...]
    light: np.ndarray
    noise: float
    noise_seed: int


def render(scene: Scene, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Render one frame.

    Returns:
        The image, uint8 (H, W, 3), RGB, and the label map, uint8 (H, W): the front object whose outline contains the
        pixel's centre, 0 for background and scenery.
    """
    canvas = cv2.warpAffine(
        scene.background,
        scene.camera[frame],
        (scene.width, scene.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    ).astype(np.float32)
    labels = np.zeros((scene.height, scene.width), np.uint8)
    for actor in scene.actors:
        transform = actor.track[frame]
        blur = _motion_kernel(transform - actor.track[max(frame - 1, 0)])
        placements = actor.body.placements(frame)
        for lobe, placement in reversed(list(zip(actor.body.lobes, placements, strict=True))):
            _draw(canvas, labels, lobe, transform @ placement, frame, actor.label, blur)
    canvas *= scene.light[frame].astype(np.float32)
    rng = np.random.default_rng([scene.noise_seed, frame])
    canvas += scene.noise * rng.standard_normal((scene.height, scene.width, 1), np.float32)
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8), labels


def _draw(
    canvas: np.ndarray,
    labels: np.ndarray,
    lobe: Lobe,
    transform: np.ndarray,
    time: float,
    label: int,
    blur: np.ndarray | None,
) -> None:
    """Draw a lobe on the canvas and its label on the label map, in place."""
    radii = lobe.outline(time)
    outline = radii[:, None] * DIRECTIONS @ transform[:2, :2].T + transform[:2, 2]
    margin = 2 if blur is None else 2 + len(blur) // 2
    height, width = labels.shape
    left, top = np.maximum(np.floor(outline.min(axis=0)).astype(int) - margin, 0)
    right, bottom = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + margin + 1, (width, height))
    if left >= right or top >= bottom:
        return
    inverse = np.linalg.inv(transform).astype(np.float32)
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
    u = inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]
    v = inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]
    distance = np.hypot(u, v)
    angle = np.arctan2(v, u) * np.float32(ANGLES / (2 * np.pi))
    radius = _lookup(radii, angle)

    pixels_per_unit = np.sqrt(np.linalg.det(transform[:2, :2]))
    inside = (radius - distance) * np.float32(pixels_per_unit)  # about the distance to the outline, in pixels
    alpha = np.clip(inside + 0.5, 0, 1)[..., None]
    paint = _texture(lobe, u, v, _lookup(lobe.radii, angle) / radius) * _shading(distance / radius, u)[..., None]
    premultiplied = np.concatenate([paint * alpha, alpha], axis=2)
    if blur is not None:
        premultiplied = cv2.filter2D(premultiplied, -1, blur, borderType=cv2.BORDER_REPLICATE)
    window = canvas[top:bottom, left:right]
    window *= 1 - premultiplied[..., 3:]
    window += premultiplied[..., :3]
    labels[top:bottom, left:right][inside >= 0] = label


def _lookup(table: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Interpolate a periodic table linearly at float32 positions, in table entries."""
    closed = np.append(table, table[0]).astype(np.float32)
    position = position % ANGLES
    below = np.minimum(position.astype(np.int32), ANGLES - 1)
    return closed[below] + (position - below.astype(np.float32)) * (closed[below + 1] - closed[below])


def _texture(lobe: Lobe, u: np.ndarray, v: np.ndarray, stretch: np.ndarray) -> np.ndarray:
    """The lobe's colours at (u, v), float32 (h, w, 3); the texture stretches with the outline."""
    height, width = lobe.texture.shape[:2]
    stretch = stretch * np.float32(TEXTURE_UNIT)
    colours = cv2.remap(
        lobe.texture, u * stretch + width / 2, v * stretch + height / 2, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )
    return colours.astype(np.float32)


def _shading(depth: np.ndarray, u: np.ndarray) -> np.ndarray:
    """A gain per pixel: darker towards the outline and to one side, as on a round object."""
    return 1.08 - 0.35 * np.minimum(depth, 1) ** 4 - 0.08 * np.clip(u, -1, 1)


def _motion_kernel(step: np.ndarray) -> np.ndarray | None:
    """A kernel that blurs along a body's motion during half a frame; None if the motion is too small."""
    x, y = step[:2, 2] / 2
    length = float(np.hypot(x, y))
    if length < 2:
        return None
    middle = int(np.ceil(length / 2))
    kernel = np.zeros((2 * middle + 1, 2 * middle + 1), np.float32)
    for share in np.linspace(-0.5, 0.5, 8 * middle + 1):
        kernel[round(middle + share * y), round(middle + share * x)] += 1
    return kernel / kernel.sum()
