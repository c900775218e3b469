"""`partprop benchmark`: how fast this machine segments, and where the time goes."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypedDict

import cv2
import numpy as np
import torch

from partprop.model.network import Network
from partprop.pretrained import Segmenter
from partprop.process.allocator import peak_memory_mb

SIZE = (480, 854)  # height and width: that of DAVIS
FRAMES = 44
TURN = 4  # frames in a row of a segmenter, before another has its turn; the first are not timed
OBJECTS = 3
SIDE = 150  # pixels of an object
APART, TOGETHER = 250, 100  # pixels from one object to the next: most of the frame is encoded, or little of it
PARTS = {
    "encode": "frame: backbone to keys",
    "tracker": "part tracker",
    "memorise": "memory",
    "fit_filter": "correlation filter",
    "correlate": "pixel correlation",
    "prepare": "evidence for the decoder",
    "decode": "mask decoder",
    "guide": "guidance of parts",
}
"""Methods of the network that are timed, by what they are to the reader."""


class Scene(NamedTuple):
    """So many disks, so many pixels from one to the next."""

    objects: int
    distance: int


class Benchmark(TypedDict):
    """What was measured, at SIZE.

    frames_per_second: with one object. further_apart, further_together: time that each further object adds, over that
    of one, where the objects lie apart and where they cover each other in part. encoding_apart, encoding_together: what
    of that is for encoding more of the frame. milliseconds: of a frame with one object, by part of the network, and the
    rest. peak_memory_mb: of the process.
    """

    frames_per_second: float
    further_apart: float
    further_together: float
    encoding_apart: float
    encoding_together: float
    milliseconds: dict[str, float]
    peak_memory_mb: float


def run_benchmark(device: str) -> Benchmark:
    """Segment rendered frames with the weights that come with the package.

    Raises:
        UserError: there are none, or the device cannot be used.
    """
    cv2.setNumThreads(1)
    scenes = [Scene(1, APART), Scene(OBJECTS, APART), Scene(OBJECTS, TOGETHER)]
    segmenters = {scene: Segmenter(device=device) for scene in scenes}
    names = [list(PARTS), ["encode"], ["encode"]]  # what is done for several objects at once is not to be told apart
    watches = [Stopwatch(each.network, timed) for each, timed in zip(segmenters.values(), names, strict=True)]
    one, apart, together = _seconds(segmenters, watches)
    encoding, encoding_apart, encoding_together = (watch.spent["encode"] / (FRAMES - TURN) for watch in watches)
    milliseconds = {PARTS[name]: 1000 * spent / (FRAMES - TURN) for name, spent in watches[0].spent.items()}
    milliseconds["the rest"] = 1000 * one - sum(milliseconds.values())

    def further(several: float, alone: float) -> float:
        return (several - alone) / (OBJECTS - 1) / one

    return Benchmark(
        frames_per_second=1 / one,
        further_apart=further(apart, one),
        further_together=further(together, one),
        encoding_apart=further(encoding_apart, encoding),
        encoding_together=further(encoding_together, encoding),
        milliseconds=milliseconds,
        peak_memory_mb=peak_memory_mb(),
    )


def describe(measured: Benchmark) -> str:
    """The measures as a table."""
    frame = 1000 / measured["frames_per_second"]
    rows = [f"{name:24s} {spent:7.1f} ms  {spent / frame:4.0%}" for name, spent in measured["milliseconds"].items()]
    return "\n".join(
        [
            *rows,
            f"{'a frame':24s} {frame:7.1f} ms  {measured['frames_per_second']:.1f} frames per second with one object",
            f"each further object adds {measured['further_together']:.0%} if they overlap, "
            f"{measured['further_apart']:.0%} if they lie apart",
            f"of which encoding more of the frame takes {measured['encoding_together']:.0%} and "
            f"{measured['encoding_apart']:.0%}",
            f"memory at most {measured['peak_memory_mb']:.0f} MB",
        ]
    )


class Stopwatch:
    """Adds up the seconds in methods of a network, by their names in PARTS.

    Time in one that another calls is its own alone.
    """

    def __init__(self, network: Network, names: Iterable[str]) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._running: list[float] = []  # seconds of inner calls, one entry for each call that runs
        self._device = next(network.parameters()).device
        for name in names:
            owner, method = (network.tracker, "forward") if name == "tracker" else (network, name)
            setattr(owner, method, self._timed(name, getattr(owner, method)))

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            self._await_device()
            start = time.perf_counter()
            self._running.append(0.0)
            result = function(*arguments, **options)
            self._await_device()
            seconds = time.perf_counter() - start
            self.spent[name] += seconds - self._running.pop()
            if self._running:
                self._running[-1] += seconds
            return result

        return timed

    def _await_device(self) -> None:
        """Let it finish what it was ordered, or that would count for those that wait for it."""
        if self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)


def _seconds(segmenters: Mapping[Scene, Segmenter], watches: Iterable[Stopwatch]) -> list[float]:
    """Seconds for a frame on average, of segmenters by their scene.

    They take turns: whatever else the machine does slows all alike.
    """
    spent = dict.fromkeys(segmenters, 0.0)
    for first in range(0, FRAMES, TURN):
        for scene, segmenter in segmenters.items():
            for number in range(first, first + TURN):
                image, labels = render_disks(number, *scene)
                start = time.perf_counter()
                segmenter.step(image, labels if number == 0 else None)
                spent[scene] += time.perf_counter() - start
        if first == 0:
            spent = dict.fromkeys(segmenters, 0.0)
            for watch in watches:
                watch.spent.clear()
    return [seconds / (FRAMES - TURN) for seconds in spent.values()]


def render_disks(number: int, objects: int, distance: int = APART) -> tuple[np.ndarray, np.ndarray]:
    """A frame, uint8 (H, W, 3), of patterned disks that move over a patterned ground, and its label map (H, W).

    Args:
        number: of the frame, from 0.
        objects: disks. distance: pixels from one to the next.
    """
    image, labels = _pattern(0, SIZE), np.zeros(SIZE, np.uint8)
    for object_id in range(1, objects + 1):
        left, top = 20 + 3 * number + distance * (object_id - 1), 100 + 2 * number * (object_id % 2)
        disk = cv2.circle(np.zeros((SIDE, SIDE), np.uint8), (SIDE // 2, SIDE // 2), SIDE // 2, 1, -1).astype(bool)
        place = (slice(top, top + SIDE), slice(left, left + SIDE))
        image[place][disk] = _pattern(object_id, (SIDE, SIDE))[disk]
        labels[place][disk] = object_id
    return image, labels


def _pattern(seed: int, size: tuple[int, int]) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (size[0] // 20, size[1] // 20, 3)).astype(np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
