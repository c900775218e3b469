"""Measure frames per second of the online loop with the settings of params.yaml, and memory growth over a video.

    .venv/bin/python benchmarks/speed.py data/davis

Runs models/tracker.safetensors on the first frames of the validation videos, one video after the other, unlike `infer`,
whose shards share the cores. Frames are read beforehand and masks are not written. The printed share is the area of the
object in the first frame over that of the frame: the work per frame grows with it.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import psutil

from partprop.base.errors import UserError
from partprop.base.paths import PARAMS
from partprop.base.threads import use_threads
from partprop.data.video import Video, open_davis
from partprop.model.network import Network
from partprop.params import load_params
from partprop.pipeline.trained import load_trained
from partprop.process.allocator import keep_freed_pages
from partprop.tracking.segmenter import Segmenter
from partprop.tracking.settings import Settings

REPEATS = 4  # passes over the same frames, forwards and backwards, to detect memory growth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("davis", type=Path, help="DAVIS folder")
    parser.add_argument("--frames", type=int, default=20, help="number of first frames of each video")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.frames < 3:
        parser.error("--frames: at least 3, since the first two are not timed")
    keep_freed_pages()
    use_threads(arguments.threads)
    try:
        params = load_params(PARAMS)
        network, settings = load_trained(params)
        sequences = [
            sequence.select(range(len(sequence))[: arguments.frames])
            for sequence in open_davis(arguments.davis, "val", params.data.davis.year)
        ]
        rates = [_rate(network, settings, sequence) for sequence in sequences]
        print(f"{len(rates)} videos: mean {statistics.mean(rates):.1f}, minimum {min(rates):.1f} frames per second")
        _print_memory(network, settings, sequences[0])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _rate(network: Network, settings: Settings, sequence: Video) -> float:
    images = [sequence.image(index) for index in range(len(sequence))]
    labels = sequence.labels(0)
    segmenter = Segmenter(network, settings)
    segmenter.start(images[0], labels)
    segmenter.step(images[1])  # warm-up, not timed
    started = time.perf_counter()
    for image in images[2:]:
        segmenter.step(image)
    rate = (len(images) - 2) / (time.perf_counter() - started)
    size = f"{images[0].shape[1]}x{images[0].shape[0]}"
    print(f"{sequence.name:20s} {size:9s} share {(labels > 0).mean():5.3f}  {rate:5.1f} frames per second", flush=True)
    return rate


def _print_memory(network: Network, settings: Settings, sequence: Video) -> None:
    images = [sequence.image(index) for index in range(len(sequence))]
    segmenter, process, used = Segmenter(network, settings), psutil.Process(), []
    segmenter.start(images[0], sequence.labels(0))
    for repeat in range(REPEATS):
        for image in images[1:] if repeat % 2 == 0 else images[-2::-1]:
            segmenter.step(image)
        used.append(f"{process.memory_info().rss / 2**20:.0f}")
    print(f"memory after each pass over {len(images) - 1} frames of one video: {', '.join(used)} MiB")


if __name__ == "__main__":
    main()
