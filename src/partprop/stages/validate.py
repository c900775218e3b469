"""Measure the trained network on the held-out training videos: the scores by which settings are chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from partprop.base import paths
from partprop.base.files import write_json
from partprop.base.threads import use_threads
from partprop.data.video import open_davis
from partprop.model.backbone.devices import choose_device, move_to_device
from partprop.model.building import build_network, load_network
from partprop.tracking.settings import Settings
from partprop.tracking.validation import split_held_out, validate

if TYPE_CHECKING:
    from partprop.params import Params
    from partprop.pipeline.runs import Run

REPORT = paths.REPORTS / "validate"


def run(params: Params, log: Run) -> None:
    """Write reports/validate/metrics.json and speed.json from all frames of the held-out videos."""
    use_threads(params.train_tracking.threads)
    videos = open_davis(paths.DAVIS, "train", params.data.davis.year)
    _, held_out = split_held_out(videos, params.train_tracking.held_out)
    network = load_network(paths.TRACKER, build_network(**params.model.model_dump()))
    move_to_device(network, choose_device("auto"))
    scores, seconds_per_frame = validate(network, Settings(**params.segmentation.model_dump()), held_out, None)
    log.metrics(scores)
    write_json(REPORT / "metrics.json", scores)
    write_json(REPORT / "speed.json", {"seconds_per_frame": seconds_per_frame})
