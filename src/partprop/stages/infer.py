"""Segment one shard of the validation videos, frame by frame."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from partprop.base import paths
from partprop.base.files import atomic_folder, write_json
from partprop.base.threads import use_threads
from partprop.data.labels import write_labels
from partprop.data.splits import require_shards
from partprop.data.tracks import ObjectBoxes, object_boxes, tracks_writer
from partprop.data.video import Video, open_davis
from partprop.evaluation.vot.protocol import write_supervised
from partprop.evaluation.vot.runs import supervise_sequence
from partprop.model.backbone.devices import choose_device, move_to_device
from partprop.model.building import build_network, load_network
from partprop.model.network import Network
from partprop.process.allocator import peak_memory_mb
from partprop.tracking.settings import Settings
from partprop.tracking.videos import segment_sequence

if TYPE_CHECKING:
    from partprop.params import Params
    from partprop.pipeline.runs import Run


def run(params: Params, log: Run, shard: int) -> None:
    """Write results/davis/<shard>/<sequence>/ (a mask per frame, tracks.csv, supervised.csv) and the speed."""
    use_threads(params.infer.threads)
    sequences = shard_of(open_davis(paths.DAVIS, "val", params.data.davis.year), shard, len(params.infer.shards))
    network = load_network(paths.TRACKER, build_network(**params.model.model_dump()))
    move_to_device(network, choose_device("auto"))
    settings = Settings(**params.segmentation.model_dump())
    delete_former_shards(params.infer.shards)
    seconds, frames = 0.0, 0
    with atomic_folder(paths.RESULTS / str(shard)) as folder:
        for sequence in sequences:
            start = time.perf_counter()
            boxes = segment_to(network, settings, sequence, folder / sequence.name)
            seconds, frames = seconds + time.perf_counter() - start, frames + len(sequence)
            runs = supervise_sequence(network, settings, sequence, boxes)
            write_supervised(folder / sequence.name / "supervised.csv", sequence.frame_names, runs)
            print(f"{sequence.name}: {len(sequence)} frames", flush=True)
    speed = {"frames_per_second": frames / seconds, "frames": frames, "peak_memory_mb": peak_memory_mb()}
    log.metrics(speed)
    write_json(paths.REPORTS / "infer" / f"{shard}.json", speed)


def delete_former_shards(shards: Collection[int]) -> None:
    """Delete results of shards no longer listed: they are no output of a stage, but `evaluate` would read them."""
    for folder in paths.RESULTS.glob("*"):
        if folder.name.isdigit() and int(folder.name) not in shards:
            shutil.rmtree(folder, ignore_errors=True)


def shard_of(sequences: list[Video], shard: int, shards: int) -> list[Video]:
    """Select every `shards`-th sequence, starting with number `shard`.

    Raises:
        UserError: there are more shards than sequences.
    """
    require_shards(shards, len(sequences))
    return sequences[shard::shards]


def segment_to(network: Network, settings: Settings, sequence: Video, folder: Path) -> ObjectBoxes:
    """Segment a sequence, write its masks and tracks.csv to a folder, and return the boxes of the whole objects."""
    boxes: dict[tuple[str, int], np.ndarray] = {}
    with tracks_writer(folder / "tracks.csv") as write:
        for frame, result in segment_sequence(network, settings, sequence):
            write_labels(folder / f"{frame}.png", result.labels)
            boxes |= object_boxes(frame, result.boxes)
            write(frame, result.boxes, ())
    return boxes
