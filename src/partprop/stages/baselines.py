"""Segment the validation videos with the three baselines: first mask, optical flow, label propagation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from partprop.base import paths
from partprop.base.errors import UserError
from partprop.base.files import atomic_folder
from partprop.base.threads import use_threads
from partprop.baselines.label_propagation import BackboneFeatures, label_propagation
from partprop.baselines.simple import first_mask, flow
from partprop.data.labels import VOID, write_labels
from partprop.data.video import Video, open_davis
from partprop.model.backbone.imagenet import BackboneName, load_backbone

if TYPE_CHECKING:
    from partprop.params import Baselines, Params
    from partprop.pipeline.runs import Run

Baseline = Callable[[Iterable[np.ndarray], np.ndarray], Iterator[np.ndarray]]


def run(params: Params, log: Run) -> None:
    """Write results/baselines/<name>/<sequence>/<frame>.png for every frame of the validation split."""
    use_threads(params.baselines.threads)
    methods: dict[str, Baseline] = {
        "first_mask": first_mask,
        "flow": flow,
        "label_propagation": _label_propagation(params.baselines, params.model.backbone),
    }
    with atomic_folder(paths.BASELINES) as results:
        for sequence in open_davis(paths.DAVIS, "val", params.data.davis.year):
            for name, method in methods.items():
                segment(sequence, method, results / name / sequence.name)


def segment(sequence: Video, method: Baseline, folder: Path) -> None:
    """Write the label maps that a method predicts for all frames to `<folder>/<frame>.png`.

    Raises:
        UserError: the first frame has no mask, or a file is missing or corrupt.
    """
    first_labels = sequence.labels(0)
    if first_labels is None:
        raise UserError(f"{sequence.frames[0]}: the first frame has no mask, which the baselines need; add it")
    frames = (sequence.image(index) for index in range(len(sequence)))
    predictions = method(frames, np.where(first_labels == VOID, 0, first_labels))
    for frame, labels in zip(sequence.frame_names, predictions, strict=True):
        write_labels(folder / f"{frame}.png", labels)


def _label_propagation(settings: Baselines, backbone: BackboneName) -> Baseline:
    return partial(
        label_propagation,
        features=BackboneFeatures(load_backbone(paths.BACKBONE, backbone), settings.short_side),
        context_frames=settings.context_frames,
        radius=settings.radius,
        neighbours=settings.neighbours,
        temperature=settings.temperature,
    )
