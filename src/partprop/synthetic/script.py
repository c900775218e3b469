"""Scripts: the objects of a video or image, their paths, and what makes the video difficult."""

from dataclasses import dataclass, replace

import numpy as np

from partprop.synthetic.body import KINDS, Body, column, draw_body
from partprop.synthetic.motion import BACKGROUND, MAX_GROWTH, change_light, move_camera, roam, tumble, zone
from partprop.synthetic.scene import TEXTURE_UNIT, Actor, Scene
from partprop.synthetic.texture import Look, blend, draw_look, paint, similar_look

TARGET = 1
MIN_FRAMES_TO_HIDE = 24  # shorter videos are too short for an occlusion and a return

# Range of frames between two stops of a path, [low, high).
PACE = (10, 20)
FAST_PACE = (7, 10)


@dataclass(frozen=True)
class Script:
    """A scene and the difficulties planned for its target, the object with label 1.

    Attributes:
        scene: what to render.
        hidden: frames in which scenery hides the target completely; None if there are none.
        look_alike: whether object 2 has the shape class and pattern of the target, in other colours and sizes.
    """

    scene: Scene
    hidden: range | None
    look_alike: bool


@dataclass(frozen=True)
class _Role:
    """A body and its size.

    Attributes:
        body: the body.
        scale: pixels per unit in frame 0.
        radius: in frame 0, in pixels.
        reach: radius that contains the body at all times, in pixels.
    """

    body: Body
    scale: float
    radius: float
    reach: float


@dataclass(frozen=True)
class _Bar:
    """Scenery: a vertical bar that moves with the background.

    Attributes:
        x: (frames,), its centre in pixels.
        half_width: in pixels.
        texture: uint8 (any, any, 3), RGB.
    """

    x: np.ndarray
    half_width: float
    texture: np.ndarray

    def gap(self, frame: int, x: float) -> float:
        """Distance in pixels from `x` to the bar, negative behind it."""
        return abs(x - self.x[frame]) - self.half_width


def script_video(seed: tuple[int, ...], index: int, width: int, height: int, frames: int) -> Script:
    """Plan a video.

    All videos have deformation, camera motion and a second object. Every third video with at least 24 frames hides its
    target completely for some frames, and every second one has a look-alike. In frame 0 the target is completely
    visible and covers 4 to 15 % of a frame in landscape format.

    Args:
        seed: of all random choices.
        index: of the video in its split; it determines the difficulties.
        width, height: of the frames, in pixels.
        frames: length of the video.
    """
    rng = np.random.default_rng(seed)
    size = np.array([width, height])
    hidden = _hidden_frames(rng, frames) if index % 3 == 0 and frames >= MIN_FRAMES_TO_HIDE else None
    look_alike = index % 2 == 0
    roles = _video_roles(rng, size, frames, look_alike, hides=hidden is not None)
    pan, camera = move_camera(rng, size, frames)
    bar = _bar(rng, size, pan[:, 0], roles[0], hides=hidden is not None)

    starts: list[np.ndarray] = []
    for role in roles:
        starts.append(_start(rng, size, role, list(zip(starts, roles, strict=False)), bar))
    path = _target_path(rng, size, frames, roles[0], starts[0], bar, hidden)
    target = _actor(rng, roles[0], path, TARGET)
    behind: list[Actor] = []
    before: list[Actor] = []
    for label, (role, start) in enumerate(zip(roles[1:], starts[1:], strict=True), start=TARGET + 1):
        path = roam(rng, {0: start}, size, role.radius / 2, frames, _leg(rng, PACE), lambda frame, place: True)
        clear = np.hypot(*(start - starts[0])) > role.radius + roles[0].radius
        layer = before if clear and rng.uniform() < 0.4 else behind
        layer.append(_actor(rng, role, path, label))
    scenery = [] if bar is None else [_bar_actor(bar, height)]
    return Script(_scene(rng, size, camera, [*behind, target, *before, *scenery]), hidden, look_alike)


def script_image(seed: tuple[int, ...], width: int, height: int) -> Scene:
    """Plan a still image, a scene of one frame, with one to five objects that may occlude each other."""
    rng = np.random.default_rng(seed)
    size = np.array([width, height])
    actors = []
    for label in range(1, int(rng.integers(1, 6)) + 1):
        kind = KINDS[rng.integers(len(KINDS))]
        role = _role(rng, kind, _object_look(rng), rng.uniform(0.015, 0.15) * size.prod(), 0.5 * size.min(), frames=1)
        place = rng.uniform(*zone(size, 0.6 * role.radius))
        actors.append(_actor(rng, role, place[None], label))
    _, camera = move_camera(rng, size, 1)
    return _scene(rng, size, camera, actors)


def _hidden_frames(rng: np.random.Generator, frames: int) -> range:
    start = int(rng.integers(frames // 3, frames // 2))
    return range(start, start + int(rng.integers(3, 5)))


def _leg(rng: np.random.Generator, pace: tuple[int, int]) -> int:
    return int(rng.integers(*pace))


def _video_roles(rng: np.random.Generator, size: np.ndarray, frames: int, look_alike: bool, hides: bool) -> list[_Role]:
    """The target, its look-alike if wanted, and an object of another kind."""
    first, other = rng.choice(KINDS, 2, replace=False)
    look = _object_look(rng)
    widest = 0.42 * size.min()
    # A target that will be hidden needs a bar as wide as itself, and room beside it.
    target_area = size.prod() * (rng.uniform(0.05, 0.07) if hides else rng.uniform(0.055, 0.1))
    target_widest = min(0.3 * size.min(), 0.17 * size[0]) if hides else widest
    roles = [_role(rng, first, look, target_area, target_widest, frames)]
    if look_alike:
        area = target_area * rng.uniform(0.8, 1.2)
        roles.append(_role(rng, first, similar_look(rng, look), area, widest, frames))
    roles.append(_role(rng, other, _object_look(rng), size.prod() * rng.uniform(0.03, 0.07), widest, frames))
    return roles


def _role(rng: np.random.Generator, kind: str, look: Look, area: float, widest: float, frames: int) -> _Role:
    """A body of a kind that covers `area` pixels, or fewer if its radius would exceed `widest` pixels."""
    side = 4 * TEXTURE_UNIT
    second_look = replace(look, hues=(look.hues[2], *look.hues[1:]), wavelength=0.8 * look.wavelength)
    body = draw_body(rng, kind, paint(rng, look, side, side), paint(rng, second_look, side, side))
    extent = body.extent(1)
    scale = min(float(np.sqrt(area / body.area())), widest / extent)
    return _Role(body, scale, radius=scale * extent, reach=scale * body.extent(frames) * MAX_GROWTH)


def _actor(rng: np.random.Generator, role: _Role, path: np.ndarray, label: int) -> Actor:
    return Actor(role.body, tumble(rng, path, role.scale, upright=role.body.kind == "walker"), label)


def _object_look(rng: np.random.Generator) -> Look:
    return draw_look(rng, saturation=(0.5, 0.95), wavelength=(0.35 * TEXTURE_UNIT, 0.9 * TEXTURE_UNIT))


def _bar(rng: np.random.Generator, size: np.ndarray, pan: np.ndarray, target: _Role, hides: bool) -> _Bar | None:
    """A bar wide enough to hide the target if `hides`; else a thin bar or, with probability 0.5, none."""
    if not hides and rng.uniform() < 0.5:
        return None
    half_width = 1.02 * target.reach if hides else rng.uniform(0.15, 0.3) * target.radius
    side = rng.choice((-1, 1))
    x = (0.5 + 0.25 * side) * size[0] - 0.35 * (pan - pan[0])
    look = draw_look(rng, saturation=(0.05, 0.4), wavelength=(0.5 * TEXTURE_UNIT, 1.5 * TEXTURE_UNIT))
    return _Bar(x, half_width, paint(rng, look, 4 * TEXTURE_UNIT, 8 * TEXTURE_UNIT))


def _bar_actor(bar: _Bar, height: int) -> Actor:
    track = np.tile(np.diag([bar.half_width, bar.half_width, 1]), (len(bar.x), 1, 1))
    track[:, 0, 2], track[:, 1, 2] = bar.x, height / 2
    return Actor(column(bar.texture, height / bar.half_width), track, label=0)


def _start(
    rng: np.random.Generator, size: np.ndarray, role: _Role, taken: list[tuple[np.ndarray, _Role]], bar: _Bar | None
) -> np.ndarray:
    """The position in the frame, out of 60 random ones, with the least overlap with other bodies and the bar."""

    def clearance(place: np.ndarray) -> float:
        gaps = [np.hypot(*(place - other)) - other_role.radius for other, other_role in taken]
        if bar is not None:
            gaps.append(bar.gap(0, place[0]))
        return min(min(gaps, default=np.inf) - role.radius, 0.0)

    low, high = zone(size, role.radius + 1)
    return max((rng.uniform(low, high) for _ in range(60)), key=clearance)


def _target_path(
    rng: np.random.Generator,
    size: np.ndarray,
    frames: int,
    role: _Role,
    start: np.ndarray,
    bar: _Bar | None,
    hidden: range | None,
) -> np.ndarray:
    """The target's path away from its start: (frames, 2). After an occlusion it returns to the side it came from."""

    def far(place: np.ndarray) -> bool:
        return bool(np.hypot(*(place - start)) > 1.3 * role.radius)

    if bar is None or hidden is None:
        return roam(rng, {0: start}, size, role.radius / 2, frames, _leg(rng, PACE), lambda frame, place: far(place))

    def far_and_in_view(frame: int, place: np.ndarray) -> bool:
        same_side = (place[0] > bar.x[frame]) == (start[0] > bar.x[0])
        return far(place) and same_side and bar.gap(frame, place[0]) > 0.8 * role.radius

    low, high = zone(size, role.radius / 2)
    stops = {frame: np.array([bar.x[frame], rng.uniform(low[1], high[1])]) for frame in (hidden[0], hidden[-1])}
    path = roam(rng, {0: start, **stops}, size, role.radius / 2, frames, _leg(rng, FAST_PACE), far_and_in_view)
    path[hidden.start : hidden.stop, 0] = bar.x[hidden.start : hidden.stop]
    return path


def _scene(rng: np.random.Generator, size: np.ndarray, camera: np.ndarray, actors: list[Actor]) -> Scene:
    width, height = (int(length) for length in size)
    looks = [draw_look(rng, saturation=(0.05, 0.45), wavelength=(0.15 * height, 0.5 * height)) for _ in range(2)]
    first, second = (paint(rng, look, round(BACKGROUND * width), round(BACKGROUND * height)) for look in looks)
    return Scene(
        width=width,
        height=height,
        background=blend(rng, first, second),
        camera=camera,
        actors=tuple(actors),
        light=change_light(rng, len(camera)),
        noise=rng.uniform(1, 4),
        noise_seed=int(rng.integers(2**31)),
    )
