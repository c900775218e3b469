"""Motion: how bodies and the camera move through a video. Times in frames, places in pixels."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

SWELL = 1.15  # largest scale of a body relative to frame 0
SQUASH = 1.08  # largest stretch along an axis, as if the body turned in depth
MAX_GROWTH = SWELL * SQUASH
BACKGROUND = 1.5  # size of the background relative to the frame: room for the camera to move

Accept = Callable[[int, np.ndarray], bool]


def zone(size: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """The frame less a margin, as lowest and highest point; its middle where nothing is left."""
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
    """A path that passes the given stops and goes on to others.

    Args:
        rng: source of the added stops.
        stops: places (2,) to pass, by frame; holds frame 0.
        size: the frame's width and height.
        margin: least distance of an added stop to the frame's border.
        frames: length of the path.
        leg: frames from one added stop to the next.
        accept: whether an added stop may be at a place at a time; where none is found, the last one drawn stands.

    Returns:
        Places: (frames, 2).
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
    """Go from stop to stop, slower near them."""
    times = np.array(sorted(stops))
    places = np.stack([stops[time] for time in sorted(stops)])
    now = np.arange(frames)
    leg = np.searchsorted(times, now, side="right") - 1
    share = (now - times[leg]) / (times[leg + 1] - times[leg])
    share = 0.5 * share + 0.5 * share**2 * (3 - 2 * share)
    return places[leg] + share[:, None] * (places[leg + 1] - places[leg])


def tumble(rng: np.random.Generator, path: np.ndarray, scale: float, upright: bool) -> np.ndarray:
    """Turn, swell and squash a body along its path.

    Args:
        rng: source of the angles, sizes and periods.
        path: places of the body's origin, (frames, 2).
        scale: pixels per unit of the body at frame 0.
        upright: whether the body keeps about the same side up.

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
    """Gain per frame and colour: (frames, 3)."""
    time = np.arange(frames)
    gain = 1 + rng.uniform(0.05, 0.2) * _swing(rng, time, period=(16, 50))
    tint = np.stack([_swing(rng, time, period=(16, 50)) for _ in range(3)], axis=1)
    return gain[:, None] * (1 + 0.05 * tint)


def _swing(rng: np.random.Generator, time: np.ndarray, period: tuple[float, float] = (20, 50)) -> np.ndarray:
    """A sine of random period and phase, -1 to 1."""
    return np.sin(2 * np.pi * (time / rng.uniform(*period) + rng.uniform()))
