"""Bodies: textured lobes with rippling outlines, connected by swinging joints.

Body coordinates: x to the right, y down; the radius of a body is about one unit. Time is in frames. Every motion is
periodic, so a body has a pose at any time.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

KINDS = ("blob", "star", "walker", "worm")
ANGLES = 256
THETA = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
DIRECTIONS = np.stack([np.cos(THETA), np.sin(THETA)], axis=1)


@dataclass(frozen=True)
class Wave:
    """A sine over time: `size` * sin(2 pi (t / period + phase))."""

    size: float
    period: float
    phase: float

    def __call__(self, time: float) -> float:
        return self.size * float(np.sin(2 * np.pi * (time / self.period + self.phase)))


@dataclass(frozen=True)
class Lobe:
    """A star-shaped region that rotates about a joint of its parent.

    Attributes:
        texture: uint8 (any, any, 3), RGB.
        radii: (ANGLES,), distance of the outline at rest from the lobe's centre.
        ripples: (harmonic, wave) pairs; each wave is a share of the radius over time.
        parent: index of the lobe it is connected to; -1 for the body itself.
        joint: (x, y) in the parent's coordinates.
        reach: distance from the joint to the lobe's centre.
        angle: at rest, relative to the parent, in radians.
        swing: added to the angle over time, in radians.
    """

    texture: np.ndarray
    radii: np.ndarray
    ripples: tuple[tuple[int, Wave], ...] = ()
    parent: int = -1
    joint: tuple[float, float] = (0.0, 0.0)
    reach: float = 0.0
    angle: float = 0.0
    swing: Wave | None = None

    def outline(self, time: float) -> np.ndarray:
        """The radii of the outline at a time: (ANGLES,)."""
        ripple = sum(wave(time) * np.cos(harmonic * (THETA + wave.phase)) for harmonic, wave in self.ripples)
        return self.radii * (1 + ripple)

    def placement(self, time: float) -> np.ndarray:
        """The transform from the lobe's to the parent's coordinates at a time: (3, 3)."""
        angle = self.angle + (self.swing(time) if self.swing else 0.0)
        cos, sin = np.cos(angle), np.sin(angle)
        x, y = self.joint
        return np.array([[cos, -sin, x + cos * self.reach], [sin, cos, y + sin * self.reach], [0, 0, 1]])


@dataclass(frozen=True)
class Body:
    """Connected lobes, parents first; the first lobe is drawn in front of the others."""

    kind: str
    lobes: tuple[Lobe, ...]

    def placements(self, time: float) -> list[np.ndarray]:
        """The transform from each lobe's to the body's coordinates at a time: (3, 3) each."""
        found: list[np.ndarray] = []
        for lobe in self.lobes:
            own = lobe.placement(time)
            found.append(own if lobe.parent < 0 else found[lobe.parent] @ own)
        return found

    def outlines(self, time: float) -> list[np.ndarray]:
        """The outline of each lobe in the body's coordinates at a time: (ANGLES, 2) each."""
        return [
            lobe.outline(time)[:, None] * DIRECTIONS @ placement[:2, :2].T + placement[:2, 2]
            for lobe, placement in zip(self.lobes, self.placements(time), strict=True)
        ]

    def extent(self, frames: int) -> float:
        """The largest distance of an outline from the body's origin in the first `frames` frames."""
        return max(float(np.hypot(*np.concatenate(self.outlines(time)).T).max()) for time in range(frames))

    def area(self) -> float:
        """The area of the union of the lobes at time 0, in square units."""
        unit = 64
        canvas = np.zeros((8 * unit, 8 * unit), np.uint8)
        for outline in self.outlines(0):
            cv2.fillPoly(canvas, [np.rint((outline + 4) * unit).astype(np.int32)], 1)
        return float(canvas.sum()) / unit**2


def draw_body(rng: np.random.Generator, kind: str, skin: np.ndarray, second_skin: np.ndarray) -> Body:
    """A random body of a kind; lobes connected to its trunk may have the second texture."""
    build = {"blob": _blob, "star": _star, "walker": _walker, "worm": _worm}[kind]
    lobes = build(rng, skin, second_skin)
    middle = np.concatenate(Body(kind, lobes).outlines(0)).mean(axis=0)
    root = lobes[0]
    centred = replace(root, joint=(root.joint[0] - middle[0], root.joint[1] - middle[1]))
    return Body(kind, (centred, *lobes[1:]))


def column(texture: np.ndarray, height: float) -> Body:
    """Scenery: a vertical bar, 2 units wide and 2 * `height` units high."""
    with np.errstate(divide="ignore"):
        radii = np.minimum(1 / np.abs(np.cos(THETA)), height / np.abs(np.sin(THETA)))
    return Body("column", (Lobe(texture, radii),))


def _blob(rng: np.random.Generator, skin: np.ndarray, second_skin: np.ndarray) -> tuple[Lobe, ...]:
    radii = np.ones(ANGLES)
    for k in (2, 3, 4, 5):
        radii += rng.uniform(-0.22, 0.22) / (k - 1) * np.cos(k * THETA + rng.uniform(0, 6))
    patch = Lobe(
        second_skin,
        _ellipse(0.5, 0.4),
        _ripples(rng, (2,), 0.1),
        parent=0,
        joint=(0.55, 0.35),
        reach=0.45,
        angle=rng.uniform(0, 6),
        swing=_wave(rng, (0.5, 0.9)),
    )
    return Lobe(skin, radii, _ripples(rng, (2, 3, 4), 0.12)), patch


def _star(rng: np.random.Generator, skin: np.ndarray, second_skin: np.ndarray) -> tuple[Lobe, ...]:
    points = int(rng.integers(3, 7))
    radii = 1 + rng.uniform(0.25, 0.38) * np.cos(points * THETA) + rng.uniform(0, 0.12) * np.cos(THETA)
    return (Lobe(skin, radii, _ripples(rng, (2, 3, points), 0.12)),)


def _walker(rng: np.random.Generator, skin: np.ndarray, second_skin: np.ndarray) -> tuple[Lobe, ...]:
    trunk = Lobe(skin, _ellipse(rng.uniform(0.85, 1.1), rng.uniform(0.5, 0.7)), _ripples(rng, (2, 3), 0.08))
    head = Lobe(
        second_skin,
        _ellipse(rng.uniform(0.3, 0.45), rng.uniform(0.28, 0.36)),
        parent=0,
        joint=(0.7, -0.1),
        reach=0.4,
        angle=rng.uniform(-0.8, 0.2),
        swing=_wave(rng, (0.2, 0.4)),
    )
    places = np.linspace(-0.6, 0.6, int(rng.integers(2, 5)))
    swing = _wave(rng, (0.4, 0.8))
    legs = [
        Lobe(
            skin if index % 2 else second_skin,
            _ellipse(0.42, 0.19),
            parent=0,
            joint=(place, 0.35),
            reach=0.38,
            angle=np.pi / 2,
            swing=replace(swing, phase=swing.phase + index / 2),
        )
        for index, place in enumerate(places)
    ]
    return trunk, head, *legs


def _worm(rng: np.random.Generator, skin: np.ndarray, second_skin: np.ndarray) -> tuple[Lobe, ...]:
    length, swing = int(rng.integers(4, 6)), _wave(rng, (0.3, 0.55))
    lobes = [Lobe(second_skin, _ellipse(0.5, 0.46), angle=rng.uniform(-0.3, 0.3))]
    for index in range(length - 1):
        size = 0.5 - 0.05 * index
        # The first segment points backwards from the head; each further one continues in its direction.
        joint, angle = ((0.2, 0.0), 0.0) if index else ((-0.2, 0.0), np.pi)
        turn = replace(swing, phase=swing.phase - 0.15 * index)
        outline = _ellipse(1.05 * size, size)
        lobes.append(Lobe(skin, outline, parent=index, joint=joint, reach=0.38, angle=angle, swing=turn))
    return tuple(lobes)


def _ellipse(a: float, b: float) -> np.ndarray:
    return a * b / np.hypot(b * np.cos(THETA), a * np.sin(THETA))


def _wave(rng: np.random.Generator, size: tuple[float, float]) -> Wave:
    return Wave(rng.uniform(*size), rng.uniform(10, 24), rng.uniform())


def _ripples(rng: np.random.Generator, harmonics: tuple[int, ...], size: float) -> tuple[tuple[int, Wave], ...]:
    return tuple((harmonic, _wave(rng, (size / 2, size))) for harmonic in harmonics)
