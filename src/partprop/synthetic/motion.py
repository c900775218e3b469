"""Motion of bodies and camera through a video. Times are in frames, positions in pixels."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

SWELL = 1.15  # largest scale of a body relative to frame 0
SQUASH = 1.08  # largest stretch along an axis, as if the body rotated in depth
MAX_GROWTH = SWELL * SQUASH
BACKGROUND = 1.5  # size of the background relative to the frame, to leave the camera room to move

Accept = Callable[[int, np.ndarray], bool]


def zone(size: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """The frame without a margin: its top left and bottom right corners, (2,) each; the centre if nothing is left."""
    low = np.minimum(margin, size / 2)
    return low, size - low


def roam(
    rng: np.random.Generator,
    stops: dict[int, np.ndarray],
    size: np.ndarray,
    margin: float,
    frames: int,
    leg: int,
    accept: Accept,
) -> np.ndarray:
    """A random path through given stops and further ones.

    Args:
        rng: source of the added stops.
        stops: positions (2,) to pass, by frame; frame 0 is required.
        size: width and height of the frame.
        margin: least distance of an added stop from the border of the frame.
        frames: length of the path.
        leg: frames between added stops.
        accept: whether an added stop may be at a position in a frame; if no try is accepted, the last one is used.

    Returns:
        Positions: (frames, 2).
    """
    low, high = zone(size, margin)
    given = sorted(stops)
    route = dict(stops)
    for start, end in pairwise([*given, frames + 2 * leg]):
        for time in range(start + leg, end - leg // 2, leg):
            for _ in range(60):
                route[time] = rng.uniform(low, high)
                if accept(min(time, frames - 1), route[time]):
                    break
    return _ease(route, frames)


def _ease(stops: dict[int, np.ndarray], frames: int) -> np.ndarray:
    """Interpolate between stops, moving slower near them: (frames, 2)."""
    times = np.array(sorted(stops))
    places = np.stack([stops[time] for time in sorted(stops)])
    now = np.arange(frames)
    leg = np.searchsorted(times, now, side="right") - 1
    share = (now - times[leg]) / (times[leg + 1] - times[leg])
    share = 0.5 * share + 0.5 * share**2 * (3 - 2 * share)
    return places[leg] + share[:, None] * (places[leg + 1] - places[leg])


def tumble(rng: np.random.Generator, path: np.ndarray, scale: float, upright: bool) -> np.ndarray:
    """Rotate, scale and stretch a body along its path.

    Args:
        rng: source of the angles, sizes and periods.
        path: positions of the body's origin, (frames, 2).
        scale: pixels per unit of the body in frame 0.
        upright: whether the body stays roughly upright.

    Returns:
        Transforms from the body's coordinates to pixels: (frames, 3, 3).
    """
    time = np.arange(len(path))
    lean = 0.4 if upright else np.pi
    angle = rng.uniform(-lean, lean) + 0.35 * _swing(rng, time)
    if not upright:
        angle += rng.uniform(-0.03, 0.03) * time
    swell = SWELL ** (np.sin(2 * np.pi * time / rng.uniform(20, 50)) * rng.choice((-1, 1)))
    squash = SQUASH ** _swing(rng, time)
    cos, sin = np.cos(angle), np.sin(angle)
    track = np.zeros((len(path), 3, 3))
    track[:, 0] = np.stack([scale * swell * squash * cos, -scale * swell / squash * sin, path[:, 0]], axis=1)
    track[:, 1] = np.stack([scale * swell * squash * sin, scale * swell / squash * cos, path[:, 1]], axis=1)
    track[:, 2, 2] = 1
    return track


def move_camera(rng: np.random.Generator, size: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Pan, zoom and roll over the background.

    Returns:
        The pan in pixels (frames, 2), and transforms from the frame's to the background's pixels (frames, 2, 3).
    """
    time = np.arange(frames)
    sway = np.stack([_swing(rng, time, period=(30, 70)), _swing(rng, time, period=(30, 70))], axis=1)
    pan = rng.uniform(0.1, 0.2) * size * sway
    zoom = np.exp(-0.12 + 0.1 * _swing(rng, time))
    roll = rng.uniform(0.02, 0.1) * _swing(rng, time)
    cos, sin = np.cos(roll) * zoom, np.sin(roll) * zoom
    linear = np.stack([np.stack([cos, -sin], axis=1), np.stack([sin, cos], axis=1)], axis=1)
    shift = size * BACKGROUND / 2 + pan - linear @ (size / 2)
    return pan, np.concatenate([linear, shift[:, :, None]], axis=2)


def change_light(rng: np.random.Generator, frames: int) -> np.ndarray:
    """A varying gain per frame and colour: (frames, 3)."""
    time = np.arange(frames)
    gain = 1 + rng.uniform(0.05, 0.2) * _swing(rng, time, period=(16, 50))
    tint = np.stack([_swing(rng, time, period=(16, 50)) for _ in range(3)], axis=1)
    return gain[:, None] * (1 + 0.05 * tint)


def _swing(rng: np.random.Generator, time: np.ndarray, period: tuple[float, float] = (20, 50)) -> np.ndarray:
    """A sine with random period and phase, from -1 to 1, at each time."""
    return np.sin(2 * np.pi * (time / rng.uniform(*period) + rng.uniform()))
