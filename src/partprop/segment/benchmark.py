"""`partprop benchmark`: the speed of segmentation on this machine, and the time of each part of the network."""

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

SIZE = (480, 854)  # height and width of DAVIS
FRAMES = 44
TURN = 4  # frames that each segmenter processes in turn; the first turn is not timed
OBJECTS = 3
SIDE = 150  # diameter of an object, in pixels
APART, TOGETHER = 250, 100  # pixels between objects: most of the frame is encoded, or little of it
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
"""Descriptions of the timed methods of the network."""


class Scene(NamedTuple):
    """The number of disks, and the distance between neighbours in pixels."""

    objects: int
    distance: int


class Benchmark(TypedDict):
    """Measurements on frames of SIZE.

    Attributes:
        frames_per_second: with one object.
        further_apart: time added by each further object relative to the time of one, for objects that lie apart.
        further_together: the same for overlapping objects.
        encoding_apart, encoding_together: the share of that added for encoding more of the frame.
        milliseconds: time of a frame with one object, by part of the network, and the rest.
        peak_memory_mb: peak memory of the process, in MB.
    """

    frames_per_second: float
    further_apart: float
    further_together: float
    encoding_apart: float
    encoding_together: float
    milliseconds: dict[str, float]
    peak_memory_mb: float


def run_benchmark(device: str) -> Benchmark:
    """Segment rendered frames with the weights of the package, and measure time and memory.

    Args:
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: the weights are missing, or the device cannot be used.
    """
    cv2.setNumThreads(1)
    scenes = [Scene(1, APART), Scene(OBJECTS, APART), Scene(OBJECTS, TOGETHER)]
    segmenters = {scene: Segmenter(device=device) for scene in scenes}
    names = [list(PARTS), ["encode"], ["encode"]]  # work done for several objects at once cannot be attributed
    stopwatches = [Stopwatch(each.network, timed) for each, timed in zip(segmenters.values(), names, strict=True)]
    one, apart, together = _seconds(segmenters, stopwatches)
    encoding, encoding_apart, encoding_together = (watch.spent["encode"] / (FRAMES - TURN) for watch in stopwatches)
    milliseconds = {PARTS[name]: 1000 * spent / (FRAMES - TURN) for name, spent in stopwatches[0].spent.items()}
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
    """The measurements as a table."""
    frame = 1000 / measured["frames_per_second"]
    rows = [f"{name:24s} {spent:7.1f} ms  {spent / frame:4.0%}" for name, spent in measured["milliseconds"].items()]
    return "\n".join(
        [
            *rows,
            f"{'a frame':24s} {frame:7.1f} ms  {measured['frames_per_second']:.1f} frames per second with one object",
            f"each further object adds {measured['further_together']:.0%} if objects overlap, "
            f"{measured['further_apart']:.0%} if they lie apart",
            f"of this, encoding more of the frame takes {measured['encoding_together']:.0%} and "
            f"{measured['encoding_apart']:.0%}",
            f"peak memory {measured['peak_memory_mb']:.0f} MB",
        ]
    )


class Stopwatch:
    """Adds up the seconds spent in methods of a network.

    If a timed method calls another, the inner time counts for the inner method only.

    Attributes:
        spent: seconds by method name, as in PARTS.
    """

    def __init__(self, network: Network, names: Iterable[str]) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._running: list[float] = []  # seconds of inner calls, for each running call
        self._device = next(network.parameters()).device
        for name in names:
            owner, method = (network.tracker, "forward") if name == "tracker" else (network, name)
            setattr(owner, method, self._timed(name, getattr(owner, method)))

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            self._synchronize()
            start = time.perf_counter()
            self._running.append(0.0)
            result = function(*arguments, **options)
            self._synchronize()
            seconds = time.perf_counter() - start
            self.spent[name] += seconds - self._running.pop()
            if self._running:
                self._running[-1] += seconds
            return result

        return timed

    def _synchronize(self) -> None:
        """Wait for queued work, whose time would otherwise count for a later method."""
        if self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)


def _seconds(segmenters: Mapping[Scene, Segmenter], stopwatches: Iterable[Stopwatch]) -> list[float]:
    """The mean seconds per frame of each segmenter.

    Segmenters take turns, so that other load on the machine slows all of them equally.
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
            for watch in stopwatches:
                watch.spent.clear()
    return [seconds / (FRAMES - TURN) for seconds in spent.values()]


def render_disks(number: int, objects: int, distance: int = APART) -> tuple[np.ndarray, np.ndarray]:
    """Render patterned disks that move over a patterned background.

    Args:
        number: of the frame, from 0.
        objects: number of disks.
        distance: between neighbouring disks, in pixels.

    Returns:
        The frame, uint8 (H, W, 3), RGB, and its label map, uint8 (H, W).
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
